"""Postgres and Valkey: embedded and kept running, unless the settings name servers."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import TypeVar

from arqueduct.embedded import EmbeddedPostgres, EmbeddedValkey
from arqueduct.errors import SetupError
from arqueduct.settings import Settings, redact_url
from arqueduct.supervisor.child import Say
from arqueduct.supervisor.folder import DataFolder

__all__ = ["Servers", "to_the_end"]

Result = TypeVar("Result")

LOOK_SECONDS = 0.25
RETRY_SECONDS = 2.0


class Servers:
    """Where the two servers are. `postgres` and `valkey` are `None` where one was given."""

    def __init__(self, settings: Settings, folder: DataFolder, *, say: Say, on_change: Callable[[], None]) -> None:
        self.postgres = None if settings.database_url else EmbeddedPostgres(folder.postgres)
        self.valkey = None if settings.redis_url else EmbeddedValkey(folder.valkey)
        self.database_url = settings.database_url.get_secret_value() if settings.database_url else ""
        """As the owner of the tables. Of an embedded server: known once it has started, and the same from then on."""
        self.redis_url = settings.redis_url.get_secret_value() if settings.redis_url else ""
        self._say = say
        self._on_change = on_change

    @property
    def embedded(self) -> list[str]:
        return [server.name for server in (self.postgres, self.valkey) if server is not None]

    def pids(self) -> dict[str, list[int]]:
        return {
            "postgres": [self.postgres.pid] if self.postgres and self.postgres.alive() else [],
            "valkey": [self.valkey.pid] if self.valkey and self.valkey.alive() else [],
        }

    async def start(self) -> None:
        """Raises `SetupError` if an embedded server does not start, or a Redis that was given does not answer."""
        await asyncio.gather(
            *(to_the_end(server.start) for server in (self.postgres, self.valkey) if server is not None)
        )
        if self.postgres is not None:
            self.database_url = self.postgres.url()
        if self.valkey is not None:
            self.redis_url = self.valkey.url()
        else:
            await _check_redis(self.redis_url)

    async def stop(self) -> None:
        await asyncio.gather(
            *(to_the_end(server.stop) for server in (self.postgres, self.valkey) if server is not None)
        )

    async def keep(self) -> None:
        """Starts a server anew that died, for as long as the task lives; on its port, for the others know no other."""
        await asyncio.gather(self._keep_postgres(), self._keep_valkey())

    async def _keep_postgres(self) -> None:
        while self.postgres is not None:
            port = self.postgres.port
            await self._death(self.postgres)
            self.postgres = EmbeddedPostgres(self.postgres.folder, port=port)
            await self._again(self.postgres)

    async def _keep_valkey(self) -> None:
        while self.valkey is not None:
            port = self.valkey.port
            await self._death(self.valkey)
            self.valkey = EmbeddedValkey(self.valkey.folder, port=port)
            await self._again(self.valkey)

    async def _death(self, server: EmbeddedPostgres | EmbeddedValkey) -> None:
        while server.alive():  # noqa: ASYNC110 - another process: nobody tells us
            await asyncio.sleep(LOOK_SECONDS)
        self._say("died", process=server.name, reason="ended", log=str(server.folder / "log"))
        await to_the_end(server.stop)  # lets go of the folder

    async def _again(self, server: EmbeddedPostgres | EmbeddedValkey) -> None:
        while not server.alive():
            try:
                await to_the_end(server.start)
            except SetupError as error:
                self._say("failed", process=server.name, reason=error.message, again_in=RETRY_SECONDS)
                await asyncio.sleep(RETRY_SECONDS)
        self._say("started", process=server.name)
        self._on_change()


async def to_the_end(function: Callable[[], Result]) -> Result:
    """In a thread; a cancellation waits for its end, so that what follows never meets a start that is under way."""
    work = asyncio.ensure_future(asyncio.to_thread(function))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait({work})
        raise


async def _check_redis(url: str) -> None:
    from arqueduct.bus import AWAY, connect  # takes 0.2 s, which an embedded start need not wait for
    from arqueduct.keys import Keys

    try:
        redis = connect(url, Keys(prefix="arqueduct"))
    except ValueError as error:
        raise SetupError(f"REDIS_URL is no address of a Redis server: {error}") from error
    try:
        await redis.ping()
    except AWAY as error:
        raise SetupError(f"The Redis at {redact_url(url)} does not answer: {error}") from error
    finally:
        with contextlib.suppress(*AWAY):
            await redis.aclose()
