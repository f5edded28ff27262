"""`arqueduct queue`, as an operator types it, beside an API that serves."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
from pydantic import SecretStr

from arqueduct.errors import DependencyUnavailable
from arqueduct.identity import NewIdentity
from arqueduct.keys import Keys
from arqueduct.repositories import rules
from arqueduct.settings import Settings
from tests.integration.backend import beat, upload
from tests.integration.cli import arqueduct, done, told
from tests.integration.many_jobs import Owner, insert_many, owning
from tests.integration.worker import TestWorker, until

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def owner(settings: Settings) -> AsyncIterator[Owner]:
    async with owning(settings) as connection:
        yield connection


async def admitted(owner: Owner) -> int:
    count: int = await owner.fetchval("SELECT count(*) FROM jobs WHERE dispatched_at IS NOT NULL AND state = 'queued'")
    return count


async def test_a_paused_queue_starts_nothing_more(
    api: httpx.AsyncClient, api_worker: TestWorker, settings: Settings, owner: Owner, redis: object, keys: Keys
) -> None:
    await beat(api_worker)
    job_id = (await upload(api))["job"]["id"]

    async def is_admitted() -> bool:
        return await admitted(owner) == 1

    async def is_sent_again() -> bool:
        return await redis.zscore(keys.queue, f"{job_id}:1") is not None  # type: ignore[attr-defined]  # a client of arq

    await until(is_admitted)
    assert "1 job taken back" in done(await arqueduct("queue", "pause", settings=settings))
    await api_worker.run(UUID(job_id), 0)  # its wake-up is in Redis already
    job = (await api.get(f"/api/v1/jobs/{job_id}")).json()
    assert (job["state"], job["waiting_for"], job["attempt"]) == ("queued", "the queue is paused", 0)
    assert "The queue is paused." in done(await arqueduct("queue", "status", settings=settings))
    done(await arqueduct("queue", "resume", settings=settings))
    await until(is_sent_again)
    await api_worker.run(UUID(job_id), 1)
    assert (await api.get(f"/api/v1/jobs/{job_id}")).json()["state"] == "completed"
    assert (await arqueduct("queue", "rules", settings=settings)).stdout.startswith("There are no rules")


async def test_a_pause_takes_back_what_it_is_about_and_nothing_else(
    settings: Settings, me: NewIdentity, new_identity: Callable[[], Awaitable[NewIdentity]], owner: Owner
) -> None:
    other, third = await new_identity(), await new_identity()
    for who in (me, other, third):
        await insert_many(owner, who, "queued", 2)
        await insert_many(owner, who, "queued", 3, kind="report.write")
        await insert_many(owner, who, "running", 1)

    async def taken(*options: str) -> int:
        await owner.execute("UPDATE jobs SET dispatched_at = now() WHERE state = 'queued'")
        (said,) = told(await arqueduct("queue", "pause", *options, "--json", settings=settings))
        count: int = said["taken_back"]
        assert await admitted(owner) == 15 - count
        return count

    assert await taken("--kind", "report.write") == 9
    assert await taken("--tenant", str(me.tenant_id).upper()) == 5
    assert await taken("--tenant", "*") == 10, "all but the one that has a rule of its own"
    assert await taken() == 15
    assert await owner.fetchval("SELECT count(*) FROM jobs WHERE state = 'running'") == 3


async def test_limits_and_weights_are_rules(settings: Settings, me: NewIdentity) -> None:
    mine = str(me.tenant_id)

    async def limit(*options: str) -> None:
        done(await arqueduct("queue", "limit", *options, settings=settings))

    async def found() -> dict[str, tuple[bool, int | None, float]]:
        (said,) = told(await arqueduct("queue", "rules", "--json", settings=settings))
        return {rule["name"]: (rule["is_paused"], rule["max_running"], rule["weight"]) for rule in said["items"]}

    await limit("--kind", "document.ingest", "--max-running", "4")
    await limit("--tenant", "*", "--max-running", "3", "--weight", "0.1")
    await limit("--tenant", mine, "--weight", "2.5")
    assert await found() == {"document.ingest": (False, 4, 1), "*": (False, 3, 0.1), mine: (False, None, 2.5)}
    printed = done(await arqueduct("queue", "rules", settings=settings))
    assert f"Tenant {mine} (test)" in printed
    await limit("--kind", "document.ingest", "--no-max-running")
    await limit("--tenant", "*", "--no-max-running", "--weight", "1")
    await limit("--tenant", mine, "--weight", "1")
    assert await found() == {}, "a rule that says nothing is not kept"


async def test_a_first_rule_of_a_tenant_changes_only_what_it_says(settings: Settings, me: NewIdentity) -> None:
    done(await arqueduct("queue", "limit", "--tenant", "*", "--weight", "3", settings=settings))
    done(await arqueduct("queue", "pause", "--tenant", "*", settings=settings))
    done(await arqueduct("queue", "limit", "--tenant", str(me.tenant_id), "--max-running", "1", settings=settings))
    (said,) = told(await arqueduct("queue", "rules", "--json", settings=settings))
    (mine,) = [rule for rule in said["items"] if rule["name"] == str(me.tenant_id)]
    assert (mine["is_paused"], mine["weight"], mine["max_running"]) == (True, 3, 1)
    done(await arqueduct("queue", "limit", "--tenant", str(me.tenant_id), "--no-max-running", settings=settings))
    done(await arqueduct("queue", "resume", "--tenant", str(me.tenant_id), settings=settings))
    (said,) = told(await arqueduct("queue", "rules", "--json", settings=settings))
    assert {rule["name"]: rule["is_paused"] for rule in said["items"]} == {"*": True, str(me.tenant_id): False}


async def test_the_status_tells_the_queue_and_each_tenants_line(
    settings: Settings, me: NewIdentity, new_identity: Callable[[], Awaitable[NewIdentity]], owner: Owner
) -> None:
    other = await new_identity()
    await insert_many(owner, me, "queued", 7)
    await insert_many(owner, me, "running", 2)
    await insert_many(owner, other, "queued", 1)
    await insert_many(owner, me, "failed", 1, error_code="worker_died")
    await owner.execute("UPDATE jobs SET run_after = now() + interval '1 hour' WHERE tenant_id = $1", other.tenant_id)
    done(await arqueduct("queue", "limit", "--tenant", str(me.tenant_id), "--max-running", "2", settings=settings))
    (said,) = told(await arqueduct("queue", "status", "--json", settings=settings))
    assert (said["queued"], said["running"], said["quarantined"], said["live_workers"]) == (8, 2, 1, 0)
    first, second = said["tenants"]
    assert first == {
        "tenant_id": str(me.tenant_id),
        "tenant": "test",
        "waiting": 7,
        "later": 0,
        "in_flight": 2,
        "is_paused": False,
        "max_running": 2,
        "weight": 1,
    }
    assert (second["tenant_id"], second["waiting"], second["later"]) == (str(other.tenant_id), 0, 1)
    printed = done(await arqueduct("queue", "status", settings=settings))
    assert str(me.tenant_id) in printed
    assert "8, 0 of them to be tried again" in printed


async def test_eighty_columns_hold_the_ids(settings: Settings, me: NewIdentity, owner: Owner) -> None:
    await insert_many(owner, me, "queued", 2000)
    await owner.execute(
        "UPDATE tenants SET name = 'The department of water and its many rivers' WHERE id = $1", me.tenant_id
    )
    done(await arqueduct("queue", "pause", "--tenant", str(me.tenant_id), settings=settings))
    for command in ("status", "rules"):
        printed = done(await arqueduct("queue", command, settings=settings, columns=80))
        assert str(me.tenant_id) in printed
        assert "…" not in printed
        table = [line for line in printed.splitlines() if not line.endswith("is paused.")]
        assert max(map(len, table)) <= 80
    printed = done(await arqueduct("queue", "status", settings=settings, columns=80))
    (line,) = [line for line in printed.splitlines() if line.startswith(str(me.tenant_id))]
    assert line.split()[1:] == ["2,000", "0", "0", "–", "1"]
    assert "(paused)" in printed


@pytest.mark.parametrize("command", ["pause", "resume", "limit"])
async def test_an_unknown_tenant_is_said_and_nothing_changes(settings: Settings, owner: Owner, command: str) -> None:
    nobody = str(uuid4())
    options = ["--weight", "2"] if command == "limit" else []
    refused = await arqueduct("queue", command, "--tenant", nobody, *options, settings=settings)
    assert refused.exit_code == 1
    assert f"There is no tenant with the id {nobody}." in refused.stderr
    assert await owner.fetchval("SELECT count(*) FROM queue_rules") == 0


async def test_a_pause_waits_for_who_is_admitting(settings: Settings, me: NewIdentity, owner: Owner) -> None:
    """Otherwise jobs admitted under the old rules would appear behind its back."""
    import asyncio

    assert settings.database_url is not None
    await insert_many(owner, me, "queued", 3)
    async with owning(settings) as admitting, admitting.transaction():
        await admitting.execute("SELECT * FROM admit(16, interval '1 minute')")
        pausing = asyncio.create_task(arqueduct("queue", "pause", "--json", settings=settings))

        async def waits() -> bool:
            found = "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = $1)"
            return bool(await owner.fetchval(found, rules.ADMITTING))

        await until(waits)
    assert told(await pausing)[0]["taken_back"] == 3
    assert await admitted(owner) == 0


def test_the_lock_is_the_one_of_the_schema() -> None:
    assert f"pg_advisory_xact_lock({rules.ADMITTING})" in (ROOT / "sql/versions/0002_steering.up.sql").read_text()


async def test_a_database_without_tables_is_told_to_migrate(settings: Settings) -> None:
    from arqueduct import migrations

    assert settings.database_url is not None
    await migrations.downgrade(settings.database_url.get_secret_value(), "base")
    refused = await arqueduct("queue", "status", settings=settings)
    assert (refused.exit_code, "arqueduct migrate up" in refused.stderr) == (1, True)


async def test_a_database_that_is_away_is_not_a_stack_trace(settings: Settings) -> None:
    away = settings.model_copy(update={"database_url": SecretStr("postgresql://nobody:x@127.0.0.1:9/none")})
    refused = await arqueduct("queue", "rules", settings=away)
    assert (refused.exit_code, refused.stderr.startswith("Error: Postgres is away")) == (1, True), refused.stderr
    with pytest.raises(DependencyUnavailable):
        async with rules.as_owner("postgresql://nobody:x@127.0.0.1:9/none"):
            pass
