"""Postgres: one pool a process, one transaction a request or task, the tenant set inside it.

Where the login is a member of one role only (the embedded servers, a careful administrator), taking that role on
changes nothing; where the login owns the tables, `SET LOCAL ROLE` puts row-level security above it. Both are local
to the transaction, so a pooler in transaction mode may stand between.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias, cast
from uuid import UUID

import asyncpg
from pgvector.asyncpg import register_vector
from sqlalchemy import event, make_url, text
from sqlalchemy.exc import DBAPIError, InvalidatePoolError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

from arqueduct.errors import DependencyUnavailable
from arqueduct.held import holding

__all__ = ["IDLE_SECONDS", "Database", "Driver", "Role", "Transaction", "owner_engine"]

CONNECT_SECONDS = 10
STATEMENT_SECONDS = 60
"""No statement of ours takes long; one that does hangs, and is better tried again."""
IDLE_SECONDS = 10
"""A process that was stopped (SIGSTOP, a frozen machine) inside a transaction gives its locks up after this, well
before the leases of the jobs it holds can lapse."""

AWAY = (
    OSError,
    TimeoutError,
    PoolTimeout,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # "cannot switch to state 12": the connection broke between two parts of a statement
    asyncpg.TooManyConnectionsError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.IdleInTransactionSessionTimeoutError,
)


DEADLOCK = "This and another change waited for each other, and this one was given up. Send it again."

_ENTER = text("SELECT set_config('role', :role, true), set_config('app.tenant_id', :tenant, true)")


Driver: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
"""A connection as asyncpg spells it."""


class Role(StrEnum):
    """As whom a process works; what each may do is in sql/versions."""

    APP = "arqueduct_app"
    WORKER = "arqueduct_worker"


@dataclass(frozen=True, kw_only=True)
class Transaction:
    """One open transaction, with two faces: the ORM's session, and asyncpg for statements written in SQL."""

    session: AsyncSession
    driver: Driver


class Database:
    """A pool of connections that work as one role."""

    def __init__(self, url: str, role: Role, *, pool_size: int = 10, name: str = "arqueduct") -> None:
        self.role = role
        self._engine = create_async_engine(
            _asyncpg_url(url),
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=CONNECT_SECONDS,
            hide_parameters=True,  # errors are logged, and parameters are what users wrote
            connect_args={
                "timeout": CONNECT_SECONDS,
                "command_timeout": STATEMENT_SECONDS,
                "server_settings": {
                    "application_name": name,
                    "timezone": "UTC",
                    "jit": "off",
                    "idle_in_transaction_session_timeout": f"{IDLE_SECONDS}s",
                },
            },
        )
        event.listen(self._engine.sync_engine, "connect", _register_codecs)
        event.listen(self._engine.sync_engine, "checkout", _refuse_closed)

    @asynccontextmanager
    async def transaction(self, tenant_id: UUID | None = None) -> AsyncIterator[Transaction]:
        """Commits at the end of the block, rolls back on any exception.

        Without a tenant only what belongs to no tenant is seen (and, as a worker, jobs of all). Raises
        `DependencyUnavailable` if Postgres is away or goes away.
        """
        with _away(), holding():
            async with await self._begin(tenant_id) as session:
                raw = await (await session.connection()).get_raw_connection()
                yield Transaction(session=session, driver=cast("Driver", raw.driver_connection))
                await session.commit()

    @asynccontextmanager
    async def autocommit(self) -> AsyncIterator[Driver]:
        """A connection outside any transaction, as its login: each statement commits by itself.

        For statements that are a transaction by themselves: no lock of theirs is held while Postgres waits for this
        process, and there is one round trip in place of four. Raises `DependencyUnavailable` as `transaction` does;
        the connection that failed does not go back into the pool.
        """
        with _away(), holding():
            async with self._engine.connect() as connection:
                raw = await connection.get_raw_connection()
                try:
                    yield cast("Driver", raw.driver_connection)
                except AWAY:
                    await connection.invalidate()
                    raise

    async def _begin(self, tenant_id: UUID | None) -> AsyncSession:
        """A session whose transaction has its role and tenant.

        Tries twice: after a restart of Postgres the first connection from the pool is dead, and finding that out
        clears the others.
        """
        for is_last in (False, True):
            session = AsyncSession(self._engine, expire_on_commit=False)
            try:
                connection = await session.connection()
                await connection.execute(_ENTER, {"role": self.role.value, "tenant": str(tenant_id or "")})
            except BaseException as error:
                await session.close()
                if is_last or not isinstance(error, DBAPIError) or not error.connection_invalidated:
                    raise
            else:
                return session
        raise AssertionError  # the loop returns or raises

    async def check(self) -> None:
        """Raises `DependencyUnavailable` unless Postgres answers within a few seconds."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS / 2), self.transaction():
                pass
        except TimeoutError as error:
            raise DependencyUnavailable("Postgres does not answer.") from error

    @property
    def in_use(self) -> int:
        """Connections checked out of the pool."""
        return int(self._engine.pool.checkedout())  # type: ignore[attr-defined]  # only the queue pool counts; it is the default

    async def aclose(self) -> None:
        await self._engine.dispose()


def owner_engine(url: str) -> AsyncEngine:
    """As the owner of the tables: for migrations and for the first identity, never for requests or jobs."""
    return create_async_engine(_asyncpg_url(url), hide_parameters=True, connect_args={"timeout": CONNECT_SECONDS})


def _asyncpg_url(url: str) -> str:
    return make_url(url).set(drivername="postgresql+asyncpg").render_as_string(hide_password=False)


def _register_codecs(connection: Any, _record: Any) -> None:
    connection.run_async(register_vector)


def _refuse_closed(connection: Any, _record: Any, _proxy: Any) -> None:
    """A restart of Postgres closes all connections; the pool then opens new ones, and no request meets an old one."""
    if connection.driver_connection.is_closed():
        raise InvalidatePoolError


@contextmanager
def _away() -> Iterator[None]:
    """Raises `DependencyUnavailable` for whatever says that Postgres does not answer, or not this time."""
    try:
        yield
    except AWAY as error:
        raise DependencyUnavailable(f"Postgres is away: {error or type(error).__name__}") from error
    except DBAPIError as error:
        if error.connection_invalidated or isinstance(_cause(error), AWAY):
            raise DependencyUnavailable(f"Postgres is away: {_cause(error)}") from error
        if isinstance(_cause(error), asyncpg.DeadlockDetectedError):
            raise DependencyUnavailable(DEADLOCK) from error
        raise
    except asyncpg.DeadlockDetectedError as error:
        raise DependencyUnavailable(DEADLOCK) from error


def _cause(error: DBAPIError) -> BaseException | None:
    return getattr(error.orig, "__cause__", None) or error.orig
