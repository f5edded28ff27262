"""Postgres: one pool a process, one transaction a request or task, the tenant set inside it.

Where the login is a member of one role only (the embedded servers, a careful administrator), taking that role on
changes nothing; where the login owns the tables, `SET LOCAL ROLE` puts row-level security above it. Both are local
to the transaction, so a pooler in transaction mode may stand between.

SQLAlchemy keeps the connections and makes sessions; transactions begin and end through asyncpg (docs/decisions/0020).
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from enum import StrEnum
from typing import Any, TypeAlias, cast
from uuid import UUID

import asyncpg
from pgvector.asyncpg import register_vector
from sqlalchemy import event, make_url
from sqlalchemy.exc import DBAPIError, InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

from arqueduct.errors import DependencyUnavailable
from arqueduct.held import holding

__all__ = ["IDLE_SECONDS", "Database", "Driver", "Role", "Session", "Transaction", "owner_engine"]

CONNECT_SECONDS = 10
STATEMENT_SECONDS = 60
"""No statement of ours takes long; one that does hangs, and is better tried again."""
IDLE_SECONDS = 10
"""A process that was stopped (SIGSTOP, a frozen machine) inside a transaction gives its locks up after this, well
before the leases of the jobs it holds can lapse."""
UNDO_SECONDS = 5
"""A connection that does not roll back in this time is closed instead."""

AWAY = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # "cannot switch to state 12": the connection broke between two parts of a statement
    asyncpg.TooManyConnectionsError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.IdleInTransactionSessionTimeoutError,
)


WORD = re.compile("[0-9a-z_-]*")
DEADLOCK = "This and another change waited for each other, and this one was given up. Send it again."

NOT_YOURS = "A transaction ends with the block that opened it. To undo a part, use begin_nested()."
ALL_IN_USE = "All connections to Postgres are in use."
PASSED_OVER = "A statement failed and was passed over, so that nothing could be committed."

# One simple query, so one round trip; it takes no parameters.
_ENTER = "BEGIN; SELECT set_config('role', '{role}', true), set_config('app.tenant_id', '{tenant}', true)"


Driver: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
"""A connection as asyncpg spells it."""


class Role(StrEnum):
    """As whom a process works; what each may do is in sql/versions."""

    APP = "arqueduct_app"
    WORKER = "arqueduct_worker"


class Session(AsyncSession):
    """The ORM's face of a transaction, whose end it leaves to `Database`."""

    async def commit(self) -> None:
        """Raises `RuntimeError`: Postgres would not hear of it."""
        raise RuntimeError(NOT_YOURS)

    async def rollback(self) -> None:
        """Raises `RuntimeError`: Postgres would not hear of it."""
        raise RuntimeError(NOT_YOURS)


class Transaction:
    """One open transaction, with two faces: asyncpg for statements written in SQL, and the ORM's session.

    The session is made when it is first asked for: most transactions need none, and pay for none.
    """

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._session: Session | None = None
        self.driver = _driver_of(connection)

    @property
    def session(self) -> Session:
        if self._session is None:
            self._session = Session(self._connection, expire_on_commit=False)
        return self._session

    async def flush(self) -> None:
        """Writes what was added to the session, if there is one."""
        if self._session is not None:
            await self._session.flush()

    async def close_session(self) -> None:
        if self._session is not None:
            await self._session.close()


class _Lent:
    """A connection out of the pool."""

    def __init__(self, connection: AsyncConnection, turns: asyncio.Semaphore) -> None:
        self._connection = connection
        self._turns = turns
        self.transaction = Transaction(connection)
        self.driver = self.transaction.driver

    async def begin(self, role: Role, tenant_id: UUID | None) -> None:
        await self.driver.execute(_ENTER.format(role=_word(role), tenant=_word(str(tenant_id or ""))))

    async def commit(self) -> None:
        """Raises `InFailedSQLTransactionError` where Postgres would only say that it rolled back."""
        await self.transaction.flush()
        if await self.driver.execute("COMMIT") != "COMMIT":
            raise asyncpg.InFailedSQLTransactionError(PASSED_OVER)

    async def give_back(self) -> None:
        """As it came; a transaction that somebody began by hand is undone."""
        if self.driver.is_in_transaction():
            await self.undo()
        else:
            try:
                await self.transaction.close_session()
            finally:
                await self._close()

    async def undo(self) -> None:
        """Gives it back without a transaction and without a statement under way, or else closed."""
        try:
            await self.transaction.close_session()
            await self.driver.execute("ROLLBACK", timeout=UNDO_SECONDS)  # waits for the statement that was cancelled
        except Exception:
            self.driver.terminate()
        except BaseException:
            self.driver.terminate()
            raise
        finally:
            await self._close()

    async def _close(self) -> None:
        try:
            await self._connection.close()
        finally:
            self._turns.release()


class Database:
    """A pool of connections that work as one role."""

    def __init__(
        self,
        url: str,
        role: Role,
        *,
        pool_size: int = 10,
        patience: float = CONNECT_SECONDS,
        name: str = "arqueduct",
    ) -> None:
        """`patience`: seconds that a transaction waits for its turn where others have all connections."""
        self.role = role
        self._patience = patience
        # Not the pool's own queue: there, who waits does not hear that a connection could not be opened.
        self._turns = asyncio.Semaphore(pool_size)
        self._engine = create_async_engine(
            _asyncpg_url(url),
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=None,  # whose turn it is finds one
            pool_use_lifo=True,  # the connections in use have their statements prepared, and a dead one is met at once
            pool_reset_on_return=None,  # `_Lent` does that
            isolation_level="AUTOCOMMIT",  # sessions leave BEGIN and COMMIT to `_Lent`
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
        self._undoing: set[asyncio.Task[None]] = set()
        event.listen(self._engine.sync_engine, "connect", _register_codecs)
        event.listen(self._engine.sync_engine, "checkout", _refuse_closed)

    @asynccontextmanager
    async def transaction(self, tenant_id: UUID | None = None) -> AsyncIterator[Transaction]:
        """Commits at the end of the block, rolls back on any exception.

        Without a tenant only what belongs to no tenant is seen (and, as a worker, jobs of all). Raises
        `DependencyUnavailable` if Postgres is away or goes away.
        """
        with _away(), holding():
            lent = await self._begin(tenant_id)
            try:
                yield lent.transaction
                await lent.commit()
            except BaseException as error:
                await self._undo(lent, error)
                raise
            await lent.give_back()

    @asynccontextmanager
    async def autocommit(self) -> AsyncIterator[Driver]:
        """A connection outside any transaction, as its login: each statement commits by itself.

        For statements that are a transaction by themselves: no lock of theirs is held while Postgres waits for this
        process, and there is one round trip in place of three. Raises `DependencyUnavailable` as `transaction` does.
        """
        with _away(), holding():
            lent = await self._lend()
            try:
                yield lent.driver
            except BaseException as error:
                await self._undo(lent, error)
                raise
            await lent.give_back()

    async def _lend(self) -> _Lent:
        """Raises `DependencyUnavailable` if no turn comes."""
        try:
            async with asyncio.timeout(self._patience if self._turns.locked() else None):
                await self._turns.acquire()
        except TimeoutError as error:
            raise DependencyUnavailable(ALL_IN_USE) from error
        try:
            return _Lent(await self._engine.connect(), self._turns)
        except BaseException:
            self._turns.release()
            raise

    async def _begin(self, tenant_id: UUID | None) -> _Lent:
        """A connection whose transaction has its role and tenant.

        Tries twice: after a restart of Postgres the first connection from the pool is dead, and finding that out
        clears the others.
        """
        for is_last in (False, True):
            lent = await self._lend()
            try:
                await lent.begin(self.role, tenant_id)
            except BaseException as error:
                was_dead = isinstance(error, AWAY) and lent.driver.is_closed()
                await self._undo(lent, error)
                if is_last or not was_dead:
                    raise
            else:
                return lent
        raise AssertionError  # the loop returns or raises

    async def _undo(self, lent: _Lent, error: BaseException) -> None:
        """In a task of its own, which a cancellation does not reach. Who was cancelled does not wait for it: Postgres
        may be what does not answer."""
        task = asyncio.create_task(lent.undo())
        self._undoing.add(task)
        task.add_done_callback(self._undoing.discard)
        if not isinstance(error, asyncio.CancelledError):
            await asyncio.shield(task)

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
        await asyncio.gather(*self._undoing, return_exceptions=True)
        await self._engine.dispose()


def owner_engine(url: str) -> AsyncEngine:
    """As the owner of the tables: for migrations and for the first identity, never for requests or jobs."""
    return create_async_engine(_asyncpg_url(url), hide_parameters=True, connect_args={"timeout": CONNECT_SECONDS})


def _driver_of(connection: AsyncConnection) -> Driver:
    """Of a connection that was just made, so that nothing is waited for."""
    assert connection.sync_connection is not None  # noqa: S101  # `connect` was awaited
    return cast("Driver", connection.sync_connection.connection.driver_connection)


def _word(value: str) -> str:
    """What may stand between quotes in SQL as it is. Raises `ValueError` for anything else."""
    if not WORD.fullmatch(value):
        raise ValueError("Neither a role nor the id of a tenant.")
    return value


def _asyncpg_url(url: str) -> str:
    return make_url(url).set(drivername="postgresql+asyncpg").render_as_string(hide_password=False)


def _register_codecs(connection: Any, _record: Any) -> None:
    connection.run_async(register_vector)


def _refuse_closed(connection: Any, _record: Any, _proxy: Any) -> None:
    """A restart of Postgres closes all connections, and `_Lent` one that does not answer; the pool then opens new
    ones, and no request meets an old one."""
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
