"""What both transports share: how a call is put together, what an answer means, and when to try again."""

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlsplit
from uuid import uuid4

import httpx
import msgspec

from arqueduct.client.errors import APIError, BadURLError, ClientError, shown
from arqueduct.client.uploads import OnDisk, Upload, can_be_read_again, parts

__all__ = [
    "TRY_AGAIN",
    "Call",
    "OpenEnum",
    "Wait",
    "answer_of",
    "base_url",
    "bearer",
    "new_idempotency_key",
    "pause_before_next",
    "problem_of",
    "request_of",
]

Result = TypeVar("Result")

MOST_TRIES = 5
LONGEST_PAUSE = 30.0
FIRST_PAUSE = 0.25
TRY_AGAIN = frozenset({429, 502, 503, 504})
SAFE = frozenset({"GET", "HEAD", "PUT", "DELETE"})
HOPELESS = (httpx.UnsupportedProtocol, httpx.LocalProtocolError)
"""What was asked for cannot be sent at all."""
SCHEMES = ("http", "https")
IDEMPOTENCY_KEY = "Idempotency-Key"


class OpenEnum(StrEnum):
    """Takes values that only a newer server knows."""

    @classmethod
    def _missing_(cls, value: object) -> "OpenEnum":
        member = str.__new__(cls, str(value))
        member._name_ = str(value)
        member._value_ = str(value)
        return member


@dataclass(frozen=True, kw_only=True)
class Call(Generic[Result]):
    """One operation with its arguments. `answers` is the type of its answer: bytes and text are taken as they are."""

    method: str
    path: str
    answers: "type[Result] | Any"
    ids: Mapping[str, object] = field(default_factory=dict)
    """Parameters of the path."""
    query: Mapping[str, object] = field(default_factory=dict)
    headers: Mapping[str, object] = field(default_factory=dict)
    body: object = None
    form: Mapping[str, object] = field(default_factory=dict)
    """Fields that go beside files. A mapping goes as JSON."""
    files: Mapping[str, Sequence[Upload]] = field(default_factory=dict)
    """By the field of the form that they go in."""

    @property
    def may_repeat(self) -> bool:
        """Whether doing it twice is the same as doing it once."""
        return self.method in SAFE or IDEMPOTENCY_KEY in self.headers

    @property
    def can_be_sent_again(self) -> bool:
        """Not with a stream that was read and cannot go back."""
        return all(can_be_read_again(file) for files in self.files.values() for file in files)


@dataclass(frozen=True)
class Wait:
    """Seconds before the next try."""

    seconds: float


def base_url(url: str) -> str:
    """Without the slash at the end that people add. Raises `BadURLError`."""
    try:
        is_good = httpx.URL(url).scheme in SCHEMES and bool(urlsplit(url).hostname) and urlsplit(url).port != 0
    except (ValueError, httpx.InvalidURL):
        is_good = False
    if not is_good:
        raise BadURLError(url)
    return url.rstrip("/")


def bearer(token: str) -> str:
    """The header that carries a key or an access token. Raises `ClientError`, which does not show it."""
    if not re.fullmatch(r"[!-~]+", token):
        raise ClientError("The API key is empty, or has a line break or another character that no key has.")
    return f"Bearer {token}"


@contextmanager
def request_of(client: "httpx.Client | httpx.AsyncClient", call: "Call[Any]") -> Iterator[httpx.Request]:
    """The request as it goes out; files are read as they are sent. Values that are None are left out.

    Raises `OSError` for a file that cannot be read.
    """
    path = call.path.format_map({name: quote(str(value), safe="") for name, value in call.ids.items()})
    options: dict[str, Any] = {}
    headers = {name: str(value) for name, value in call.headers.items() if value is not None}
    if call.body is not None:
        options["content"] = msgspec.json.encode(call.body)
        headers["Content-Type"] = "application/json"
    files = [part for field, several in call.files.items() for part in parts(field, several)]
    if call.form or call.files:
        options["files"] = [*_fields(call.form), *files]
    query = {name: _query(value) for name, value in call.query.items() if value is not None}
    with ExitStack() as held:
        for _, (_, content) in files:
            if isinstance(content, OnDisk):
                held.callback(content.close)
        yield client.build_request(call.method, path, params=query, headers=headers, **options)


def _fields(form: Mapping[str, object]) -> list[tuple[str, tuple[None, bytes]]]:
    """Parts without a file name: so it is a form of many parts even when no file comes along."""
    return [(name, (None, _field(value))) for name, value in form.items() if value is not None]


def _field(value: object) -> bytes:
    return msgspec.json.encode(value) if isinstance(value, Mapping) else _text(value).encode()


def answer_of(call: "Call[Result]", response: httpx.Response) -> Result:
    """What the server said, as a value. Raises `APIError`, and `ClientError` when it is not this API that answered."""
    if response.is_error:
        raise APIError(response.status_code, problem_of(response))
    found: Any
    if call.answers is type(None):
        found = None
    elif call.answers is bytes:
        found = response.content
    elif call.answers is str:
        found = response.text
    else:
        found = _decoded(call, response)
    return found  # type: ignore[no-any-return]  # of the type that the call names


def _decoded(call: "Call[Any]", response: httpx.Response) -> object:
    try:
        return msgspec.json.decode(response.content, type=call.answers)
    except (msgspec.DecodeError, msgspec.ValidationError, TypeError) as error:  # TypeError: a type msgspec cannot read
        there = f"{call.method} {shown(response.request.url)}"
        raise ClientError(
            f"{there} answered {response.status_code} with something that this client does not understand: {error}. "
            "Look whether it is an Arqueduct server, of a version near the client's, that answers at this address."
        ) from error


def pause_before_next(call: "Call[Any]", tries: int, outcome: "httpx.Response | httpx.RequestError") -> Wait | None:
    """How long to wait before the next try; None: this outcome stands.

    A request that never reached the server may always be sent again; one that did, only if doing it twice is harmless
    and its files are still to be had.
    """
    if tries >= MOST_TRIES or isinstance(outcome, HOPELESS):
        return None
    if isinstance(outcome, httpx.Response):
        is_harmless = call.may_repeat or outcome.status_code == 429
        if outcome.status_code not in TRY_AGAIN or not (is_harmless and call.can_be_sent_again):
            return None
        told = outcome.headers.get("retry-after", "")
        if told.isdigit():
            return Wait(float(told)) if int(told) <= LONGEST_PAUSE else None
    elif not (_never_arrived(outcome) or (call.may_repeat and call.can_be_sent_again)):
        return None
    return Wait(random.uniform(0, min(LONGEST_PAUSE, FIRST_PAUSE * 2**tries)))  # noqa: S311  # spreads load


def _never_arrived(error: httpx.RequestError) -> bool:
    return isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)


def new_idempotency_key() -> str:
    """One a call, the same for each of its tries."""
    return uuid4().hex


def _query(value: object) -> str | list[str]:
    return [_text(each) for each in value] if isinstance(value, list | tuple | set) else _text(value)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    return str(msgspec.to_builtins(value))


def problem_of(response: httpx.Response) -> dict[str, Any]:
    """What the server complains of; a proxy before it may have answered in its own way."""
    try:
        found = msgspec.json.decode(response.content, type=dict[str, Any])
    except (msgspec.DecodeError, msgspec.ValidationError):
        return {"code": "unknown", "detail": response.text[:300] or response.reason_phrase}
    return found
