"""One pub/sub connection for the whole process, through any loss of Redis.

It is built on redis-py's connection and not on its `PubSub`: that one reconnects by itself from whichever task
meets the loss first, and here one task reads while another subscribes.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import structlog
from arq.connections import ArqRedis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import TimeoutError as RedisTimeoutError

from arqueduct.bus import AWAY

__all__ = ["Subscriber"]

log = structlog.get_logger()

PING_SECONDS = 5.0
SILENCE_SECONDS = 15.0
"""Three pings without an answer: the connection is dead, though no packet said so."""
CONNECT_SECONDS = 5.0
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0


@dataclass
class _Channel:
    confirmed: asyncio.Event = field(default_factory=asyncio.Event)
    missed: bool = False
    """Messages may have passed unheard since someone began to count on this channel."""


class Subscriber:
    """`on_message` gets channel and data; `on_missed` is called when a channel is heard again after a gap.

    Both are called from the reading task and must not take long.
    """

    def __init__(
        self, redis: ArqRedis, *, on_message: Callable[[bytes, bytes], None], on_missed: Callable[[], None]
    ) -> None:
        self._redis = redis
        self._on_message = on_message
        self._on_missed = on_missed
        self._channels: dict[bytes, _Channel] = {}
        self._changed = asyncio.Event()
        self._is_away = False
        self._asked: set[bytes] = set()
        self._heard: set[bytes] = set()
        self._unconfirmed: Counter[bytes] = Counter()

    def add(self, name: bytes) -> None:
        """Subscribes soon; `confirmed` tells when."""
        channel = self._channels[name] = _Channel()
        if name in self._heard:
            channel.confirmed.set()
        self._changed.set()

    def remove(self, name: bytes) -> None:
        del self._channels[name]
        self._changed.set()

    async def confirmed(self, name: bytes, within: float) -> bool:
        """Whether what is published from now on is heard; if not, `on_missed` is called once it is."""
        channel = self._channels[name]
        with suppress(TimeoutError):
            async with asyncio.timeout(0 if self._is_away else within):
                await channel.confirmed.wait()
        if not channel.confirmed.is_set():
            channel.missed = True
        return channel.confirmed.is_set()

    async def run(self) -> None:
        """Listens for as long as the process lives."""
        pause = FIRST_PAUSE
        while True:
            try:
                await self._listen()
            except AWAY as error:
                if not self._is_away:
                    log.warning("live channel lost", error=str(error))
            except Exception:
                log.exception("live channel broken")
            pause = min(pause * 2, LONGEST_PAUSE) if self._is_away else FIRST_PAUSE
            self._is_away = True
            self._lose()
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311  # spreads load

    async def _listen(self) -> None:
        connection = self._connection()
        asking: asyncio.Task[None] | None = None
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await connection.connect()  # type: ignore[no-untyped-call]  # redis-py leaves it without types
            if self._is_away:
                log.info("live channel back")
            self._is_away = False
            asking = asyncio.create_task(self._ask(connection))
            while (said := await connection.read_response(disable_decoding=True, timeout=SILENCE_SECONDS)) is not None:
                self._hear(said)
            raise RedisTimeoutError("Redis answers no ping.")
        finally:
            if asking is not None:
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)
            await connection.disconnect(nowait=True)

    def _connection(self) -> AbstractConnection:
        """One of the pool's kind, but outside of it, with retries and time limits left to us.

        redis-py keeps its limit on a send with `asyncio.wait_for`, which in Python 3.11 may swallow a cancellation.
        """
        pool = self._redis.connection_pool
        options: dict[str, Any] = {
            **pool.connection_kwargs,
            "retry": Retry(NoBackoff(), 0),
            "retry_on_error": [],
            "health_check_interval": 0,
            "socket_timeout": None,
        }
        connection: AbstractConnection = pool.connection_class(**options)
        return connection

    async def _ask(self, connection: AbstractConnection) -> None:
        """Makes what Redis sends equal to what is wanted, and pings."""
        while True:
            self._changed.clear()
            wanted = set(self._channels)
            gone, new = self._asked - wanted, wanted - self._asked
            self._asked = wanted
            self._heard -= gone
            self._unconfirmed.update(new)
            for command, names in (("UNSUBSCRIBE", gone), ("SUBSCRIBE", new)):
                if names:
                    await connection.send_command(command, *names, check_health=False)
            try:
                async with asyncio.timeout(PING_SECONDS):
                    await self._changed.wait()
            except TimeoutError:
                await connection.send_command("PING", check_health=False)

    def _hear(self, response: Any) -> None:
        match response:
            case [b"message", name, data]:
                self._on_message(name, data)
            case [b"subscribe", name, _]:
                self._confirm(name)

    def _confirm(self, name: bytes) -> None:
        """Counts, for an answer may belong to a SUBSCRIBE that was taken back meanwhile."""
        self._unconfirmed[name] -= 1
        if self._unconfirmed[name] > 0:
            return
        del self._unconfirmed[name]
        if name not in self._asked:
            return
        self._heard.add(name)
        if channel := self._channels.get(name):
            channel.confirmed.set()
            if channel.missed:
                channel.missed = False
                self._on_missed()

    def _lose(self) -> None:
        self._asked, self._heard = set(), set()
        self._unconfirmed.clear()
        for channel in self._channels.values():
            channel.missed = True
            channel.confirmed.clear()
