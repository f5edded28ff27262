"""The audit log as administrators read it: pages, filters, and a file that spreadsheets do not compute."""

import csv
import io
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from arqueduct.identity import NewIdentity
from arqueduct.ids import new_id
from arqueduct.repositories.audit import Sought
from arqueduct.settings import Settings
from arqueduct_backend.routes import audit
from tests.integration.backend import client_of, problem, services_of, upload
from tests.integration.many_jobs import Owner, owning
from tests.integration.people import NOTHING, join

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


async def test_an_export_is_for_those_who_may_read_the_log(app: FastAPI, me: NewIdentity, owner: Owner) -> None:
    async with client_of(app, await join(owner, me.tenant_id, "editor")) as api:
        problem(await api.get(EXPORT), 403, "forbidden")
        problem(await api.get(EXPORT, params={"format": "xml"}), 403, "forbidden")
    async with client_of(app, me) as api:
        problem(await api.get(EXPORT, params={"format": "xml"}), 422, "invalid_request")
