"""A short run of the chaos suite; `make chaos` is the long one."""

import shutil

from tests.chaos.scenario import Plan, run

PLAN = Plan(jobs=300, seconds=15, seed=7)


async def test_nothing_is_lost_and_nothing_doubled_though_everything_breaks() -> None:
    report, folder = await run(PLAN)
    text = "\n".join(report.lines())
    print(text)
    assert report.is_good, f"{text}\nlogs       {folder}"
    shutil.rmtree(folder)
