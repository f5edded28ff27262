"""Writes down what was refused or failed. What was done is written in its own transaction (`access.Acting`)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from starlette.requests import HTTPConnection
from starlette.types import Scope

from arqueduct import metrics
from arqueduct.identity import Identity
from arqueduct.repositories import audit, sessions
from arqueduct.repositories.audit import Actor
from arqueduct_backend.access import actor_of
from arqueduct_backend.problems import CALLER, NOTED, PROBLEM
from arqueduct_backend.state import State

__all__ = ["refused", "tell_dropped", "write_down"]

log = structlog.get_logger()

READING = frozenset({"GET", "HEAD", "OPTIONS"})
DENIED = frozenset({401, 403})
MOST_SECONDS = 2.0
"""The answer is out already; the connection waits."""
LINES_DROPPED = "lines_dropped"
"""The action of a line that tells how many others there are not."""


async def write_down(scope: Scope, status: int | None) -> None:
    """After a request: a line if it was denied, or was to change something and failed. Never raises."""
    await tell_dropped(scope["app"].state.services)
    if status is None or status < 400 or scope.get(NOTED):
        return
    if status in DENIED or (scope["method"] not in READING and scope.get(CALLER)):
        await refused(HTTPConnection(scope), is_denied=status in DENIED)


async def refused(connection: HTTPConnection, *, is_denied: bool = True, code: str | None = None) -> None:
    """One line about a request or a socket. Never raises."""
    scope = connection.scope
    caller: Identity | None = scope.get(CALLER)
    services: State = scope["app"].state.services
    actor = actor_of(connection, caller)
    if caller is None and not services.strangers.takes(actor.address or ""):
        metrics.audit_dropped.inc()
        return
    async with _at_best(), services.database.transaction(actor.tenant_id) as opened:
        await audit.add(opened.driver, actor, "denied" if is_denied else "failed", code=code or scope.get(PROBLEM))


async def tell_dropped(services: State, *, is_last: bool = False) -> None:
    """A line about each address that lines were dropped of, when their minute is over. Called after every request, and
    at the end of the process with `is_last`. Never raises.
    """
    told = [*services.strangers.dropped(is_last=is_last), *services.guesses.dropped(is_last=is_last)]
    if not told:
        return
    async with _at_best(), services.database.transaction() as opened:
        for dropped in sorted(told, key=lambda one: one.tenant_id is not None):  # none is entered first
            if dropped.tenant_id is not None:
                await sessions.enter(opened.driver, dropped.tenant_id)
            actor = Actor(action=LINES_DROPPED, tenant_id=dropped.tenant_id, address=dropped.address)
            await audit.add(opened.driver, actor, "denied", after={"lines": dropped.lines})


@asynccontextmanager
async def _at_best() -> AsyncIterator[None]:
    """Whoever writes a line has been answered already: what cannot be written soon is lost, and the log says so."""
    try:
        async with asyncio.timeout(MOST_SECONDS):
            yield
    except Exception as error:
        metrics.audit_dropped.inc()
        log.warning("audit line lost", error=f"{type(error).__name__}: {error}"[:300])
