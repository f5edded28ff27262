"""Publish and subscribe over Redis: what is said here may be lost, and every listener knows how to read it again."""

import asyncio
from collections.abc import Iterable
from typing import Any
from uuid import UUID

import msgspec
import structlog
from arq.connections import ArqRedis
from redis.asyncio import ConnectionPool
from redis.asyncio.client import Pipeline
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from arqueduct import events
from arqueduct.keys import Keys

__all__ = ["AWAY", "MOST_SECONDS", "Bus", "connect", "deserialize", "serialize"]

log = structlog.get_logger()

AWAY = (RedisError, OSError, TimeoutError)
"""What a Redis that is away raises. redis-py lets plain OSError through, so `retry_on_error` must name it too."""

SOCKET_SECONDS = 5
HEALTH_CHECK_SECONDS = 15
"""A dead peer behind a firewall is noticed after this, not after the kernel's hours."""

MOST_SECONDS = 2.0
"""For one round trip. A server that accepts and stays silent would hold us for minutes: redis-py's retries nest."""

EXPIRES_EXTRA_MS = 28 * 24 * 3600 * 1000
"""arq lets a queued job lapse after 24 h and fails it as unknown; four weeks outlast any backlog."""


def connect(url: str, keys: Keys) -> ArqRedis:
    """A client for one process. Nothing is sent yet; a server that is away shows at the first command."""
    pool = ConnectionPool.from_url(
        url,
        socket_timeout=SOCKET_SECONDS,
        socket_connect_timeout=SOCKET_SECONDS,
        socket_keepalive=True,
        health_check_interval=HEALTH_CHECK_SECONDS,
        retry=Retry(ExponentialBackoff(cap=1, base=0.05), 3),
        retry_on_error=[ConnectionError, TimeoutError, OSError, RedisConnectionError, RedisTimeoutError],
    )
    redis = ArqRedis(
        pool,
        job_serializer=serialize,
        job_deserializer=deserialize,
        default_queue_name=keys.queue,
        expires_extra_ms=EXPIRES_EXTRA_MS,
    )
    redis.auto_close_connection_pool = True
    return redis


class Bus:
    """Says things to users' sockets and to workers."""

    def __init__(self, redis: ArqRedis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    async def publish(self, messages: Iterable[tuple[UUID, bytes]]) -> bool:
        """Sends encoded job messages, each to its user, in one round trip. False: Redis is away, all may be lost."""
        pipeline = self._redis.pipeline(transaction=False)
        for user_id, message in messages:
            pipeline.publish(self._keys.live(user_id), message)
        return await self._send(pipeline)

    async def tell_workers(self, *controls: events.Control) -> bool:
        pipeline = self._redis.pipeline(transaction=False)
        for control in controls:
            pipeline.publish(self._keys.control, events.encode(control))
        return await self._send(pipeline)

    async def _send(self, pipeline: Pipeline) -> bool:
        if not len(pipeline):
            return True
        try:
            async with asyncio.timeout(MOST_SECONDS):
                await pipeline.execute()
        except AWAY as error:
            log.warning("publish failed", error=repr(error), messages=len(pipeline))
            return False
        return True


def serialize(value: dict[str, Any]) -> bytes:
    """msgpack in place of arq's pickle: who can write to Redis must not run code here."""
    return msgspec.msgpack.encode(value)


def deserialize(data: bytes) -> dict[str, Any]:
    return msgspec.msgpack.decode(data, type=dict[str, Any])
