"""Keeps a few parser processes warm and sends documents through them; kills one without asking when it must.

    async with ParserPool(settings) as pool:
        extracted = await pool.extract(source, format, target, on_progress)
        chunked = await pool.chunk(target, chunks, on_progress)

Cancelling the task that waits kills the process at once: there is no thread that goes on behind its back.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self

import msgspec
import structlog

from arqueduct.errors import DocumentTimeout, by_code
from arqueduct.formats import Format
from arqueduct.settings import Settings
from arqueduct_worker.parsing.messages import ChunkText, Done, Extract, Failed, Request
from arqueduct_worker.parsing.process import ParserProcess

__all__ = ["Chunked", "Extracted", "OnProgress", "ParserPool", "lower"]

OnProgress = Callable[[int, int, str], None]

WORN_RESIDENT_BYTES: Final = 300 * 2**20  # pdfium and malloc give little back; a fresh process has about 80 MB
MARKDOWN_LIKE: Final = frozenset({Format.MARKDOWN, Format.HTML, Format.DOCX})

log = structlog.get_logger(__name__)


class Extracted(msgspec.Struct, frozen=True, kw_only=True):
    """What was read out of a document; the pages are in the target file."""

    pages: int
    chars: int
    title: str | None
    metadata: dict[str, str]
    unread: int = 0
    """Pages that were to be recognised and could not be, this time."""


class Chunked(msgspec.Struct, frozen=True, kw_only=True):
    """What a document was cut into; the chunks are in the target file."""

    chunks: int
    pages: int
    chars: int


class ParserPool:
    """At most `settings.parsers` processes; further documents wait for their turn."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._turns = asyncio.Semaphore(settings.parsers)
        self._idle: list[ParserProcess] = []
        self._all: set[ParserProcess] = set()

    async def __aenter__(self) -> Self:
        self._idle.append(await self._start())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._idle.clear()
        await asyncio.gather(*(process.kill() for process in list(self._all)))
        self._all.clear()

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
    ) -> Extracted:
        """Writes the document's pages to `target`; `on_progress(done, total, unit)` is called on the event loop.

        Limits lower those of the settings; `navigation` keeps the menus of web pages; `ocr` says which pages of a PDF
        are recognised.
        Raises the `PermanentError` that fits the document, `DocumentTimeout` and `ParserCrashed` among them, or
        `ParserKilled`, which is worth another try.
        """
        done = await self._ask(
            Extract(
                source=_absolute(source),
                format=format,
                target=_absolute(target),
                max_pages=lower(self._settings.max_pages, max_pages),
                max_text_chars=lower(self._settings.max_text_chars, max_chars),
                navigation=navigation,
                ocr=ocr,
                ocr_languages=ocr_languages,
            ),
            on_progress,
        )
        return Extracted(
            pages=done.pages, chars=done.chars, title=done.title, metadata=done.metadata, unread=done.unread
        )

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
    ) -> Chunked:
        """Writes the chunks of the pages in `source` to `target`. Raises as `extract` does.

        `format` is the document's: only where it writes headings as `# Title` are such lines taken for headings, unless
        `headings` says so. `size` and `overlap` are characters, by default those of the settings.
        """
        done = await self._ask(
            ChunkText(
                source=_absolute(source),
                target=_absolute(target),
                chunk_chars=self._settings.chunk_chars if size is None else size,
                overlap=self._settings.chunk_overlap if overlap is None else overlap,
                markdown=(format is None or format in MARKDOWN_LIKE) if headings is None else headings,
            ),
            on_progress,
        )
        return Chunked(chunks=done.chunks, pages=done.pages, chars=done.chars)

    async def _ask(self, request: Request, on_progress: OnProgress) -> Done:
        async with self._turns, self._process() as process:
            try:
                async with asyncio.timeout(self._settings.parser_seconds):
                    answer = await process.ask(request, on_progress)
            except TimeoutError:
                raise DocumentTimeout(
                    f"Reading the file took longer than {self._settings.parser_seconds:g} seconds."
                ) from None
        if isinstance(answer, Failed):
            error = by_code(answer.code)
            raise error(answer.message, advice=answer.advice)
        return answer

    @asynccontextmanager
    async def _process(self) -> AsyncIterator[ParserProcess]:
        """A living process. It comes back to the pool after an answer, and is killed on anything else."""
        process = await self._take()
        try:
            yield process
        except BaseException:
            await self._discard(process)
            raise
        if process.served >= self._settings.parser_documents or process.resident > WORN_RESIDENT_BYTES:
            log.debug("parser recycled", pid=process.pid, served=process.served, resident=process.resident)
            await self._discard(process)
        else:
            self._idle.append(process)

    async def _take(self) -> ParserProcess:
        while self._idle:
            process = self._idle.pop()
            if process.is_alive:
                return process
            await self._discard(process)
        return await self._start()

    async def _start(self) -> ParserProcess:
        process = await ParserProcess.start(self._settings.parser_memory_bytes)
        self._all.add(process)
        return process

    async def _discard(self, process: ParserProcess) -> None:
        self._all.discard(process)
        await process.kill()


def lower(limit: int, wanted: int | None) -> int:
    """What a document is held to: a profile can lower the limit of the installation, and not lift it."""
    return limit if wanted is None else min(limit, wanted)


def _absolute(path: Path) -> str:
    return str(path.absolute())
