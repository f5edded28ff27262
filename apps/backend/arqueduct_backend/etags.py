"""Versions of resources: `ETag`, `If-None-Match` on reads, `If-Match` on changes (RFC 9110)."""

import hashlib
import re
from typing import Annotated, Any

from fastapi import Header
from starlette.responses import Response

from arqueduct.errors import PreconditionFailed

__all__ = ["NOT_MODIFIED", "IfMatch", "IfNoneMatch", "check", "etag_of", "is_known", "not_modified"]

TAG = re.compile(r'(W/)?("[\x21\x23-\x7e\x80-\xff]*")')
BYTES = 15
"""Of a hash: thirty characters, and nobody will see two versions of one resource with the same ones."""

IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        description="The `ETag` that was read: it is changed only if nobody did so since.",
        examples=['"5f0c2a9be1d34c7f8a6b1d2e3f4a5b"'],
    ),
]
IfNoneMatch = Annotated[
    str | None,
    Header(
        alias="If-None-Match",
        description="The `ETag` that was read: it is sent only if it changed since.",
        examples=['"5f0c2a9be1d34c7f8a6b1d2e3f4a5b"'],
    ),
]
NOT_MODIFIED: dict[int | str, dict[str, Any]] = {304: {"description": "`If-None-Match` names this version."}}
"""For `responses=…` of a route that calls `is_known`."""


def etag_of(*parts: object, progress: int | None = None) -> str:
    """A strong tag: the parts must change with everything that the answer shows.

    `progress`: of what moves by itself. It belongs to what was read, but changes nothing that a client may change, so
    `check` passes over it.
    """
    digest = hashlib.blake2b(repr(tuple(map(str, parts))).encode("utf-8", "surrogatepass"), digest_size=BYTES)
    return f'"{digest.hexdigest()}"' if progress is None else f'"{digest.hexdigest()}-{progress}"'


def check(tag: str, if_match: str | None) -> None:
    """In the transaction of the change, with the row locked. Raises `PreconditionFailed`.

    Weak tags match nothing here, as RFC 9110 has it, and so does what is no tag at all.
    """
    if if_match is None or if_match.strip() == "*":
        return
    if _without_progress(tag) not in {_without_progress(found) for weak, found in TAG.findall(if_match) if not weak}:
        raise PreconditionFailed


def is_known(tag: str, if_none_match: str | None) -> bool:
    """Whether the client has this version already."""
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or tag in {found for _, found in TAG.findall(if_none_match)}


def _without_progress(tag: str) -> str:
    return tag.strip('"').partition("-")[0]


def not_modified(tag: str) -> Response:
    return Response(status_code=304, headers={"ETag": tag})
