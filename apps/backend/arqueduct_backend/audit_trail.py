"""Writes down what was refused or failed. What was done is written in its own transaction (`access.Acting`)."""

import asyncio
import time
from collections import deque

import structlog
from starlette.requests import HTTPConnection
from starlette.types import Scope

from arqueduct import metrics
from arqueduct.identity import Identity
from arqueduct.repositories import audit
from arqueduct_backend.access import actor_of
from arqueduct_backend.problems import CALLER, NOTED, PROBLEM
from arqueduct_backend.state import State

__all__ = ["refused", "write_down"]

log = structlog.get_logger()

READING = frozenset({"GET", "HEAD", "OPTIONS"})
DENIED = frozenset({401, 403})
MOST_SECONDS = 2.0
"""The answer is out already; the connection waits."""
STRANGERS_A_MINUTE = 60
"""Lines of one process about callers that nobody knows: a flood of them must not fill the disk."""

_strangers: deque[float] = deque(maxlen=STRANGERS_A_MINUTE)


async def write_down(scope: Scope, status: int | None) -> None:
    """After a request: a line if it was denied, or was to change something and failed. Never raises."""
    if status is None or status < 400 or scope.get(NOTED):
        return
    if status in DENIED or (scope["method"] not in READING and scope.get(CALLER)):
        await refused(HTTPConnection(scope), is_denied=status in DENIED)


async def refused(connection: HTTPConnection, *, is_denied: bool = True, code: str | None = None) -> None:
    """One line about a request or a socket. Never raises."""
    scope = connection.scope
    caller: Identity | None = scope.get(CALLER)
    if caller is None and _is_flood():
        metrics.audit_dropped.inc()
        return
    tenant_id = caller.tenant_id if caller else None
    services: State = scope["app"].state.services
    try:
        async with asyncio.timeout(MOST_SECONDS), services.database.transaction(tenant_id) as opened:
            await audit.add(
                opened.driver,
                actor_of(connection, caller),
                "denied" if is_denied else "failed",
                code=code or scope.get(PROBLEM),
            )
    except Exception as error:
        metrics.audit_dropped.inc()
        log.warning("audit line lost", error=f"{type(error).__name__}: {error}"[:300])


def _is_flood() -> bool:
    now = time.monotonic()
    if len(_strangers) == STRANGERS_A_MINUTE and now - _strangers[0] < 60:
        return True
    _strangers.append(now)
    return False
