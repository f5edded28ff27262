"""Transactions: what they cost, and that no connection comes back with one open, whatever happens to whoever had it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError
from sqlmodel import select

from arqueduct.database import Database, Role, Transaction
from arqueduct.errors import DependencyUnavailable
from arqueduct.identity import NewIdentity
from arqueduct.models import FileSet
from arqueduct.settings import Settings
from tests.integration.many_jobs import Owner, owning
from tests.integration.wire import Asked, Wire, wired
from tests.integration.worker import until
from tests.servers import Servers

NAME = "the test's"
WHO = "SELECT current_user::text AS role, current_setting('app.tenant_id', true) AS tenant"


@pytest.fixture
async def wire(servers: Servers) -> AsyncIterator[Wire]:
    async with wired(servers.postgres.port) as opened:
        yield opened


@pytest.fixture
async def database(settings: Settings, wire: Wire) -> AsyncIterator[Database]:
    """With one connection, so that whoever comes next has that of whoever went before."""
    opened = Database(wire.url(settings.app_database_url), Role.APP, pool_size=1, name=NAME)
    yield opened
    wire.go_on()
    await opened.aclose()


@pytest.fixture
async def owner(settings: Settings) -> AsyncIterator[Owner]:
    async with owning(settings) as connection:
        yield connection


async def sets_of(owner: Owner, me: NewIdentity) -> list[str]:
    rows = await owner.fetch("SELECT name FROM file_sets WHERE tenant_id = $1 ORDER BY name", me.tenant_id)
    return [row["name"] for row in rows]


def a_set(me: NewIdentity, name: str) -> FileSet:
    return FileSet(tenant_id=me.tenant_id, user_id=me.user_id, name=name)


async def warmed(database: Database, *statements: str) -> None:
    """A connection on which these have been prepared."""
    async with database.transaction() as transaction:
        for statement in statements:
            await transaction.driver.fetch(statement)


async def test_an_empty_transaction_takes_two_round_trips(database: Database, wire: Wire) -> None:
    await warmed(database)
    with wire.counting() as asked:
        async with database.transaction():
            pass
    assert asked == Asked(statements=3, round_trips=2), "BEGIN with SELECT set_config, and COMMIT"


async def test_a_statement_takes_one_more(database: Database, wire: Wire) -> None:
    await warmed(database, WHO)
    with wire.counting() as asked:
        async with database.transaction() as transaction:
            await transaction.driver.fetchrow(WHO)
    assert asked == Asked(statements=4, round_trips=3)


async def test_outside_of_a_transaction_it_takes_one(database: Database, wire: Wire) -> None:
    await warmed(database, WHO)
    with wire.counting() as asked:
        async with database.autocommit() as driver:
            await driver.fetchrow(WHO)
    assert asked == Asked(statements=1, round_trips=1)


async def test_role_and_tenant_last_as_long_as_the_transaction(settings: Settings, me: NewIdentity, wire: Wire) -> None:
    database = Database(wire.url(settings.database_url), Role.APP, pool_size=1)
    async with database.autocommit() as driver:
        login = (await driver.fetchrow(WHO))["role"]
    for tenant_id in (me.tenant_id, None):
        async with database.transaction(tenant_id) as transaction:
            assert dict(await transaction.driver.fetchrow(WHO)) == {"role": Role.APP, "tenant": str(tenant_id or "")}
        async with database.autocommit() as driver:
            assert dict(await driver.fetchrow(WHO)) == {"role": login, "tenant": ""}
    assert wire.connections == 1
    await database.aclose()


async def test_what_is_no_tenant_never_gets_into_a_statement(database: Database, wire: Wire) -> None:
    await warmed(database)
    with wire.counting() as asked, pytest.raises(ValueError, match="Neither a role nor"):
        async with database.transaction("'; DROP TABLE jobs; --"):  # type: ignore[arg-type]  # that is the point
            pytest.fail("it began")
    assert asked.statements == 1, "ROLLBACK"
    assert database.in_use == 0


async def test_the_session_and_the_driver_share_a_transaction(
    database: Database, me: NewIdentity, owner: Owner
) -> None:
    async with database.transaction(me.tenant_id) as transaction:
        transaction.session.add(a_set(me, "flushed"))
        await transaction.session.flush()
        assert await transaction.driver.fetchval("SELECT name FROM file_sets") == "flushed"
        await transaction.driver.execute("UPDATE file_sets SET name = 'by the driver'")
        found = (await transaction.session.exec(select(FileSet.name))).one()
        assert found == "by the driver"
        transaction.session.add(a_set(me, "not flushed"))
        assert await sets_of(owner, me) == []
    assert await sets_of(owner, me) == ["by the driver", "not flushed"]


async def test_a_session_sends_no_more_than_its_statements(database: Database, me: NewIdentity, wire: Wire) -> None:
    async def read() -> None:
        async with database.transaction(me.tenant_id) as transaction:
            await transaction.session.exec(select(FileSet))

    await read()
    with wire.counting() as asked:
        await read()
    assert asked == Asked(statements=4, round_trips=3)


async def test_an_error_undoes_what_both_did(database: Database, me: NewIdentity, owner: Owner) -> None:
    async def fail() -> None:
        async with database.transaction(me.tenant_id) as transaction:
            transaction.session.add(a_set(me, "by the session"))
            await transaction.session.flush()
            await transaction.driver.execute("UPDATE file_sets SET name = 'by the driver'")
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert await sets_of(owner, me) == []
    assert database.in_use == 0


@pytest.mark.parametrize("end", ["commit", "rollback"])
async def test_no_session_ends_the_transaction(end: str, database: Database, me: NewIdentity, owner: Owner) -> None:
    async def use() -> None:
        async with database.transaction(me.tenant_id) as transaction:
            transaction.session.add(a_set(me, "begun"))
            await getattr(transaction.session, end)()

    with pytest.raises(RuntimeError, match="ends with the block"):
        await use()
    assert await sets_of(owner, me) == []


async def test_what_a_session_wrote_can_be_read_when_it_is_over(database: Database, me: NewIdentity) -> None:
    made = a_set(me, "made")
    async with database.transaction(me.tenant_id) as transaction:
        transaction.session.add(made)
    assert made.name == "made"
    async with database.transaction(me.tenant_id) as transaction:
        found = (await transaction.session.exec(select(FileSet))).one()
    assert (found.id, found.name) == (made.id, "made")


async def test_a_savepoint_of_the_session_undoes_its_part(database: Database, me: NewIdentity, owner: Owner) -> None:
    async def fail(transaction: Transaction) -> None:
        async with transaction.session.begin_nested():
            transaction.session.add(a_set(me, "undone"))
            await transaction.session.flush()
            raise LookupError

    async with database.transaction(me.tenant_id) as transaction:
        transaction.session.add(a_set(me, "kept"))
        with pytest.raises(LookupError):
            await fail(transaction)
    assert await sets_of(owner, me) == ["kept"]


async def test_a_failed_statement_that_was_passed_over_is_no_success(
    database: Database, me: NewIdentity, owner: Owner
) -> None:
    async def pass_over() -> None:
        async with database.transaction(me.tenant_id) as transaction:
            transaction.session.add(a_set(me, "lost"))
            await transaction.session.flush()
            with suppress(asyncpg.DivisionByZeroError):
                await transaction.driver.execute("SELECT 1 / 0")

    with pytest.raises(asyncpg.InFailedSQLTransactionError, match="nothing could be committed"):
        await pass_over()
    assert await sets_of(owner, me) == []
    await warmed(database)


async def test_errors_do_not_tell_what_users_wrote(database: Database, me: NewIdentity) -> None:
    async def write() -> None:
        async with database.transaction(me.tenant_id) as transaction:
            transaction.session.add(a_set(me, "secret\0"))

    with pytest.raises(DBAPIError) as caught:
        await write()
    assert "secret" not in str(caught.value)


Use = Callable[[Database], Awaitable[None]]


async def a_transaction(database: Database) -> None:
    async with database.transaction() as transaction:
        await transaction.driver.execute("CREATE TEMPORARY TABLE written () ON COMMIT DROP")
        await transaction.driver.execute("SELECT pg_sleep(60)")


async def a_session(database: Database) -> None:
    async with database.transaction() as transaction:
        await (await transaction.session.connection()).exec_driver_sql("SELECT pg_sleep(60)")


async def a_statement(database: Database) -> None:
    async with database.autocommit() as driver:
        await driver.execute("SELECT pg_sleep(60)")


@pytest.mark.parametrize("use", [a_transaction, a_session, a_statement])
async def test_who_is_cancelled_in_a_statement_gives_back_a_connection_without_it(
    use: Use, database: Database, owner: Owner, wire: Wire
) -> None:
    using = asyncio.create_task(use(database))
    await until(lambda: sleeps(owner))
    using.cancel()
    with pytest.raises(asyncio.CancelledError):
        await using
    await as_good_as_new(database, owner)


@pytest.mark.parametrize("moment", ["begin", "statement", "commit"])
async def test_who_is_cancelled_in_a_round_trip_gives_back_a_connection_without_it(
    moment: str, database: Database, owner: Owner, wire: Wire
) -> None:
    await warmed(database)

    def at(reached: str) -> None:
        if reached == moment:
            wire.hold_up()

    async def use() -> None:
        at("begin")
        async with database.transaction() as transaction:
            at("statement")
            await transaction.driver.execute("CREATE TEMPORARY TABLE written () ON COMMIT DROP")
            at("commit")

    heard = wire.heard
    using = asyncio.create_task(use())
    questions = {"begin": 1, "statement": 2, "commit": 3}[moment]

    await until(lambda: has_heard(wire, heard + questions))
    using.cancel()
    with pytest.raises(asyncio.CancelledError):
        await using
    assert database.in_use == 1, "nobody gets it before it is clean"
    wire.go_on()
    await as_good_as_new(database, owner)


async def test_who_is_cancelled_while_it_is_undone_gives_back_a_connection_without_it(
    database: Database, owner: Owner, wire: Wire
) -> None:
    await warmed(database)
    heard = wire.heard
    using = asyncio.create_task(fail_while_held_up(database, wire))
    await until(lambda: has_heard(wire, heard + 3))  # BEGIN, what it did, and ROLLBACK
    using.cancel()
    with pytest.raises(asyncio.CancelledError):
        await using
    assert database.in_use == 1
    wire.go_on()
    await as_good_as_new(database, owner)


async def test_a_connection_that_does_not_roll_back_is_closed(
    database: Database, owner: Owner, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("arqueduct.database.UNDO_SECONDS", 0.05)
    with pytest.raises(LookupError):
        await fail_while_held_up(database, wire)
    assert database.in_use == 0
    wire.go_on()
    await as_good_as_new(database, owner)
    assert wire.connections > 1


async def test_who_looks_whether_a_silent_postgres_is_there_hears_that_it_is_not(
    database: Database, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    await database.check()
    monkeypatch.setattr("arqueduct.database.CONNECT_SECONDS", 0.1)
    wire.hold_up()
    with pytest.raises(DependencyUnavailable, match="does not answer"):
        await database.check()


async def test_what_was_begun_outside_of_transactions_does_not_come_back(database: Database, owner: Owner) -> None:
    async with database.autocommit() as driver:
        await driver.execute("BEGIN; CREATE TEMPORARY TABLE written () ON COMMIT DROP")
    await as_good_as_new(database, owner)


async def test_after_a_restart_nobody_meets_a_dead_connection(settings: Settings, wire: Wire) -> None:
    database = Database(wire.url(settings.app_database_url), Role.APP, pool_size=3, name=NAME)

    async def three_at_once() -> None:
        async with AsyncExitStack() as stack:
            for _ in range(3):
                transaction = await stack.enter_async_context(database.transaction())
                await transaction.driver.execute("SELECT 1")
            assert database.in_use == 3

    await three_at_once()
    wire.doom()
    await three_at_once()
    assert wire.connections == 6
    await wire.cut()
    await three_at_once()
    assert wire.connections == 9
    await database.aclose()
    assert database.in_use == 0


@pytest.mark.parametrize("face", ["driver", "session"])
async def test_postgres_going_away_in_the_middle_is_said_so(
    face: str, database: Database, owner: Owner, wire: Wire
) -> None:
    async def lose() -> None:
        async with database.transaction() as transaction:
            await transaction.driver.execute("CREATE TEMPORARY TABLE written () ON COMMIT DROP")
            wire.doom()
            if face == "driver":
                await transaction.driver.execute("SELECT 1")
            else:
                await (await transaction.session.connection()).exec_driver_sql("SELECT 1")

    with pytest.raises(DependencyUnavailable):
        await lose()
    assert database.in_use == 0
    await as_good_as_new(database, owner)


async def test_a_commit_that_nobody_answered_is_no_success(database: Database, wire: Wire) -> None:
    async def lose() -> None:
        async with database.transaction() as transaction:
            await transaction.driver.execute("SELECT 1")
            wire.doom()

    with pytest.raises(DependencyUnavailable):
        await lose()
    assert database.in_use == 0


async def test_connections_are_set_up(database: Database) -> None:
    async with database.transaction() as transaction:
        driver = transaction.driver
        assert await driver.fetchval("SHOW idle_in_transaction_session_timeout") == "10s"
        assert await driver.fetchval("SHOW application_name") == NAME
        assert await driver.fetchval("SHOW jit") == "off"
        assert (await driver.fetchval("SELECT '[1, 2]'::halfvec")).to_list() == [1, 2]


async def fail_while_held_up(database: Database, wire: Wire) -> None:
    async with database.transaction() as transaction:
        await transaction.driver.execute("CREATE TEMPORARY TABLE written () ON COMMIT DROP")
        wire.hold_up()
        raise LookupError


async def test_who_waits_too_long_for_a_turn_is_told(settings: Settings, wire: Wire) -> None:
    database = Database(wire.url(settings.app_database_url), Role.APP, pool_size=1, patience=0.05)
    async with database.transaction():
        with pytest.raises(DependencyUnavailable, match="All connections to Postgres are in use"):
            await warmed(database)
    await warmed(database)
    assert wire.connections == 1
    await database.aclose()


async def test_who_waits_for_a_turn_hears_that_nobody_answers(settings: Settings, wire: Wire) -> None:
    wire.is_away = True
    database = Database(wire.url(settings.app_database_url), Role.APP, pool_size=1, patience=600)
    answers = await asyncio.gather(*(warmed(database) for _ in range(5)), return_exceptions=True)
    assert [type(answer) for answer in answers] == 5 * [DependencyUnavailable]
    wire.is_away = False
    await asyncio.gather(*(warmed(database) for _ in range(5)))
    assert wire.connections == 1
    await database.aclose()


async def test_who_is_cancelled_while_waiting_takes_no_turn_along(database: Database) -> None:
    async with database.transaction():
        waiting = [asyncio.create_task(warmed(database)) for _ in range(3)]
        await asyncio.sleep(0)  # they stand in line now
        waiting[0].cancel()
    await waiting[2]
    assert waiting[0].cancelled()
    assert waiting[1].done()
    assert database.in_use == 0


async def has_heard(wire: Wire, pieces: int) -> bool:
    return wire.heard >= pieces


async def sleeps(owner: Owner) -> bool:
    return bool(await owner.fetchval("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"))


async def as_good_as_new(database: Database, owner: Owner) -> None:
    """The next one has a transaction of its own, and then none is left."""
    async with database.transaction() as transaction:
        assert await transaction.driver.fetchval("SELECT to_regclass('pg_temp.written')") is None
    assert database.in_use == 0
    assert not await sleeps(owner)
    assert await open_transactions(owner) == 0


async def open_transactions(owner: Owner) -> int:
    found: int = await owner.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND state LIKE 'idle in transaction%'", NAME
    )
    return found
