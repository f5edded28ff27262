"""All names in Redis, in one place."""

from dataclasses import dataclass
from uuid import UUID

__all__ = ["Keys"]


@dataclass(frozen=True, kw_only=True)
class Keys:
    """Names below one prefix, so that several installations can share a Redis server."""

    prefix: str

    @property
    def queue(self) -> str:
        """Sorted set of arq: wake-ups by the time they are due."""
        return f"{self.prefix}:queue"

    @property
    def control(self) -> str:
        """Channel on which workers hear of cancels; they learn them by heartbeat at the latest."""
        return f"{self.prefix}:control"

    @property
    def wake(self) -> str:
        """Channel on which idle workers hear that something was put into the queue; they also look by themselves."""
        return f"{self.prefix}:wake"

    @property
    def rates(self) -> str:
        """Below this is what callers did of late, for the rate limits."""
        return f"{self.prefix}:rates"

    def cached(self, name: str) -> str:
        """An answer that is kept for a moment; see `cache`."""
        return f"{self.prefix}:cache:{name}"

    def generation(self, name: str) -> str:
        """A number that grows whenever an answer of this name becomes untrue."""
        return f"{self.prefix}:generation:{name}"

    def live(self, user_id: UUID) -> str:
        """Channel of one user's job messages."""
        return f"{self.prefix}:live:{user_id}"

    def sign_in(self, digest: str) -> str:
        """What belongs to a sign-in that a person now is away for, at the OpenID provider, by its state's SHA-256."""
        return f"{self.prefix}:sign-in:{digest}"

    def ticket(self, digest: str) -> str:
        """A single-use pass for a socket, by its SHA-256."""
        return f"{self.prefix}:ticket:{digest}"
