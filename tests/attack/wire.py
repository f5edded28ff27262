"""What proxies and servers read differently, what never ends, and what is too large: byte by byte."""

import asyncio
import json
import re
import time
from collections.abc import Iterator
from contextlib import suppress

from tests.attack.tally import Tally
from tests.attack.target import PREFIX, Target

__all__ = ["oversize_and_slow", "smuggling"]

SMUGGLED = "GET /api/v1/smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
ANSWER = re.compile(rb"HTTP/1\.1 (\d{3})")
LONGEST_WAIT = 15.0
"""Seconds after which who is slow should have been let go: ten for a head, two for a body, and some."""
MEGABYTE = 2**20


async def smuggling(target: Target, tally: Tally) -> None:
    """Two lengths, or one that can be read in two ways: refused, or read as one request and no more."""

    async def say(raw: str) -> bytes:
        return await target.say(raw.encode("latin-1"), within=2.0)

    plain = f"GET /livez HTTP/1.1\r\nHost: {target.host}\r\n\r\n{SMUGGLED}"
    if b"/smuggled" not in await say(plain):
        tally.not_tried("the answer to a request behind another is not to be seen here: a proxy stands between")
        return
    tries = dict(_ambiguous(target.host))
    for what, heard in zip(tries, await asyncio.gather(*map(say, tries.values())), strict=True):
        codes = [int(code) for code in ANSWER.findall(heard)]
        smuggled = b"/smuggled" in heard
        tally.check(not smuggled and not any(code >= 500 for code in codes), f"{what}: answered {codes}")
    tally.check(await target.is_alive(), "after malformed requests others are not served")


def _ambiguous(host: str) -> Iterator[tuple[str, str]]:
    long = len(SMUGGLED)
    start = f"POST {PREFIX}/search HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
    heads = {
        "two lengths": f"Content-Length: 0\r\nContent-Length: {long}",
        "two lengths, the other way round": f"Content-Length: {long}\r\nContent-Length: 0",
        "a list of lengths": f"Content-Length: 0, {long}",
        "a length with a sign": "Content-Length: +0",
        "a length below nothing": "Content-Length: -1",
        "a length in hex": "Content-Length: 0x0",
        "a length with a space": "Content-Length: 0 0",
        "a length behind a space": f"Content-Length : {long}",
        "a length in a folded line": f"Content-Length:\r\n {long}",
        "a length beyond all": "Content-Length: 99999999999999999999999",
        "chunks and a length": f"Transfer-Encoding: chunked\r\nContent-Length: {long}",
        "a length and chunks": f"Content-Length: {long}\r\nTransfer-Encoding: chunked",
        "chunks twice": "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "chunks in disguise": f"Transfer-Encoding: xchunked\r\nContent-Length: {long}",
        "chunks behind a space": f"Transfer-Encoding : chunked\r\nContent-Length: {long}",
        "chunks behind a tab": f"Transfer-Encoding:\tchunked\r\nContent-Length: {long}",
        "chunks that are not last": f"Transfer-Encoding: chunked, identity\r\nContent-Length: {long}",
        "chunks with a vertical tab": f"Transfer-Encoding: \x0bchunked\r\nContent-Length: {long}",
    }
    for what, head in heads.items():
        body = f"0\r\n\r\n{SMUGGLED}" if "hunk" in what else SMUGGLED
        if what == "two lengths, the other way round" or what.startswith(("a length behind", "a length in a folded")):
            body = SMUGGLED
        yield what, f"{start}{head}\r\n\r\n{body}"
    chunked = f"{start}Transfer-Encoding: chunked\r\n\r\n"
    yield "a chunk with a sign", f"{chunked}+0\r\n\r\n{SMUGGLED}"
    yield "a chunk in 0x", f"{chunked}0x0\r\n\r\n{SMUGGLED}"
    yield "a chunk below nothing", f"{chunked}-1\r\n\r\n{SMUGGLED}"
    yield "a chunk beyond all", f"{chunked}FFFFFFFFFFFFFFFFF\r\n\r\n{SMUGGLED}"
    yield "bare line feeds", f"{start}Transfer-Encoding: chunked\n\n0\n\n{SMUGGLED}"
    yield "a bare return in a header", f"{start}X: a\rContent-Length: {long}\r\n\r\n{SMUGGLED}"
    yield "a nought in a header", f"{start}X: a\0b\r\nContent-Length: 0\r\n\r\n{SMUGGLED}"
    yield "no host", "GET /livez HTTP/1.1\r\n\r\n"
    yield "two hosts", f"GET /livez HTTP/1.1\r\nHost: {host}\r\nHost: evil.example\r\n\r\n"


async def oversize_and_slow(target: Target, tally: Tally) -> None:
    await _large(target, tally)
    await _odd_json(target, tally)
    await _slow(target, tally)


async def _large(target: Target, tally: Tally) -> None:
    key = f"X-API-Key: {target.me.api_key}\r\n"
    head = f"POST {PREFIX}/search HTTP/1.1\r\nHost: {target.host}\r\n{key}Content-Type: application/json\r\n"
    form = head.replace("/search", "/documents").replace("application/json", "multipart/form-data; boundary=x")
    endless = b"".join(b"10000\r\n" + b" " * 65536 + b"\r\n" for _ in range(48))
    part = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n'
    for what, raw in (
        ("a body that is announced too large", f"{head}Content-Length: 999999999\r\n\r\n".encode()),
        ("a body without end", f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + endless),
        ("an upload that is announced too large", f"{form}Content-Length: 9999999999\r\n\r\n".encode()),
        ("a header of 100 kB", f"GET /livez HTTP/1.1\r\nHost: x\r\nX-Long: {'x' * 100_000}\r\n\r\n".encode()),
        ("a thousand headers", b"GET /livez HTTP/1.1\r\nHost: x\r\n" + b"X-A: b\r\n" * 1000 + b"\r\n"),
        ("an address of 100 kB", f"GET /{'x' * 100_000} HTTP/1.1\r\nHost: x\r\n\r\n".encode()),
        ("fifty thousand fields", f"{form}Content-Length: {len(part) * 50_000}\r\n\r\n".encode() + part * 50_000),
    ):
        heard = await target.say(raw, within=LONGEST_WAIT, answers=1)
        codes = [int(code) for code in ANSWER.findall(heard)]
        fits = bool(codes) and 400 <= codes[0] < 500
        tally.check(fits or not heard, f"{what}: answered {codes}")
    tally.check(await target.is_alive(), "after large requests others are not served")


async def _odd_json(target: Target, tally: Tally) -> None:
    bodies = {
        "nested a thousand deep": "[" * 1000 + "]" * 1000,
        "nested in objects": '{"a":' * 5000 + "1" + "}" * 5000,
        "a number of 100,000 digits": '{"query": "x", "limit": ' + "9" * 100_000 + "}",
        "a number beyond all": '{"query": "x", "limit": 1e999999}',
        "not a number": '{"query": "x", "limit": NaN}',
        "a name twice": '{"query": "x", "query": {"a": 1}}',
        "half a character": '{"query": "\\ud800"}',
        "a million ids": json.dumps({"query": "x", "document_ids": ["01890000-0000-7000-8000-000000000000"] * 20_000}),
    }
    async with target.client(target.me) as client:
        for what, body in bodies.items():
            began = time.perf_counter()
            answer = await client.post(f"{PREFIX}/search", content=body, headers={"Content-Type": "application/json"})
            took = time.perf_counter() - began
            tally.check(
                400 <= answer.status_code < 500 and took < 5, f"JSON, {what}: {answer.status_code}, {took:.1f} s"
            )


async def _slow(target: Target, tally: Tally) -> None:
    """Who sends a byte now and then is let go, and takes nothing from the others meanwhile."""
    count = 20 if target.is_short else 100
    head = f"POST {PREFIX}/search HTTP/1.1\r\nHost: x\r\nX-API-Key: {target.me.api_key}\r\n"
    body = f"{head}Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
    upload = body.replace("/search", "/documents").replace("application/json", "multipart/form-data; boundary=x")
    kinds = {"head": "GET /livez HTTP/1.1\r\nX-A: ", "body": body, "upload": upload, "nothing at all": ""}
    dripping = {
        what: [asyncio.create_task(_drip(target, start)) for _ in range(count)] for what, start in kinds.items()
    }
    await asyncio.sleep(1)
    tally.check(await target.is_alive(), f"while {count * len(kinds)} connections are slow others are not served")
    for what, tasks in dripping.items():
        stayed = sum(await asyncio.gather(*tasks))
        tally.check(not stayed, f"{stayed} of {count} connections are kept that send {what} slowly")


async def _drip(target: Target, start: str) -> bool:
    """Whether the connection is still open after a while."""
    with suppress(ConnectionError):
        reader, writer = await asyncio.open_connection(target.host, target.port)
        try:
            writer.write(start.encode())
            deadline = time.monotonic() + LONGEST_WAIT
            drips = 0
            while time.monotonic() < deadline:
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.5):
                        if not await reader.read(65536):
                            return False
                drips += 1
                if start and "Content-Length" not in start:
                    writer.write(b"x")
                    await writer.drain()
            return True
        finally:
            writer.close()
    return False
