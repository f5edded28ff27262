"""Why a live connection is ended. Codes of our own are 4000 and the HTTP status that says the same."""

from typing import NamedTuple

__all__ = [
    "EXPIRED",
    "FORBIDDEN",
    "GONE",
    "MISUSED",
    "NOT_SIGNED_IN",
    "RATE_LIMITED",
    "REPLACED",
    "RESTART",
    "TOO_MANY",
    "TOO_SLOW",
    "TRY_LATER",
    "Close",
]


class Close(NamedTuple):
    """A WebSocket close code with its reason (at most 123 bytes on the wire)."""

    code: int
    reason: str


GONE = Close(1000, "the client left")
REPLACED = Close(1000, "the client came back over another connection")
MISUSED = Close(1008, "too many messages, or too many that could not be understood")
RESTART = Close(1012, "the server restarts; connect again")
TRY_LATER = Close(1013, "a server behind this one is away; connect again later")
NOT_SIGNED_IN = Close(4401, "not signed in: send a valid API key or a fresh ticket")
EXPIRED = Close(4401, "the key, the session or its token is over; sign in again")
FORBIDDEN = Close(4403, "this is not your user id")
TOO_SLOW = Close(4408, "too slow; connect again for a snapshot")
TOO_MANY = Close(4429, "too many connections")
RATE_LIMITED = Close(4429, "too many requests; try again later")
