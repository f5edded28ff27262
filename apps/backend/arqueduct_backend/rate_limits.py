"""Counts what callers do: in Redis for all API processes at once, and in this process while Redis is away.

Redis keeps a moving window (the library's Lua script asks and counts in one step), so a budget of 100 a minute is
never exceeded in any 60 seconds. What Redis allows is counted here as well: if it goes away, its answer goes on with
what this process has seen, neither an open door nor an outage.
"""

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog
from limits import RateLimitItem, RateLimitItemPerSecond, WindowStats
from limits.aio.storage import RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from redis.asyncio import BlockingConnectionPool

from arqueduct import metrics
from arqueduct.bus import AWAY
from arqueduct.keys import Keys

__all__ = ["Counters", "Rate", "RateLimits", "Verdict"]

log = structlog.get_logger()

WITHIN_SECONDS = 0.1
"""For one question to Redis, which takes less than a millisecond on a good day."""
SLICES = 20
"""In which that time is waited. A loop that is late itself uses up one of them, however late it is: what Redis said
meanwhile is read before it is blamed.
"""
MOST_CONNECTIONS = 32
"""To Redis; more questions at once wait for each other, which is quicker than to connect."""
SOCKET_SECONDS = 5
"""Never reached: whoever waits gives up before."""
LOOK_AGAIN_SECONDS = 0.5
"""A Redis that is away is asked again this often by one task, so that no request waits for it."""
MOST_KEYS = 10_000
"""Callers of one budget that this process remembers, some 300 bytes each; then those seen longest ago are forgotten."""


@dataclass(frozen=True)
class Rate:
    """So many in so many seconds."""

    amount: int
    seconds: int


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a budget says to one request."""

    is_allowed: bool
    rate: Rate
    remaining: int
    until: float
    """Seconds since 1970: when there is room for one more."""


class Counters:
    """Two counts a caller, of this window and of the one before, weighed by how much of it still counts.

    Small and quick, at most one request off the moving window that it stands in for.
    """

    def __init__(self, most: int = MOST_KEYS) -> None:
        self._most = most
        self._counts: OrderedDict[tuple[str, Rate], tuple[int, int, int]] = OrderedDict()
        """Number of the window, count in it, count in the one before."""

    def __len__(self) -> int:
        return len(self._counts)

    def hit(self, who: str, rate: Rate, now: float) -> Verdict:
        """Counts one more, if there is room."""
        window, here, before = self._read(who, rate, now)
        used = here + math.ceil(before * (1 - now / rate.seconds % 1))
        is_allowed = used < rate.amount
        if is_allowed:
            self._write(who, rate, (window, here + 1, before))
        until = now if used + 1 < rate.amount else _room(rate, window, here + is_allowed, before)
        remaining = max(0, rate.amount - used - is_allowed)
        return Verdict(is_allowed=is_allowed, rate=rate, remaining=remaining, until=max(until, now))

    def note(self, who: str, rate: Rate, now: float) -> None:
        """Counts one that somebody else allowed."""
        window, here, before = self._read(who, rate, now)
        self._write(who, rate, (window, here + 1, before))

    def _read(self, who: str, rate: Rate, now: float) -> tuple[int, int, int]:
        window = int(now // rate.seconds)
        last, here, before = self._counts.get((who, rate), (window, 0, 0))
        if last == window:
            return window, here, before
        return window, 0, here if last == window - 1 else 0

    def _write(self, who: str, rate: Rate, counts: tuple[int, int, int]) -> None:
        self._counts[who, rate] = counts
        self._counts.move_to_end((who, rate))
        if len(self._counts) > self._most:
            self._counts.popitem(last=False)


class RateLimits:
    """One a process."""

    def __init__(
        self, redis_url: str, keys: Keys, *, within: float = WITHIN_SECONDS, clock: Callable[[], float] = time.time
    ) -> None:
        self._within = within
        self._clock = clock
        self._pool = BlockingConnectionPool.from_url(
            redis_url,
            max_connections=MOST_CONNECTIONS,
            timeout=None,
            socket_timeout=SOCKET_SECONDS,
            socket_connect_timeout=SOCKET_SECONDS,
        )
        options: dict[str, Any] = {"connection_pool": self._pool}  # the library's types leave it out
        storage = RedisStorage("async+redis://", implementation="redispy", key_prefix=keys.rates, **options)
        self._windows = MovingWindowRateLimiter(storage)
        self._local: dict[str, Counters] = {}
        """By budget: a flood of strangers must not make us forget what users did."""
        self._spent: dict[str, OrderedDict[tuple[str, Rate], float]] = {}
        """Until when there is no room for whom: nothing changes that, so nobody needs to be asked."""
        self._return: asyncio.Task[None] | None = None

    async def aclose(self) -> None:
        if self._return is not None:
            self._return.cancel()
            await asyncio.gather(self._return, return_exceptions=True)
        await self._pool.aclose()

    @property
    def is_shared(self) -> bool:
        """Whether Redis counts; else each process does for itself."""
        return self._return is None or self._return.done()

    async def hit(self, budget: str, who: str, rate: Rate) -> Verdict:
        """Counts one request of somebody against a budget, if there is room. Never fails, never waits long."""
        now = self._clock()
        spent = self._spent.setdefault(budget, OrderedDict())
        if (until := spent.get((who, rate), now)) > now:
            return Verdict(is_allowed=False, rate=rate, remaining=0, until=until)
        verdict = await self._decide(budget, who, rate)
        if not verdict.is_allowed:
            spent[who, rate] = verdict.until
            spent.move_to_end((who, rate))
            if len(spent) > MOST_KEYS:
                spent.popitem(last=False)
        return verdict

    async def _decide(self, budget: str, who: str, rate: Rate) -> Verdict:
        local = self._local.setdefault(budget, Counters())
        if self.is_shared:
            try:
                verdict = await self._ask(budget, who, rate)
            except AWAY as error:
                self._lose(error)
            else:
                if verdict.is_allowed:
                    local.note(who, rate, self._clock())
                return verdict
        metrics.rate_limit_fallbacks.inc()
        return local.hit(who, rate, self._clock())

    async def _ask(self, budget: str, who: str, rate: Rate) -> Verdict:
        """Raises what a Redis that is away raises."""
        item = RateLimitItemPerSecond(rate.amount, rate.seconds, namespace=budget)
        asking = asyncio.create_task(self._count(item, who))
        try:
            for _ in range(SLICES):
                done, _ = await asyncio.wait({asking}, timeout=self._within / SLICES)
                if done:
                    break
            else:
                raise TimeoutError(f"no answer within {self._within:g} s")
        finally:
            asking.cancel()
        is_allowed, window = asking.result()
        remaining = max(0, window.remaining)
        until = window.reset_time if remaining == 0 else self._clock()
        return Verdict(is_allowed=is_allowed, rate=rate, remaining=remaining if is_allowed else 0, until=until)

    async def _count(self, item: RateLimitItem, who: str) -> tuple[bool, WindowStats]:
        return await self._windows.hit(item, who), await self._windows.get_window_stats(item, who)

    def _lose(self, error: Exception) -> None:
        if self.is_shared:
            log.warning("rate limits are counted in this process: Redis is away", error=repr(error)[:300])
            self._return = asyncio.create_task(self._wait_for_redis())

    async def _wait_for_redis(self) -> None:
        """Until a count succeeds: a Redis that only answers pings, full or read-only, is of no use here."""
        while True:
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
            try:
                await self._ask("probe", "", Rate(1, 1))
            except AWAY:
                continue
            log.info("rate limits are shared again")
            return


def _room(rate: Rate, window: int, here: int, before: int) -> float:
    """When the next one fits."""
    end = (window + 1) * rate.seconds
    if here >= rate.amount or not before:
        return end + rate.seconds / rate.amount
    return end - rate.seconds * max(0, rate.amount - 1 - here) / before
