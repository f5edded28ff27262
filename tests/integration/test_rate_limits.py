"""Budgets hold: over all API processes, whatever a client says of itself, and while Redis is away."""

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from starlette.requests import HTTPConnection
from structlog.testing import capture_logs

from arqueduct import metrics
from arqueduct.embedded import EmbeddedValkey, remove
from arqueduct.embedded.process import free_port
from arqueduct.errors import RateLimited
from arqueduct.identity import NewIdentity, key_hash
from arqueduct.ids import new_id
from arqueduct.keys import Keys
from arqueduct.settings import Settings
from arqueduct_backend.budgets import sign_in_budget
from arqueduct_backend.client_address import client_of, network_of
from arqueduct_backend.rate_limits import Counters, Rate, RateLimits
from tests.integration.backend import client_of as client_for
from tests.integration.backend import problem, services_of, serving, upload
from tests.integration.worker import until
from tests.servers import FAST_VALKEY

Owner = asyncpg.Connection
JOBS = "/api/v1/jobs"


def limited(settings: Settings, **changes: Any) -> Settings:
    return settings.model_copy(update=changes)


@asynccontextmanager
async def asking(settings: Settings, me: NewIdentity, **changes: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(limited(settings, **changes)) as app, client_for(app, me) as api:
        yield api


@asynccontextmanager
async def coming_from(app: FastAPI, host: str, **headers: str) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=app, client=(host, 4711))
    async with httpx.AsyncClient(transport=transport, base_url="http://api", headers=headers) as client:
        yield client


@pytest.fixture
async def owner(settings: Settings) -> AsyncIterator["Owner[asyncpg.Record]"]:
    assert settings.database_url is not None
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    yield connection
    await connection.close()


async def another_key(owner: "Owner[asyncpg.Record]", me: NewIdentity, limit: int | None = None) -> str:
    key = f"aq_{new_id()}"
    await owner.execute(
        "INSERT INTO api_keys (id, tenant_id, user_id, name, prefix, key_hash, requests_per_minute) "
        "VALUES ($1, $2, $3, 'more', 'aq_more', $4, $5)",
        *(new_id(), me.tenant_id, me.user_id, key_hash(key), limit),
    )
    return key


async def statuses(api: httpx.AsyncClient, count: int, **sent: Any) -> Counter[int]:
    """Of requests all at once."""
    found = await asyncio.gather(*(api.get(JOBS, **sent) for _ in range(count)))
    return Counter(answer.status_code for answer in found)


def patient(app: FastAPI) -> None:
    """However late this machine is: a process that gives Redis up counts alone."""
    limits_of(app)._within = 10.0


async def test_of_fifty_at_once_exactly_ten_pass_over_all_processes(settings: Settings, me: NewIdentity) -> None:
    async with (
        serving(limited(settings, requests_per_minute=10)) as one,
        serving(limited(settings, requests_per_minute=10)) as other,
        client_for(one, me) as first,
        client_for(other, me) as second,
    ):
        patient(one)
        patient(other)
        found = await asyncio.gather(statuses(first, 25), statuses(second, 25))
    assert sum(found, Counter()) == {200: 10, 429: 40}


async def test_answers_tell_what_is_left_and_when_to_come_again(settings: Settings, me: NewIdentity) -> None:
    before = metrics.rate_limited.labels("requests")._value.get()
    async with asking(settings, me, requests_per_minute=3) as api:
        told = [(await api.get(JOBS)).headers for _ in range(3)]
        refused = await api.get(JOBS)
        alive = await api.get("/livez")
    assert [headers["ratelimit-remaining"] for headers in told] == ["2", "1", "0"]
    assert {headers["ratelimit-limit"] for headers in told} == {"3"}
    assert all("retry-after" not in headers for headers in told)
    problem(refused, 429, "rate_limited")
    assert refused.headers["ratelimit-remaining"] == "0"
    assert refused.headers["retry-after"] == refused.headers["ratelimit-reset"]
    assert 50 < int(refused.headers["retry-after"]) <= 60
    assert alive.status_code == 200
    assert "ratelimit-limit" not in alive.headers
    assert metrics.rate_limited.labels("requests")._value.get() == before + 1


async def test_room_comes_back_when_the_window_has_passed(settings: Settings, keys: Keys) -> None:
    assert settings.redis_url is not None
    limits = RateLimits(settings.redis_url.get_secret_value(), keys)
    rate = Rate(2, 1)
    passed = [(await limits.hit("test", "me", rate)).is_allowed for _ in range(3)]
    refused = await limits.hit("test", "me", rate)

    async def allowed() -> bool:
        return (await limits.hit("test", "me", rate)).is_allowed

    await until(allowed, 10)
    assert passed == [True, True, False]
    assert time.time() >= refused.until
    await limits.aclose()


async def test_all_keys_of_a_user_share_his_budget(
    settings: Settings, me: NewIdentity, owner: "Owner[asyncpg.Record]"
) -> None:
    second = {"Authorization": f"Bearer {await another_key(owner, me)}"}
    async with asking(settings, me, requests_per_minute=5) as api:
        assert await statuses(api, 3) == {200: 3}
        assert await statuses(api, 3, headers=second) == {200: 2, 429: 1}
        assert await statuses(api, 1) == {429: 1}


async def test_a_key_may_have_more_than_its_user(
    settings: Settings, me: NewIdentity, owner: "Owner[asyncpg.Record]"
) -> None:
    generous = {"Authorization": f"Bearer {await another_key(owner, me, 8)}"}
    async with asking(settings, me, requests_per_minute=2) as api:
        assert await statuses(api, 10, headers=generous) == {200: 8, 429: 2}
        assert await statuses(api, 3) == {200: 2, 429: 1}


async def test_keys_that_may_do_less_take_from_the_same_budget(
    settings: Settings, me: NewIdentity, owner: "Owner[asyncpg.Record]"
) -> None:
    small = [{"Authorization": f"Bearer {await another_key(owner, me, 3)}"} for _ in range(3)]
    async with asking(settings, me, requests_per_minute=7) as api:
        found = [await statuses(api, 4, headers=headers) for headers in small]
    assert found == [{200: 3, 429: 1}, {200: 3, 429: 1}, {200: 1, 429: 3}]


async def test_uploads_and_searches_have_budgets_of_their_own(settings: Settings, me: NewIdentity) -> None:
    async with asking(settings, me, requests_per_minute=1, uploads_per_minute=2, searches_per_minute=3) as api:
        for _ in range(2):
            await upload(api)
        problem(await api.post("/api/v1/documents", files={"file": ("a.md", b"# A")}), 429, "rate_limited")
        found = [await api.post("/api/v1/search", json={"query": "water", "mode": "text"}) for _ in range(4)]
        assert [answer.status_code for answer in found] == [200, 200, 200, 429]
        assert found[0].headers["ratelimit-limit"] == "3"
        assert await statuses(api, 2) == {200: 1, 429: 1}


async def test_what_sets_off_much_work_is_counted_by_the_hour(settings: Settings, me: NewIdentity) -> None:
    async with asking(settings, me, expensive_per_hour=2) as api:
        found = [await api.post("/api/v1/jobs/retry", json={"all": True}) for _ in range(3)]
        told = [answer.headers.get("ratelimit-limit") for answer in found]
        assert found[-1].status_code == 429
        assert (told, found[0].headers["ratelimit-remaining"]) == (["2"] * 3, "1")
        assert 3500 < int(found[-1].headers["retry-after"]) <= 3600
        assert (await api.get(JOBS)).status_code == 200


async def test_a_refusal_asks_postgres_nothing_and_leaves_no_line(
    settings: Settings, me: NewIdentity, owner: "Owner[asyncpg.Record]"
) -> None:
    async with asking(settings, me, requests_per_minute=1) as api:
        assert (await api.post("/api/v1/jobs/pause", json={})).status_code == 422
        await owner.execute("UPDATE api_keys SET revoked_at = now() WHERE user_id = $1", me.user_id)
        lines = await owner.fetchval("SELECT count(*) FROM audit_log")
        for _ in range(3):
            problem(await api.post("/api/v1/jobs/pause", json={}), 429, "rate_limited")
        assert await owner.fetchval("SELECT count(*) FROM audit_log") == lines


async def test_a_revoked_key_opens_nothing_though_its_budget_is_known(
    settings: Settings, me: NewIdentity, owner: "Owner[asyncpg.Record]"
) -> None:
    async with asking(settings, me) as api:
        assert (await api.get(JOBS)).status_code == 200
        await owner.execute("UPDATE api_keys SET revoked_at = now() WHERE user_id = $1", me.user_id)
        for _ in range(2):
            problem(await api.get(JOBS), 401, "not_authenticated")


async def test_strangers_are_counted_by_address_and_do_not_keep_others_out(settings: Settings, me: NewIdentity) -> None:
    async with serving(limited(settings, strangers_per_minute=5)) as app:
        async with client_for(app, me) as api, client_for(app) as stranger:
            assert (await api.get(JOBS)).status_code == 200  # once as a stranger: nobody knew the key yet
            guesses = [await stranger.get(JOBS, headers={"X-API-Key": f"aq_{number}"}) for number in range(5)]
            assert [answer.status_code for answer in guesses] == [401, 401, 401, 401, 429]
            problem(await stranger.get(JOBS), 429, "rate_limited")
            assert await statuses(api, 5) == {200: 5}
        async with coming_from(app, "2001:db8::1") as here, coming_from(app, "2001:db8::ffff:2") as near:
            assert [(await here.get(JOBS)).status_code for _ in range(3)] == [401] * 3
            assert [(await near.get(JOBS)).status_code for _ in range(3)] == [401, 401, 429]


SPOOFED = [
    {"X-Forwarded-For": "192.0.2.{n}"},
    {"Forwarded": "for=192.0.2.{n}"},
    {"X-Real-IP": "192.0.2.{n}", "True-Client-IP": "192.0.2.{n}", "CF-Connecting-IP": "192.0.2.{n}"},
]


@pytest.mark.parametrize("spoofed", SPOOFED, ids=["x-forwarded-for", "forwarded", "others"])
@pytest.mark.parametrize("trusted", ["", "10.0.0.0/8"], ids=["nobody", "a-proxy"])
async def test_a_made_up_header_buys_no_other_address(
    settings: Settings, spoofed: dict[str, str], trusted: str
) -> None:
    proxies = frozenset(map(ip_network, filter(None, [trusted])))
    async with (
        serving(limited(settings, strangers_per_minute=2, trusted_proxies=proxies)) as app,
        coming_from(app, "203.0.113.9") as stranger,
    ):
        sent = [{name: value.format(n=number) for name, value in spoofed.items()} for number in range(4)]
        found = [(await stranger.get(JOBS, headers=headers)).status_code for headers in sent]
    assert found == [401, 401, 429, 429]


async def test_a_trusted_proxy_is_believed_and_what_its_client_put_before_is_not(
    settings: Settings, owner: "Owner[asyncpg.Record]"
) -> None:
    proxies = frozenset({ip_network("10.0.0.0/8")})
    async with (
        serving(limited(settings, strangers_per_minute=2, trusted_proxies=proxies)) as app,
        coming_from(app, "10.0.0.1") as proxy,
    ):
        for number in range(4):
            told = {"X-Forwarded-For": f"192.0.2.{number}, 203.0.113.9, 10.1.2.3", "Forwarded": "for=192.0.2.77"}
            answer = await proxy.get(JOBS, headers={**told, "X-Forwarded-Proto": "https"})
            assert answer.status_code == (401 if number < 2 else 429)
            assert "strict-transport-security" in answer.headers
        assert (await proxy.get(JOBS, headers={"X-Forwarded-For": "203.0.113.10"})).status_code == 401
    rows = await owner.fetch("SELECT address FROM audit_log ORDER BY id")
    assert [row["address"] for row in rows] == ["203.0.113.9"] * 2 + ["203.0.113.10"]


HOPS = [
    ("10.0.0.1", [], "10.0.0.1"),
    ("10.0.0.1", ["192.0.2.1"], "192.0.2.1"),
    ("10.0.0.1", ["192.0.2.1:5555"], "192.0.2.1"),
    ("10.0.0.1", ["[2001:db8::1]:443"], "2001:db8::1"),
    ("10.0.0.1", ["::ffff:192.0.2.1"], "192.0.2.1"),
    ("10.0.0.1", ["10.0.0.2", "10.0.0.3"], "10.0.0.2"),
    ("10.0.0.1", ["192.0.2.1", "unknown"], "10.0.0.1"),
    ("10.0.0.1", ["192.0.2.1", ""], "10.0.0.1"),
    ("10.0.0.1", ["1.2.3.4\nx", "10.0.0.9"], "10.0.0.9"),
    ("198.51.100.1", ["192.0.2.1"], "198.51.100.1"),
]


@pytest.mark.parametrize(("peer", "hops", "client"), HOPS)
def test_the_right_most_address_that_is_no_proxys_counts(peer: str, hops: list[str], client: str) -> None:
    assert client_of(peer, hops, [ip_network("10.0.0.0/8")]) == client


def test_an_ipv6_address_is_counted_as_its_network() -> None:
    assert network_of("2001:db8:1:2:3::4%eth0") == network_of("2001:db8:1:2::9") != network_of("2001:db8:1:3::9")
    assert network_of("::ffff:192.0.2.1") == network_of("192.0.2.1")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("refresh", {"refresh_token": "aq_refresh_nobody_has"}),
        ("invitations/accept", {"token": "aq_invite_nobody_has", "password": "water finds its way"}),
        ("password/reset", {"token": "aq_reset_nobody_has", "new_password": "water finds its way"}),
    ],
    ids=["refresh", "accept", "reset"],
)
async def test_what_strangers_may_do_is_counted_too(settings: Settings, path: str, body: dict[str, Any]) -> None:
    """Each costs a question to Postgres, or a hash."""
    few = limited(settings, strangers_per_minute=3, sign_ins_per_address=3)
    async with serving(few) as app, client_for(app) as client:
        answers = [(await client.post(f"/api/v1/auth/{path}", json=body)).status_code for _ in range(5)]
        assert 429 not in answers[:3]
        assert answers[3:] == [429, 429]


async def test_attempts_to_sign_in_are_counted_by_address_and_by_account(settings: Settings) -> None:
    async with serving(limited(settings, sign_ins_per_address=3, sign_ins_per_account=2)) as app:

        async def attempt(host: str, account: str) -> bool:
            scope = {"type": "http", "app": app, "headers": [], "client": (host, 1), "path": "/", "method": "POST"}
            try:
                await sign_in_budget(HTTPConnection(scope), account)
            except RateLimited:
                return False
            return True

        of_one_account = [await attempt(f"192.0.2.{number}", "ann@example.org") for number in range(2)]
        assert [*of_one_account, await attempt("192.0.2.9", "ANN@example.org")] == [True, True, False]
        assert [await attempt("192.0.2.7", f"{number}@example.org") for number in range(4)] == [True] * 3 + [False]


@pytest.fixture
async def valkey(tmp_path: Path) -> AsyncIterator[EmbeddedValkey]:
    server = EmbeddedValkey(tmp_path / "valkey", port=free_port(), settings=FAST_VALKEY)
    await asyncio.to_thread(server.start)
    yield server
    await asyncio.to_thread(server.stop)
    await asyncio.to_thread(remove, server.folder)


@asynccontextmanager
async def asking_with(
    settings: Settings, me: NewIdentity, valkey: EmbeddedValkey, **changes: Any
) -> AsyncIterator[tuple[FastAPI, httpx.AsyncClient]]:
    async with (
        serving(limited(settings, redis_url=SecretStr(valkey.url()), **changes)) as app,
        client_for(app, me) as api,
    ):
        yield app, api


def limits_of(app: FastAPI) -> RateLimits:
    return services_of(app).budgets._limits


async def test_budgets_outlive_redis_and_are_shared_again_when_it_is_back(
    settings: Settings, me: NewIdentity, valkey: EmbeddedValkey
) -> None:
    async with asking_with(settings, me, valkey, requests_per_minute=10) as (app, api):
        assert await statuses(api, 6) == {200: 6}
        os.kill(valkey.pid, signal.SIGKILL)
        await asyncio.to_thread(valkey.stop)
        before = metrics.rate_limit_fallbacks._value.get()
        with capture_logs() as logs:
            assert await statuses(api, 20) == {200: 4, 429: 16}
            assert await statuses(api, 5) == {429: 5}
        assert len([line for line in logs if line["event"].startswith("rate limits are counted")]) == 1
        assert metrics.rate_limit_fallbacks._value.get() > before
        assert not limits_of(app).is_shared
        await asyncio.to_thread(valkey.start)

        async def shared() -> bool:
            return limits_of(app).is_shared

        await until(shared, 15)
        assert await statuses(api, 1) == {429: 1}  # what is known to be spent is spent


async def test_a_silent_redis_costs_one_short_wait(settings: Settings, me: NewIdentity, valkey: EmbeddedValkey) -> None:
    async with asking_with(settings, me, valkey, requests_per_minute=30) as (app, api):
        assert (await api.get("/api/v1/documents")).status_code == 200
        os.kill(valkey.pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            verdicts = [await limits_of(app).hit("test", "me", Rate(25, 60)) for _ in range(30)]
            took = time.monotonic() - began
        finally:
            os.kill(valkey.pid, signal.SIGCONT)
        assert [verdict.is_allowed for verdict in verdicts] == [True] * 25 + [False] * 5
        assert 0.1 <= took < 0.5


def test_counters_hold_their_limit_within_a_window_and_over_its_end() -> None:
    counters, rate = Counters(), Rate(10, 60)
    assert [counters.hit("me", rate, 59.9).is_allowed for _ in range(12)] == [True] * 10 + [False] * 2
    assert not counters.hit("me", rate, 60.0).is_allowed  # all of the window before still counts
    assert not counters.hit("me", rate, 65.9).is_allowed
    assert counters.hit("me", rate, 66.0).is_allowed  # a tenth has passed
    assert [counters.hit("me", rate, 200.0).is_allowed for _ in range(11)] == [True] * 10 + [False]


@pytest.mark.parametrize("start", [0.0, 30.0, 59.5])
def test_counters_say_truly_when_there_is_room_again(start: float) -> None:
    counters, rate = Counters(), Rate(7, 60)
    now = start
    for _ in range(40):
        verdict = counters.hit("me", rate, now)
        if not verdict.is_allowed:
            assert not counters.hit("me", rate, (now + verdict.until) / 2 - 0.001).is_allowed
            now = verdict.until + 1e-6
            assert counters.hit("me", rate, now).is_allowed


def test_counters_forget_who_was_not_seen_for_longest() -> None:
    counters, rate = Counters(most=100), Rate(1, 60)
    for number in range(1000):
        counters.hit(str(number), rate, 1.0)
    assert len(counters) == 100
    assert not counters.hit("999", rate, 1.0).is_allowed
