"""What all sides share: the documents, the extractor, the size of a chunk, the schema, and how a result is told."""

import json
import os
import time
from pathlib import Path
from typing import Any

__all__ = [
    "DATABASE_URL",
    "DIMENSIONS",
    "EMBED_BATCH",
    "EMBED_IN_FLIGHT",
    "EMBED_URL",
    "MODEL",
    "REDIS_URL",
    "SCHEMA",
    "Clock",
    "clean",
    "extract",
    "input_paths",
    "say",
    "splitter",
]

CHUNK, OVERLAP = 1000, 150
"""Characters."""
DIMENSIONS = 384
EMBED_BATCH, EMBED_IN_FLIGHT = 256, 4
MODEL = "text-embedding-3-small"
"""Any name would do for the API; some clients want one they know."""

DATABASE_URL = os.environ.get("PEER_DATABASE_URL", "")
REDIS_URL = os.environ.get("PEER_REDIS_URL", "")
EMBED_URL = os.environ.get("PEER_EMBED_URL", "")

SCHEMA = f"""
CREATE TABLE documents (id int PRIMARY KEY, path text NOT NULL, status text NOT NULL DEFAULT 'queued',
                        pages int, updated_at timestamptz DEFAULT now());
CREATE TABLE chunks (id bigserial PRIMARY KEY, document_id int NOT NULL, position int NOT NULL,
                     content text NOT NULL, embedding vector({DIMENSIONS}) NOT NULL);
CREATE INDEX ON chunks USING hnsw (embedding vector_cosine_ops) WITH (m = 16, ef_construction = 64);
"""


def input_paths() -> list[str]:
    """The documents of this run, in order."""
    return Path(os.environ["PEER_INPUT"]).read_text().splitlines()


def clean(text: str) -> str:
    """Postgres takes neither NUL nor half a surrogate pair; PDFs hold both."""
    return text.replace("\x00", "").encode("utf-8", "ignore").decode()


def extract(path: str) -> tuple[str, int]:
    """Text and pages with pypdfium2; a text file is one page."""
    if not path.endswith(".pdf"):
        return Path(path).read_text(), 1
    import pypdfium2  # type: ignore[import-untyped]  # ships no types

    with pypdfium2.PdfDocument(path) as pdf:
        texts = []
        for page in pdf:
            textpage = page.get_textpage()
            texts.append(textpage.get_text_range())
            textpage.close()
            page.close()
    return clean("\n".join(texts)), len(texts)


def splitter() -> Any:
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    return RecursiveCharacterTextSplitter(chunk_size=CHUNK, chunk_overlap=OVERLAP)


class Clock:
    """Begins when imports are done and workers are up; whoever measures us looks at CPU and memory from there on."""

    def __init__(self, **facts: Any) -> None:
        say(event="begun", **facts)
        self._began = time.perf_counter()

    def stop(self, **facts: Any) -> None:
        """Tells the result; `documents`, `pages` and `chunks` are what was stored."""
        seconds = time.perf_counter() - self._began
        say(**{"event": "done", "seconds": round(seconds, 3), **facts})


def say(**facts: Any) -> None:
    """One line of JSON."""
    print(json.dumps(facts), flush=True)
