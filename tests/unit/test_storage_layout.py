"""Keys of the storage: everything made from a blob lies under the blob."""

from uuid import UUID

import pytest

from arqueduct.storage import layout

TENANT = UUID("0199a0b0-0000-7000-8000-000000000001")
BLOB = UUID("0199a0b0-0000-7000-8000-000000000002")


def test_a_blob_and_its_texts_share_one_prefix() -> None:
    prefix = layout.blob_prefix(TENANT, BLOB) + "/"
    assert layout.blob_key(TENANT, BLOB) == f"tenants/{TENANT}/blobs/{BLOB}/original"
    assert layout.text_key(TENANT, BLOB, "ab12") == f"tenants/{TENANT}/blobs/{BLOB}/text/ab12.jsonl.zst"
    assert layout.blob_key(TENANT, BLOB).startswith(prefix)
    assert layout.text_key(TENANT, BLOB, "ab12").startswith(prefix)


def test_a_blob_lies_under_its_tenant() -> None:
    assert layout.blob_prefix(TENANT, BLOB).startswith(layout.tenant_prefix(TENANT) + "/")


def test_two_recipes_never_meet() -> None:
    assert layout.text_key(TENANT, BLOB, "ab12") != layout.text_key(TENANT, BLOB, "ab13")


def test_a_key_tells_where_it_is() -> None:
    original = layout.place_of(layout.blob_key(TENANT, BLOB))
    text = layout.place_of(layout.text_key(TENANT, BLOB, "ab.12"))
    assert original == layout.Place(tenant_id=TENANT, blob_id=BLOB, recipe=None)
    assert text == layout.Place(tenant_id=TENANT, blob_id=BLOB, recipe="ab.12")


@pytest.mark.parametrize(
    "key",
    [
        "tenants",
        f"tenants/{TENANT}/blobs/{BLOB}",
        f"tenants/{TENANT}/blobs/{BLOB}/original.bak",
        f"tenants/{TENANT}/blobs/{BLOB}/text/ab12.json",
        f"tenants/{TENANT}/blobs/{BLOB}/text/deeper/ab12.jsonl.zst",
        f"tenants/{str(TENANT).upper()}/blobs/{BLOB}/original",
        f"backup/tenants/{TENANT}/blobs/{BLOB}/original",
    ],
    ids=["short", "no file", "other file", "other ending", "deeper", "upper case", "elsewhere"],
)
def test_a_key_of_another_form_has_no_place(key: str) -> None:
    assert layout.place_of(key) is None
