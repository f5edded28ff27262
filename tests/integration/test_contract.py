"""What clients can rely on, whatever route it is: headers, versions, parameters, lists, and the description."""

from collections.abc import AsyncIterator, Iterator
from datetime import date
from typing import Any
from uuid import uuid4

import httpx
import jsonschema_rs
import pytest
from fastapi import APIRouter, FastAPI, Request
from fastapi.routing import APIRoute
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from arqueduct import __version__
from arqueduct.errors import (
    AnswerNotKept,
    DocumentNotReady,
    IdempotencyInFlight,
    IllegalTransition,
    InvalidQuery,
    NotFound,
)
from arqueduct.identity import NewIdentity
from arqueduct.settings import Settings
from arqueduct.testing import HashingEmbedder
from arqueduct.webhooks.messages import EventType
from arqueduct_backend.api import describe, implied, permissions_of
from arqueduct_backend.cross_origin import EXPOSED, HEADERS
from arqueduct_backend.deprecation import deprecated
from arqueduct_backend.main import PREFIX, ROUTERS, create_app
from arqueduct_backend.problems import answers, merged
from arqueduct_backend.routing import known_parameters
from tests.integration.backend import client_of, problem, serving
from tests.integration.signing_in import bearer, login

HERE, THERE = "https://app.example.org", "https://evil.example.org"
ROUTES = [route for router in ROUTERS[PREFIX] for route in router.routes if isinstance(route, APIRoute)]
PATHS = {route.name: PREFIX + route.path for route in ROUTES}
ENDLESS = {"stream_events"}
OPAQUE = {"cursor", "resume", "target", "ticket"}
"""Parameters without an example: only an answer of the API has one that works."""


@pytest.fixture(scope="module")
def described() -> Any:
    return create_app(Settings(), embedder=HashingEmbedder()).openapi()


def operations(described: Any) -> Iterator[tuple[str, str, Any]]:
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def filled(path: str) -> str:
    return path.format_map(Anything())


class Anything(dict[str, str]):
    """An id of nothing for every parameter of a path."""

    def __missing__(self, _name: str) -> str:
        return "01890000-0000-7000-8000-000000000000"


async def test_every_answer_tells_the_version(api: httpx.AsyncClient) -> None:
    for path in ("/api/v1/documents", "/api/v1/nothing", "/livez", "/nothing", "/openapi.json"):
        assert (await api.get(path)).headers["arqueduct-version"] == __version__


async def test_https_is_kept_to_once_it_was_used(app: FastAPI, me: NewIdentity) -> None:
    transport = httpx.ASGITransport(app=app)
    for scheme, expected in {"http": None, "https": "max-age=31536000"}.items():
        async with httpx.AsyncClient(transport=transport, base_url=f"{scheme}://api") as client:
            answer = await client.get("/livez")
            assert answer.headers.get("strict-transport-security") == expected


async def test_the_access_log_says_who_what_how_long_and_how_much(api: httpx.AsyncClient, me: NewIdentity) -> None:
    with capture_logs(processors=[merge_contextvars]) as lines:
        answer = await api.get(f"/api/v1/jobs/{uuid4()}", headers={"X-Request-ID": "mine"})
    (line,) = [line for line in lines if line["event"] == "request"]
    assert (line["route"], line["status"], line["request"]) == ("/api/v1/jobs/{job_id}", 404, "mine")
    assert (line["user"], line["tenant"]) == (str(me.user_id), str(me.tenant_id))
    assert line["bytes"] == len(answer.content)
    assert 0 < line["took"] < 60


@pytest.fixture
async def shared(settings: Settings, me: NewIdentity) -> AsyncIterator[httpx.AsyncClient]:
    """An API that pages of one origin may call."""
    allowing = settings.model_copy(update={"allowed_origins": frozenset({HERE})})
    async with serving(allowing) as app, client_of(app, me) as client:
        yield client


def preflight(origin: str, method: str = "PATCH", headers: str = "if-match, idempotency-key") -> dict[str, str]:
    return {"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}


async def test_a_page_of_an_allowed_origin_may_send_and_read_what_the_api_knows(shared: httpx.AsyncClient) -> None:
    path = "/api/v1/documents"
    asked = await shared.options(path, headers=preflight(HERE, headers=", ".join(HEADERS).lower()))
    assert (asked.status_code, asked.headers["access-control-allow-origin"]) == (200, HERE)
    answer = await shared.get(path, headers={"Origin": HERE})
    assert answer.headers["access-control-allow-origin"] == HERE
    assert set(answer.headers["access-control-expose-headers"].split(", ")) == set(EXPOSED)
    assert "access-control-allow-credentials" not in answer.headers
    refused = await shared.get(path, headers={"Origin": HERE, "X-API-Key": "wrong", "Authorization": "Bearer wrong"})
    assert problem(refused, 401, "not_authenticated"), "a page may read why"
    assert refused.headers["access-control-allow-origin"] == HERE


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (preflight(THERE), "origin"),
        (preflight("null"), "origin"),
        (preflight(f"{HERE}.evil.example.org"), "origin"),
        (preflight(HERE, "TRACE"), "no other method"),
        (preflight(HERE, headers="x-evil"), "no others"),
    ],
    ids=["another", "null", "longer", "method", "header"],
)
async def test_a_refused_preflight_is_a_problem(shared: httpx.AsyncClient, asked: dict[str, str], said: str) -> None:
    answer = await shared.options("/api/v1/documents", headers=asked)
    assert said in problem(answer, 403, "origin_not_allowed")["detail"]
    assert "access-control-allow-origin" not in answer.headers
    assert "Origin" in answer.headers["vary"]


async def test_without_allowed_origins_no_page_may_call(api: httpx.AsyncClient) -> None:
    problem(await api.options("/api/v1/documents", headers=preflight(HERE)), 403, "origin_not_allowed")
    answer = await api.get("/api/v1/documents", headers={"Origin": HERE})
    assert (answer.status_code, "access-control-allow-origin" in answer.headers) == (200, False)
    problem(await api.options("/api/v1/documents"), 405, "method_not_allowed")


async def test_a_parameter_that_does_not_exist_is_refused_everywhere(
    settings: Settings, me: NewIdentity, subtests: pytest.Subtests
) -> None:
    generous = settings.model_copy(update={"requests_per_minute": 10_000, "expensive_per_hour": 10_000})
    async with serving(generous) as app, client_of(app) as api, client_of(app) as stranger:
        api.headers.update(bearer(await login(api, me)))
        for route in ROUTES:
            with subtests.test(route.name):
                (method,) = route.methods
                sent = {"params": {"limti": "5", **({"limit": 5} if "limit" in known_parameters(route) else {})}}
                answer = await api.request(method, filled(PATHS[route.name]), **sent)  # type: ignore[arg-type]
                fields = problem(answer, 422, "invalid_request")["errors"]
                assert {"limti"} == {item["parameter"] for item in fields if item.get("in") == "query"}
                if permissions_of(route):
                    unknown = await stranger.request(method, filled(PATHS[route.name]), **sent)  # type: ignore[arg-type]
                    problem(unknown, 401, "not_authenticated")


async def test_a_refused_parameter_is_cut_and_not_run(api: httpx.AsyncClient) -> None:
    answer = await api.get("/api/v1/documents", params={"<script>" * 100: "x"})
    (found,) = problem(answer, 422, "invalid_request")["errors"]
    assert len(found["parameter"]) == 100
    assert "limit, sort" in found["detail"]
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_route_that_goes_says_so_on_every_answer(settings: Settings, me: NewIdentity) -> None:
    router = APIRouter()
    since, sunset, link = date(2027, 1, 1), date(2027, 7, 1), "https://example.org/docs/api-versions.md"

    @router.get("/old", dependencies=[deprecated(since, sunset, link)])
    async def old(request: Request) -> dict[str, str]:
        """Goes."""
        if "fail" in request.headers:
            raise NotFound
        return {}

    (route,) = router.routes
    describe(route)
    async with serving(settings) as app, client_of(app, me) as api:
        app.include_router(router)
        assert app.openapi()["paths"]["/old"]["get"]["deprecated"] is True
        for headers, status in (({}, 200), ({"fail": "1"}, 404)):
            answer = await api.get("/old", headers=headers)
            assert answer.status_code == status
            assert answer.headers["deprecation"] == "@1798761600"
            assert answer.headers["sunset"] == "Thu, 01 Jul 2027 00:00:00 GMT"
            assert f'<{link}>; rel="deprecation"' in answer.headers["link"]
        assert "deprecation" not in (await api.get("/livez")).headers
    with pytest.raises(ValueError, match="before"):
        deprecated(sunset, since, link)


def test_operation_ids_are_unique_and_tags_are_explained(described: Any) -> None:
    names = [operation["operationId"] for _, _, operation in operations(described)]
    names += [methods["post"]["operationId"] for methods in described["webhooks"].values()]
    assert len(names) == len(set(names))
    explained = {tag["name"] for tag in described["tags"] if tag["description"]}
    assert {tag for _, _, operation in operations(described) for tag in operation["tags"]} <= explained
    assert all(operation["summary"] and operation.get("description") for _, _, operation in operations(described))


def test_whatever_is_sent_has_an_example(described: Any) -> None:
    missing = set()
    for _, _, operation in operations(described):
        for parameter in operation.get("parameters", ()):
            if parameter["name"] not in OPAQUE and not _has_example(parameter["schema"], described):
                missing.add(f"{operation['operationId']}: {parameter['name']}")
        for kind, body in operation.get("requestBody", {}).get("content", {}).items():
            if kind == "application/json" and not ("examples" in body or _has_example(body["schema"], described)):
                missing.add(operation["operationId"])
    assert not missing


def test_whatever_is_answered_has_an_example_that_fits(described: Any) -> None:
    for _, _, operation in operations(described):
        for status, answer in operation["responses"].items():
            content = answer.get("content", {}).get("application/json")
            if status.startswith("2") and content is not None:
                schema = {**content["schema"], "components": described["components"]}
                found = list(jsonschema_rs.validator_for(schema).iter_errors(content["example"]))
                assert not found, f"{operation['operationId']} {status}: {found[0].message} at {found[0].instance_path}"


def _has_example(schema: Any, described: Any) -> bool:
    if reference := schema.get("$ref"):
        return _has_example(described["components"]["schemas"][reference.rpartition("/")[2]], described)
    if "examples" in schema or "enum" in schema or "const" in schema or schema.get("type") == "boolean":
        return True
    if "properties" in schema:
        return all(_has_example(schema["properties"][name], described) for name in schema.get("required", ()))
    return any(_has_example(option, described) for option in schema.get("anyOf", ()))


def test_every_route_declares_what_it_can_answer(described: Any) -> None:
    told = {operation["operationId"]: operation for _, _, operation in operations(described)}
    for route in ROUTES:
        declared = told[route.name]["responses"]
        named = {
            code
            for answer in declared.values()
            for code in answer.get("content", {}).get("application/problem+json", {}).get("examples", {})
        }
        assert {kind.code for kind in implied(route)} <= named, route.name
        expected = {"422", "503"}
        expected |= {"401", "403", "429"} if permissions_of(route) else set()
        expected |= {"404"} if "{" in route.path else set()
        expected |= {"413"} if "requestBody" in told[route.name] else set()
        sent = {parameter["name"] for parameter in told[route.name].get("parameters", ())}
        expected |= {"412"} if "If-Match" in sent else set()
        expected |= {"409"} if "Idempotency-Key" in sent else set()
        assert expected <= declared.keys(), route.name


def test_problems_of_one_status_are_declared_side_by_side() -> None:
    both = merged(answers(IdempotencyInFlight, AnswerNotKept), answers(IllegalTransition, NotFound), {409: {}})
    assert both.keys() == {404, 409}
    examples = both[409]["content"]["application/problem+json"]["examples"]
    assert examples.keys() == {"idempotency_in_flight", "idempotency_answer_not_kept", "illegal_transition"}
    again = merged(both, answers(IllegalTransition))
    assert again == both, "describing a route twice changes nothing"
    assert merged({200: {"description": "ok"}}, answers(InvalidQuery, DocumentNotReady)).keys() == {200, 422, 409}


def test_the_description_has_every_webhook(described: Any) -> None:
    assert described["webhooks"].keys() == {str(event) for event in EventType}
    schemas = described["components"]["schemas"]
    for event, methods in described["webhooks"].items():
        body = methods["post"]["requestBody"]["content"]["application/json"]["schema"]
        told = schemas[body["$ref"].rpartition("/")[2]]["properties"]["type"]
        assert event in told.get("enum", [told.get("const")])
