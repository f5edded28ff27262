"""Where in the storage things stand: pure functions from ids to keys.

Everything made from a blob lies under the blob's own prefix. So erasing a blob is one deletion of one prefix, and no
text extracted from it can be forgotten there; erasing a tenant is the same, one level up. The tenant comes first, so
that a bucket policy can tell tenants apart.
"""

import re
from dataclasses import dataclass
from uuid import UUID

__all__ = ["TENANTS", "Place", "blob_key", "blob_prefix", "place_of", "tenant_prefix", "text_key"]

TENANTS = "tenants"
"""Everything lies below."""

_ID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_KEY = re.compile(
    rf"{TENANTS}/(?P<tenant>{_ID})/blobs/(?P<blob>{_ID})/(?:original|text/(?P<recipe>[A-Za-z0-9._=-]+)\.jsonl\.zst)"
)


@dataclass(frozen=True, kw_only=True)
class Place:
    """What a key says of its file."""

    tenant_id: UUID
    blob_id: UUID
    recipe: str | None
    """Of the text; `None` for the bytes as they were uploaded."""


def tenant_prefix(tenant_id: UUID | str) -> str:
    """Everything a tenant keeps; deleting it erases the tenant from the storage."""
    return f"{TENANTS}/{tenant_id}"


def blob_prefix(tenant_id: UUID | str, blob_id: UUID | str) -> str:
    """A blob and every text made from it; deleting it leaves nothing of the document's content behind."""
    return f"{tenant_prefix(tenant_id)}/blobs/{blob_id}"


def blob_key(tenant_id: UUID | str, blob_id: UUID | str) -> str:
    """The bytes as they were uploaded. The user's file name is no part of it: renaming a document moves nothing."""
    return f"{blob_prefix(tenant_id, blob_id)}/original"


def text_key(tenant_id: UUID | str, blob_id: UUID | str, recipe: str) -> str:
    """The pages extracted from a blob by one recipe (extractor, version, options), as compressed JSON lines.

    The recipe is part of the key, so a retry finds the text it has already made, and a newer extractor does not
    find the text of an older one. `recipe` is a hash or another word of letters, digits, `.`, `_`, `=` and `-`.
    """
    return f"{blob_prefix(tenant_id, blob_id)}/text/{recipe}.jsonl.zst"


def place_of(key: str) -> Place | None:
    """The reverse of `blob_key` and `text_key`. `None`: neither made this key."""
    if not (found := _KEY.fullmatch(key)):
        return None
    return Place(tenant_id=UUID(found["tenant"]), blob_id=UUID(found["blob"]), recipe=found["recipe"])
