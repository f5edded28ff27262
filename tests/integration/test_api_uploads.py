"""Uploads: streamed, bounded, named safely, and gone without a trace when they fail."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import Message

from arqueduct.identity import NewIdentity
from arqueduct.settings import Settings
from tests.integration.backend import client_of, problem, serving, stored_files, upload

BOUNDARY = "frontier"
FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
LIMIT = 300_000


def part(disposition: str, content: bytes) -> bytes:
    return f"--{BOUNDARY}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n".encode() + content + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


FILE = part('name="file"; filename="a.txt"', b"Water flows.")


@pytest.fixture
async def small(settings: Settings, me: NewIdentity) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an API that takes small files only."""
    limited = settings.model_copy(update={"max_upload_bytes": LIMIT})
    async with serving(limited) as app, client_of(app, me) as client:
        yield client


async def in_slices(body: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


@pytest.mark.parametrize("slice_of", [1, 7, 4096])
async def test_a_body_may_come_in_any_slices(api: httpx.AsyncClient, slice_of: int) -> None:
    content = b"Water\r\n--frontie\r\nflows\r\n--\r\n" * 20
    body = form(part('name="note"', b"first"), part('name="file"; filename="a.txt"', content))
    answer = await api.post("/api/v1/documents", content=in_slices(body, slice_of), headers=FORM)
    document = answer.json()["document"]
    assert (document["size"], document["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())


async def test_a_file_of_megabytes_comes_whole(api: httpx.AsyncClient) -> None:
    content = b"".join(b"line %d of a long text\n" % number for number in range(200_000))
    document = (await upload(api, content, "long.txt"))["document"]
    assert document["sha256"] == hashlib.sha256(content).hexdigest()
    assert (await api.get(f"/api/v1/documents/{document['id']}/content")).content == content


NAMES = [
    ('filename="plain.txt"', "plain.txt"),
    ('filename="naïve.txt"', "naïve.txt"),
    ("filename=\"x.txt\"; filename*=UTF-8''na%C3%AFve%20file.txt", "naïve file.txt"),
    ("filename*=iso-8859-1'de'%E4.txt", "ä.txt"),
    ('filename="../../etc/passwd.txt"', "passwd.txt"),
    ('filename="C:\\\\Users\\\\me\\\\report.txt"', "report.txt"),
    ('filename="a\x01b\x7f.txt"', "a b .txt"),
    ('filename="invoice\u202etxt.exe"', "invoice txt.exe"),
    ('filename="..."', "..."),
    ('filename=".."', "unnamed"),
    ('filename="/"', "unnamed"),
    (f'filename="{"ü" * 400}.txt"', "ü" * 251 + ".txt"),
]

MALFORMED = [
    (b"", "invalid_request"),
    (b"not a form at all", "invalid_request"),
    (FILE, "invalid_request"),
    (form(FILE)[:-6], "invalid_request"),
    (form(FILE, FILE), "invalid_request"),
    (form(part('name="file"; filename="a.txt"', b"")), "empty_upload"),
    (form(part('name="file"', b"no name")), "missing_file"),
    (form(part('name="file"; filename=""', b"")), "missing_file"),
    (form(part('name="upload"; filename="a.txt"', b"wrong field")), "missing_file"),
    (form(part('name="note"', b"x" * 70_000), FILE), "invalid_request"),
    (b"--frontier\r\nContent-Disposition\r\n\r\n", "invalid_request"),
    (b"--frontier\r\n" + b"X-A: b\r\n" * 50_000, "invalid_request"),
]


async def test_a_name_is_shown_but_never_a_path(api: httpx.AsyncClient, subtests: pytest.Subtests) -> None:
    for sent, shown in NAMES:
        with subtests.test(sent):
            body = form(part(f'name="file"; {sent}', b"Water flows."))
            answer = await api.post("/api/v1/documents", content=body, headers=FORM)
            assert answer.status_code == 202, answer.text
            assert answer.json()["document"]["name"] == shown


async def test_a_malformed_form_is_refused(
    api: httpx.AsyncClient, settings: Settings, subtests: pytest.Subtests
) -> None:
    for body, code in MALFORMED:
        with subtests.test(repr(body[:80])):
            problem(await api.post("/api/v1/documents", content=body, headers=FORM), 422, code)
    assert await stored_files(settings) == []


async def test_another_kind_of_body_is_refused(api: httpx.AsyncClient, subtests: pytest.Subtests) -> None:
    for kind in ("", "text/plain", "multipart/form-data", f"multipart/form-data; boundary={'x' * 500}"):
        with subtests.test(kind[:40]):
            answer = await api.post("/api/v1/documents", content=form(FILE), headers={"Content-Type": kind})
            assert answer.status_code == 422
            assert answer.json()["code"] in ("missing_file", "invalid_request")


async def test_a_file_of_exactly_the_limit_is_taken(small: httpx.AsyncClient) -> None:
    assert (await upload(small, b"x" * LIMIT, "a.txt"))["document"]["size"] == LIMIT


@pytest.mark.parametrize("excess", [1, 2**20])
async def test_a_file_over_the_limit_is_refused(small: httpx.AsyncClient, settings: Settings, excess: int) -> None:
    answer = await small.post("/api/v1/documents", files={"file": ("a.txt", b"x" * (LIMIT + excess))})
    assert problem(answer, 413, "upload_too_large")["limit"] == LIMIT
    assert await stored_files(settings) == []


@pytest.mark.parametrize("endless", [b"x" * 65536, b"\r\n" * 32768])
async def test_an_endless_body_is_stopped(small: httpx.AsyncClient, settings: Settings, endless: bytes) -> None:
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        yield b'--frontier\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        while True:
            sent += len(endless)
            yield endless

    answer = await small.post("/api/v1/documents", content=body(), headers=FORM)
    problem(answer, 413, "upload_too_large")
    assert sent < LIMIT + 2**18
    assert await stored_files(settings) == []


async def test_a_body_of_newlines_alone_is_stopped(small: httpx.AsyncClient) -> None:
    answer = await small.post("/api/v1/documents", content=in_slices(b"\r\n" * LIMIT, 65536), headers=FORM)
    assert answer.status_code in (413, 422)


async def test_a_client_that_leaves_leaves_nothing(app: FastAPI, me: NewIdentity, settings: Settings) -> None:
    messages: list[Message] = [
        {"type": "http.request", "body": FILE + b"x" * 2**20, "more_body": True},
        {"type": "http.disconnect"},
    ]
    assert await _statuses(app, me, messages) in ([], [499])
    assert await stored_files(settings) == []


async def test_a_cancelled_upload_leaves_nothing(app: FastAPI, me: NewIdentity, settings: Settings) -> None:
    waiting = asyncio.Event()

    async def receive() -> Message:
        if waiting.is_set():
            await asyncio.Event().wait()
        waiting.set()
        return {"type": "http.request", "body": FILE[:-2] + b"x" * 2**20, "more_body": True}

    async def send(_message: Message) -> None:
        raise AssertionError("nobody is there")

    request = asyncio.create_task(app(_scope(me), receive, send))
    await waiting.wait()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert await stored_files(settings) == []


async def test_without_a_key_no_body_is_read(app: FastAPI, me: NewIdentity) -> None:
    async def receive() -> Message:
        raise AssertionError("the body was read")

    statuses: list[int] = []

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope = _scope(me) | {"headers": [(b"content-type", FORM["Content-Type"].encode())]}
    await app(scope, receive, send)
    assert statuses == [401]


async def test_bytes_of_an_unsupported_file_are_gone(api: httpx.AsyncClient, settings: Settings) -> None:
    answer = await api.post("/api/v1/documents", files={"file": ("a.pdf", b"\x89PNG\r\n\x1a\n" + bytes(500))})
    assert "PNG" in problem(answer, 415, "unsupported_format")["detail"]
    assert await stored_files(settings) == []


async def test_a_full_disk_is_a_problem_of_the_server(
    api: httpx.AsyncClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("arqueduct_backend.uploads._File.append", full)
    answer = await api.post("/api/v1/documents", files={"file": ("a.txt", b"Water flows.")})
    assert "No space left" in problem(answer, 503, "dependency_unavailable")["detail"]
    assert await stored_files(settings) == []


async def _statuses(app: FastAPI, me: NewIdentity, messages: Sequence[Message]) -> list[int]:
    """What was answered to a body of these messages."""
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
        "path": "/api/v1/documents",
        "raw_path": b"/api/v1/documents",
        "root_path": "",
        "query_string": b"",
        "headers": [
            (b"authorization", f"Bearer {me.api_key}".encode()),
            (b"content-type", FORM["Content-Type"].encode()),
        ],
    }
