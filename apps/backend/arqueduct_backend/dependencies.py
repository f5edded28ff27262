"""What handlers ask for. All take `HTTPConnection`, so that sockets can use them too."""

import re
from collections.abc import AsyncIterator
from typing import Annotated, cast

from fastapi import Depends
from starlette.requests import HTTPConnection
from structlog.contextvars import bind_contextvars

from arqueduct.database import Transaction
from arqueduct.errors import NotAuthenticated
from arqueduct.identity import Identity, authenticate
from arqueduct_backend.problems import CALLER
from arqueduct_backend.state import State

__all__ = ["Caller", "Services", "TenantTransaction", "identity", "known", "prove", "state", "transaction"]

KEY = re.compile(r"[\x21-\x7e]{1,512}")
"""What a key may look like at all; anything else is not worth a question to Postgres."""


def state(connection: HTTPConnection) -> State:
    """What the process opened."""
    return cast("State", connection.app.state.services)


Services = Annotated[State, Depends(state)]


async def identity(connection: HTTPConnection, services: Services) -> Identity:
    """Who is calling, by `Authorization: Bearer` or else by `X-API-Key`. Raises `NotAuthenticated`."""
    keys = presented(connection)
    if not keys:
        raise NotAuthenticated
    for key in keys[:-1]:
        try:
            return await prove(connection, services, key)
        except NotAuthenticated:
            continue
    return await prove(connection, services, keys[-1])


async def prove(connection: HTTPConnection, services: State, key: str) -> Identity:
    """The identity that a key stands for. Raises `NotAuthenticated`."""
    if not KEY.fullmatch(key):
        raise NotAuthenticated("This API key is not valid.")
    async with services.database.transaction() as transaction:
        found = await authenticate(transaction, key)
    return known(connection, found)


def known(connection: HTTPConnection, caller: Identity) -> Identity:
    """From here on the log and the audit know who it is."""
    connection.scope[CALLER] = caller
    bind_contextvars(tenant=str(caller.tenant_id), user=str(caller.user_id))
    return caller


Caller = Annotated[Identity, Depends(identity)]


async def transaction(services: Services, caller: Caller) -> AsyncIterator[Transaction]:
    """One transaction a request, as the caller's tenant; committed before the answer is sent."""
    async with services.database.transaction(caller.tenant_id) as opened:
        yield opened


TenantTransaction = Annotated[Transaction, Depends(transaction, scope="function")]


def presented(connection: HTTPConnection) -> list[str]:
    """The keys in the headers, the bearer's first."""
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    bearer = token.strip() if scheme.lower() == "bearer" else ""
    return [key for key in (bearer, connection.headers.get("x-api-key", "")) if key]
