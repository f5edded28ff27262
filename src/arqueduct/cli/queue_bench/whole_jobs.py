"""Contest: whole jobs that do nothing, their truth in Postgres. Ours beside procrastinate on the same Postgres."""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from arqueduct import __version__
from arqueduct.cli.queue_bench.contest import Contest, Plan
from arqueduct.cli.queue_bench.peer import Procrastinate, open_procrastinate
from arqueduct.cli.queue_bench.product import Product, open_product
from arqueduct.cli.queue_bench.results import Measure, Pair
from arqueduct.cli.queue_bench.side import AT_ONCE, owning
from arqueduct.embedded import EmbeddedPostgres, EmbeddedValkey, remove
from arqueduct.supervisor.servers import to_the_end

__all__ = ["WholeJobs", "open_whole_jobs"]

WORKERS = (1, 2)
WHOLE = {
    1: Measure("1 worker process", "jobs/s", least_ratio=4),
    2: Measure("2 worker processes", "jobs/s", least_ratio=4),
}
STEADY = {1: Measure("1 worker process, steady", "jobs/s"), 2: Measure("2 worker processes, steady", "jobs/s")}
MIDDLE = (0.1, 0.9)
"""Which part of the ends is steady: without the creation of the jobs, and without the last that find workers idle."""

SHOWN = ("server_version", "fsync", "synchronous_commit")
"""Settings of Postgres that belong into the report."""

ABSENT = "it is installed apart, by `make .venv-peers/.installed`; another Python that has it is named by --peers."


@asynccontextmanager
async def open_whole_jobs(plan: Plan) -> AsyncIterator["WholeJobs"]:
    """With servers of its own, set up like those of `arqueduct up`."""
    folder = plan.folder / "whole"
    await asyncio.to_thread(folder.mkdir)
    postgres, valkey = EmbeddedPostgres(folder / "postgres"), EmbeddedValkey(folder / "valkey")
    async with AsyncExitStack() as stack:
        for server in (postgres, valkey):
            stack.push_async_callback(asyncio.to_thread, remove, server.folder)
            stack.push_async_callback(asyncio.to_thread, server.stop)
            await to_the_end(server.start)
        ours = await stack.enter_async_context(open_product(folder, postgres, valkey, plan.concurrency))
        rival = None
        if plan.peers is not None:
            rival = await stack.enter_async_context(open_procrastinate(folder, postgres, plan.peers, plan.concurrency))
        async with owning(postgres) as owner:
            shown = {name: await owner.fetchval(f"SHOW {name}") for name in SHOWN}
        yield WholeJobs(plan, ours, rival, shown)


class WholeJobs(Contest):
    name = "Whole jobs: created, admitted, claimed, completed, published"
    ours = f"arqueduct {__version__}"
    measures = (WHOLE[1], WHOLE[2], STEADY[1], STEADY[2])

    def __init__(self, plan: Plan, ours: Product, rival: Procrastinate | None, shown: Mapping[str, str]) -> None:
        self.rival = f"procrastinate {rival.version}" if rival else "procrastinate"
        self.left_out = None if rival else ABSENT
        self._plan = plan
        self._sides = [ours, *([rival] if rival else [])]
        self._shown = shown

    @property
    def settings(self) -> Mapping[str, int | str]:
        return {
            "jobs": self._plan.whole_jobs,
            "concurrency": self._plan.concurrency,
            "created at once": AT_ONCE,
            "postgres": f"Postgres {self._shown['server_version']}",
            "durability": f"fsync {self._shown['fsync']}, synchronous_commit {self._shown['synchronous_commit']}",
        }

    async def round(self) -> dict[Measure, Pair]:
        """Who begins is drawn by lot."""
        found: dict[Measure, Pair] = {}
        for workers in WORKERS:
            ends = {
                place: await self._sides[place].run(self._plan.whole_jobs, workers)
                for place in random.sample(range(len(self._sides)), len(self._sides))
            }
            found[WHOLE[workers]] = (_rate(ends[0]), _rate(ends[1]) if 1 in ends else None)
            found[STEADY[workers]] = (_steady(ends[0]), _steady(ends[1]) if 1 in ends else None)
        return found


def _rate(ends: Sequence[float]) -> float:
    """Jobs a second from the first creation to the last end."""
    return len(ends) / ends[-1]


def _steady(ends: Sequence[float]) -> float:
    first, last = (int(part * (len(ends) - 1)) for part in MIDDLE)
    return (last - first) / (ends[last] - ends[first])
