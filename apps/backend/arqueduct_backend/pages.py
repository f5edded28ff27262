"""Lists in pages: the parameters every list takes, and what it answers."""

from collections.abc import Callable, Sequence
from typing import Annotated, Literal, TypeVar

from fastapi import Query

from arqueduct_backend.schemas import Page

__all__ = ["Cursor", "Limit", "Sort", "page_of"]

Row = TypeVar("Row")
Item = TypeVar("Item")

Limit = Annotated[int, Query(ge=1, le=200, description="Items on a page.")]
Sort = Annotated[Literal["-created_at"], Query(description="The newest first; there is no other order yet.")]
Cursor = Annotated[str | None, Query(max_length=256, description="`next_cursor` of the page before.")]


def page_of(found: Sequence[Row], limit: int, item: Callable[[Row], Item], cursor: Callable[[Row], str]) -> Page[Item]:
    """The first `limit` rows; one row more than that means that there is a next page."""
    shown = found[:limit]
    return Page.model_construct(
        items=[item(row) for row in shown], next_cursor=cursor(shown[-1]) if len(found) > limit else None
    )
