"""Where in the storage things stand: pure functions from ids to keys.

Everything made from a blob lies under the blob's own prefix. So erasing a blob is one deletion of one prefix, and no
text extracted from it can be forgotten there; erasing a tenant is the same, one level up. The tenant comes first, so
that a bucket policy can tell tenants apart.

The bytes of archived documents lie below `cold/` in the same way, so that one rule of the bucket can put all of them
on cheaper disks. Whatever is erased is erased in both: see `everywhere`.

A file of bytes is written once under its name and never again after it was given up. So deleting a name that no row
has any more is safe, however late it comes.
"""

import re
from dataclasses import dataclass
from uuid import UUID

__all__ = [
    "COLD",
    "ROOTS",
    "TENANTS",
    "Place",
    "blob_key",
    "blob_prefix",
    "cold_key",
    "everywhere",
    "place_of",
    "tenant_prefix",
    "text_key",
]

TENANTS = "tenants"
"""Everything lies below, except …"""
COLD = "cold"
"""… what is seldom wanted."""
ROOTS = (TENANTS, COLD)

_ID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_BLOB = rf"{TENANTS}/(?P<tenant>{_ID})/blobs/(?P<blob>{_ID})"
_KEY = re.compile(rf"{_BLOB}/(?:original(?:\.(?P<copy>{_ID}))?|text/(?P<recipe>[A-Za-z0-9._=-]+)\.jsonl\.zst)")
_COLD_KEY = re.compile(rf"{COLD}/{_BLOB}/original\.(?P<copy>{_ID})\.zst")


@dataclass(frozen=True, kw_only=True)
class Place:
    """What a key says of its file."""

    tenant_id: UUID
    blob_id: UUID
    recipe: str | None
    """Of the text; `None` for the bytes as they were uploaded."""
    copy: UUID | None = None
    """Which file of those bytes."""
    is_cold: bool = False


def tenant_prefix(tenant_id: UUID | str) -> str:
    """Everything a tenant keeps; deleting it erases the tenant from the storage."""
    return f"{TENANTS}/{tenant_id}"


def blob_prefix(tenant_id: UUID | str, blob_id: UUID | str) -> str:
    """A blob and every text made from it; deleting it leaves nothing of the document's content behind."""
    return f"{tenant_prefix(tenant_id)}/blobs/{blob_id}"


def everywhere(prefix: str) -> tuple[str, str]:
    """The prefix and what is cold of it: whoever erases the one erases the other."""
    return prefix, f"{COLD}/{prefix}"


def blob_key(tenant_id: UUID | str, blob_id: UUID | str, copy: UUID | None = None) -> str:
    """The bytes as they were uploaded. The user's file name is no part of it: renaming a document moves nothing.

    `copy`: of the blob's row, for bytes that were away and came back.
    """
    return f"{blob_prefix(tenant_id, blob_id)}/original{'' if copy is None else f'.{copy}'}"


def cold_key(tenant_id: UUID | str, blob_id: UUID | str, copy: UUID | None) -> str:
    """The same bytes compressed, while only archived documents have them."""
    return f"{COLD}/{blob_prefix(tenant_id, blob_id)}/original.{copy}.zst"


def text_key(tenant_id: UUID | str, blob_id: UUID | str, recipe: str) -> str:
    """The pages extracted from a blob by one recipe (extractor, version, options), as compressed JSON lines.

    The recipe is part of the key, so a retry finds the text it has already made, and a newer extractor does not
    find the text of an older one. `recipe` is a hash or another word of letters, digits, `.`, `_`, `=` and `-`.
    """
    return f"{blob_prefix(tenant_id, blob_id)}/text/{recipe}.jsonl.zst"


def place_of(key: str) -> Place | None:
    """The reverse of `blob_key`, `cold_key` and `text_key`. `None`: none of them made this key."""
    if found := _KEY.fullmatch(key):
        recipe, is_cold = found["recipe"], False
    elif found := _COLD_KEY.fullmatch(key):
        recipe, is_cold = None, True
    else:
        return None
    return Place(
        tenant_id=UUID(found["tenant"]),
        blob_id=UUID(found["blob"]),
        recipe=recipe,
        copy=UUID(found["copy"]) if found["copy"] else None,
        is_cold=is_cold,
    )
