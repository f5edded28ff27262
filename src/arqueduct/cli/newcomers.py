"""Which files the server has already: a second start of the demo ingests nothing twice."""

import asyncio
import hashlib
from collections.abc import Iterable
from pathlib import Path

from arqueduct.cli.client import Client

__all__ = ["already_there"]


async def already_there(client: Client, files: Iterable[Path]) -> set[Path]:
    """Those whose name and content are a document that did not fail."""
    known = {
        (document["name"], document["sha256"])
        async for document in client.pages("/documents")
        if document["status"] not in ("failed", "cancelled")
    }
    hashed = {path: await asyncio.to_thread(_sha256, path) for path in files}
    return {path for path, sha256 in hashed.items() if (path.name, sha256) in known}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
