"""The audit log as administrators read it: pages, filters, and a file that spreadsheets do not compute."""

import csv
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from arqueduct.identity import NewIdentity
from arqueduct.ids import new_id
from arqueduct.repositories.audit import Sought
from arqueduct.settings import Settings
from arqueduct_backend.refusals import EACH, Refusals
from arqueduct_backend.routes import audit
from tests.integration.backend import client_of, problem, services_of, serving, upload
from tests.integration.many_jobs import Owner, owning
from tests.integration.people import NOTHING, join, lines

AUDIT = "/api/v1/audit"
EXPORT = f"{AUDIT}/export"


@pytest.fixture
async def owner(settings: Settings) -> AsyncIterator[Owner]:
    async with owning(settings) as connection:
        yield connection


async def fill(owner: Owner, me: NewIdentity, count: int) -> list[str]:
    """Lines of this tenant, the oldest first."""
    ids = [new_id() for _ in range(count)]
    await owner.executemany(
        "INSERT INTO audit_log (id, tenant_id, action, outcome) VALUES ($1, $2, 'filled', 'done')",
        [(one, me.tenant_id) for one in ids],
    )
    return [str(one) for one in ids]


async def actions(api: httpx.AsyncClient, **wanted: Any) -> list[str]:
    answer = await api.get(AUDIT, params=wanted)
    assert answer.status_code == 200, answer.text
    return [line["action"] for line in answer.json()["items"]]


async def test_a_line_says_who_did_what_from_where(api: httpx.AsyncClient, me: NewIdentity) -> None:
    document = (await upload(api))["document"]["id"]
    await api.delete(f"/api/v1/documents/{document}", headers={"User-Agent": "curl", "X-Request-ID": "mine"})
    newest = (await api.get(AUDIT)).json()["items"][0]
    assert (newest["action"], newest["outcome"], newest["code"]) == ("delete_document", "done", None)
    assert (newest["user_id"], newest["role"], newest["request_id"]) == (str(me.user_id), "owner", "mine")
    assert (newest["user_agent"], newest["target"]) == ("curl", f"/api/v1/documents/{document}")
    assert newest["before"]["document_id"] == document


async def test_lines_are_found_by_what_they_say(
    app: FastAPI, api: httpx.AsyncClient, me: NewIdentity, owner: Owner
) -> None:
    viewer = await join(owner, me.tenant_id, "viewer")
    document = (await upload(api))["document"]["id"]
    async with client_of(app, viewer) as other:
        problem(await other.delete(f"/api/v1/documents/{document}"), 403, "forbidden")
        problem(await other.get(AUDIT), 403, "forbidden")
    problem(await api.delete(f"/api/v1/documents/{NOTHING}"), 404, "not_found")
    assert await actions(api, outcome="denied") == ["list_audit", "delete_document"]
    assert await actions(api, outcome="failed") == ["delete_document"]
    assert await actions(api, user_id=str(me.user_id), action="create_document") == ["create_document"]
    assert await actions(api, target=f"/api/v1/documents/{document}") == ["delete_document"]
    assert await actions(api, target="/api/v1/documents") == ["delete_document", "delete_document", "create_document"]
    assert await actions(api, target="/api/v1/%") == []
    now = datetime.now(UTC)
    assert await actions(api, after=(now - timedelta(minutes=5)).isoformat(), outcome="failed") == ["delete_document"]
    assert await actions(api, after=(now + timedelta(minutes=5)).isoformat()) == []
    assert await actions(api, before=(now - timedelta(minutes=5)).isoformat()) == []
    assert len(await actions(api, before=(now + timedelta(minutes=5)).isoformat())) == 4


@pytest.mark.parametrize(
    "wanted",
    [
        {"outcome": "maybe"},
        {"user_id": "me"},
        {"after": "yesterday"},
        {"after": "2026-11-23T00:00:00"},
        {"target": "a\x00b"},
        {"action": "a' OR 1=1"},
        {"cursor": "x"},
    ],
    ids=["outcome", "user", "moment", "zone", "nul", "action", "cursor"],
)
async def test_wrong_filters_are_refused(api: httpx.AsyncClient, wanted: dict[str, str]) -> None:
    assert (await api.get(AUDIT, params=wanted)).status_code == 422


async def test_the_edges_of_the_calendar_are_moments_too(api: httpx.AsyncClient) -> None:
    await upload(api)
    assert await actions(api, after="0001-01-01T00:00:00Z", before="9999-12-31T23:59:59Z") == ["create_document"]
    assert await actions(api, before="0001-01-01T00:00:00Z") == []
    assert await actions(api, after="9999-12-31T23:59:59Z") == []


async def test_pages_hold_while_lines_come(api: httpx.AsyncClient, me: NewIdentity, owner: Owner) -> None:
    ids = await fill(owner, me, 5)
    first = (await api.get(AUDIT, params={"limit": 3})).json()
    await fill(owner, me, 2)
    second = (await api.get(AUDIT, params={"limit": 3, "cursor": first["next_cursor"]})).json()
    assert [line["id"] for line in first["items"] + second["items"]] == ids[::-1]
    assert second["next_cursor"] is None


async def test_nobody_reads_the_lines_of_another_tenant_or_of_strangers(
    app: FastAPI, api: httpx.AsyncClient, stranger: httpx.AsyncClient, me: NewIdentity, owner: Owner
) -> None:
    await fill(owner, me, 2)
    async with client_of(app) as nobody:
        problem(await nobody.get(AUDIT), 401, "not_authenticated")
    assert await actions(stranger) == []
    assert await actions(stranger, action="filled") == []
    assert [line["action"] for line in _json((await stranger.get(EXPORT, params={"format": "jsonl"})).text)] == [
        "export_audit"
    ]
    assert await actions(api) == ["filled", "filled"]


def _json(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


async def test_the_export_has_every_line_once_and_itself(api: httpx.AsyncClient, me: NewIdentity, owner: Owner) -> None:
    ids = await fill(owner, me, 2 * audit.LINES + 7)
    answer = await api.get(EXPORT, params={"format": "jsonl"})
    assert answer.headers["content-type"] == "application/jsonl; charset=utf-8"
    assert answer.headers["content-disposition"].startswith('attachment; filename="audit-20')
    exported = _json(answer.text)
    assert exported[0]["action"] == "export_audit"
    assert [line["id"] for line in exported[1:]] == ids[::-1]
    table = list(csv.DictReader(io.StringIO((await api.get(EXPORT)).text)))
    assert [row["id"] for row in table[2:]] == ids[::-1]
    assert table[0]["after"] == '{"format":"csv"}'
    listed = (await api.get(AUDIT, params={"action": "export_audit"})).json()["items"]
    assert [line["after"] for line in listed] == [{"format": "csv"}, {"format": "jsonl"}]


async def test_an_export_holds_one_page_and_no_connection(app: FastAPI, me: NewIdentity, owner: Owner) -> None:
    await fill(owner, me, 3 * audit.LINES)
    services = services_of(app)
    parts = audit.lines_of(services, me.tenant_id, Sought(action="filled"), lambda lines, _: str(len(list(lines))))
    sizes = []
    async for part in parts:
        sizes.append(int(part))
        held = await owner.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' AND query LIKE '%audit_log%'"
        )
        assert held == 0
    assert sizes == [audit.LINES] * 3 + [0]


async def test_no_spreadsheet_computes_a_cell(api: httpx.AsyncClient, me: NewIdentity, owner: Owner) -> None:
    agents = ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", " =1", "＝1", "a,b", 'quo"te', "", "harmless"]
    for agent in agents:
        await owner.execute(
            "INSERT INTO audit_log (id, tenant_id, action, outcome, user_agent, request_id) "
            "VALUES ($1, $2, 'tried', 'done', $3, '\t=1')",
            new_id(),
            me.tenant_id,
            agent,
        )
    rows = list(csv.DictReader(io.StringIO((await api.get(EXPORT, params={"action": "tried"})).text)))
    shown = [row["user_agent"] for row in reversed(rows)]
    assert shown == [f"'{agent}" for agent in agents[:6]] + agents[6:]
    assert {row["request_id"] for row in rows} == {"'\t=1"}


@asynccontextmanager
async def coming_from(app: FastAPI, address: str) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=app, client=(address, 1234))
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        yield client


async def refused_lines(owner: Owner) -> dict[str | None, int]:
    rows = await owner.fetch(
        "SELECT address, count(*) FROM audit_log WHERE tenant_id IS NULL AND action <> 'lines_dropped' GROUP BY 1"
    )
    return dict(map(tuple, rows))


async def told_dropped(owner: Owner) -> list[tuple[Any, str | None, int]]:
    rows = await owner.fetch(
        "SELECT tenant_id, address, after->'lines' AS lines FROM audit_log WHERE action = 'lines_dropped' ORDER BY id"
    )
    return [(row["tenant_id"], row["address"], int(row["lines"])) for row in rows]


async def test_a_flood_from_one_address_hides_nobody_elses_refusal_and_is_told(
    app: FastAPI, me: NewIdentity, owner: Owner
) -> None:
    now = 0.0
    app.state.services = replace(services_of(app), strangers=Refusals(clock=lambda: now))
    async with coming_from(app, "203.0.113.9") as flood, coming_from(app, "198.51.100.7") as other:
        for number in range(EACH + 20):
            problem(await flood.get(AUDIT, headers={"X-API-Key": f"aq_bogus{number}"}), 401, "not_authenticated")
        problem(await other.get(AUDIT), 401, "not_authenticated")
        assert await refused_lines(owner) == {"203.0.113.9": EACH, "198.51.100.7": 1}
        assert await told_dropped(owner) == []
        now = 61
        assert (await other.get("/livez")).status_code == 200  # any request
        assert await told_dropped(owner) == [(None, "203.0.113.9", 20)]
        problem(await flood.get(AUDIT), 401, "not_authenticated")
        assert (await refused_lines(owner))["203.0.113.9"] == EACH + 1


async def test_what_was_dropped_of_guesses_is_told_to_the_tenant_at_the_end_at_the_latest(
    settings: Settings, me: NewIdentity, owner: Owner
) -> None:
    async with serving(settings) as app:
        app.state.services = replace(services_of(app), guesses=Refusals(each=2))
        async with coming_from(app, "203.0.113.9") as guesser:
            for number in range(5):
                guess = {"email": me.email, "password": f"guess number {number}"}
                problem(await guesser.post("/api/v1/auth/login", json=guess), 401, "wrong_credentials")
    assert await told_dropped(owner) == [(me.tenant_id, "203.0.113.9", 3)]
    assert await lines(owner, me.tenant_id) == [("login", "denied", "wrong_credentials")] * 2 + [
        ("lines_dropped", "denied", None)
    ]


async def test_refused_keys_do_not_hide_guesses_at_passwords(app: FastAPI, me: NewIdentity, owner: Owner) -> None:
    async with coming_from(app, "203.0.113.9") as attacker:
        for _ in range(EACH + 1):
            problem(await attacker.get(AUDIT), 401, "not_authenticated")
        guess = {"email": me.email, "password": "a guess"}
        problem(await attacker.post("/api/v1/auth/login", json=guess), 401, "wrong_credentials")
    assert await lines(owner, me.tenant_id) == [("login", "denied", "wrong_credentials")]


def test_many_addresses_cannot_fill_the_log_nor_the_memory() -> None:
    now = 0.0
    refusals = Refusals(clock=lambda: now)
    addresses = [f"10.0.{number // 250}.{number % 250}" for number in range(2000)]
    taken = sum(refusals.takes(address) for _ in range(3) for address in addresses)
    assert taken <= 1001  # the first of each that is told apart, and what there is for all
    assert refusals.dropped() == []
    now = 61
    told = refusals.dropped()
    assert sum(one.lines for one in told) == 6000 - taken
    assert len(told) <= 50
    assert refusals.dropped() == []
    assert refusals.takes("10.0.0.1")


def test_the_first_line_about_an_address_is_taken_when_there_is_room_for_no_other() -> None:
    refusals = Refusals(clock=lambda: 0)
    assert sum(refusals.takes(f"10.0.0.{number % 100}") for number in range(1000)) == 500
    assert [refusals.takes("203.0.113.9") for _ in range(2)] == [True, False]
    assert not refusals.takes("10.0.0.1")


async def test_an_export_is_for_those_who_may_read_the_log(app: FastAPI, me: NewIdentity, owner: Owner) -> None:
    async with client_of(app, await join(owner, me.tenant_id, "editor")) as api:
        problem(await api.get(EXPORT), 403, "forbidden")
        problem(await api.get(EXPORT, params={"format": "xml"}), 403, "forbidden")
    async with client_of(app, me) as api:
        problem(await api.get(EXPORT, params={"format": "xml"}), 422, "invalid_request")


async def test_nobody_hides_a_refusal_by_what_no_table_can_hold(app: FastAPI, me: NewIdentity, owner: Owner) -> None:
    viewer = await join(owner, me.tenant_id, "viewer")
    async with client_of(app, viewer) as client:
        problem(await client.delete("/api/v1/documents/%00"), 403, "forbidden")
    assert ("delete_document", "denied", "forbidden") in await lines(owner, me.tenant_id)
