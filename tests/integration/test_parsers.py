"""Documents through real parser processes, and what happens when one dies, stalls or eats too much."""

import asyncio
import os
import signal
import subprocess
import sys
import time
import zipfile
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import docx
import pytest
from pypdf import PdfWriter
from reportlab.pdfgen.canvas import Canvas  # type: ignore[import-untyped]  # ships no types

from arqueduct.artifacts import Chunk, Page, read_lines, writing
from arqueduct.errors import (
    ArqueductError,
    DocumentCorrupt,
    DocumentEncrypted,
    DocumentHasNoText,
    DocumentTimeout,
    DocumentTooComplex,
    DocumentTooLong,
    ParserCrashed,
    ParserKilled,
)
from arqueduct.formats import Format
from arqueduct.settings import Settings
from arqueduct_worker.parsing.pool import ParserPool

SLOW_CHARS = 20_000_000  # about ten seconds of chunking


def pool(**values: object) -> ParserPool:
    return ParserPool(Settings(**({"parsers": 1} | values)))


@pytest.fixture
async def parsers() -> AsyncIterator[ParserPool]:
    async with pool() as opened:
        yield opened


def silent(done: int, total: int, unit: str) -> None:
    pass


def pids(opened: ParserPool) -> set[int]:
    return {process.pid for process in opened._all}


def is_gone(pid: int) -> bool:
    """Ended and reaped: a zombie still has its entry."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def pdf(path: Path, *pages: str, outline: bool = False) -> Path:
    canvas = Canvas(str(path))
    canvas.setTitle("A made document")
    for number, text in enumerate(pages, start=1):
        if outline:
            canvas.bookmarkPage(str(number))
            canvas.addOutlineEntry(f"Part {number}", str(number))
        canvas.drawString(72, 720, text)
        canvas.showPage()
    canvas.save()
    return path


def slow_pages(folder: Path) -> Path:
    path = folder / "slow.pages"
    with writing(path) as write:
        write(Page(number=1, text="a " * (SLOW_CHARS // 2)))
    return path


async def chunk_until_progress(opened: ParserPool, folder: Path, then: Callable[[], object]) -> None:
    """Starts a slow piece of work and calls `then` once it is really under way."""
    acted = False

    def on_progress(done: int, total: int, unit: str) -> None:
        nonlocal acted
        if not acted:
            acted = True
            then()

    await opened.chunk(await asyncio.to_thread(slow_pages, folder), folder / "chunks", on_progress)


async def still_works(opened: ParserPool, folder: Path) -> bool:
    extracted = await opened.extract(pdf(folder / "after.pdf", "Still here"), Format.PDF, folder / "after", silent)
    return extracted.pages == 1


async def test_a_pdf_becomes_pages_and_chunks(parsers: ParserPool, tmp_path: Path) -> None:
    told: list[tuple[int, int, str]] = []
    source = pdf(tmp_path / "a.pdf", "First page", "", "Third page", outline=True)
    extracted = await parsers.extract(source, Format.PDF, tmp_path / "pages", lambda *args: told.append(args))
    pages = list(read_lines(tmp_path / "pages", Page))
    assert [(page.number, page.text.strip(), page.heading) for page in pages] == [
        (1, "First page", "Part 1"),
        (2, "", "Part 2"),
        (3, "Third page", "Part 3"),
    ]
    assert (extracted.pages, extracted.title) == (3, "A made document")
    assert extracted.chars == sum(len(page.text) for page in pages)
    assert told[0] == (1, 3, "pages")
    chunked = await parsers.chunk(tmp_path / "pages", tmp_path / "chunks", silent, format=Format.PDF)
    (only,) = read_lines(tmp_path / "chunks", Chunk)
    assert (chunked.chunks, only.first_page, only.last_page, only.heading) == (1, 1, 3, "Part 1")


async def test_a_docx_keeps_its_headings_tables_and_page_breaks(parsers: ParserPool, tmp_path: Path) -> None:
    document = docx.Document()
    document.core_properties.title = "Minutes"
    document.add_heading("Opening", 1)
    document.add_paragraph("We met.\tAll were there.")
    table = document.add_table(2, 2)
    for index, cell in enumerate(cell for row in table.rows for cell in row.cells):
        cell.text = f"cell {index}"
    document.add_page_break()  # type: ignore[no-untyped-call]  # half of python-docx has types
    document.add_heading("Closing", 2)
    document.save(str(tmp_path / "a.docx"))
    extracted = await parsers.extract(tmp_path / "a.docx", Format.DOCX, tmp_path / "pages", silent)
    assert [page.text for page in read_lines(tmp_path / "pages", Page)] == [
        "# Opening\n\nWe met.\tAll were there.\n\ncell 0\tcell 1\ncell 2\tcell 3",
        "## Closing",
    ]
    assert extracted.title == "Minutes"


async def test_strict_docx_is_read_as_well(parsers: ParserPool, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.docx", "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr(
            "word/document.xml",
            '<w:document xmlns:w="http://purl.oclc.org/ooxml/wordprocessingml/main">'
            "<w:body><w:p><w:r><w:t>Strictly speaking</w:t></w:r></w:p></w:body></w:document>",
        )
    await parsers.extract(tmp_path / "a.docx", Format.DOCX, tmp_path / "pages", silent)
    assert [page.text for page in read_lines(tmp_path / "pages", Page)] == ["Strictly speaking"]


async def test_html_shows_what_a_reader_sees(parsers: ParserPool, tmp_path: Path) -> None:
    (tmp_path / "a.html").write_bytes(
        "<title>Café</title><meta charset=iso-8859-1><nav>Home</nav><h1>Über</h1><script>no()</script>"
        "<p>One <b>bold</b>\n word.</p><pre>a\n  b</pre><table><tr><td>1<td>2<tr><td>3</table>".encode("latin-1")
    )
    extracted = await parsers.extract(tmp_path / "a.html", Format.HTML, tmp_path / "pages", silent)
    (page,) = read_lines(tmp_path / "pages", Page)
    assert page.text == "# Über\n\nOne bold word.\n\na\n  b\n\n1\t2\n3"
    assert extracted.title == page.heading == "Café"


async def test_deeply_nested_html_does_not_hang(parsers: ParserPool, tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("<div>" * 10_000 + "deep")
    (tmp_path / "b.html").write_text("<div>" * 100_000 + "too deep")
    assert (await parsers.extract(tmp_path / "a.html", Format.HTML, tmp_path / "pages", silent)).chars == 4
    with pytest.raises(DocumentTooComplex, match="nests"):
        await parsers.extract(tmp_path / "b.html", Format.HTML, tmp_path / "pages", silent)


def locked(path: Path, user: str) -> Path:
    writer = PdfWriter(clone_from=pdf(path, "Secret"))
    writer.encrypt(user, "owner", algorithm="AES-256")
    writer.write(path)
    return path


async def test_only_a_password_to_open_stops_us(parsers: ParserPool, tmp_path: Path) -> None:
    open_to_all = await asyncio.to_thread(locked, tmp_path / "owner.pdf", "")
    assert (await parsers.extract(open_to_all, Format.PDF, tmp_path / "pages", silent)).pages == 1
    with pytest.raises(DocumentEncrypted):
        await parsers.extract(await asyncio.to_thread(locked, tmp_path / "user.pdf", "x"), Format.PDF, tmp_path, silent)


async def test_junk_before_the_header_is_left_to_pypdf(parsers: ParserPool, tmp_path: Path) -> None:
    source = pdf(tmp_path / "a.pdf", "Behind the junk")
    source.write_bytes(b"junk\n" * 500 + source.read_bytes())
    await parsers.extract(source, Format.PDF, tmp_path / "pages", silent)
    assert [page.text.strip() for page in read_lines(tmp_path / "pages", Page)] == ["Behind the junk"]


@pytest.mark.parametrize(
    ("data", "format", "error"),
    [
        (b"%PDF-1.7\nnothing else", Format.PDF, DocumentCorrupt),
        (b"PK\x03\x04 no archive", Format.DOCX, DocumentCorrupt),
        (b" \n\n ", Format.TEXT, DocumentHasNoText),
        (b"<nav></nav><script>x</script>", Format.HTML, DocumentHasNoText),
    ],
)
async def test_a_bad_file_has_a_typed_error(
    parsers: ParserPool,
    tmp_path: Path,
    data: bytes,
    format: Format,
    error: type[ArqueductError],
) -> None:
    (tmp_path / "bad").write_bytes(data)
    before = pids(parsers)
    with pytest.raises(error):
        await parsers.extract(tmp_path / "bad", format, tmp_path / "pages", silent)
    assert not (tmp_path / "pages").exists()
    assert pids(parsers) == before


async def test_limits_of_pages_and_text_hold(tmp_path: Path) -> None:
    async with pool(max_pages=2, max_text_chars=1000) as opened:
        with pytest.raises(DocumentTooLong, match="3 pages"):
            await opened.extract(pdf(tmp_path / "a.pdf", "1", "2", "3"), Format.PDF, tmp_path / "pages", silent)
        (tmp_path / "long.txt").write_text("word " * 300)
        with pytest.raises(DocumentTooLong, match="1,000 characters"):
            await opened.extract(tmp_path / "long.txt", Format.TEXT, tmp_path / "pages", silent)


async def test_a_packed_gigabyte_is_not_unpacked(parsers: ParserPool, tmp_path: Path) -> None:
    def bomb() -> None:
        with zipfile.ZipFile(tmp_path / "a.docx", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("[Content_Types].xml", "<Types/>")
            with archive.open("word/document.xml", "w", force_zip64=True) as part:
                for _ in range(80):
                    part.write(b"<" * 2**20)

    await asyncio.to_thread(bomb)
    with pytest.raises(DocumentTooComplex, match="unpacks"):
        await parsers.extract(tmp_path / "a.docx", Format.DOCX, tmp_path / "pages", silent)


async def test_a_docx_may_define_no_entities(parsers: ParserPool, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.docx", "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr(
            "word/document.xml", '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x><p><t>&e;</t></p></x>'
        )
    with pytest.raises(DocumentCorrupt, match="entities"):
        await parsers.extract(tmp_path / "a.docx", Format.DOCX, tmp_path / "pages", silent)


def pdf_bomb(path: Path, unpacked: int) -> Path:
    """Operators that pdfium keeps in memory, packed a thousandfold."""
    content = zlib.compress(b"q 1 0 0 1 0 0 cm\n" * (unpacked // 17), 9)
    parts = [
        b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n",
        b"2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n",
        b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R>>endobj\n",
        b"4 0 obj<</Filter/FlateDecode/Length %d>>stream\n" % len(content) + content + b"\nendstream endobj\n",
        b"trailer<</Root 1 0 R>>\n%%EOF\n",
    ]
    path.write_bytes(b"".join(parts))
    return path


async def test_a_bomb_ends_its_own_process_only(tmp_path: Path) -> None:
    async with pool(parser_memory_bytes=256 * 2**20) as opened:
        bomb = await asyncio.to_thread(pdf_bomb, tmp_path / "bomb.pdf", 200 * 2**20)
        with pytest.raises(DocumentTooComplex):
            await opened.extract(bomb, Format.PDF, tmp_path / "pages", silent)
        assert await still_works(opened, tmp_path)


async def test_cancelling_kills_the_process_at_once(parsers: ParserPool, tmp_path: Path) -> None:
    under_way = asyncio.Event()
    (pid,) = pids(parsers)
    task = asyncio.create_task(chunk_until_progress(parsers, tmp_path, under_way.set))
    await asyncio.wait_for(under_way.wait(), 30)
    started = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - started < 1
    assert is_gone(pid)
    assert not (tmp_path / "chunks").exists()
    assert await still_works(parsers, tmp_path)


async def test_a_document_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    async with pool(parser_seconds=1.5) as opened:
        (pid,) = pids(opened)
        with pytest.raises(DocumentTimeout, match=r"1\.5 seconds"):
            await chunk_until_progress(opened, tmp_path, lambda: None)
        assert is_gone(pid)
        assert await still_works(opened, tmp_path)


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (signal.SIGSEGV, ParserCrashed),
        (signal.SIGABRT, ParserCrashed),
        (signal.SIGBUS, ParserCrashed),
        (signal.SIGKILL, ParserKilled),
        (signal.SIGTERM, ParserKilled),
    ],
)
async def test_what_a_process_died_of_is_told(
    parsers: ParserPool, tmp_path: Path, number: signal.Signals, error: type[ArqueductError]
) -> None:
    (pid,) = pids(parsers)
    with pytest.raises(error) as caught:
        await chunk_until_progress(parsers, tmp_path, lambda: os.kill(pid, number))
    assert caught.value.retryable is (error is ParserKilled)
    assert is_gone(pid)
    assert await still_works(parsers, tmp_path)


async def test_a_process_that_died_idle_is_no_documents_fault(parsers: ParserPool, tmp_path: Path) -> None:
    (process,) = parsers._all
    os.kill(process.pid, signal.SIGKILL)
    await asyncio.wait_for(process._process.wait(), 10)
    assert await still_works(parsers, tmp_path)


async def test_a_callers_own_error_does_not_confuse_the_next_document(parsers: ParserPool, tmp_path: Path) -> None:
    def fail(done: int, total: int, unit: str) -> None:
        raise LookupError("the caller's")

    with pytest.raises(LookupError, match="the caller's"):
        await parsers.extract(pdf(tmp_path / "a.pdf", "x"), Format.PDF, tmp_path / "pages", fail)
    assert await still_works(parsers, tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_a_parser_knows_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "ARQUEDUCT_REDIS_URL", "OPENAI_API_KEY", "PGPASSWORD"):
        monkeypatch.setenv(name, "secret-of-the-worker")
    async with pool() as opened:
        (pid,) = pids(opened)
        known = await asyncio.to_thread(Path(f"/proc/{pid}/environ").read_bytes)
        assert b"secret-of-the-worker" not in known
        assert b"PATH=" in known


async def test_processes_are_replaced_after_so_many_documents(tmp_path: Path) -> None:
    async with pool(parser_documents=2) as opened:
        seen: list[set[int]] = []
        for _ in range(4):
            seen.append(pids(opened))
            assert await still_works(opened, tmp_path)
        assert seen[0] == seen[1] != set()
        assert seen[2] == set()
        assert seen[3] != seen[0]


async def test_a_process_that_grew_is_replaced(
    parsers: ParserPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("arqueduct_worker.parsing.pool.WORN_RESIDENT_BYTES", 1)
    (pid,) = pids(parsers)
    assert await still_works(parsers, tmp_path)
    assert is_gone(pid)


async def test_documents_wait_for_their_turn(tmp_path: Path) -> None:
    async with pool(parsers=2) as opened:
        sources = [pdf(tmp_path / f"{number}.pdf", "text") for number in range(8)]
        most = 0

        def look(done: int, total: int, unit: str) -> None:
            nonlocal most
            most = max(most, len(pids(opened)))

        await asyncio.gather(*(opened.extract(s, Format.PDF, s.with_suffix(".pages"), look) for s in sources))
        assert 1 <= most <= 2


async def test_closing_leaves_no_process(tmp_path: Path) -> None:
    async with pool(parsers=2) as opened:
        sources = [pdf(tmp_path / f"{number}.pdf", "text") for number in range(2)]
        await asyncio.gather(*(opened.extract(s, Format.PDF, s.with_suffix(".pages"), silent) for s in sources))
        running = pids(opened)
    assert running
    assert all(map(is_gone, running))


PARENT = """
import asyncio
from arqueduct.settings import Settings
from arqueduct_worker.parsing.pool import ParserPool

async def main():
    async with ParserPool(Settings(parsers=1)) as pool:
        print(*(process.pid for process in pool._all), flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


def test_a_parser_does_not_outlive_its_worker() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout
        pid = int(worker.stdout.readline())
        worker.kill()
    deadline = time.monotonic() + 10
    while not has_ended(pid):
        assert time.monotonic() < deadline


def has_ended(pid: int) -> bool:
    """Gone, or a zombie that whoever adopted it has not reaped yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return is_gone(pid)
