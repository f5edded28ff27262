"""`arqueduct search`: passages that answer a question."""

import html
import re
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.padding import Padding
from rich.text import Text

from arqueduct.cli.asking import ask
from arqueduct.cli.options import ApiKey, DataDir, Json, Url
from arqueduct.cli.output import out, print_json, reporting

__all__ = ["Mode", "print_hits", "search"]

MARK = re.compile(r"(</?mark>)")
INDENT = 4


class Mode(StrEnum):
    """As `arqueduct.search.Mode`, which would import the database."""

    HYBRID = "hybrid"
    VECTOR = "vector"
    TEXT = "text"


def search(
    query: Annotated[str, typer.Argument(help="A question, or words.")],
    mode: Annotated[Mode, typer.Option(help="By meaning, by words, or both.")] = Mode.HYBRID,
    limit: Annotated[int, typer.Option(min=1, max=100, help="Passages to show.")] = 5,
    url: Url = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Find passages in the documents."""
    with reporting(json=json):
        asked = {"query": query, "mode": mode, "limit": limit}
        answer = ask(url, api_key, data_dir, lambda client: client.post("/search", asked))
        if json:
            print_json(answer)
        else:
            print_hits(answer["items"])


def print_hits(hits: list[dict[str, Any]]) -> None:
    """Document and page first, then the passage with the words that were found."""
    if not hits:
        out.print("Nothing was found.")
    for rank, hit in enumerate(hits, 1):
        head = Text.assemble(
            (f"{rank:>2}  ", "dim"),
            (hit["document_name"], "bold"),
            f"  {_where(hit['pages'])}",
            (f"  {hit['score']:.4f}", "dim"),
        )
        if hit.get("heading"):
            head.append(f"  {hit['heading']}", "dim italic")
        out.print(head, no_wrap=True, overflow="ellipsis")
        out.print(Padding(_highlighted(hit["highlight"]), (0, 2, 1, INDENT), expand=False))


def _where(pages: list[int]) -> str:
    first, last = pages
    return f"page {first}" if first == last else f"pages {first}–{last}"


def _highlighted(markup: str) -> Text:
    """The passage on one line of words, what was found in colour."""
    text, is_found = Text(), False
    for part in MARK.split(" ".join(markup.split())):
        if MARK.fullmatch(part):
            is_found = part == "<mark>"
        else:
            text.append(html.unescape(part), "bold yellow" if is_found else "")
    return text
