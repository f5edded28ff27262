"""A folder as the BEIR benchmark lays it out: documents, queries, and who judged what relevant."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from arqueduct.errors import SetupError

__all__ = ["Collection", "Judgements", "Text", "read"]

Judgements = Mapping[str, Mapping[str, int]]
"""By query: the grade of each judged document. 0: not relevant."""


class Text(NamedTuple):
    """A document of the collection."""

    id: str
    title: str
    text: str


class Collection(NamedTuple):
    """`queries` are those that have a relevant document, in the order of the file."""

    name: str
    documents: Sequence[Text]
    queries: Mapping[str, str]
    judgements: Judgements


def read(folder: Path) -> Collection:
    """From `corpus.jsonl`, `queries.jsonl` and `qrels/test.tsv`. Raises `SetupError` for what is not like that."""
    documents = [
        Text(str(line["_id"]), str(line.get("title") or ""), str(line["text"]))
        for line in _lines(folder / "corpus.jsonl")
    ]
    judgements = _judgements(folder / "qrels" / "test.tsv")
    texts = {str(line["_id"]): str(line["text"]) for line in _lines(folder / "queries.jsonl")}
    queries = {name: text for name, text in texts.items() if any(judgements.get(name, {}).values())}
    if not documents or not queries:
        raise SetupError(f"{folder} has no documents, or no query with a relevant document.")
    return Collection(folder.resolve().name, documents, queries, judgements)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                try:
                    found = decode(line)
                except msgspec.DecodeError as error:
                    raise SetupError(f"Line {number} of {path} is not a JSON object: {error}") from error
                if not found.keys() >= {"_id", "text"}:
                    raise SetupError(f"Line {number} of {path} lacks `_id` or `text`.")
                yield found
    except OSError as error:
        raise SetupError(
            f"{path} cannot be read: {error.strerror}.",
            advice="Name a folder with corpus.jsonl, queries.jsonl and qrels/test.tsv, as BEIR has them.",
        ) from error


def _judgements(path: Path) -> Judgements:
    """Tab-separated: query, document, grade, below a line of titles."""
    judged: dict[str, dict[str, int]] = {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for query, document, grade in list(csv.reader(file, delimiter="\t"))[1:]:
                judged.setdefault(query, {})[document] = int(grade)
    except (OSError, ValueError) as error:
        raise SetupError(
            f"{path} cannot be read: {error}.", advice="It has three columns: query, document, grade."
        ) from error
    return judged
