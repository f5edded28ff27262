"""Hears what users ask at once, over pub/sub; the heartbeat brings it at the latest, so nothing depends on this."""

import asyncio

import msgspec
import structlog
from arq.connections import ArqRedis

from arqueduct.bus import AWAY
from arqueduct.events import Control
from arqueduct.keys import Keys
from arqueduct.lifecycle import Action
from arqueduct_worker.channel import hear
from arqueduct_worker.leases import Leases, Stop

__all__ = ["listen"]

log = structlog.get_logger()

RECONNECT_SECONDS = 1.0

_STOPS: dict[str, Stop] = {Action.CANCEL: Stop.CANCEL, Action.PAUSE: Stop.PAUSE}


async def listen(redis: ArqRedis, keys: Keys, leases: Leases) -> None:
    """Listens for as long as the process lives, through any loss of Redis."""
    while True:
        try:
            await hear(redis, keys.control, on_message=lambda data: _obey(data, leases), on_subscribed=lambda: None)
        except AWAY as error:
            log.warning("control channel lost", error=str(error))
        await asyncio.sleep(RECONNECT_SECONDS)


def _obey(data: bytes, leases: Leases) -> None:
    try:
        control = msgspec.json.decode(data, type=Control)
    except msgspec.DecodeError:
        log.warning("not a control message", size=len(data))
        return
    if stop := _STOPS.get(control.action):
        leases.end(control.job_id, stop)
