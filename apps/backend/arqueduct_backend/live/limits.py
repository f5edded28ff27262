"""The numbers of live updates, each with its reason. Tests shrink the times."""

from dataclasses import dataclass

__all__ = ["Limits"]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Times are seconds."""

    send: float = 10.0
    """A client that does not take one message within this is ended: it would only collect memory."""
    close: float = 10.0
    """How long a client that is being ended may take to hear it."""
    sign_in: float = 5.0
    """A socket that says who it is by its first message must do so within this."""
    confirm: float = 2.0
    """A SUBSCRIBE is confirmed in a millisecond; after this Redis counts as away, and the snapshot comes without."""
    anti_entropy: float = 5.0
    """No state is older than this on a client's screen while Postgres answers, whatever Redis does."""
    recheck: float = 60.0
    """A revoked key keeps its sockets no longer than this."""
    bad_messages: int = 20
    """Unreadable messages a minute that a client may send before it is ended."""
    messages_per_second: float = 10.0
    """On average, of one client; one that pings every 20 s sends a two-hundredth of it."""
    messages_at_once: int = 20
    """That may come in one burst before the average counts."""
    waiting: int = 500
    """Sockets in all that nobody has signed in to yet; each holds memory until it does, or its time is up."""
    waiting_of_address: int = 50
    """Of these from one address, so that nobody alone keeps the others out. A page opens one."""
    message_bytes: int = 4096
    """The longest thing a client has to say is a key."""
