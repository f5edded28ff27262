"""Sending wake-ups to workers through arq. The row in Postgres is the truth; a wake-up may be lost or come twice."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

import structlog
from arq.connections import ArqRedis
from arq.constants import in_progress_key_prefix, job_key_prefix
from arq.jobs import serialize_job

from arqueduct.bus import AWAY, EXPIRES_EXTRA_MS, MOST_SECONDS, serialize
from arqueduct.keys import Keys

__all__ = ["FUNCTION", "Queue", "WakeUp", "wake_up_id"]

log = structlog.get_logger()

FUNCTION = "run_job"
"""The one function that workers register with arq, whatever the kind of the job."""


class WakeUp(NamedTuple):
    """Says to whoever is free: look at this job. Only the newest `dispatch` of a job counts."""

    job_id: UUID
    dispatch: int
    due: datetime
    """Not before this; of those that are due the earliest goes first."""


def wake_up_id(job_id: UUID, dispatch: int) -> str:
    """arq's id of a wake-up; a finished id stays blocked in arq, so each dispatch has one of its own."""
    return f"{job_id}:{dispatch}"


class Queue:
    """The sending side of arq's queue."""

    def __init__(self, redis: ArqRedis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    async def send(self, wake_ups: Iterable[WakeUp]) -> bool:
        """All in one MULTI of arq's own wire format (20 times faster than one by one), and a word to idle workers.

        False: Redis is away, and what was sent is unknown; the sweeper decides.
        """
        pipeline = self._redis.pipeline(transaction=True)
        now = _milliseconds(datetime.now(UTC))
        for job_id, dispatch, due in wake_ups:
            score = _milliseconds(due)
            name = wake_up_id(job_id, dispatch)
            body = serialize_job(FUNCTION, (str(job_id), dispatch), {}, None, now, serializer=serialize)
            pipeline.psetex(job_key_prefix + name, max(score - now, 0) + EXPIRES_EXTRA_MS, body)
            pipeline.zadd(self._keys.queue, {name: score})
        if not len(pipeline):
            return True
        pipeline.publish(self._keys.wake, b"")
        try:
            async with asyncio.timeout(MOST_SECONDS):
                await pipeline.execute()
        except AWAY as error:
            log.warning("dispatch failed; the sweeper will send it again", error=str(error))
            return False
        return True

    async def lost(self, wake_ups: Sequence[WakeUp]) -> list[WakeUp]:
        """Those that no worker will follow: gone from the queue, or locked there by a worker that never claimed.

        The locked ones are taken out of the queue: their successor has another name. Raises what redis raises, or
        `TimeoutError`.
        """
        if not wake_ups:
            return []
        names = [wake_up_id(wake_up.job_id, wake_up.dispatch) for wake_up in wake_ups]
        pipeline = self._redis.pipeline(transaction=False)
        for name in names:
            pipeline.zscore(self._keys.queue, name)
            pipeline.exists(in_progress_key_prefix + name)
        lost = []
        async with asyncio.timeout(MOST_SECONDS):
            answers = await pipeline.execute()
            for wake_up, name, score, locked in zip(wake_ups, names, answers[::2], answers[1::2], strict=True):
                if locked:
                    await self._redis.zrem(self._keys.queue, name)
                if locked or score is None:
                    lost.append(wake_up)
        return lost


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
