"""What handlers ask for. All take `HTTPConnection`, so that sockets can use them too."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, cast

from fastapi import Depends
from starlette.requests import HTTPConnection
from structlog.contextvars import bind_contextvars

from arqueduct.database import Transaction
from arqueduct.errors import NotAuthenticated
from arqueduct.identity import Identity, authenticate
from arqueduct.repositories import sessions
from arqueduct.tokens import is_access_token
from arqueduct_backend.problems import CALLER
from arqueduct_backend.state import State

__all__ = ["Caller", "Services", "TenantTransaction", "identity", "known", "prove", "state", "transaction"]

KEY = re.compile(r"[\x21-\x7e]{1,512}")
"""What a key or a token may look like at all; anything else is not worth a question to Postgres."""


def state(connection: HTTPConnection) -> State:
    """What the process opened."""
    return cast("State", connection.app.state.services)


Services = Annotated[State, Depends(state)]


async def identity(connection: HTTPConnection, services: Services) -> Identity:
    """Who is calling, by `Authorization: Bearer` or by `X-API-Key`: `ambiguity` lets no request pass where they differ.

    Raises `NotAuthenticated`.
    """
    if bearer := _bearer(connection):
        return await prove(connection, services, bearer)
    if key := _key(connection):
        return known(connection, await _counted(connection, services, key, _by_key))
    await services.budgets.stranger(connection)
    raise NotAuthenticated


async def prove(connection: HTTPConnection, services: State, proof: str) -> Identity:
    """The identity that an API key or an access token stands for. Raises `NotAuthenticated`."""
    find = _by_token if is_access_token(proof) else _by_key
    return known(connection, await _counted(connection, services, proof, find))


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
    """The keys and tokens in the headers, the bearer's first."""
    return [proof for proof in (_bearer(connection), _key(connection)) if proof]


def _bearer(connection: HTTPConnection) -> str:
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _key(connection: HTTPConnection) -> str:
    return connection.headers.get("x-api-key", "")


async def _counted(
    connection: HTTPConnection, services: State, proof: str, find: Callable[[State, str], Awaitable[Identity]]
) -> Identity:
    """Every proof is charged to somebody's budget. Raises `NotAuthenticated`, `RateLimited`."""
    async with services.budgets.proving(connection, proof) as found:
        found.append(await find(services, proof))
    return found[0]


async def _by_key(services: State, key: str) -> Identity:
    if not KEY.fullmatch(key):
        raise NotAuthenticated("This API key is not valid.")
    async with services.database.transaction() as transaction:
        return await authenticate(transaction, key)


async def _by_token(services: State, token: str) -> Identity:
    """What the token says is only whom to ask Postgres about."""
    if not KEY.fullmatch(token):
        raise NotAuthenticated("This access token is not valid.")
    claims = services.access_tokens.read(token)
    async with services.database.transaction() as transaction:
        return await sessions.identity(transaction.driver, claims)
