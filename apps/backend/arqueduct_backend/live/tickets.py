"""Single-use passes: a page gets one with its key and opens a socket with it, so that no key is ever in a URL."""

import hashlib
import secrets

import msgspec
from arq.connections import ArqRedis

from arqueduct.bus import AWAY
from arqueduct.errors import DependencyUnavailable, NotAuthenticated
from arqueduct.identity import Identity
from arqueduct.keys import Keys

__all__ = ["LIFETIME_SECONDS", "Tickets", "is_ticket"]

LIFETIME_SECONDS = 30
"""From the answer to the handshake on a slow phone."""
PREFIX = "tkt_"
TICKET_BYTES = 32
LONGEST = 128


def is_ticket(token: str) -> bool:
    """Tells tickets from API keys where either may be sent."""
    return token.startswith(PREFIX)


class Tickets:
    """Kept in Redis, so that any API process redeems what another issued."""

    def __init__(self, redis: ArqRedis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    async def issue(self, identity: Identity) -> str:
        """Raises `DependencyUnavailable` if Redis is away."""
        ticket = PREFIX + secrets.token_urlsafe(TICKET_BYTES)
        try:
            await self._redis.set(self._name(ticket), msgspec.msgpack.encode(identity), ex=LIFETIME_SECONDS)
        except AWAY as error:
            raise DependencyUnavailable(f"Redis is away, so there are no tickets: {error}") from error
        return ticket

    async def redeem(self, ticket: str) -> Identity:
        """Whom it was issued to, once. Raises `NotAuthenticated`, or `DependencyUnavailable` if Redis is away."""
        kept = None
        if is_ticket(ticket) and len(ticket) <= LONGEST:
            try:
                kept = await self._redis.getdel(self._name(ticket))
            except AWAY as error:
                raise DependencyUnavailable(f"Redis is away, so tickets cannot be checked: {error}") from error
        if kept is None:
            raise NotAuthenticated("This ticket is unknown, used or older than 30 seconds.")
        return msgspec.msgpack.decode(kept, type=Identity)

    def _name(self, ticket: str) -> str:
        """Who can read what Redis keeps, or is told, gets no ticket out of it."""
        return self._keys.ticket(hashlib.sha256(ticket.encode()).hexdigest())
