"""Cursors come back as they went, and nothing else is taken for one."""

import base64
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arqueduct.errors import InvalidCursor
from arqueduct_backend import cursors


@given(st.uuids())
def test_an_id_comes_back(last: UUID) -> None:
    assert cursors.id_of("documents", cursors.of("documents", last)) == last


@given(st.integers(0, 2**63 - 1))
def test_a_number_comes_back(last: int) -> None:
    assert cursors.number_of("chunks", cursors.of("chunks", last)) == last


def test_no_cursor_is_the_beginning() -> None:
    assert cursors.id_of("documents", None) is None
    assert cursors.number_of("chunks", None) is None


@given(st.text())
def test_any_other_text_is_refused(text: str) -> None:
    for read in (cursors.id_of, cursors.number_of):
        with pytest.raises(InvalidCursor):
            read("documents", text)


@pytest.mark.parametrize("content", ["jobs:1", "chunks:-1", "chunks:", "chunks:²", f"chunks:{2**63}", "chunks: 1"])
def test_a_cursor_of_another_list_or_with_another_content_is_refused(content: str) -> None:
    with pytest.raises(InvalidCursor):
        cursors.number_of("chunks", base64.urlsafe_b64encode(content.encode()).decode())
