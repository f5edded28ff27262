"""Another tenant's things do not exist: on every operation of the OpenAPI document, on sockets and on event streams."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec
import pytest
from fastapi import FastAPI
from websockets.asyncio.client import connect

from arqueduct.identity import NewIdentity
from arqueduct.settings import Settings
from tests.integration import live_server
from tests.integration.backend import beat, client_of, serving
from tests.integration.signing_in import bearer, login
from tests.integration.test_access import CHANGE_NOTHING
from tests.integration.trespasses import (
    ELSEWHERE,
    IN_SESSION,
    OF_PATHS,
    TRESPASSES,
    Their,
    Trespass,
    id_fields,
    named_in,
)
from tests.integration.two_tenants import (
    Table,
    above,
    everything_of,
    furnish,
    ids_by_table,
    ids_in,
    settle,
    tables_of_tenants,
)
from tests.integration.worker import TestWorker

WORD = "kestrel"
"""In every name and text of the other tenant."""
LIMITS = (
    "requests_per_minute",
    "uploads_per_minute",
    "searches_per_minute",
    "expensive_per_hour",
    "strangers_per_minute",
    "sign_ins_per_address",
    "sign_ins_per_account",
)
MOVES = {"fair_shares"}
"""Tables that change by themselves while the API runs."""
LEAST_CURSORS = 3
WITHIN = 5.0


@dataclass(frozen=True, kw_only=True)
class Street:
    """`they` live next door; `me` tries their doors."""

    app: FastAPI
    owner: Any
    they: NewIdentity
    me: NewIdentity
    theirs: Mapping[str, Any]
    """What stands for `Their(name)`."""
    tables: list[Table]

    async def marks(self) -> set[str]:
        """What must not be in any answer to me."""
        theirs, mine = [ids_in(await everything_of(self.owner, who, self.tables)) for who in (self.they, self.me)]
        return theirs - mine | {WORD, self.they.email}

    async def state(self, *, but_not: frozenset[str] = frozenset()) -> dict[str, list[str]]:
        rows = await everything_of(self.owner, self.they, self.tables)
        return {name: of_table for name, of_table in rows.items() if name not in MOVES | but_not}

    async def forget_my_attempts(self) -> None:
        """My own audit log and my own invitations tell me what I tried, and with which of their ids and addresses."""
        await self.owner.execute("DELETE FROM audit_log WHERE tenant_id = $1", self.me.tenant_id)
        await self.owner.execute("DELETE FROM kept_answers WHERE tenant_id = $1", self.me.tenant_id)
        await self.owner.execute("DELETE FROM invitations WHERE email = $1", self.they.email)


@pytest.fixture
def generous(settings: Settings) -> Settings:
    """Nobody is slowed down by limits on rates here, and webhooks may be sent to this machine."""
    return settings.model_copy(
        update={**dict.fromkeys(LIMITS, 1_000_000), "webhook_private_hosts": frozenset({"127.0.0.0/8"})}
    )


@pytest.fixture
async def street(
    generous: Settings,
    api_worker: TestWorker,
    me: NewIdentity,
    new_identity: Callable[[], Awaitable[NewIdentity]],
) -> AsyncIterator[Street]:
    they = await new_identity()
    await beat(api_worker)
    async with serving(generous) as app, above(generous) as owner:
        for word, who in ((WORD, they), ("sparrow", me)):
            async with client_of(app, who) as client:
                await settle(client, api_worker, word)
            await furnish(owner, who, word)
        theirs: dict[str, Any] = {name: str(found) for name, found in (await ids_by_table(owner, they)).items()}
        theirs |= {"users.email": they.email, "my.email": me.email, "my.password": me.password}
        theirs |= {"profile_versions.version": "1"}
        yield Street(app=app, owner=owner, they=they, me=me, theirs=theirs, tables=await tables_of_tenants(owner))


def operations(app: FastAPI) -> list[tuple[str, str, dict[str, Any]]]:
    """Method, path and description of each."""
    return [
        (method.upper(), path, operation)
        for path, of_path in app.openapi()["paths"].items()
        for method, operation in of_path.items()
    ]


async def test_the_table_has_every_operation_and_every_field_that_takes_an_id(street: Street) -> None:
    document = street.app.openapi()
    for _, path, operation in operations(street.app):
        name = operation["operationId"]
        if name in ELSEWHERE:
            continue
        assert name in TRESPASSES, (
            f"`{name}` ({path}) is new: add it to TRESPASSES in tests/integration/trespasses.py, with a request that "
            "has `Their(table)` wherever it takes an id, and with what may be answered"
        )
        for parameter in operation.get("parameters", ()):
            if parameter["in"] == "path":
                table = OF_PATHS.get(parameter["name"])
                assert table in street.theirs, (
                    f"`{path}`: say in OF_PATHS (tests/integration/trespasses.py) which table {parameter['name']} is of"
                )
        tried = {
            name for trespass in TRESPASSES[name] for part in (trespass.body, trespass.query) for name in named_in(part)
        }
        assert id_fields(document, operation) <= tried, f"`{name}`: no trespass puts an id of theirs into these fields"
    assert set(TRESPASSES) - {operation["operationId"] for _, _, operation in operations(street.app)} <= {"get_openapi"}


@pytest.mark.parametrize("is_of_both", [False, True], ids=["a stranger", "a member of both by the key of one"])
async def test_nothing_of_theirs_is_found_changed_or_told(
    street: Street, is_of_both: bool, subtests: pytest.Subtests
) -> None:
    if is_of_both:
        await street.owner.execute(
            "INSERT INTO memberships (tenant_id, user_id, role) VALUES ($1, $2, 'owner')",
            street.they.tenant_id,
            street.me.user_id,
        )
    marks = await street.marks()
    for method, path, operation in operations(street.app):
        name = operation["operationId"]
        if is_of_both and name == "login":
            continue  # who is a member may sign in
        for trespass in TRESPASSES.get(name, ()):
            with subtests.test(operation=name, trespass=repr(trespass)[:80]):
                before = await street.state(but_not=trespass.leaves)
                async with _client(street, street.me, name) as client:
                    answer, sent = await _send(street, client, method, path, operation, trespass)
                assert answer.status_code in trespass.answers, answer.text
                # A problem says again what it was about, so what I sent may be in it.
                known = sent if answer.is_error or name == "create_invitation" else set()
                assert [mark for mark in marks - known if mark in answer.text or mark in str(answer.headers)] == []
                assert await street.state(but_not=trespass.leaves) == before
            await street.forget_my_attempts()


async def test_the_same_requests_find_it_where_it_is_ones_own(street: Street, subtests: pytest.Subtests) -> None:
    """Else the test above would prove nothing. And each change that is made leaves its line in the audit log."""
    ordered = sorted(
        operations(street.app), key=lambda found: ("logout" in found[1], found[0] == "DELETE", -len(found[1]))
    )
    silent = set()
    for method, path, operation in ordered:
        name = operation["operationId"]
        for trespass in TRESPASSES.get(name, ()):
            with subtests.test(operation=name):
                async with _client(street, street.they, name) as client:
                    answer, _ = await _send(street, client, method, path, operation, trespass)
                if "{" in path and trespass.answers == frozenset({404}):
                    assert answer.status_code not in (401, 404), answer.text
                    assert method != "GET" or answer.is_success, answer.text
                is_done = method != "GET" and answer.is_success and '"changed":0' not in answer.text
                if is_done and not await _lines(street, name):
                    silent.add(name)
    assert silent == CHANGE_NOTHING


async def _lines(street: Street, action: str) -> int:
    count: int = await street.owner.fetchval(
        "SELECT count(*) FROM audit_log WHERE action = $1 AND outcome = 'done'", action
    )
    return count


async def test_a_cursor_of_theirs_leads_to_my_own_list(street: Street, subtests: pytest.Subtests) -> None:
    mine = {name: str(found) for name, found in (await ids_by_table(street.owner, street.me)).items()}
    marks, used = await street.marks(), 0
    for _, path, operation in operations(street.app):
        if not any(parameter["name"] == "cursor" for parameter in operation.get("parameters", ())):
            continue
        name = operation["operationId"]
        async with _client(street, street.they, name) as they, _client(street, street.me, name) as me:
            given = await they.get(_filled(path, street.theirs), params={"limit": 1})
            assert given.status_code == 200, given.text
            if (cursor := given.json()["next_cursor"]) is None:
                continue
            used += 1
            with subtests.test(operation=name):
                answer = await me.get(_filled(path, mine), params={"limit": 100, "cursor": cursor})
                assert answer.status_code in (200, 422), answer.text
                assert [mark for mark in marks if mark in answer.text] == []
    assert used >= LEAST_CURSORS


async def test_the_same_idempotency_key_means_two_things_in_two_tenants(street: Street) -> None:
    ids = set()
    for who in (street.they, street.me):
        async with client_of(street.app, who) as client:
            answer = await _post_the_same(client)
        assert answer.status_code == 202, answer.text
        ids.add(answer.json()["document"]["id"])
    assert len(ids) == 2


async def _post_the_same(client: httpx.AsyncClient) -> httpx.Response:
    """To the byte: the boundary of httpx would be another each time."""
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nThe same bytes.\r\n--x--\r\n'
    headers = {"Idempotency-Key": "the-same-key", "Content-Type": "multipart/form-data; boundary=x"}
    return await client.post("/api/v1/documents", content=body, headers=headers)


async def test_what_happens_in_one_tenant_is_not_heard_in_another(
    generous: Settings, me: NewIdentity, new_identity: Callable[[], Awaitable[NewIdentity]]
) -> None:
    """Their job moves first, then mine: whoever would hear theirs hears it before mine."""
    they = await new_identity()
    async with (
        live_server.serving(generous) as server,
        live_server.driving(server, they) as their_hands,
        live_server.driving(server, me) as my_hands,
        server.http() as http,
    ):
        waiting = await their_hands.create(document_name=f"{WORD} waits")
        async with (
            server.socket(me) as socket,
            http.stream("GET", "/events", headers={"X-API-Key": me.api_key}) as stream,
        ):
            assert await live_server.snapshot(socket) == []
            lines = stream.aiter_lines()
            await _event(lines, "snapshot")
            job = await their_hands.create(document_name=f"{WORD} runs")
            await their_hands.advance(job, await their_hands.claim(job), "extracting", 0.5)
            mine = await my_hands.create()
            heard = await live_server.hear(socket)
            assert heard["job_id"] == str(mine)
            assert str(mine) in await _event(lines, "job_queued")
        assert waiting != job


@pytest.mark.parametrize("way", ["key", "ticket", "first message"])
async def test_a_socket_of_theirs_is_closed_to_me(
    generous: Settings, me: NewIdentity, new_identity: Callable[[], Awaitable[NewIdentity]], way: str
) -> None:
    they = await new_identity()
    path = f"/ws/{they.user_id}"
    async with live_server.serving(generous) as server, server.http() as http:
        ticket = (await http.post("/ws/tickets", headers={"X-API-Key": me.api_key})).json()["ticket"]
        if way == "key":
            opening = server.socket(me, path)
        else:
            opening = connect(server.url(f"{path}?ticket={ticket}" if way == "ticket" else path))
        async with opening as socket:
            if way == "first message":
                await socket.send(msgspec.json.encode({"type": "auth", "token": ticket}).decode())
            assert await live_server.closed(socket) == 4403


@asynccontextmanager
async def _client(street: Street, who: NewIdentity, operation: str) -> AsyncIterator[httpx.AsyncClient]:
    """With a key, or signed in for what a key cannot do."""
    async with client_of(street.app, who) as client:
        if operation in IN_SESSION:
            tokens = await login(client, who, tenant_id=str(who.tenant_id))
            client.headers.update(bearer(tokens))
        yield client


async def _send(
    street: Street, client: httpx.AsyncClient, method: str, path: str, operation: Mapping[str, Any], trespass: Trespass
) -> tuple[httpx.Response, set[str]]:
    """The answer, and what of theirs was in the request."""
    sent: set[str] = set()

    def put(value: Any) -> Any:
        if isinstance(value, Their):
            sent.add(street.theirs[value.table])
            return street.theirs[value.table]
        if isinstance(value, Mapping):
            return {name: put(given) for name, given in value.items()}
        return [put(given) for given in value] if isinstance(value, list) else value

    filled = path
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "path":
            filled = filled.replace(f"{{{parameter['name']}}}", put(Their(OF_PATHS[parameter["name"]])))
    body = put(trespass.body)
    answer = await client.request(
        method, filled, params=put(trespass.query), json=body, files=dict(trespass.files) or None
    )
    return answer, sent


def _filled(path: str, ids: Mapping[str, Any]) -> str:
    for name, table in OF_PATHS.items():
        path = path.replace(f"{{{name}}}", str(ids.get(table)))
    return path


async def _event(lines: AsyncIterator[str], wanted: str) -> str:
    """The data of the next event, which must be of this type; greetings and comments are passed over."""
    async with asyncio.timeout(WITHIN):
        while True:
            line = await anext(lines)
            if line.startswith("event: ") and line != "event: hello":
                assert line == f"event: {wanted}"
            elif line.startswith("data: ") and '"type":"hello"' not in line:
                return line
