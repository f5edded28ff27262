"""`Idempotency-Key`: a POST that is sent again is answered again, and does nothing twice.

`api.describe` puts `Once` on every POST that needs a permission, unless the route has `once(…)` or `always()` in its
dependencies already. The order of things:

1. `Once`, after the permission was checked, claims the key, or answers what was answered before.
2. `Acting.note`, in the transaction of the change, marks the claim as carried out. Who lost it meanwhile rolls back.
3. The answer is kept: by `Acting.keep` in the same transaction, or else by `KeptAnswers` when it goes out. Between the
   commit and the latter lies a window of milliseconds; a process that dies in it leaves a claim that is carried out
   and has no answer, and the same request gets `AnswerNotKept`: it is never carried out twice.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Annotated, Any

import structlog
from fastapi import Depends, Header
from pydantic import BaseModel
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from arqueduct.database import Transaction
from arqueduct.errors import ArqueductError, IdempotencyInFlight
from arqueduct.identity import Identity
from arqueduct.repositories import kept_answers
from arqueduct.repositories.kept_answers import Claim, KeptAnswer
from arqueduct_backend.dependencies import Caller, state
from arqueduct_backend.problems import CALLER, NOTED
from arqueduct_backend.routing import template_of

__all__ = [
    "HEADER",
    "REPLAYED",
    "Always",
    "KeptAnswers",
    "Once",
    "Replay",
    "always",
    "claim_file",
    "claim_form",
    "keep",
    "mark",
    "once",
    "replayed",
]

log = structlog.get_logger()

CLAIM = "arqueduct.claim"
"""Where the ASGI scope has the claim of this request."""
HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
KEPT_HEADERS = frozenset({"content-type", "etag", "location", "retry-after"})
"""What belongs to the answer; the others belong to the exchange, such as the request id and the time it took."""
MOST_KEPT = 2**20
"""Bytes of a body; answers to POST have some kilobytes."""

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias=HEADER,
        pattern=r"^[!-~]{1,255}$",
        description="One for each request that is meant: sent again with the same key, it is answered again, and does "
        "nothing twice. Kept for 24 hours.",
        examples=["6f1f3a0e-8f1c-4a53-9a0e-4f5d7c3b2a10"],
    ),
]


class Replay(Exception):
    """This request was answered before."""

    def __init__(self, kept: KeptAnswer) -> None:
        super().__init__(kept.status)
        self.kept = kept


class Once:
    """Claims the key of a request. Raises `Replay` and what `kept_answers.claim` raises."""

    def __init__(self, *, has_file: bool = False, keeps_answer: bool = True) -> None:
        self._has_file = has_file
        self._keeps_answer = keeps_answer

    async def __call__(self, request: Request, caller: Caller, key: IdempotencyKey = None) -> None:
        if key is not None and not self._has_file:
            digest = await _digest_of_body(request)
            await _claim(request, caller, key, digest, keeps_answer=self._keeps_answer)


class Always:
    """Marks a route whose requests may be sent again anyway."""

    async def __call__(self) -> None:
        return


def once(*, has_file: bool = False, keeps_answer: bool = True) -> Any:
    """For `dependencies=[…]` of a POST that wants something else than the usual.

    `has_file`: the handler reads the body and calls `claim_file` or `claim_form`. `keeps_answer=False`: the
    answer holds a secret, so whoever sends the request again only hears that it was carried out.
    """
    return Depends(Once(has_file=has_file, keeps_answer=keeps_answer))


def always() -> Any:
    """For `dependencies=[…]` of a POST that creates nothing, and may be carried out as often as it is sent."""
    return Depends(Always())


async def claim_file(request: Request, *, name: str, sha256: str) -> None:
    """For uploads, once the file is here. The multipart body itself differs each time, by its boundary."""
    await _claim_body(request, f"{sha256} {name}")


async def claim_form(request: Request, *, fields: Mapping[str, str], files: Sequence[tuple[str, str]]) -> None:
    """The same for a form with many files: their hashes and names, in order, and the other fields."""
    await _claim_body(request, json.dumps([sorted(fields.items()), files]))


async def _claim_body(request: Request, said: str) -> None:
    key = request.headers.get(HEADER)
    if key is not None:
        digest = hashlib.sha256(said.encode("utf-8", "surrogatepass")).digest()
        await _claim(request, request.scope[CALLER], key, digest)


async def mark(scope: Scope, transaction: Transaction) -> None:
    """In the transaction of the change. Raises `IdempotencyInFlight` if the claim was taken over."""
    if held := _held(scope):
        await kept_answers.mark(transaction.driver, held.claim)


async def keep(scope: Scope, transaction: Transaction, answer: BaseModel, response: Response) -> None:
    """Keeps the answer in the transaction of its change: then there is no moment at which one is there alone."""
    held = _held(scope)
    if held is None or not held.keeps_answer:
        return
    status = response.status_code or getattr(scope.get("route"), "status_code", None) or 200
    headers = {"content-type": "application/json", **_kept_headers(response.headers)}
    kept = KeptAnswer(status=status, headers=headers, body=answer.model_dump_json().encode())
    await kept_answers.keep(transaction.driver, held.claim, kept)
    held.is_kept = True


async def replayed(request: Request, error: Exception) -> Response:
    """The answer of the first time; the audit log has it from then."""
    assert isinstance(error, Replay)  # noqa: S101  # registered for nothing else
    request.scope[NOTED] = True
    return Response(error.kept.body, status_code=error.kept.status, headers={**error.kept.headers, REPLAYED: "true"})


class KeptAnswers:
    """Keeps the answers of requests that hold a claim, before they go out; ends the claim of those that failed."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        held_back: list[Message] = []

        async def keeping(message: Message) -> None:
            held = _held(scope)
            if held is None:
                await send(message)
                return
            held_back.append(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                await _settle(scope, held, held_back)
                for kept in held_back:
                    await send(kept)
                held_back.clear()

        try:
            await self._app(scope, receive, keeping)
        except Exception:
            if held := _held(scope):
                await _settle(scope, held, [])
            raise


class _Held:
    """The claim of a request, and what became of it."""

    def __init__(self, claim: Claim, *, keeps_answer: bool) -> None:
        self.claim = claim
        self.keeps_answer = keeps_answer
        self.is_kept = False


def _held(scope: Scope) -> _Held | None:
    found: _Held | None = scope.get(CLAIM)
    return found


async def _claim(request: Request, caller: Identity, key: str, body: bytes, *, keeps_answer: bool = True) -> None:
    fingerprint = _fingerprint(request, body)
    for _ in range(3):
        async with state(request).database.transaction(caller.tenant_id) as transaction:
            found = await kept_answers.claim(
                transaction.driver,
                tenant_id=caller.tenant_id,
                user_id=caller.user_id,
                key=key,
                fingerprint=fingerprint,
            )
        if isinstance(found, KeptAnswer):
            raise Replay(found)
        if found is not None:
            request.scope[CLAIM] = _Held(found, keeps_answer=keeps_answer)
            return
    raise IdempotencyInFlight


async def _settle(scope: Scope, held: _Held, answer: list[Message]) -> None:
    """Keeps what is to be kept. Never raises: the answer is true, kept or not."""
    del scope[CLAIM]
    kept = _kept_of(answer) if held.keeps_answer else None
    if held.is_kept and kept is not None:
        return
    try:
        async with state(HTTPConnection(scope)).database.transaction(held.claim.tenant_id) as transaction:
            if kept is not None:
                await kept_answers.keep(transaction.driver, held.claim, kept)
            else:
                await kept_answers.finish(transaction.driver, held.claim)
    except ArqueductError as error:
        log.warning("answer not kept", error=error.message)
    except Exception:
        log.exception("answer not kept")


def _kept_of(answer: list[Message]) -> KeptAnswer | None:
    """None: it is not to be kept, because the same request may fare better another time, or because it is too long."""
    if not answer:
        return None
    status = answer[0]["status"]
    body = b"".join(message.get("body", b"") for message in answer[1:])
    if status >= 500 or status == 429 or len(body) > MOST_KEPT:
        return None
    return KeptAnswer(status=status, headers=_kept_headers(Headers(raw=answer[0]["headers"])), body=body)


def _kept_headers(headers: Headers) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name in KEPT_HEADERS}


def _fingerprint(request: Request, body: bytes) -> bytes:
    """Which request it is. Digests have one length, so nothing can be moved from one part into the next."""
    digest = hashlib.sha256()
    query = "&".join(sorted(request.scope["query_string"].decode("latin-1").split("&")))
    for part in (request.method, template_of(request.scope), request.scope["path"], query):
        digest.update(hashlib.sha256(part.encode("utf-8", "surrogateescape")).digest())
    digest.update(body)
    return digest.digest()


async def _digest_of_body(request: Request) -> bytes:
    """Of JSON whatever its spaces and the order of its fields."""
    body = await request.body()
    with suppress(ValueError, RecursionError):  # where it is no JSON, every byte counts
        body = json.dumps(json.loads(body), sort_keys=True).encode()
    return hashlib.sha256(body).digest()
