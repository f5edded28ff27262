"""A client whose connection is cut a hundred times ends with exactly what REST shows.

It follows docs/live-updates.md: the snapshot first, then whatever is newer than what it has.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any, TypeAlias
from uuid import UUID

import httpx
import msgspec
import pytest
from arq.connections import ArqRedis
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from arqueduct import metrics
from arqueduct.identity import NewIdentity
from arqueduct.lifecycle import Outcome
from arqueduct.repositories import jobs
from arqueduct.settings import Settings
from arqueduct_backend.live.limits import Limits
from tests.integration.completing import complete
from tests.integration.cutting_proxy import CuttingProxy, cutting_proxy
from tests.integration.live_server import PATIENCE, Driver, driving, serving, until

CUTS = 100
JOBS = 60
HANDS = 4
NEW_TABS, LOST_REDIS = (0, 20, 50), (10, 30, 60, 90)
"""After how many cuts one more tab is opened, and after how many Redis drops those who listen."""
MOST_MADE = 150
"""A snapshot shows 200 jobs that ended; a tab that was reloaded must get to know all of them."""
STAGES = ("downloading", "extracting", "chunking", "embedding", "storing")
ERROR = {"code": "provider_unavailable", "message": "down", "stage": "embedding", "retryable": True, "advice": ""}
LOST = (OSError, EOFError, WebSocketException, httpx.TransportError)
SHOWN = ("state", "stage", "progress", "seq", "message", "details", "attempt", "document_name")

State: TypeAlias = dict[str, Any]


@dataclass
class Told:
    """What was said to all tabs together."""

    states: dict[tuple[str, int], State] = field(default_factory=dict)
    retries: dict[str, list[int]] = field(default_factory=dict)
    """`seq` at which a user began a job anew: only there may its progress go back."""

    def check(self, state: State) -> None:
        """The same `seq` never means two things."""
        said = _shown(state)
        assert self.states.setdefault((state["job_id"], state["seq"]), said) == said


@dataclass
class Tab:
    """A page: all it knows came over its own connections, one after the other."""

    port: int
    key: str
    told: Told
    random: random.Random
    jobs: dict[str, State] = field(default_factory=dict)
    connections: int = 0
    reloads: int = 0

    async def follow(self) -> None:
        """Connects again for ever."""
        while True:
            fresh: dict[str, int] = {}
            """What this connection has told of each job."""
            try:
                async for message in self._listen():
                    self._take(message, fresh)
            except LOST:
                pass
            self.connections += 1
            if self.random.random() < 0.2:
                self.jobs.clear()
                self.reloads += 1

    def _listen(self) -> AsyncIterator[State]:
        return self._server_sent_events() if self.random.random() < 0.3 else self._socket()

    async def _socket(self) -> AsyncIterator[State]:
        async with connect(
            f"ws://127.0.0.1:{self.port}/api/v1/ws", additional_headers={"X-API-Key": self.key}
        ) as client:
            async for text in client:
                yield msgspec.json.decode(text)

    async def _server_sent_events(self) -> AsyncIterator[State]:
        url = f"http://127.0.0.1:{self.port}/api/v1/events"
        async with (
            httpx.AsyncClient(timeout=PATIENCE) as http,
            http.stream("GET", url, headers={"X-API-Key": self.key}) as stream,
        ):
            async for line in stream.aiter_lines():
                if line.startswith("data: "):
                    with suppress(msgspec.DecodeError):  # the cut went through this line
                        yield msgspec.json.decode(line.removeprefix("data: "))

    def _take(self, message: State, fresh: dict[str, int]) -> None:
        if message["type"] == "snapshot":
            assert not message["truncated"]
            for state in message["jobs"]:
                known = self.jobs.get(state["job_id"])
                assert known is None or state["seq"] >= known["seq"], "a snapshot went backwards"
                self._show(state, fresh)
        elif message["type"].startswith("job_"):
            assert message["seq"] > fresh.get(message["job_id"], 0), "a connection went backwards"
            self._show(message, fresh)

    def _show(self, state: State, fresh: dict[str, int]) -> None:
        job_id, seq = state["job_id"], state["seq"]
        self.told.check(state)
        fresh[job_id] = seq
        known = self.jobs.get(job_id)
        if known is None or seq > known["seq"]:
            began_anew = known and any(known["seq"] < again <= seq for again in self.told.retries.get(job_id, ()))
            assert known is None or began_anew or state["progress"] >= known["progress"], "progress went backwards"
            self.jobs[job_id] = state


@dataclass
class Hand:
    """Does to its jobs whatever may happen to jobs, as workers and users do."""

    driver: Driver
    api: httpx.AsyncClient
    told: Told
    random: random.Random
    made: list[UUID] = field(default_factory=list)
    is_over: bool = False

    async def work(self) -> None:
        for _ in range(JOBS // HANDS):
            await self._make()
        while not self.is_over:
            await self._live(self.random.choice(self.made))

    async def _make(self) -> None:
        self.made.append(await self.driver.create(document_name=f"file {len(self.made)}.pdf"))

    async def _live(self, job_id: UUID) -> None:
        """From whatever state it is in to another one."""
        async with self.driver.database.transaction() as transaction:
            query = "SELECT state, dispatch, progress FROM jobs WHERE id = $1"
            row = await transaction.driver.fetchrow(query, job_id)
        assert row is not None
        if row["state"] in ("failed", "cancelled"):
            await self._retry(job_id)
        elif row["state"] == "queued" and self.random.random() < 0.1:
            await self._ask("cancel", job_id)
        elif row["state"] == "queued":
            await self._attempt(job_id, await self.driver.claim(job_id, row["dispatch"]), row["progress"])
        elif len(self.made) < MOST_MADE // HANDS:
            await self._make()

    async def _attempt(self, job_id: UUID, fence: int, least: float) -> None:
        """`least`: how far an earlier attempt got."""
        last = self.random.randint(1, len(STAGES))
        for number, stage in enumerate(STAGES[:last]):
            await self.driver.advance(job_id, fence, stage, max(least, number / 5), is_new=True)
            for step in range(1, self.random.randint(2, 5)):
                await self.driver.advance(job_id, fence, stage, max(least, (number + step / 5) / 5))
        end = self.random.choice(["release", "release", "retry_later", "fail", "fail", "cancel", "complete"])
        if end == "complete" and last < len(STAGES):
            end = "fail"
        if end == "cancel":
            await self._ask("cancel", job_id)
        async with self.driver.database.transaction() as transaction:
            driver = transaction.driver
            match end:
                case "release":
                    row = await jobs.release(driver, job_id, fence, Outcome.HANDED_BACK)
                case "retry_later":
                    row = await jobs.retry_later(driver, job_id, fence, ERROR, delay=timedelta(seconds=1))
                case "fail":
                    row = await jobs.fail(driver, job_id, fence, ERROR)
                case "cancel":
                    row = await jobs.cancel_running(driver, job_id, fence)
                case _:
                    row = await complete(driver, job_id, fence)
        assert row is not None
        await self.driver.say(jobs.message_of(row))

    async def _retry(self, job_id: UUID) -> None:
        now = (await self.api.get(f"/jobs/{job_id}")).json()
        self.told.retries.setdefault(str(job_id), []).append(now["seq"] + 1)
        await self._ask("retry", job_id)

    async def _ask(self, action: str, job_id: UUID) -> None:
        (await self.api.post(f"/jobs/{job_id}/{action}")).raise_for_status()


@dataclass
class Luck:
    """Decides where connections break: in the handshake, in the snapshot, or later."""

    random: random.Random
    is_over: bool = False

    def patience(self) -> int | None:
        if self.is_over:
            return None
        least, most = self.random.choice([(1, 300), (300, 40_000), (40_000, 80_000), (40_000, 120_000)])
        return self.random.randint(least, most)

    def is_hard(self) -> bool:
        return self.random.random() < 0.5


@pytest.mark.parametrize("seed", [1])
async def test_tabs_that_are_cut_a_hundred_times_end_with_what_rest_shows(
    settings: Settings, me: NewIdentity, redis: ArqRedis, seed: int
) -> None:
    luck, told, tabs = Luck(random.Random(seed)), Told(), list[Tab]()
    before = metrics.resyncs.labels("redis")._value.get()
    async with AsyncExitStack() as stack:
        # Nothing is read again by and by: what a tab shows came by snapshot, by message, or because Redis was lost.
        server = await stack.enter_async_context(serving(settings, Limits(anti_entropy=3600)))
        driver = await stack.enter_async_context(driving(server, me))
        proxy = await stack.enter_async_context(cutting_proxy(server.port, luck.patience, luck.is_hard))
        api = await stack.enter_async_context(server.http())
        api.headers["X-API-Key"] = me.api_key
        hands = [Hand(driver, api, told, random.Random(f"{seed} hand {number}")) for number in range(HANDS)]
        async with asyncio.TaskGroup() as group:
            working = [group.create_task(hand.work()) for hand in hands]
            following = []
            try:
                for cuts in range(0, CUTS + 1, 10):
                    await until(partial(_has_cut, proxy, cuts), within=60)
                    if cuts in NEW_TABS:
                        tabs.append(Tab(proxy.port, me.api_key, told, random.Random(f"{seed} tab {cuts}")))
                        following.append(group.create_task(tabs[-1].follow()))
                    if cuts in LOST_REDIS:
                        await redis.client_kill_filter(_type="pubsub")
            finally:  # whatever went wrong: a hand that works on would keep the group from ending
                luck.is_over = True
                for hand in hands:
                    hand.is_over = True
            await asyncio.gather(*working)
            await _agree(tabs, await _shown_by_rest(api))
            for task in following:
                task.cancel()
    assert all(tab.connections for tab in tabs)
    assert sum(tab.reloads for tab in tabs) > CUTS / 20
    assert metrics.resyncs.labels("redis")._value.get() > before


def _has_cut(proxy: CuttingProxy, least: int) -> bool:
    return proxy.cuts >= least


async def _shown_by_rest(api: httpx.AsyncClient) -> dict[str, State]:
    """By job, as far as live messages tell it too."""
    found: dict[str, State] = {}
    params: dict[str, str | int] = {"limit": 100}
    while True:
        page = (await api.get("/jobs", params=params)).json()
        found |= {job["id"]: _shown(job) for job in page["items"]}
        if page["next_cursor"] is None:
            return found
        params["cursor"] = page["next_cursor"]


async def _agree(tabs: list[Tab], expected: dict[str, State]) -> None:
    """Every tab comes to show this; the difference if it does not."""

    def differences() -> list[dict[str, Any]]:
        shown = [{job_id: _shown(state) for job_id, state in tab.jobs.items()} for tab in tabs]
        return [
            {
                job_id: (page.get(job_id), expected.get(job_id))
                for job_id in page.keys() | expected.keys()
                if page.get(job_id) != expected.get(job_id)
            }
            for page in shown
        ]

    with suppress(TimeoutError):
        await until(lambda: not any(differences()))
    assert not any(differences())


def _shown(state: State) -> State:
    return {name: state[name] for name in SHOWN} | {"code": (state["error"] or {}).get("code")}
