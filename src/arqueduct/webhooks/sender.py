"""Sends messages and says what came back. One to a process, which slow receivers must not take up."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Literal
from uuid import UUID

import httpx

from arqueduct import __version__, storable
from arqueduct.errors import WebhookAddressRefused, WebhookResting
from arqueduct.secret_keys import SecretKeys
from arqueduct.webhooks import signing
from arqueduct.webhooks.addresses import Guard
from arqueduct.webhooks.transport import Pinned

__all__ = ["Message", "Outcome", "Reply", "Sender"]

TIMEOUT = httpx.Timeout(15.0, connect=5.0)
TOTAL_SECONDS = 15.0
"""Until the status is there, whatever a receiver does, such as answering a byte at a time."""
BODY_SECONDS = 5.0
MOST_READ = 64 * 2**10
"""Bytes of an answer."""
SHOWN = 1000
"""Bytes of it that are kept."""
LONGEST_ERROR = 300
LONGEST_NUMBER = 7
"""Digits of seconds to wait: more than a hundred days mean no more."""
PATIENCE_SECONDS = 1.0
"""How long a delivery waits for its turn in this process; a receiver that is well answers several in that time."""

Outcome = Literal["delivered", "refused", "gone", "unreachable", "timeout", "address_refused"]


@dataclass(frozen=True, kw_only=True)
class Message:
    """One event on its way to one endpoint."""

    id: str
    endpoint_id: UUID
    url: str
    secrets: Sequence[bytes]
    """Sealed, the newest first."""
    body: bytes


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What came back, or why nothing did."""

    outcome: Outcome
    started_at: datetime
    took: float
    """Seconds."""
    status: int | None = None
    error: str | None = None
    text: str | None = None
    """How the answer began."""
    retry_after: timedelta | None = None


class Sender:
    """Opens nothing before the first message."""

    def __init__(self, guard: Guard, keys: SecretKeys, *, at_once: int = 4) -> None:
        """`at_once`: most messages under way, of which half may go to one endpoint."""
        self._keys = keys
        self._guard = guard
        self._transport: Pinned | None = None
        self._most = at_once
        self._most_of_one = max(1, at_once // 2)
        self._under_way: Counter[UUID] = Counter()
        self._changed = asyncio.Condition()

    async def send(self, message: Message) -> Reply:
        """Raises `WebhookResting` where others are served first, and `SetupError` for a secret sealed elsewhere."""
        async with self._place(message.endpoint_id):
            now = datetime.now(UTC)
            began = time.monotonic()
            outcome, response, text, error = await self._exchange(message, int(now.timestamp()))
            return Reply(
                outcome=outcome,
                started_at=now,
                took=time.monotonic() - began,
                status=response.status_code if response else None,
                error=None if error is None else storable.text(error)[:LONGEST_ERROR],
                text=text,
                retry_after=_retry_after(response, now) if response else None,
            )

    async def aclose(self) -> None:
        if self._transport is not None:
            await self._transport.aclose()

    async def _exchange(
        self, message: Message, timestamp: int
    ) -> tuple[Outcome, httpx.Response | None, str | None, str | None]:
        request = self._request(message, timestamp)
        try:
            async with asyncio.timeout(TOTAL_SECONDS):
                response = await self._open().handle_async_request(request)
        except WebhookAddressRefused as refused:
            return "address_refused", None, None, refused.message
        except (TimeoutError, httpx.TimeoutException):
            return "timeout", None, None, "The receiver did not answer in time."
        except httpx.TransportError as error:
            return "unreachable", None, None, f"No answer: {str(error) or type(error).__name__}"
        text = await _beginning(response)
        if response.is_success:
            return "delivered", response, text, None
        outcome: Outcome = "gone" if response.status_code == httpx.codes.GONE else "refused"
        return outcome, response, text, f"The receiver answered {response.status_code}."

    def _request(self, message: Message, timestamp: int) -> httpx.Request:
        signers = [self._keys.open(sealed).decode() for sealed in message.secrets]
        return httpx.Request(
            "POST",
            message.url,
            headers={
                "Content-Type": "application/json",
                "Accept-Encoding": "identity",
                "Connection": "close",
                "User-Agent": f"Arqueduct/{__version__}",
                **signing.headers(signers, message.id, timestamp, message.body),
            },
            content=message.body,
            extensions={"timeout": TIMEOUT.as_dict()},
        )

    def _open(self) -> Pinned:
        if self._transport is None:
            self._transport = Pinned(self._guard)
        return self._transport

    @asynccontextmanager
    async def _place(self, endpoint_id: UUID) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS), self._changed:
                await self._changed.wait_for(lambda: self._has_room(endpoint_id))
                self._under_way[endpoint_id] += 1
        except TimeoutError:
            raise WebhookResting("Its receiver, or others, are slow: as many messages are under way as may.") from None
        try:
            yield
        finally:
            self._under_way[endpoint_id] -= 1
            if not self._under_way[endpoint_id]:
                del self._under_way[endpoint_id]
            async with self._changed:
                self._changed.notify_all()

    def _has_room(self, endpoint_id: UUID) -> bool:
        return self._under_way.total() < self._most and self._under_way[endpoint_id] < self._most_of_one


async def _beginning(response: httpx.Response) -> str:
    """Reads no more than is allowed, and closes the connection. The status has said everything, so a body that comes
    slowly or breaks off is no error."""
    kept = bytearray()
    read = 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in response.aiter_raw():
                kept += part[: SHOWN - len(kept)]
                read += len(part)
                if read >= MOST_READ:
                    break
    except (TimeoutError, httpx.TransportError):
        pass
    finally:
        await response.aclose()
    return storable.text(kept.decode("utf-8", "replace"))


def _retry_after(response: httpx.Response, now: datetime) -> timedelta | None:
    """What a receiver asks for that is overloaded: seconds, or a date."""
    asked = response.headers.get("retry-after", "").strip()
    if response.status_code not in (429, 503) or not asked:
        return None
    if asked.isascii() and asked.isdigit():
        return timedelta(seconds=int(asked[:LONGEST_NUMBER]))
    try:
        until = parsedate_to_datetime(asked)
        return max(until.astimezone(UTC) - now, timedelta(0))
    except (ValueError, TypeError, OverflowError):
        return None
