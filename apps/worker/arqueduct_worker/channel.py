"""Hearing one pub/sub channel on a connection of its own, through any loss of Redis.

It is built on redis-py's connection and not on its `PubSub`: with a `socket_timeout` that one takes five silent
seconds for a loss and reconnects, and what is published meanwhile is not heard.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from arq.connections import ArqRedis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import TimeoutError as RedisTimeoutError

__all__ = ["hear"]

CONNECT_SECONDS = 5.0

SILENCE_SECONDS = 5.0
"""After this we ask whether anybody is there; unanswered for as long again, the connection is dead."""


async def hear(
    redis: ArqRedis, channel: str, *, on_message: Callable[[bytes], None], on_subscribed: Callable[[], None]
) -> None:
    """Listens until the connection is lost, and then raises what redis raises (`bus.AWAY`).

    `on_subscribed`: what is published from now on is heard. Both are called from the reading task, so they must be
    quick.
    """
    connection = _connection(redis)
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await connection.connect()  # type: ignore[no-untyped-call]  # redis-py leaves it without types
            await connection.send_command("SUBSCRIBE", channel, check_health=False)
        is_asked = False
        while True:
            said = await connection.read_response(disable_decoding=True, timeout=SILENCE_SECONDS)
            if said is None:
                if is_asked:
                    raise RedisTimeoutError("Redis answers no ping.")
                await connection.send_command("PING", check_health=False)
            is_asked = said is None
            match said:
                case [b"message", _, bytes(data)]:
                    on_message(data)
                case [b"subscribe", _, _]:
                    on_subscribed()
    finally:
        await connection.disconnect(nowait=True)


def _connection(redis: ArqRedis) -> AbstractConnection:
    """One of the pool's kind, but outside of it, with retries and time limits left to us.

    redis-py keeps its limit on a send with `asyncio.wait_for`, which in Python 3.11 may swallow a cancellation.
    """
    pool = redis.connection_pool
    options: dict[str, Any] = {
        **pool.connection_kwargs,
        "retry": Retry(NoBackoff(), 0),
        "retry_on_error": [],
        "health_check_interval": 0,
        "socket_timeout": None,
    }
    connection: AbstractConnection = pool.connection_class(**options)
    return connection
