"""Every bad request is answered by a problem with a code to act on; every answer carries what it must."""

import re
from itertools import product
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from structlog.testing import capture_logs

from arqueduct import metrics, migrations
from arqueduct.identity import NewIdentity
from arqueduct.settings import Settings
from tests.integration.backend import beat, client_of, problem, serving, upload
from tests.integration.many_jobs import owning
from tests.integration.worker import TestWorker, until

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
HUGE = b'{"query": "' + b"x" * 2**20 + b'"}'
JSON = {"Content-Type": "application/json"}


def file(content: bytes, name: str = "file.txt") -> dict[str, Any]:
    return {"files": {"file": (name, content)}}


BAD: list[tuple[str, str, str, dict[str, Any], int, str]] = [
    ("an unknown route", "GET", "/api/v1/nothing", {}, 404, "not_found"),
    ("an unknown route outside", "GET", "/nothing", {}, 404, "not_found"),
    ("a slash too many", "GET", "/api/v1/documents/", {}, 404, "not_found"),
    ("a wrong method", "PUT", "/api/v1/documents", {}, 405, "method_not_allowed"),
    ("an empty file", "POST", "/api/v1/documents", file(b""), 422, "empty_upload"),
    ("an unknown type", "POST", "/api/v1/documents", file(PNG, "report.pdf"), 415, "unsupported_format"),
    ("no form", "POST", "/api/v1/documents", {"json": {}}, 422, "missing_file"),
    ("a form without the file", "POST", "/api/v1/documents", {"files": {"other": ("a", b"b")}}, 422, "missing_file"),
    ("a document's malformed id", "GET", "/api/v1/documents/42", {}, 422, "invalid_request"),
    ("a job's malformed id", "POST", "/api/v1/jobs/42/cancel", {}, 422, "invalid_request"),
    ("an unknown document", "GET", f"/api/v1/documents/{uuid4()}", {}, 404, "not_found"),
    ("an unknown job", "GET", f"/api/v1/jobs/{uuid4()}", {}, 404, "not_found"),
    ("history of an unknown job", "GET", f"/api/v1/jobs/{uuid4()}/events", {}, 404, "not_found"),
    ("attempts of an unknown job", "GET", f"/api/v1/jobs/{uuid4()}/attempts", {}, 404, "not_found"),
    ("pausing an unknown job", "POST", f"/api/v1/jobs/{uuid4()}/pause", {}, 404, "not_found"),
    ("no selection", "POST", "/api/v1/jobs/cancel", {"json": {}}, 422, "invalid_request"),
    ("a selection that is no object", "POST", "/api/v1/jobs/retry", {"json": "all"}, 422, "invalid_request"),
    ("a wrong method for many", "PUT", "/api/v1/jobs/cancel", {}, 405, "method_not_allowed"),
    ("no limit", "GET", "/api/v1/documents?limit=0", {}, 422, "invalid_request"),
    ("too large a limit", "GET", "/api/v1/jobs?limit=201", {}, 422, "invalid_request"),
    ("an unknown state", "GET", "/api/v1/jobs?state=asleep", {}, 422, "invalid_request"),
    ("NUL in a filter", "GET", "/api/v1/jobs?kind=%00", {}, 422, "invalid_request"),
    ("a made-up cursor", "GET", "/api/v1/documents?cursor=abc", {}, 422, "invalid_cursor"),
    ("an overlong cursor", "GET", "/api/v1/jobs?cursor=" + "a" * 300, {}, 422, "invalid_request"),
    ("an empty query", "POST", "/api/v1/search", {"json": {"query": " "}}, 422, "invalid_query"),
    ("an overlong query", "POST", "/api/v1/search", {"json": {"query": "x" * 10_000}}, 422, "invalid_query"),
    ("no query", "POST", "/api/v1/search", {"json": {}}, 422, "invalid_request"),
    ("an unknown mode", "POST", "/api/v1/search", {"json": {"query": "a", "mode": "magic"}}, 422, "invalid_request"),
    ("a query that is no text", "POST", "/api/v1/search", {"json": {"query": 1}}, 422, "invalid_request"),
    (
        "too many documents",
        "POST",
        "/api/v1/search",
        {"json": {"query": "a", "document_ids": [str(uuid4())] * 1001}},
        422,
        "invalid_request",
    ),
    (
        "half a surrogate pair",
        "POST",
        "/api/v1/search",
        {"content": b'{"query": "\\ud800"}', "headers": JSON},
        422,
        "invalid_query",
    ),
    ("no body", "POST", "/api/v1/search", {"headers": JSON}, 422, "invalid_request"),
    ("invalid JSON", "POST", "/api/v1/search", {"content": b'{"query": ', "headers": JSON}, 422, "invalid_json"),
    (
        "JSON in Latin-1",
        "POST",
        "/api/v1/search",
        {"content": b'{"query": "\xe4"}', "headers": JSON},
        422,
        "invalid_json",
    ),
    (
        "JSON nested without end",
        "POST",
        "/api/v1/search",
        {"content": b"[" * 200_000, "headers": JSON},
        422,
        "complex_json",
    ),
    (
        "JSON called something else",
        "POST",
        "/api/v1/search",
        {"content": b'{"query": "a"}', "headers": {"Content-Type": "text/plain"}},
        422,
        "invalid_request",
    ),
    ("a huge body", "POST", "/api/v1/search", {"content": HUGE, "headers": JSON}, 413, "request_too_large"),
]


KEYS: list[dict[str, Any]] = [
    {},
    {"Authorization": "Bearer wrong"},
    {"Authorization": "Bearer "},
    {"Authorization": "Basic dXNlcjpwYXNz"},
    {"X-API-Key": "wrong"},
    {"X-API-Key": "ä".encode("latin-1")},
    {"X-API-Key": "x" * 10_000},
    {"Authorization": "Bearer wrong", "X-API-Key": "wrong"},
]


async def test_a_bad_request_gets_its_problem(api: httpx.AsyncClient, subtests: pytest.Subtests) -> None:
    for name, method, path, sent, status, code in BAD:
        with subtests.test(name):
            problem(await api.request(method, path, **sent), status, code)


async def test_without_a_valid_key_nothing_is_told(app: FastAPI, subtests: pytest.Subtests) -> None:
    paths = [
        "/api/v1/documents",
        "/api/v1/queue",
        f"/api/v1/jobs/{uuid4()}",
        f"/api/v1/jobs/{uuid4()}/attempts",
        f"/api/v1/documents/{uuid4()}/text",
    ]
    async with client_of(app) as nobody:
        for path, headers in product(paths, KEYS):
            with subtests.test(path=path, headers=headers):
                answer = await nobody.get(path, headers=headers)
                problem(answer, 401, "not_authenticated")
                assert answer.headers["www-authenticate"] == "Bearer"


async def test_either_header_proves_the_key(app: FastAPI, me: NewIdentity) -> None:
    async with client_of(app) as client:
        for headers in (
            {"X-API-Key": me.api_key},
            {"Authorization": f"bearer {me.api_key}"},
            {"Authorization": f"Bearer {me.api_key}", "X-API-Key": me.api_key},
            {"Authorization": "Basic b2Y6YSBwcm94eQ==", "X-API-Key": me.api_key},
        ):
            assert (await client.get("/api/v1/documents", headers=headers)).status_code == 200


async def test_a_wrong_method_is_told_the_right_ones(api: httpx.AsyncClient) -> None:
    assert (await api.put("/api/v1/documents")).headers["allow"] == "GET, POST"
    assert (await api.put(f"/api/v1/documents/{uuid4()}")).headers["allow"] == "DELETE, GET, PATCH"
    assert (await api.put("/api/v1/jobs/cancel")).headers["allow"] == "POST"
    taken_for_an_id = await api.get("/api/v1/jobs/cancel")
    problem(taken_for_an_id, 405, "method_not_allowed")
    assert taken_for_an_id.headers["allow"] == "POST"
    assert (await api.delete("/livez")).headers["allow"] == "GET"


async def test_wrong_fields_are_named_but_not_repeated(api: httpx.AsyncClient) -> None:
    secret = "aq_" + "s" * 50
    answer = await api.post("/api/v1/search", json={"query": "a", "limit": 0, "document_ids": [secret]})
    fields = problem(answer, 422, "invalid_request")["errors"]
    assert {field["pointer"] for field in fields} == {"#/limit", "#/document_ids/0"}
    assert secret not in answer.text
    (field,) = (await api.get("/api/v1/jobs?limit=x")).json()["errors"]
    assert (field["in"], field["parameter"]) == ("query", "limit")


async def test_what_is_wrong_is_said_in_our_words(api: httpx.AsyncClient) -> None:
    async def details(path: str, **parameters: str) -> list[str]:
        answer = await api.get(f"/api/v1/{path}", params=parameters)
        return [field["detail"] for field in answer.json()["errors"]]

    (said,) = await details("documents/42")
    assert said.startswith("This is no id; ")
    for moment in ("yesterday", "2026-11-22T14:30:00"):
        (said,) = await details("errors", after=moment)
        assert said == "A moment is written as RFC 3339 has it: 2026-11-22T14:30:00Z."
    longest = {"from": "2026-01-01T00:00:00Z", "to": "2026-12-01T00:00:00Z"}
    told = (await api.get("/api/v1/analytics/processing", params=longest)).json()
    assert (told["errors"], told["advice"]) == ([], "Change the request as the message says.")
    told = (await api.post("/api/v1/documents")).json()
    assert told["detail"].startswith("The request brings no file: send it as multipart/form-data")


async def test_a_thousand_wrong_fields_do_not_make_a_huge_answer(api: httpx.AsyncClient) -> None:
    answer = await api.post("/api/v1/search", json={"query": "a", "document_ids": ["x" * 500] * 900})
    assert len(problem(answer, 422, "invalid_request")["errors"]) == 20


async def test_a_body_too_large_is_told_the_limit(api: httpx.AsyncClient) -> None:
    assert (
        problem(await api.post("/api/v1/search", content=HUGE, headers=JSON), 413, "request_too_large")["limit"]
        == 2**20
    )


async def test_a_body_too_large_is_stopped_though_it_announces_nothing(api: httpx.AsyncClient) -> None:
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        while True:
            sent += 2**16
            yield b" " * 2**16

    problem(await api.post("/api/v1/search", content=endless(), headers=JSON), 413, "request_too_large")
    assert sent < 2**21


async def test_what_nobody_foresaw_is_a_problem_without_its_inside(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def crash(*_: object, **__: object) -> None:
        raise RuntimeError("bananas")

    monkeypatch.setattr("arqueduct_backend.routes.documents.documents.page", crash)
    with capture_logs() as logged:
        answer = await api.get("/api/v1/documents")
    problem(answer, 500, "internal_error")
    assert "bananas" not in answer.text
    assert "request crashed" in [line["event"] for line in logged]
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_postgres_away_is_a_problem_that_says_when_to_come_again(settings: Settings, me: NewIdentity) -> None:
    away = settings.model_copy(update={"app_database_url": SecretStr("postgresql://nobody:x@127.0.0.1:9/none")})
    async with serving(away) as app, client_of(app, me) as api:
        answer = await api.get("/api/v1/documents")
        problem(answer, 503, "dependency_unavailable")
        assert int(answer.headers["retry-after"]) >= 1
        assert (await api.get("/livez")).status_code == 200
        ready = await api.get("/readyz")
        assert (ready.status_code, ready.json()["checks"]["database"]["ok"]) == (503, False)


async def test_a_sane_request_id_is_kept_and_another_is_replaced(api: httpx.AsyncClient) -> None:
    assert (await api.get("/livez", headers={"X-Request-ID": "trace-42"})).headers["x-request-id"] == "trace-42"
    for bad in ("a b", "x" * 200, "a\tb", "<script>"):
        assert (await api.get("/livez", headers={"X-Request-ID": bad})).headers["x-request-id"] != bad


async def test_answers_carry_headers_of_time_and_safety(api: httpx.AsyncClient) -> None:
    answer = await api.get("/api/v1/documents")
    app, db = (float(part.rpartition("=")[2]) for part in answer.headers["server-timing"].split(", "))
    assert app >= db > 0
    assert (await api.get("/livez")).headers["server-timing"].endswith(", db;dur=0.0")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert "access-control-allow-origin" not in answer.headers


async def test_only_allowed_origins_may_call_from_a_page(settings: Settings, me: NewIdentity) -> None:
    allowing = settings.model_copy(update={"allowed_origins": frozenset({"https://app.example.org"})})
    async with serving(allowing) as app, client_of(app, me) as api:
        asked = {"Access-Control-Request-Method": "DELETE", "Access-Control-Request-Headers": "authorization"}
        mine = await api.options("/api/v1/documents", headers={"Origin": "https://app.example.org"} | asked)
        assert mine.headers["access-control-allow-origin"] == "https://app.example.org"
        other = await api.options("/api/v1/documents", headers={"Origin": "https://evil.example.org"} | asked)
        assert "access-control-allow-origin" not in other.headers


async def test_ready_means_that_everything_answers(
    api: httpx.AsyncClient, api_worker: TestWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = (await api.get("/readyz")).json()["checks"]
    assert {name for name, check in checks.items() if not check["ok"]} == {"workers"}
    await beat(api_worker)
    answer = await api.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "ready"), answer.text
    monkeypatch.setattr("arqueduct_backend.readiness._head", lambda: "9999")
    assert not (await api.get("/readyz")).json()["checks"]["migrations"]["ok"]


async def test_an_api_that_cannot_admit_says_so_and_stays_ready(
    api: httpx.AsyncClient, api_worker: TestWorker, settings: Settings
) -> None:
    await beat(api_worker)

    async def says(ok: bool) -> bool:
        answer = await api.get("/readyz")
        assert answer.status_code == 200, answer.text
        return bool(answer.json()["checks"]["admission"]["ok"]) is ok

    async with owning(settings) as owner:
        await owner.execute("REVOKE EXECUTE ON FUNCTION admit(integer, interval) FROM arqueduct_app")
        await until(lambda: says(False))
        assert "arqueduct_admitting 0.0" in (await api.get("/metrics")).text
        await owner.execute("GRANT EXECUTE ON FUNCTION admit(integer, interval) TO arqueduct_app")
        await until(lambda: says(True))


async def test_an_empty_database_is_served_as_not_ready(settings: Settings) -> None:
    assert settings.database_url is not None
    await migrations.downgrade(settings.database_url.get_secret_value(), "base")
    async with serving(settings) as app, client_of(app) as api:
        checks = (await api.get("/readyz")).json()["checks"]
    assert not checks["migrations"]["ok"]
    assert checks["redis"]["ok"]


async def test_requests_are_counted_by_template_and_never_by_path(api: httpx.AsyncClient) -> None:
    document = (await upload(api))["document"]
    await api.get(f"/api/v1/documents/{document['id']}")
    await api.get(f"/{uuid4()}")
    page = (await api.get("/metrics")).text
    assert 'route="/api/v1/documents/{document_id}",status="200"' in page
    assert 'route="unmatched",status="404"' in page
    assert document["id"] not in page
    assert metrics.CONTENT_TYPE.split(";")[0] in (await api.get("/metrics")).headers["content-type"]


async def test_the_description_is_complete(api: httpx.AsyncClient) -> None:
    described = (await api.get("/openapi.json")).json()
    operations = [operation for path in described["paths"].values() for operation in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names))
    assert all(operation["tags"] for operation in operations)
    schemas = described["components"]["schemas"]
    assert "HTTPValidationError" not in schemas
    for operation in operations:
        for status, answer in operation["responses"].items():
            if status >= "400" and operation["tags"] != ["probes"]:
                assert list(answer["content"]) == ["application/problem+json"], (operation["operationId"], status)


async def test_the_version_is_told(api: httpx.AsyncClient) -> None:
    assert (await api.get("/version")).json()["name"] == "arqueduct"


async def test_the_reference_comes_from_here_alone(api: httpx.AsyncClient) -> None:
    """Whoever pastes a key into it trusts nobody else; and there may be no internet."""
    home = await api.get("/")
    assert home.headers["location"] == "docs"
    page = await api.get("/docs")
    assert page.headers["content-security-policy"].count("http") == 0
    assert "unsafe-inline" not in page.headers["content-security-policy"].partition("script-src")[2].partition(";")[0]
    assert "//" not in page.text.replace("<!doctype", "")
    needed = re.findall(r'(?:src|href)="(docs/[^"]+|openapi\.json)"', page.text)
    assert len(needed) == 4
    for address in needed:
        answer = await api.get(f"/{address}")
        assert (answer.status_code, bool(answer.content)) == (200, True)
    for wrong in ("redoc.standalone.js", "..%2f__init__.py", "nothing"):
        assert (await api.get(f"/docs/assets/{wrong}")).status_code == 404


async def test_a_pointer_leads_to_a_place_in_the_body(api: httpx.AsyncClient) -> None:
    answer = await api.post("/api/v1/webhooks", json={"url": "https://example.org/", "events": ["job.done"]})
    assert {found["pointer"] for found in problem(answer, 422, "invalid_request")["errors"]} == {"#/events/0"}
    cut = await api.post("/api/v1/webhooks", content=b'{"url": "x', headers={"Content-Type": "application/json"})
    assert " at at " not in problem(cut, 422, "invalid_json")["detail"]
