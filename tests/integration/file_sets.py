"""Sets of the tests: what is sent, and what is known of what was answered."""

from collections.abc import Sequence
from typing import Any

import httpx

__all__ = ["SETS", "accepted", "codes", "files_of", "make", "parts", "statistics"]

SETS = "/api/v1/file-sets"


def parts(files: Sequence[tuple[str, bytes]], **fields: str) -> list[tuple[str, Any]]:
    """A form for httpx: the fields, then the files."""
    return [
        *((name, (None, value.encode())) for name, value in fields.items()),
        *(("files", file) for file in files),
    ]


async def make(api: httpx.AsyncClient, *files: tuple[str, bytes], name: str = "Rivers", **fields: str) -> Any:
    """The answer to a set that must have been made."""
    answer = await api.post(SETS, files=parts(files, name=name, **fields))
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"{SETS}/{answer.json()['id']}"
    return answer.json()


def codes(made: Any) -> list[str | None]:
    """Of the files of an answer: why each was refused, or None."""
    for file in made["files"]:
        assert file["accepted"] == (file["error"] is None) == (file["document_id"] is not None)
        assert file["error"] is None or (file["error"]["message"] and file["error"]["advice"])
    return [file["error"] and file["error"]["code"] for file in made["files"]]


def accepted(made: Any) -> list[str]:
    return [file["document_id"] for file in made["files"] if file["accepted"]]


async def files_of(api: httpx.AsyncClient, made: Any, **query: Any) -> Any:
    answer = await api.get(f"{SETS}/{made['id']}/files", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def statistics(api: httpx.AsyncClient, made: Any) -> Any:
    answer = await api.get(f"{SETS}/{made['id']}/statistics")
    assert answer.status_code == 200, answer.text
    return answer.json()
