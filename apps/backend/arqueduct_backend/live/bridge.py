"""Carries job states from Redis to the clients of this process, and from Postgres what Redis lost on the way.

A client counts on this: it is registered first, then its channel is confirmed, then the rows are read. So every
state is either in the rows that it gets, or heard afterwards, or – Redis being away – read again within seconds. The
same holds for what it proved itself with: its end is either seen beside the rows, or heard afterwards.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial
from uuid import UUID

import msgspec
import structlog
from arq.connections import ArqRedis

from arqueduct import metrics
from arqueduct.database import Database
from arqueduct.errors import DependencyUnavailable
from arqueduct.keys import Keys
from arqueduct.repositories import jobs, live
from arqueduct.settings import Settings
from arqueduct_backend.live import updates
from arqueduct_backend.live.audience import Audience
from arqueduct_backend.live.client import Client
from arqueduct_backend.live.closing import EXPIRED, NOT_SIGNED_IN, REPLACED, RESTART, TOO_SLOW
from arqueduct_backend.live.gate import Gate
from arqueduct_backend.live.limits import Limits
from arqueduct_backend.live.rechecking import RECHECK
from arqueduct_backend.live.snapshots import Snapshot, Snapshots
from arqueduct_backend.live.subscriber import Subscriber
from arqueduct_backend.live.updates import Outgoing, Update

__all__ = ["Bridge"]

log = structlog.get_logger()


class Bridge:
    """One a process. Nothing in it waits for a client."""

    def __init__(
        self, database: Database, redis: ArqRedis, keys: Keys, settings: Settings, limits: Limits | None = None
    ) -> None:
        self.limits = limits or Limits()
        self._database = database
        self._keys = keys
        self.gate = Gate(settings, self.limits)
        self._audiences: dict[bytes, dict[UUID, Audience]] = {}
        """By channel, that is by user; then by tenant."""
        self._heard: dict[Audience, list[Update]] = {}
        """Since this turn of the loop began."""
        self._snapshots = Snapshots(database)
        self._missed = asyncio.Event()
        self._suspects: set[UUID] = set()
        """Users whose proofs may have ended."""
        self._suspected = asyncio.Event()
        self._subscriber = Subscriber(redis, on_message=self._on_message, on_missed=self._missed.set)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Returns at once; servers that are away are waited for in the background."""
        self._tasks = [
            asyncio.create_task(self._subscriber.run()),
            asyncio.create_task(self._keep_fresh()),
            asyncio.create_task(_for_ever(self.limits.recheck, self._recheck_proofs)),
            asyncio.create_task(self._recheck_suspects()),
            asyncio.create_task(_for_ever(self.limits.send / 10, self._end_slow)),
        ]

    async def stop(self) -> None:
        """Ends what is still connected, telling it to come again."""
        for client in self._clients():
            client.end(RESTART)
        while running := [task for task in self._tasks if not task.done()]:
            for task in running:
                task.cancel()
            await asyncio.wait(running, timeout=1)  # once more for those where a library swallowed the cancellation

    @contextmanager
    def attached(self, client: Client, last: str | None = None) -> Iterator[AsyncGenerator[Outgoing]]:
        """The messages for this client, as long as the block lasts. Raises `TooManyConnections`.

        `last`: the id of the connection that it had before, which is ended if it still hangs here.
        """
        tenant_id, user_id = client.identity.tenant_id, client.identity.user_id
        channel = self._keys.live(user_id).encode()
        mine = self._audiences.get(channel, {})
        others = [other for audience in mine.values() for other in audience.clients if other.close is None]
        if last is not None:
            metrics.socket_reconnects.labels(client.transport).inc()
            for other in [other for other in others if other.id == last]:
                other.end(REPLACED)
                others.remove(other)
        with self.gate.entered(tenant_id, len(others)):
            mine = self._audiences.setdefault(channel, {})
            if not mine:
                self._subscriber.add(channel)
            audience = mine.setdefault(tenant_id, Audience(tenant_id, user_id))
            audience.clients.add(client)
            with _measured(client), _ended_in_time(client):
                try:
                    yield client.messages(partial(self._first, client, channel))
                finally:
                    audience.clients.remove(client)
                    self._tidy(channel, audience)

    def _tidy(self, channel: bytes, audience: Audience) -> None:
        mine = self._audiences[channel]
        if not audience.clients:
            del mine[audience.tenant_id]
        if not mine:
            del self._audiences[channel]
            self._subscriber.remove(channel)

    async def _first(self, client: Client, channel: bytes) -> Snapshot:
        """Raises `NotAuthenticated` for who was let in by what has ended since."""
        await self._subscriber.confirmed(channel, self.limits.confirm)
        return await self._snapshots.read(client.identity)

    def _on_message(self, channel: bytes, data: bytes) -> None:
        mine = self._audiences.get(channel)
        if not mine:
            return
        if data == RECHECK:
            self._suspects |= {audience.user_id for audience in mine.values()}
            self._suspected.set()
            return
        try:
            update = updates.parse(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            log.warning("not a job message", size=len(data))
            return
        for audience in mine.values():
            if audience.tenant == update.tenant_id:
                if not self._heard:
                    asyncio.get_running_loop().call_soon(self._pass_on)
                self._heard.setdefault(audience, []).append(update)

    def _pass_on(self) -> None:
        """What came from Redis at once goes to each client at once."""
        heard, self._heard = self._heard, {}
        for audience, of_it in heard.items():
            audience.deliver(of_it)

    async def _keep_fresh(self) -> None:
        """Reads again what clients look at: at once after Redis came back, and now and then anyway.

        What Redis lost may have been a word to look at proofs, too.
        """
        while True:
            try:
                async with asyncio.timeout(self.limits.anti_entropy):
                    await self._missed.wait()
                reason = "redis"
            except TimeoutError:
                reason = "anti_entropy"
            self._missed.clear()
            if reason == "redis":
                await _once(self._recheck_proofs)
            await _once(partial(self._resync, reason))

    async def _resync(self, reason: str) -> None:
        for tenant_id, audiences in self._by_tenant().items():
            by_user = {audience.user_id: audience for audience in audiences}
            known: dict[str, int] = {}
            for audience in audiences:
                known |= audience.known()
            async with self._database.transaction(tenant_id) as transaction:
                rows = await live.newer(transaction.driver, list(by_user), known)
            for row in rows:
                if by_user[row["user_id"]].deliver([updates.of_message(jobs.message_of(row))]):
                    metrics.resyncs.labels(reason).inc()

    async def _recheck_suspects(self) -> None:
        while True:
            await self._suspected.wait()
            self._suspected.clear()
            suspects, self._suspects = self._suspects, set()
            await _once(partial(self._recheck_proofs, suspects))

    async def _recheck_proofs(self, of_users: Collection[UUID] | None = None) -> None:
        """Of these users, or of all."""
        for tenant_id, audiences in self._by_tenant().items():
            asked = [audience for audience in audiences if of_users is None or audience.user_id in of_users]
            clients = [client for audience in asked for client in audience.clients]
            if not clients:
                continue
            async with self._database.transaction(tenant_id) as transaction:
                valid = await live.valid_proofs(transaction.driver, {client.identity.proof for client in clients})
            for client in clients:
                if client.identity.proof not in valid:
                    client.end(NOT_SIGNED_IN)

    async def _end_slow(self) -> None:
        for client in self._clients():
            if client.sends_longer_than(self.limits.send):
                client.end(TOO_SLOW)

    def _by_tenant(self) -> dict[UUID, list[Audience]]:
        found: dict[UUID, list[Audience]] = {}
        for mine in self._audiences.values():
            for audience in mine.values():
                found.setdefault(audience.tenant_id, []).append(audience)
        return found

    def _clients(self) -> list[Client]:
        return [
            client for mine in self._audiences.values() for audience in mine.values() for client in audience.clients
        ]


@contextmanager
def _ended_in_time(client: Client) -> Iterator[None]:
    """Ends it when what it proved itself with does."""
    expires = client.identity.expires_at
    if expires is None:
        yield
        return
    ending = asyncio.get_running_loop().call_later(max(0.0, expires - time.time()), client.end, EXPIRED)
    try:
        yield
    finally:
        ending.cancel()


@contextmanager
def _measured(client: Client) -> Iterator[None]:
    gauge = metrics.sockets.labels(client.transport)
    bound = log.bind(user=str(client.identity.user_id), transport=client.transport)
    gauge.inc()
    bound.info("live connection opened")
    try:
        yield
    finally:
        gauge.dec()
        took = asyncio.get_running_loop().time() - client.began
        metrics.socket_seconds.observe(took)
        bound.info("live connection closed", took=round(took, 3), reason=client.close.reason if client.close else None)


async def _for_ever(seconds: float, act: Callable[[], Awaitable[None]]) -> None:
    while True:
        await asyncio.sleep(seconds)
        await _once(act)


async def _once(act: Callable[[], Awaitable[None]]) -> None:
    """What fails here is tried again with the next turn; nothing ends a task that keeps clients up to date."""
    try:
        await act()
    except DependencyUnavailable as error:
        log.warning("live states not read", error=error.message)
    except Exception:
        log.exception("live task failed")
