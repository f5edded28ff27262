"""Bodies, headers and forms that are too large, too slow or too clever: each gets its problem, and leaves nothing."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx
import pytest

from arqueduct.errors import ComplexJSON, InvalidJSON, SlowBody
from arqueduct.identity import NewIdentity
from arqueduct.settings import Settings
from arqueduct_backend import shape
from arqueduct_backend.patience import Patience
from arqueduct_backend.protocols import MOST_HEAD_BYTES, MOST_HEADERS
from arqueduct_backend.uploads import SLICE
from tests.integration.backend import client_of, files_below, problem, serving, stored_files
from tests.integration.live_server import LiveServer
from tests.integration.live_server import serving as listening
from tests.integration.worker import until

JSON = {"Content-Type": "application/json"}
PATIENCE = 20.0
BOUNDARY = "frontier"
PART = b'--frontier\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nWater flows.'


def nested(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


GOOD = [
    b"",
    b"{}",
    b"not json at all",
    nested(32),
    b"[" + b"[]," * 10_000 + b"[]]",
    json.dumps({"query": "[" * 100 + '\\"' + "{" * 100}).encode(),
    json.dumps({"query": "NaN", "other": "9" * 100, "third": "1e999"}).encode(),
    json.dumps([1.7976931348623157e308, -5e-324, 2**63, 0.1, 1e100]).encode(),
]
BAD: list[tuple[bytes, type[Exception]]] = [
    (nested(33), ComplexJSON),
    (b'{"a":' * 33 + b"1" + b"}" * 33, ComplexJSON),
    (b"[" * 1_000_000, ComplexJSON),
    (b'["\\\\",' + nested(33) + b"]", ComplexJSON),
    (b'["\\"]",' + nested(33) + b"]", ComplexJSON),
    (b"[" + b"1" * 65 + b"]", ComplexJSON),
    (b"[0." + b"1" * 100 + b"]", ComplexJSON),
    (b"[1e309]", ComplexJSON),
    (b"[-1E+999999]", ComplexJSON),
    (b"[NaN]", InvalidJSON),
    (b'{"a": -Infinity}', InvalidJSON),
    ('{"a": 1}'.encode("utf-16"), InvalidJSON),
]


@pytest.mark.parametrize("body", GOOD, ids=range(len(GOOD)))
def test_a_body_of_a_sane_shape_passes(body: bytes) -> None:
    shape.check(body)


@pytest.mark.parametrize(("body", "error"), BAD, ids=range(len(BAD)))
def test_a_body_that_is_hard_to_parse_does_not(body: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        shape.check(body)


HARD = [b'"' + b'\\"' * 500_000, b'"' * 2**20, b"[{" * 2**19, b"1" * 2**20, b'[""],' * 200_000, b"1e5 " * 2**18]


@pytest.mark.parametrize("body", HARD, ids=range(len(HARD)))
def test_the_worst_body_is_told_in_no_time(body: bytes) -> None:
    began = time.process_time()
    with suppress(ComplexJSON, InvalidJSON):
        shape.check(body)
    assert time.process_time() - began < 1


async def test_the_shape_is_checked_before_anything_is_parsed(settings: Settings, me: NewIdentity) -> None:
    async with serving(settings) as app, client_of(app, me) as api:
        for content, code in (
            (b'{"query": ' + nested(33) + b"}", "complex_json"),
            (b'{"query": "a", "limit": ' + b"9" * 5000 + b"}", "complex_json"),
            (b'{"query": "a", "limit": NaN}', "invalid_json"),
        ):
            problem(await api.post("/api/v1/search", content=content, headers=JSON), 422, code)
        found = await api.post("/api/v1/search", json={"query": "[" * 100, "mode": "text"})
        assert found.status_code == 200


FORMS = [
    (b'--frontier\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n' * 17, "more than 16 parts"),
    (b"--frontier\r\n" + b"X-A: b\r\n" * 9 + b"\r\n", "header count"),
    (b"--frontier\r\nX-A: " + b"b" * 5000 + b"\r\n\r\n", "header size"),
    (b"--frontier\r\nX-A: " + b"b" * 3_000_000, "header size"),
    (b"--frontier\r\n" + b"X" * 5000 + b": a\r\n\r\n", "header size"),
    (b'--frontier\r\nContent-Disposition: form-data; name="' + b"n" * 101 + b'"\r\n\r\n', "longer than 100"),
]


@pytest.mark.parametrize(("body", "said"), FORMS, ids=range(len(FORMS)))
async def test_a_form_with_too_much_round_the_file_is_refused(
    settings: Settings, me: NewIdentity, body: bytes, said: str
) -> None:
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    async with serving(settings) as app, client_of(app, me) as api:
        answer = await api.post("/api/v1/documents", content=body, headers=headers)
    assert said in problem(answer, 422, "invalid_request")["detail"]
    assert await stored_files(settings) == []


@pytest.mark.parametrize(
    "headers",
    [{f"X-{number}": "a" for number in range(MOST_HEADERS)}, {"X-Long": "a" * MOST_HEAD_BYTES}],
    ids=["many", "long"],
)
async def test_too_many_or_too_large_headers_are_refused(
    settings: Settings, me: NewIdentity, headers: dict[str, str]
) -> None:
    async with serving(settings) as app, client_of(app, me) as api:
        answer = await api.get("/api/v1/jobs", headers=headers)
    problem(answer, 431, "headers_too_large")
    assert answer.headers["connection"] == "close"


class Wire:
    """A connection on which anything can be said."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def rest(self) -> bytes:
        """What comes until the server closes."""
        async with asyncio.timeout(PATIENCE):
            try:
                return await self.reader.read()
            except ConnectionResetError:
                return b""


@asynccontextmanager
async def wired(server: LiveServer) -> AsyncIterator[Wire]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()


def head(me: NewIdentity, path: str = "/documents", *lines: str, method: str = "POST") -> bytes:
    said = [f"{method} /api/v1{path} HTTP/1.1", "Host: api", f"X-API-Key: {me.api_key}", *lines]
    return "\r\n".join([*said, "", ""]).encode()


def answer_of(raw: bytes) -> tuple[int, dict[str, Any]]:
    said, _, body = raw.partition(b"\r\n\r\n")
    assert b"connection: close" in said.lower(), raw
    return int(said.split()[1]), json.loads(body)


@pytest.fixture
async def server(settings: Settings) -> AsyncIterator[LiveServer]:
    async with listening(settings.model_copy(update={"body_idle_seconds": 0.2})) as running:
        yield running


FORM = f"Content-Type: multipart/form-data; boundary={BOUNDARY}"


async def test_a_stalled_upload_is_ended_and_its_file_is_gone(
    server: LiveServer, settings: Settings, me: NewIdentity
) -> None:
    async with wired(server) as wire:
        enough = PART + b"x" * SLICE  # for a file on the disk; what is less waits in memory
        await wire.say(head(me, "/documents", FORM, f"Content-Length: {2 * SLICE}") + enough)

        async def begun() -> bool:
            return len(await stored_files(settings)) == 1

        await until(begun, PATIENCE)
        status, body = answer_of(await wire.rest())
    assert (status, body["code"]) == (408, "slow_body")
    assert await stored_files(settings) == []


@pytest.mark.parametrize("path", ["/search", "/jobs/cancel"])
async def test_a_stalled_body_is_ended(server: LiveServer, me: NewIdentity, path: str) -> None:
    async with wired(server) as wire:
        await wire.say(head(me, path, "Content-Type: application/json", "Content-Length: 50") + b'{"query": ')
        status, body = answer_of(await wire.rest())
    assert (status, body["code"]) == (408, "slow_body")


async def test_an_upload_that_only_drips_is_ended(settings: Settings, me: NewIdentity) -> None:
    async with listening(settings.model_copy(update={"body_idle_seconds": 0.3})) as server, wired(server) as wire:
        await wire.say(head(me, "/documents", FORM, "Content-Length: 100000") + PART)
        dripping = asyncio.create_task(_drip(wire))
        status, body = answer_of(await wire.rest())
        dripping.cancel()
        await asyncio.gather(dripping, return_exceptions=True)
    assert (status, body["code"]) == (408, "slow_body")
    assert await asyncio.to_thread(files_below, settings) == []


async def _drip(wire: Wire) -> None:
    while True:
        await wire.say(b"x")
        await asyncio.sleep(0.1)  # time to read the answer before a byte meets the closed end, and resets it


async def test_patience_ends_where_it_says_and_not_with_a_slow_server() -> None:
    patience = Patience(0.05)

    async def at_once() -> Any:
        return {"type": "http.request", "body": b"x" * 1000, "more_body": True}

    async def never() -> Any:
        await asyncio.Event().wait()

    for _ in range(3):
        await patience.next(at_once)
        await asyncio.sleep(0.06)  # the reader takes its time
    with pytest.raises(SlowBody, match="3,000 bytes had come"):
        await patience.next(never)


async def test_a_body_of_the_right_pace_passes_however_long_it_takes() -> None:
    patience, began = Patience(1.0), time.monotonic()

    async def steadily() -> Any:
        await asyncio.sleep(0.02)
        return {"type": "http.request", "body": b"x" * 1000, "more_body": True}

    while time.monotonic() - began < 1.5:
        await patience.next(steadily)


@pytest.mark.parametrize(
    "said",
    [
        b"GET /livez HTTP/1.1\r\nHost: api\r\nX-Endless: ",
        b"GET /livez HTTP/1.1\r\nHost: api\r\n" + b"X-A: b\r\n" * 20_000,
        b"GET /" + b"a" * 100,
    ],
    ids=["one line", "many lines", "the path"],
)
async def test_headers_without_end_are_cut_off_before_they_fill_the_memory(server: LiveServer, said: bytes) -> None:
    async with wired(server) as wire:
        await wire.say(said)
        reading = asyncio.create_task(wire.rest())
        try:
            for _ in range(200):
                await wire.say(b"a" * 1024)
        except ConnectionError:
            pass
        raw = await reading
    assert raw == b"" or answer_of(raw)[1]["code"] == "headers_too_large"


async def test_a_head_that_is_too_large_gets_its_problem(server: LiveServer) -> None:
    async with wired(server) as wire:
        await wire.say(b"GET /livez HTTP/1.1\r\nHost: api\r\nX-Long: " + b"a" * (MOST_HEAD_BYTES + 1))
        status, body = answer_of(await wire.rest())
    assert (status, body["code"], body["status"]) == (431, "headers_too_large", 431)


async def test_trailers_are_no_headers_and_have_an_end_too(server: LiveServer, me: NewIdentity) -> None:
    lines = ("Content-Type: application/json", "Transfer-Encoding: chunked")
    body = b'{"query": "a", "mode": "text"}'
    chunk = f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n"
    async with wired(server) as wire:
        trailers = b"X-API-Key: aq_wrong\r\nAuthorization: Bearer aq_wrong\r\n\r\n"
        await wire.say(head(me, "/search", *lines, "Connection: close") + chunk + trailers)
        assert (await wire.rest()).startswith(b"HTTP/1.1 200 ")
    async with wired(server) as wire:
        await wire.say(head(me, "/search", *lines) + chunk + b"X-Long: " + b"a" * (2 * MOST_HEAD_BYTES))
        assert b"HTTP/1.1 200 " not in await wire.rest()


async def test_a_handshake_with_headers_that_are_too_long_is_refused(server: LiveServer) -> None:
    async with wired(server) as wire:
        upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        upgrade += f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nX-Long: {'a' * 9000}\r\n\r\n"
        await wire.say(f"GET /api/v1/ws HTTP/1.1\r\nHost: api\r\n{upgrade}".encode())
        status, body = answer_of(await wire.rest())
    assert (status, body["code"]) == (431, "headers_too_large")


@pytest.mark.parametrize("said", [b"", b"GET /livez HTTP/1.1\r\nHo", b"\r\n\r\n"], ids=["nothing", "a part", "lines"])
async def test_a_head_that_never_ends_is_closed(
    server: LiveServer, said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("arqueduct_backend.protocols.HEAD_SECONDS", 0.1)
    async with wired(server) as wire:
        await wire.say(said)
        assert await wire.rest() == b""


async def test_one_who_sends_on_after_the_answer_is_cut_off(
    server: LiveServer, me: NewIdentity, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("arqueduct_backend.protocols.LINGER_SECONDS", 0.2)
    async with wired(server) as wire:
        await wire.say(head(me, "/search", "Content-Type: application/json", f"Content-Length: {2**30}"))
        dripping = asyncio.create_task(_drip(wire))
        raw = await wire.rest()
        dripping.cancel()
        await asyncio.gather(dripping, return_exceptions=True)
    assert raw == b"" or raw.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length: 2", "Content-Length: 3"),
        ("Content-Length: 2", "Transfer-Encoding: chunked"),
        ("Content-Length: +2",),
        ("Transfer-Encoding: chunked, identity",),
    ],
    ids=["two lengths", "both", "signed", "unknown"],
)
async def test_a_length_that_could_be_read_in_two_ways_is_refused(
    server: LiveServer, me: NewIdentity, lines: tuple[str, ...]
) -> None:
    async with wired(server) as wire:
        smuggled = b"{}GET /livez HTTP/1.1\r\nHost: api\r\n\r\n"
        await wire.say(head(me, "/search", "Content-Type: application/json", *lines) + smuggled)
        raw = await wire.rest()
    assert raw.startswith(b"HTTP/1.1 400 ")
    assert raw.count(b"HTTP/1.1 ") == 1


async def test_connections_are_kept_and_used_again(server: LiveServer, me: NewIdentity) -> None:
    limits = httpx.Limits(max_connections=1)
    async with httpx.AsyncClient(base_url=server.url("", "http"), limits=limits, timeout=PATIENCE) as client:
        for _ in range(3):
            answer = await client.get("/jobs", headers={"X-API-Key": me.api_key})
            assert (answer.status_code, answer.headers.get("connection")) == (200, None)
