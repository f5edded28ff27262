"""Getting round limits: by telling another address, by many connections, by many sockets."""

import asyncio
import itertools
import json
from contextlib import AsyncExitStack, suppress
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.attack.strangers import strangers
from tests.attack.tally import Tally
from tests.attack.target import PREFIX, Person, Target

__all__ = ["rate_limits", "socket_floods"]

LIMIT = 20
"""Requests a minute of the keys that are made to be limited."""
TRIES = 50
SLACK = 2
"""A window may turn while the requests are on their way."""
MOST_SOCKETS = 20
TOO_MANY, NOT_SIGNED_IN, TOO_BIG = 4429, 4401, 1009
SIGN_IN_SECONDS = 12.0


async def rate_limits(target: Target, tally: Tally) -> None:
    if not target.has("/keys"):
        tally.not_tried("no key with a limit of its own can be made")
        return
    async with _limited(target, tally) as limited, target.client(limited) as client:
        codes = [(await client.get(f"{PREFIX}/jobs", headers=_names(number))).status_code for number in range(TRIES)]
    passed = sum(code != 429 for code in codes)
    tally.check(passed <= LIMIT * SLACK, f"other names in headers: {passed} passed, {LIMIT} a minute are allowed")
    await _many_connections(target, tally)
    await _two_keys(target, tally)
    await strangers(target, tally)


class _limited:  # noqa: N801  # reads as a block
    """A key with a limit of its own, for as long as a block lasts."""

    def __init__(self, target: Target, tally: Tally) -> None:
        self._target = target
        self._key: str | None = None

    async def __aenter__(self) -> Person:
        async with self._target.client(self._target.me) as client:
            made = await client.post(f"{PREFIX}/keys", json={"name": "limited", "requests_per_minute": LIMIT})
        body = made.raise_for_status().json()
        self._key = body["key"]["id"]
        return Person(api_key=body["api_key"])

    async def __aexit__(self, *_: object) -> None:
        async with self._target.client(self._target.me) as client:
            await client.delete(f"{PREFIX}/keys/{self._key}")


async def _many_connections(target: Target, tally: Tally) -> None:
    async with _limited(target, tally) as limited:

        async def alone() -> int:
            async with target.client(limited) as client:
                return (await client.get(f"{PREFIX}/jobs", headers={"Connection": "close"})).status_code

        codes = await asyncio.gather(*(alone() for _ in range(TRIES)), return_exceptions=True)
    passed = sum(code == 200 for code in codes)
    tally.check(passed <= LIMIT * SLACK, f"many connections: {passed} of {TRIES} passed, {LIMIT} a minute are allowed")
    tally.check(any(code == 429 for code in codes), f"nobody was told to slow down: {codes[:5]}")


async def _two_keys(target: Target, tally: Tally) -> None:
    """The same key by both headers, in other spellings of the address."""
    async with _limited(target, tally) as limited, target.client() as client:
        passed = 0
        ways = itertools.cycle(
            [
                ({"X-API-Key": limited.api_key}, f"{PREFIX}/jobs"),
                ({"Authorization": f"bearer  {limited.api_key}"}, f"{PREFIX}/jobs?limit=1"),
                ({"Authorization": "Bearer aq_wrong", "X-API-Key": limited.api_key}, f"{PREFIX}/jobs?limit=2"),
                ({"x-api-key": limited.api_key}, f"{PREFIX}/%6aobs"),
            ]
        )
        for _ in range(TRIES):
            headers, path = next(ways)
            passed += (await client.get(path, headers=headers)).status_code == 200
    tally.check(passed <= LIMIT * SLACK, f"one key in many spellings: {passed} of {TRIES} passed")


def _names(number: int) -> dict[str, str]:
    return {
        "X-Request-ID": f"r{number}",
        "Accept-Language": str(number),
        "User-Agent": f"agent {number}",
        "Cookie": f"session={number}",
    }


async def socket_floods(target: Target, tally: Tally) -> None:
    await _too_many(target, tally)
    await _too_much(target, tally)
    await _nobody(target, tally)
    tally.check(await target.is_alive(), "after floods of sockets others are not served")


async def _too_many(target: Target, tally: Tally) -> None:
    """More sockets than one user may hold."""
    wanted = MOST_SOCKETS * 2
    async with AsyncExitStack() as stack:
        codes = await asyncio.gather(*(_opened(target, stack) for _ in range(wanted)))
        tally.check(await target.is_alive(), "while one user floods sockets others are not served")
    if target.data_dir is None and None not in codes:
        tally.not_tried("how many sockets a user may hold: the limit of this service is not known")
        return
    tally.check(codes.count(None) <= MOST_SOCKETS, f"{codes.count(None)} of {wanted} sockets stayed open")
    tally.check(set(codes) <= {None, TOO_MANY}, f"closed with {set(codes)}")


async def _opened(target: Target, stack: AsyncExitStack) -> int | None:
    """The code it was closed with; none as long as it is open."""
    client = await stack.enter_async_context(_socket(target))
    try:
        async with asyncio.timeout(10):
            while json.loads(await client.recv())["type"] != "snapshot":
                pass
    except ConnectionClosed:
        return client.close_code
    except TimeoutError:
        return 0
    return None


async def _too_much(target: Target, tally: Tally) -> None:
    """Messages that are too many, too large or nonsense."""
    for what, messages, codes in (
        ("a message of a megabyte", [b"x" * 2**20], {TOO_BIG}),
        ("nonsense", ["{"] * 2000, {1008, 4429, 4400, 4408}),
        ("2,000 pings", ['{"type":"ping"}'] * 2000, {None, 1008, 4429, 4400, 4408}),
        ("deep JSON", ["[" * 3000 + "]" * 3000] * 100, {1008, 4429, 4400, 4408}),
    ):
        async with _socket(target) as client:
            with suppress(ConnectionClosed, ConnectionError, TimeoutError):
                async with asyncio.timeout(5):
                    for message in messages:
                        await client.send(message)
            code = await _end_of(client)
            tally.check(code in codes or (code or 0) in codes, f"{what} on a socket: closed with {code}")


async def _end_of(client: ClientConnection) -> int | None:
    """The code that it is closed with within a moment, if it is."""
    with suppress(ConnectionClosed, TimeoutError):
        async with asyncio.timeout(2):
            while True:
                await client.recv()
    return client.close_code


async def _nobody(target: Target, tally: Tally) -> None:
    """Sockets of those who do not say who they are end soon."""
    url = f"ws://{target.host}:{target.port}{PREFIX}/ws"
    count = 20 if target.is_short else 100

    async def wait() -> Any:
        try:
            async with asyncio.timeout(SIGN_IN_SECONDS), connect(url, max_size=None) as client:
                with suppress(ConnectionClosed):
                    while True:
                        await client.recv()
                return client.close_code
        except (InvalidHandshake, ConnectionError) as error:
            return type(error).__name__
        except TimeoutError:
            return "open"

    waiting = [asyncio.create_task(wait()) for _ in range(count)]
    alive = await target.is_alive()
    codes = await asyncio.gather(*waiting)
    tally.check(alive, "while strangers hold sockets others are not served")
    tally.check("open" not in codes, f"{codes.count('open')} of {count} sockets of strangers stay open")


def _socket(target: Target) -> connect:
    url = f"ws://{target.host}:{target.port}{PREFIX}/ws"
    return connect(url, additional_headers=target.me.headers, ping_interval=None, max_size=None)
