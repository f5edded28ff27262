"""Answers that Postgres counts slowly, kept in Redis for a moment. Without Redis everything is counted anew.

A change forgets what it makes untrue, after its commit. Each name has a generation for that: what was begun before a
change is kept under the old one, and nobody reads it. If Redis is away just then, an answer is untrue for its time
to live at most.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from typing import Any

import structlog
from arq.connections import ArqRedis

from arqueduct.bus import AWAY
from arqueduct.keys import Keys

__all__ = ["Cache"]

log = structlog.get_logger()

WITHIN_SECONDS = 0.1
"""For one question to Redis, which takes a tenth of a millisecond on a good day."""
LOOK_AGAIN_SECONDS = 1.0
"""After one that was not answered: until then nobody asks, so that not every request waits in vain."""
GENERATION_SECONDS = 3600
"""Longer than anything is kept, and than any answer is being counted."""
NONE = b"0"


class Cache:
    """One a process. Never raises for Redis, and waits for it a tenth of a second at most."""

    def __init__(
        self,
        redis: ArqRedis,
        keys: Keys,
        *,
        within: float = WITHIN_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._redis = redis
        self._keys = keys
        self._within = within
        self._clock = clock
        self._rests_until = 0.0

    async def get(self, name: str, compute: Callable[[], Awaitable[bytes]], *, ttl: timedelta) -> bytes:
        """What is kept under the name, or else what `compute` returns, which is kept then. Raises what that raises.

        The name says whose it is: nobody else asks whether the caller may see it.
        """
        asked = await self._ask(lambda: self._redis.mget(self._keys.generation(name), self._keys.cached(name)))
        if asked is None:
            return await compute()
        generation, kept = asked[0] or NONE, asked[1]
        if kept is not None:
            of, _, answer = kept.partition(b" ")
            if of == generation:
                return bytes(answer)
        answer = await compute()
        kept = b"%b %b" % (generation, answer)
        await self._ask(lambda: self._redis.set(self._keys.cached(name), kept, px=ttl))
        return answer

    async def forget(self, *names: str) -> None:
        """After the commit of what changes the answers of these names."""
        if names:
            await self._ask(lambda: self._next_generation(names))

    async def _next_generation(self, names: Iterable[str]) -> bool:
        pipeline = self._redis.pipeline(transaction=False)
        for name in names:
            pipeline.incr(self._keys.generation(name))
            pipeline.expire(self._keys.generation(name), GENERATION_SECONDS)
        await pipeline.execute()
        return True

    async def _ask(self, question: Callable[[], Awaitable[Any]]) -> Any:
        """None: nobody answered, or nobody was asked."""
        if self._clock() < self._rests_until:
            return None
        try:
            async with asyncio.timeout(self._within):
                return await question()
        except AWAY as error:
            self._rests_until = self._clock() + LOOK_AGAIN_SECONDS
            log.warning("answers are counted anew: Redis is away", error=repr(error)[:300])
            return None
