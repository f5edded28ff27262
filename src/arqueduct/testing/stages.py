"""A context to run a stage in, without a worker and without servers."""

import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from arqueduct.artifacts import SEPARATOR, Page, writing
from arqueduct.database import Database, Role, Transaction
from arqueduct.formats import Format
from arqueduct.ids import new_id
from arqueduct.pipeline import OnProgress, StageContext, Subject, Writer
from arqueduct.room import Room
from arqueduct.secret_keys import SecretKeys
from arqueduct.settings import Settings
from arqueduct.shared import Shared
from arqueduct.storage import Storage
from arqueduct.testing.embedding import HashingEmbedder
from arqueduct.webhooks.addresses import Guard
from arqueduct.webhooks.sender import Sender

__all__ = ["stage_context"]

NOWHERE = "postgresql://nobody@127.0.0.1:9/nothing"
"""The discard port: whoever asks for a transaction learns at once that Postgres is away."""
NO_PARSERS = (
    "This context has no parser processes. Give the text as `pages`, or pass `dataclasses.replace(context, parsers=…)`."
)
NO_JOB = (
    "This context has no job to complete. Pass `dataclasses.replace(context, complete=…)`, or run the whole pipeline "
    "on a service."
)


def stage_context(
    folder: Path,
    *,
    pages: Sequence[str] = (),
    settings: Settings | None = None,
    reports: list[Any] | None = None,
    labels: list[str] | None = None,
    options: Mapping[str, BaseModel] | None = None,
) -> StageContext:
    """A document as extract would leave it: `pages` are written to `context.pages_path`; blocks.

    `folder` stands for the attempt's work folder. Storage is in memory, the embedder is `HashingEmbedder`, and each
    call of `progress` adds `(done, total, unit, message)` to `reports`, each of `relabel` its label to `labels`.
    `options` are those of stages by their names, as `stage_options.options_of` gives them. There is no Postgres and no
    parser process: a transaction raises `DependencyUnavailable`, a parser and the completion `NotImplementedError`.
    """
    said = [] if reports is None else reports
    database = Database(NOWHERE, Role.WORKER)
    context = StageContext(
        job=_subject(),
        settings=settings or Settings(),
        folder=folder,
        database=database,
        storage=Storage.open("memory:///"),
        embedder=HashingEmbedder(),
        texts=Room(1000),
        model_id=1,
        parsers=_NoParsers(),
        sender=Sender(Guard((), environment="production"), SecretKeys([secrets.token_urlsafe(32)])),
        shared=Shared(database),
        report=lambda done, total, unit, message: said.append((done, total, unit, message)),
        complete=_no_completion,
        complete_with_others=_no_completion_with_others,
        enter=lambda label, _start, _end: None if labels is None else labels.append(label),
        options=options or {},
        recipe=["testing"],
        facts={"pages": len(pages), "characters": len(SEPARATOR.join(pages))},
    )
    with writing(context.pages_path) as write:
        for number, text in enumerate(pages, 1):
            write(Page(number=number, text=text))
    return context


def _subject() -> Subject:
    return Subject(
        job_id=new_id(),
        attempt=1,
        tenant_id=new_id(),
        user_id=new_id(),
        document_id=new_id(),
        name="document.txt",
        format=Format.TEXT,
        blob_id=new_id(),
        size=0,
        sha256="0" * 64,
        language="english",
        payload={},
    )


class _NoParsers:
    async def extract(
        self,
        source: Path,
        format: Format,
        target: Path,
        on_progress: OnProgress,
        *,
        max_pages: int | None = None,
        max_chars: int | None = None,
        navigation: bool = False,
        ocr: Literal["never", "missing", "always"] = "never",
        ocr_languages: tuple[str, ...] = (),
    ) -> Any:
        raise NotImplementedError(NO_PARSERS)

    async def chunk(
        self,
        source: Path,
        target: Path,
        on_progress: OnProgress,
        *,
        format: Format | None = None,
        size: int | None = None,
        overlap: int | None = None,
        headings: bool | None = None,
    ) -> Any:
        raise NotImplementedError(NO_PARSERS)


@asynccontextmanager
async def _no_completion() -> AsyncIterator[Transaction]:
    raise NotImplementedError(NO_JOB)
    yield


async def _no_completion_with_others(_write: Writer[Any], _result: Any) -> bool:
    raise NotImplementedError(NO_JOB)
