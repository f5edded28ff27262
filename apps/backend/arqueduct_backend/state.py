"""What one API process opens at its start and all requests share."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from arq.connections import ArqRedis

from arqueduct import lag
from arqueduct.admitter import Admitter
from arqueduct.bus import Bus, connect
from arqueduct.cache import Cache
from arqueduct.database import Database, Role
from arqueduct.dispatcher import Dispatcher
from arqueduct.embedding import Embedder
from arqueduct.errors import SetupError
from arqueduct.keys import Keys
from arqueduct.passwords import Passwords
from arqueduct.queue import Queue
from arqueduct.secret_keys import SecretKeys
from arqueduct.settings import Settings
from arqueduct.storage import Storage
from arqueduct.tokens import AccessTokens
from arqueduct_backend.budgets import Budgets
from arqueduct_backend.embedder import QueryEmbedder
from arqueduct_backend.live.bridge import Bridge
from arqueduct_backend.oidc import Provider
from arqueduct_backend.rate_limits import RateLimits
from arqueduct_backend.refusals import EACH, Refusals

__all__ = ["State", "opened"]


@dataclass(frozen=True, kw_only=True)
class State:
    """Open from start to stop of the process."""

    settings: Settings
    database: Database
    redis: ArqRedis
    keys: Keys
    bus: Bus
    cache: Cache
    admitter: Admitter
    dispatcher: Dispatcher
    storage: Storage
    embedder: QueryEmbedder
    bridge: Bridge
    budgets: Budgets
    secret_keys: SecretKeys
    access_tokens: AccessTokens
    passwords: Passwords
    provider: Provider | None
    """The OpenID provider, if people may sign in with one."""
    strangers: Refusals
    guesses: Refusals
    """At passwords, apart from all else that strangers try: as many lines as the budget allows attempts."""


@asynccontextmanager
async def opened(settings: Settings, embedder: Embedder | None = None) -> AsyncIterator[State]:
    """Servers that are away do not hinder the start: requests say so, and `/readyz` does. Raises `SetupError`."""
    database_url = settings.app_database_url or settings.database_url
    if database_url is None or settings.redis_url is None:
        raise SetupError("The API needs DATABASE_URL and REDIS_URL; `arqueduct up` brings both with it.")
    secret_keys = await asyncio.to_thread(SecretKeys.of, settings)
    async with AsyncExitStack() as stack:
        keys = Keys(prefix=settings.redis_prefix)
        database = Database(
            database_url.get_secret_value(), Role.APP, pool_size=settings.database_pool_size, name="arqueduct api"
        )
        stack.push_async_callback(database.aclose)
        redis = connect(settings.redis_url.get_secret_value(), keys)
        stack.push_async_callback(redis.aclose)
        query_embedder = QueryEmbedder(settings, embedder)
        stack.push_async_callback(query_embedder.aclose)
        query_embedder.warm_up()
        passwords = Passwords()
        stack.callback(passwords.close)
        provider = Provider(settings, redis, keys) if settings.oidc_issuer else None
        if provider is not None:
            stack.push_async_callback(provider.aclose)
        limits = RateLimits(settings.redis_url.get_secret_value(), keys)
        stack.push_async_callback(limits.aclose)
        bus = Bus(redis, keys)
        bridge = Bridge(database, redis, keys, settings)
        await bridge.start()
        stack.push_async_callback(bridge.stop)
        lag_watch = asyncio.create_task(lag.watch())
        stack.callback(lag_watch.cancel)
        admitter = Admitter(database, Queue(redis, keys), alive=settings.alive_time, interval=settings.sweep)
        admitting = asyncio.create_task(admitter.run())
        stack.callback(admitting.cancel)
        stack.push_async_callback(admitter.stop)
        yield State(
            settings=settings,
            database=database,
            redis=redis,
            keys=keys,
            bus=bus,
            cache=Cache(redis, keys),
            admitter=admitter,
            dispatcher=Dispatcher(bus, admitter),
            storage=Storage.open(settings.effective_storage_url),
            embedder=query_embedder,
            bridge=bridge,
            budgets=Budgets(limits, settings),
            secret_keys=secret_keys,
            access_tokens=AccessTokens(secret_keys, settings.access_token_seconds),
            passwords=passwords,
            provider=provider,
            strangers=Refusals(),
            guesses=Refusals(each=max(EACH, settings.sign_ins_per_address)),
        )
