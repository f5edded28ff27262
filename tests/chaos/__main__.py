"""`python -m tests.chaos`: one run, its report on standard output, status 1 if anything was lost or doubled."""

import argparse
import asyncio
import contextlib
import random
import shutil
import signal
import sys
from pathlib import Path

from tests.chaos.report import Report
from tests.chaos.scenario import Plan, run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--jobs", type=int, default=Plan.jobs, help="documents to upload (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=Plan.seconds, help="of faults (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=Plan.workers, help="default: %(default)s")
    parser.add_argument("--stock", type=int, default=Plan.stock, help="workers with arq's own delivery")
    parser.add_argument("--pause", type=float, default=Plan.pause, help="mean seconds between two faults")
    parser.add_argument("--quiet", type=float, default=Plan.quiet, help="most seconds from the last fault to the end")
    parser.add_argument("--seed", type=int, default=random.randrange(10_000), help="default: another one each time")
    plan = Plan(**vars(parser.parse_args()))
    print(f"chaos: {plan}", flush=True)
    report, folder = asyncio.run(_until_told_to_stop(plan))
    print("\n".join(report.lines()))
    if report.is_good:
        shutil.rmtree(folder)
        return 0
    print(f"logs       {folder}")
    return 1


async def _until_told_to_stop(plan: Plan) -> tuple[Report, Path]:
    """SIGTERM ends it in order, as Ctrl-C does."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await run(plan)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(main())
    sys.exit("stopped")
