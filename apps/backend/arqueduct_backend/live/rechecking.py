"""Tells every API process that a user's proofs may be worth nothing any more, so that sockets do not outlive them."""

from uuid import UUID

from arqueduct.bus import Bus

__all__ = ["RECHECK", "ask_to_recheck"]

RECHECK = b"recheck"
"""On the channel of a user's job messages. It only makes the listener look, so nobody gains by forging it."""


async def ask_to_recheck(bus: Bus, user_id: UUID) -> bool:
    """After a session ended, a key was revoked or a member removed, once that is committed. False: Redis is away, so
    it is noticed within `Limits.recheck` only.
    """
    return await bus.publish([(user_id, RECHECK)])
