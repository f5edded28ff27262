"""SQL where a value is expected: in every parameter and every field of the description."""

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import Any

import httpx

from tests.attack.samples import places, request_of
from tests.attack.tally import Tally
from tests.attack.target import PREFIX, Target

__all__ = ["sql_injection"]

SLEEP = 3.0
SLOW = SLEEP * 0.8
PAYLOADS = (
    f"'; SELECT pg_sleep({SLEEP:g}); --",
    f"' || (SELECT pg_sleep({SLEEP:g})) || '",
    f"1) OR (SELECT 1 FROM pg_sleep({SLEEP:g})) IS NOT NULL --",
    "' OR '1'='1",
    "' UNION SELECT password_hash FROM users --",
    "\\'; DROP TABLE documents; --",
    "$1::uuid); TRUNCATE jobs; --",
    "\0' OR 1=1 --",
    "%' OR '%'='",
)
OF_A_DATABASE = ("syntax error", "asyncpg", "sqlalchemy", "psycopg", "pg_", "traceback", 'relation "', "password_hash")
"""Words of Postgres, of drivers and of stacks, none of which an answer has unless it was sent."""
UNTOUCHED = {"stream_events", "logout", "logout_everywhere"}
"""Never ends, or ends the session of who attacks."""


async def sql_injection(target: Target, tally: Tally) -> None:
    async with target.client(target.they) as client:
        before = (await client.get(f"{PREFIX}/documents")).text
    async with target.client(target.me) as client:
        for method, path, operation in target.operations():
            if operation["operationId"] in UNTOUCHED:
                continue
            async with asyncio.TaskGroup() as group:
                for number, place in enumerate(places(target.description, operation)):
                    chosen = [PAYLOADS[number % len(PAYLOADS)]] if target.is_short else PAYLOADS
                    at = (method, path, operation)
                    group.create_task(_attack(client, tally, target, at, place, chosen))
    async with target.client(target.they) as client:
        tally.check((await client.get(f"{PREFIX}/documents")).text == before, "documents of others changed")


async def _attack(
    client: httpx.AsyncClient,
    tally: Tally,
    target: Target,
    at: tuple[str, str, Mapping[str, Any]],
    place: tuple[str, str],
    payloads: Iterable[str],
) -> None:
    method, path, operation = at
    for payload in payloads:
        request = request_of(target.description, path, operation, place, payload)
        answer, took = await _timed(client, method, request)
        if took > SLOW and "pg_sleep" in payload:  # slow for another reason? then it is not slow again and again
            took = min([took, *[(await _timed(client, method, request))[1] for _ in range(2)]])
        said = answer.text.lower().replace(payload.lower(), "")
        leaks = [word for word in OF_A_DATABASE if answer.is_error and word in said and word not in payload.lower()]
        what = f"{method} {path}, {place[1]} of the {place[0]}, with {payload!r}: {answer.status_code}, {took:.1f} s"
        tally.check(answer.status_code < 500 and took < SLOW and not leaks, f"{what}, {leaks}")


async def _timed(client: httpx.AsyncClient, method: str, request: Mapping[str, Any]) -> tuple[httpx.Response, float]:
    began = time.perf_counter()
    answer = await client.request(method, **request)
    return answer, time.perf_counter() - began
