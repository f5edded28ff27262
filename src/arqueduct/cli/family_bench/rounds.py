"""One project and one batch, measured from their creation to their end."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

from arqueduct.cli.client import Body, Client
from arqueduct.cli.family_bench import asking
from arqueduct.cli.family_bench.counting_cost import counting_cost
from arqueduct.cli.family_bench.hearing import hearing, snapshot
from arqueduct.cli.family_bench.material import KIND
from arqueduct.cli.family_bench.results import BatchRound, ProjectRound
from arqueduct.errors import SetupError
from arqueduct.repositories import rules
from arqueduct.repositories.rules import Target

__all__ = ["Bench", "batch_round", "project_round"]

ASKED = 200
"""Times that a status is asked for in each phase."""
LISTED = 30
LISTS = ("/jobs", "/documents", "/projects", "/batches", "/errors")
LEAST_RATE = 20
"""Children a second: the slowest run that we wait for."""


class Bench(NamedTuple):
    """Against what, and with what."""

    client: Client
    database_url: str
    """As the owner of the tables."""
    file_set: str
    profile: str
    files: int
    interval: float
    """Least seconds between two progress messages of a parent."""


async def project_round(bench: Bench) -> ProjectRound:
    """Raises `SetupError` when it does not end well, or its numbers are not those of a recount."""
    client = bench.client
    async with hearing(client) as heard:
        async with _nothing_runs(bench):
            asked = {"name": "bench", "file_set_id": bench.file_set, "profile": bench.profile}
            made, creation = await _timed(client, "/projects", asked)
            path, job_id = f"/projects/{made['project']['id']}", made["job"]["id"]
            before = await asking.ask(client, f"{path}/status", ASKED)
        over = partial(heard.has_ended, job_id)
        during = await asking.ask_until(client, f"{path}/status", over, seconds=60 + bench.files / LEAST_RATE)
        after = await asking.ask(client, f"{path}/status", ASKED)
        status = await asking.recount(client, path)
    if status["counts"]["completed"] != bench.files:
        raise SetupError(f"Of {bench.files} files {status['counts']['completed']} were completed: please report this.")
    return ProjectRound(
        creation_seconds=creation,
        status_before=before,
        status_during=during,
        status_after=after,
        children_per_second=round(bench.files / max(heard.working_seconds(job_id), 0.001), 1),
        heard=heard.of(job_id, bench.interval),
        eta=heard.eta(job_id),
        counting=await counting_cost(bench.database_url, UUID(job_id)),
    )


async def batch_round(bench: Bench) -> BatchRound:
    """Over the same documents, chosen by a filter. Raises as `project_round` does."""
    client = bench.client
    async with _nothing_runs(bench):
        asked = {"action": KIND, "filter": {"file_set_id": bench.file_set}, "profile": bench.profile}
        made, creation = await _timed(client, "/batches", asked)
        path = f"/batches/{made['batch']['id']}"
        status = await asking.ask(client, path, ASKED)
        first = await snapshot(client)
        lists = {listed: await asking.ask(client, listed, LISTED) for listed in LISTS}
        cancelled, took = await _timed(client, f"{path}/cancel", None)
    if (cancelled["state"], cancelled["counts"]["cancelled"]) != ("cancelled", bench.files):
        raise SetupError(f"The batch was cancelled, and then had {cancelled['counts']}: please report this.")
    return BatchRound(creation_seconds=creation, status=status, snapshot=first, lists=lists, cancel_seconds=took)


@asynccontextmanager
async def _nothing_runs(bench: Bench) -> AsyncIterator[None]:
    """No job of the kind begins while the block lasts; workers notice its end within seconds."""
    target = Target("kind", KIND)
    async with rules.as_owner(bench.database_url) as driver:
        await rules.pause(driver, target)
    yield
    async with rules.as_owner(bench.database_url) as driver:
        await rules.resume(driver, target)


async def _timed(client: Client, path: str, body: dict[str, Any] | None) -> tuple[Body, float]:
    """The answer, and the seconds until it came."""
    began = time.perf_counter()
    answer = await client.post(path, body)
    return answer, round(time.perf_counter() - began, 3)
