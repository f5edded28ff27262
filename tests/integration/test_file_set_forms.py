"""Forms of many files: hostile, cut off, too large, sent twice; whatever fails leaves nothing behind."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.types import Message

from arqueduct.errors import DependencyUnavailable
from arqueduct.identity import NewIdentity
from arqueduct.settings import Settings
from arqueduct.storage import Storage
from arqueduct_backend.idempotency import Once
from arqueduct_backend.main import ROUTERS, UPLOADS
from arqueduct_backend.multipart import BYTES_OF_A_PART, FIELDS_BYTES
from tests.integration.backend import client_of, problem, serving, stored_files
from tests.integration.file_sets import SETS, accepted, codes, files_of, make, parts
from tests.integration.many_jobs import Owner, owning
from tests.integration.test_api_uploads import FORM, form, in_slices, part

NAME = part('name="name"', b"Rivers")
ONE = part('name="files"; filename="a.txt"', b"Water flows.")
TWO = part('name="files"; filename="b.txt"', b"It flows downhill.")
FILES = 5
TOTAL = 50_000


@pytest.fixture
async def owner(settings: Settings) -> AsyncIterator[Owner]:
    async with owning(settings) as connection:
        yield connection


@pytest.fixture
async def small(settings: Settings, me: NewIdentity) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an API that takes few and small files."""
    limits = {"max_files_per_request": FILES, "max_files_per_set": 7, "max_request_bytes": TOTAL}
    async with serving(settings.model_copy(update=limits)) as app, client_of(app, me) as client:
        yield client


async def rows(owner: Owner) -> list[int]:
    return [
        await owner.fetchval(f"SELECT count(*) FROM {table}")
        for table in ("file_sets", "file_set_files", "documents", "blobs")
    ]


MALFORMED = [
    (b"", "invalid_request"),
    (b"not a form at all", "invalid_request"),
    (NAME + ONE, "invalid_request"),
    (form(NAME, ONE)[:-6], "invalid_request"),
    (form(ONE), "invalid_request"),
    (form(NAME, NAME, ONE), "invalid_request"),
    (form(NAME, part('name="unknown"', b"x"), ONE), "invalid_request"),
    (form(part('name="name"', b""), ONE), "invalid_request"),
    (form(part('name="name"', b" padded"), ONE), "invalid_request"),
    (form(part('name="name"', b"x" * 201), ONE), "invalid_request"),
    (form(part('name="name"', b"a\0b"), ONE), "invalid_request"),
    (form(part('name="name"', b"\xff\xfe"), ONE), "invalid_request"),
    (form(NAME, part('name="description"', b"x" * 2001), ONE), "invalid_request"),
    (form(NAME, part('name="description"', b"x" * 70_000), ONE), "invalid_request"),
    (form(NAME, part('name="metadata"', b"[1]"), ONE), "invalid_request"),
    (form(NAME, part('name="metadata"', b"{"), ONE), "invalid_json"),
    (form(NAME, part('name="metadata"', b'{"a": NaN}'), ONE), "invalid_json"),
    (form(NAME, part('name="metadata"', b'{"a":' * 40 + b"1" + b"}" * 40), ONE), "complex_json"),
    (form(NAME, part('name="metadata"', b"[" * 60_000), ONE), "complex_json"),
    (form(NAME, part('name="metadata"', b'{"a":' * 9 + b"1" + b"}" * 9), ONE), "invalid_request"),
    (form(NAME, part('name="metadata"', json.dumps({"a": "x" * 17_000}).encode()), ONE), "invalid_request"),
    (b"--frontier\r\nContent-Disposition\r\n\r\n", "invalid_request"),
    (b"--frontier\r\n" + b"X-A: b\r\n" * 50_000, "invalid_request"),
]


async def test_a_malformed_form_is_refused_as_a_whole(
    api: httpx.AsyncClient, settings: Settings, owner: Owner, subtests: pytest.Subtests
) -> None:
    for body, code in MALFORMED:
        with subtests.test(repr(body[:120])):
            problem(await api.post(SETS, content=body, headers=FORM), 422, code)
    for kind in ("", "text/plain", "multipart/form-data", "application/json"):
        with subtests.test(kind):
            answer = await api.post(SETS, content=form(NAME, ONE), headers={"Content-Type": kind})
            assert answer.status_code == 422
    assert await rows(owner) == [0, 0, 0, 0]
    assert await stored_files(settings) == []


async def test_a_field_that_is_wrong_is_named(api: httpx.AsyncClient) -> None:
    answer = await api.post(SETS, content=form(part('name="name"', b" x"), ONE), headers=FORM)
    assert [error["pointer"] for error in problem(answer, 422, "invalid_request")["errors"]] == ["#/name"]


@pytest.mark.parametrize("slice_of", [1, 7, 4096])
async def test_a_form_may_come_in_any_slices_and_any_order(api: httpx.AsyncClient, slice_of: int) -> None:
    odd = b"Water\r\n--frontie\r\nflows\r\n--\r\n" * 20
    body = form(ONE, part('name="files"; filename="odd.txt"', odd), NAME, TWO, part('name="metadata"', b'{"a": 1}'))
    answer = await api.post(SETS, content=in_slices(body, slice_of), headers=FORM)
    assert (answer.status_code, codes(answer.json())) == (201, [None, None, None])
    assert answer.json()["metadata"] == {"a": 1}
    sizes = [file["document"]["size"] for file in await files_of(api, answer.json())]
    assert sizes == [12, len(odd), 18]


async def test_without_a_file_nothing_is_uploaded(api: httpx.AsyncClient) -> None:
    made = await make(api)
    for body in (form(part('name="files"', b"no name")), form(part('name="file"; filename="a.txt"', b"wrong"))):
        problem(await api.post(f"{SETS}/{made['id']}/files", content=body, headers=FORM), 422, "missing_file")


NAMES = [
    ('filename="../../etc/passwd.txt"', "etc/passwd.txt"),
    ("filename*=UTF-8''a%2F..%2Fna%C3%AFve.txt", "a/naïve.txt"),
    ('filename="C:\\\\Users\\\\me\\\\r.txt"', "r.txt"),
    ('filename="a\x01/b\x7f.txt"', "a/b .txt"),
    ('filename="cafe\u0301.txt"', "café.txt"),
    ('filename="x/invoice\u202etxt.exe"', "x/invoice txt.exe"),
]


async def test_a_hostile_path_stays_in_the_set(
    api: httpx.AsyncClient, settings: Settings, subtests: pytest.Subtests
) -> None:
    for number, (sent, kept) in enumerate(NAMES):
        with subtests.test(sent):
            body = form(NAME, part(f'name="files"; {sent}', b"Water %d flows." % number))
            answer = await api.post(SETS, content=body, headers=FORM)
            assert codes(answer.json()) == [None]
            assert answer.json()["files"][0]["path"] == kept
    assert all("blobs/" in path for path in await stored_files(settings)), "no file is called by a client"


async def test_more_files_than_a_request_may_have_are_none(
    small: httpx.AsyncClient, settings: Settings, owner: Owner
) -> None:
    files = [(f"{number}.txt", b"File %d" % number) for number in range(FILES + 1)]
    problem(await small.post(SETS, files=parts(files, name="Many")), 413, "too_many_files")
    assert await rows(owner) == [0, 0, 0, 0]
    assert codes(await make(small, *files[:FILES])) == [None] * FILES
    assert len(await stored_files(settings)) == FILES


async def test_more_files_than_a_set_may_have_are_none(
    small: httpx.AsyncClient, settings: Settings, owner: Owner
) -> None:
    files = [(f"{number}.txt", b"File %d" % number) for number in range(10)]
    made = await make(small, *files[:5])
    answer = await small.post(f"{SETS}/{made['id']}/files", files=parts(files[5:8]))
    assert "this one has 5, and 3 more came" in problem(answer, 413, "too_many_files")["detail"]
    assert await rows(owner) == [1, 5, 5, 5]
    assert len(await stored_files(settings)) == 5
    document = {"document_ids": accepted(made)}
    other = await make(small, *files[5:9], name="Other")
    problem(await small.post(f"{SETS}/{other['id']}/documents", json=document), 413, "too_many_files")
    answer = await small.post(f"{SETS}/{made['id']}/files", files=parts(files[3:7]))
    assert codes(answer.json()) == ["duplicate_file", "duplicate_file", None, None], "only what is new takes room"


@pytest.mark.parametrize("is_announced", [True, False])
async def test_more_bytes_than_a_request_may_have_are_none(
    small: httpx.AsyncClient, settings: Settings, owner: Owner, is_announced: bool
) -> None:
    body = form(NAME, *(part(f'name="files"; filename="{n}.txt"', b"%d" % n * 20_000) for n in range(1, 4)))
    content: Any = body if is_announced else in_slices(body, 4096)
    assert problem(await small.post(SETS, content=content, headers=FORM), 413, "upload_too_large")["limit"] == TOTAL
    assert await rows(owner) == [0, 0, 0, 0]
    assert await stored_files(settings) == []


@pytest.mark.parametrize(
    "endless",
    [
        part('name="files"; filename="a.txt"', b"x" * 4096),
        part('name="files"; filename="a.txt"', b""),
        part('name="note"', b""),
        part(f'name="files"; filename="{"x" * 3000}"', b""),
        b"\r\n" * 2048,
    ],
    ids=["files", "empty files", "fields", "long names", "newlines"],
)
async def test_an_endless_form_is_stopped(small: httpx.AsyncClient, settings: Settings, endless: bytes) -> None:
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        yield NAME
        while True:
            sent += len(endless)
            yield endless

    answer = await small.post(SETS, content=body(), headers=FORM)
    assert answer.status_code in (413, 422)
    assert sent < TOTAL + FIELDS_BYTES + FILES * BYTES_OF_A_PART + 2**18
    assert await stored_files(settings) == []


async def test_a_client_that_leaves_leaves_nothing(
    app: FastAPI, me: NewIdentity, settings: Settings, owner: Owner
) -> None:
    messages: list[Message] = [
        {"type": "http.request", "body": NAME + ONE + TWO + ONE[:-2] + b"x" * 2**20, "more_body": True},
        {"type": "http.disconnect"},
    ]
    assert await _statuses(app, me, messages) in ([], [499])
    assert await rows(owner) == [0, 0, 0, 0]
    assert await stored_files(settings) == []


async def test_a_cancelled_upload_leaves_nothing(
    app: FastAPI, me: NewIdentity, settings: Settings, owner: Owner
) -> None:
    waiting = asyncio.Event()

    async def receive() -> Message:
        if waiting.is_set():
            await asyncio.Event().wait()
        waiting.set()
        return {"type": "http.request", "body": NAME + ONE + ONE[:-2] + b"x" * 2**20, "more_body": True}

    async def send(_message: Message) -> None:
        raise AssertionError("nobody is there")

    request = asyncio.create_task(app(_scope(me), receive, send))
    await waiting.wait()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert await rows(owner) == [0, 0, 0, 0]
    assert await stored_files(settings) == []


@pytest.mark.parametrize("fails", ["note", "keep"])
async def test_a_failure_at_the_end_leaves_nothing(
    api: httpx.AsyncClient, settings: Settings, owner: Owner, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(f"arqueduct_backend.access.Acting.{fails}", broken)
    answer = await api.post(SETS, files=parts([("a.txt", b"A."), ("b.txt", b"B.")], name="x"))
    assert answer.status_code == 500
    assert await rows(owner) == [0, 0, 0, 0]
    assert await stored_files(settings) == []


async def test_a_storage_that_fails_in_the_middle_keeps_nothing(
    api: httpx.AsyncClient, settings: Settings, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, calls = Storage.put_file, 0

    async def failing(self: Storage, *arguments: Any) -> None:
        nonlocal calls
        calls += 1
        if calls > 12:
            raise DependencyUnavailable("The storage is full.")
        await put(self, *arguments)

    monkeypatch.setattr(Storage, "put_file", failing)
    files = [(f"{number}.txt", b"File %d" % number) for number in range(30)]
    problem(await api.post(SETS, files=parts(files, name="x")), 503, "dependency_unavailable")
    assert await rows(owner) == [0, 0, 0, 0]
    assert await stored_files(settings) == []


async def test_a_full_disk_is_a_problem_of_the_server(
    api: httpx.AsyncClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("arqueduct_backend.uploads._File.append", full)
    answer = await api.post(SETS, files=parts([("a.txt", b"Water flows.")], name="x"))
    assert "No space left" in problem(answer, 503, "dependency_unavailable")["detail"]
    assert await stored_files(settings) == []


async def test_the_same_form_sent_again_makes_nothing_new(api: httpx.AsyncClient, owner: Owner) -> None:
    files, key = [("a.txt", b"A."), ("b.txt", b"B.")], {"Idempotency-Key": "set-1"}
    first = await api.post(SETS, files=parts(files, name="x"), headers=key)
    again = await api.post(SETS, files=parts(files, name="x"), headers=key)
    assert (again.status_code, again.headers["idempotency-replayed"]) == (201, "true")
    assert again.json() == first.json()
    assert await rows(owner) == [1, 2, 2, 2]
    for other in (parts(files[::-1], name="x"), parts(files, name="y"), parts(files[:1], name="x")):
        problem(await api.post(SETS, files=other, headers=key), 422, "idempotency_key_reused")
    address, key = f"{SETS}/{first.json()['id']}/files", {"Idempotency-Key": "set-2"}
    added = [await api.post(address, files=parts([("c.txt", b"C.")]), headers=key) for _ in range(2)]
    assert codes(added[0].json()) == codes(added[1].json()) == [None]


async def test_the_same_form_sent_at_the_same_time_makes_one_set(api: httpx.AsyncClient, owner: Owner) -> None:
    files, key = [("a.txt", b"A."), ("b.txt", b"B.")], {"Idempotency-Key": "at-once"}
    answers = await asyncio.gather(*(api.post(SETS, files=parts(files, name="x"), headers=key) for _ in range(4)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert (await rows(owner))[:2] == [1, 2]


def test_only_routes_that_take_files_may_have_large_bodies() -> None:
    for prefix, routers in ROUTERS.items():
        for route in (route for router in routers for route in router.routes if isinstance(route, APIRoute)):
            takes_files = any(
                isinstance(found.dependency, Once) and found.dependency._has_file for found in route.dependencies
            )
            path = prefix + route.path.format_map({"file_set_id": "0", "document_id": "0"}) if takes_files else ""
            assert not takes_files or UPLOADS.fullmatch(path), path
            assert takes_files or "POST" not in route.methods or not UPLOADS.fullmatch(prefix + route.path)


async def test_a_large_body_elsewhere_is_still_refused(api: httpx.AsyncClient) -> None:
    made = await make(api)
    body = {"document_ids": ["x" * 2**20]}
    problem(await api.post(f"{SETS}/{made['id']}/documents", json=body), 413, "request_too_large")
    problem(await api.patch(f"{SETS}/{made['id']}", json={"name": "x" * 2**20}), 413, "request_too_large")


async def _statuses(app: FastAPI, me: NewIdentity, messages: Sequence[Message]) -> list[int]:
    left, statuses = list(messages), []

    async def receive() -> Message:
        return left.pop(0)

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await app(_scope(me), receive, send)
    return statuses


def _scope(me: NewIdentity) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": SETS,
        "raw_path": SETS.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [
            (b"authorization", f"Bearer {me.api_key}".encode()),
            (b"content-type", FORM["Content-Type"].encode()),
        ],
    }
