"""What a parser process answers, asked in the test's own process: real documents, and broken ones made here."""

import io
import zipfile
from pathlib import Path
from typing import Literal

import docx
import pytest
from pypdf import PdfReader, PdfWriter
from reportlab.pdfgen.canvas import Canvas

from arqueduct.artifacts import Chunk, Page, read_lines
from arqueduct.formats import Format, detect
from arqueduct_worker.parsing.child import serve
from arqueduct_worker.parsing.messages import ChunkText, Done, Extract, Failed

DOCUMENTS = Path(__file__).parents[2] / "examples" / "documents"
SAMPLES = [
    ("bzip2-manual.pdf", 38, "Each block is handled independently."),
    ("xorg-security-extension.pdf", 8, "Security Extension"),
    ("sqlite-datatypes.docx", 1, "# 2.2. Date and Time Datatype"),
    ("postgresql-transaction-isolation.html", 1, "Read Committed Isolation Level"),
    ("curl-http-scripting.md", 1, "curl"),
    ("debian-faq-de.txt", 1, "für"),
]


def told(_done: int, _total: int, _unit: str) -> None:
    """Nobody watches."""


def extract(
    source: Path,
    target: Path,
    *,
    format: Format | None = None,
    pages: int = 100,
    chars: int = 10**7,
    ocr: Literal["never", "always"] = "never",
) -> object:
    return serve(
        Extract(
            source=str(source),
            format=format or detect(source, source.name),
            target=str(target),
            max_pages=pages,
            max_text_chars=chars,
            ocr=ocr,
        ),
        told,
    )


@pytest.mark.parametrize(("name", "pages", "says"), SAMPLES)
def test_a_real_document_becomes_pages_and_chunks(name: str, pages: int, says: str, tmp_path: Path) -> None:
    done = extract(DOCUMENTS / name, tmp_path / "pages")
    assert isinstance(done, Done)
    found = list(read_lines(tmp_path / "pages", Page))
    assert (done.pages, len(found)) == (pages, pages)
    assert says in "".join(page.text for page in found)
    chunked = serve(
        ChunkText(source=str(tmp_path / "pages"), target=str(tmp_path / "chunks"), chunk_chars=1000, overlap=100), told
    )
    assert isinstance(chunked, Done)
    assert chunked.chunks == len(list(read_lines(tmp_path / "chunks", Chunk))) > 0


def pdf(text: str, pages: int = 1, password: str | None = None) -> bytes:
    out = io.BytesIO()
    canvas = Canvas(out)
    for _ in range(pages):
        canvas.drawString(72, 720, text)
        canvas.showPage()
    canvas.save()
    if password is None:
        return out.getvalue()
    writer = PdfWriter(clone_from=PdfReader(out))
    writer.encrypt(password, algorithm="AES-256")
    locked = io.BytesIO()
    writer.write(locked)
    return locked.getvalue()


def zipped(**parts: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "format", "code"),
    [
        (pdf("secret", password="open sesame"), Format.PDF, "document_encrypted"),
        (pdf("text")[:200], Format.PDF, "document_corrupt"),
        (pdf(""), Format.PDF, "document_has_no_text"),
        (pdf("text", pages=11), Format.PDF, "document_too_long"),
        (b"PK\x03\x04 cut off", Format.DOCX, "document_corrupt"),
        (zipped(other=b"nothing of Word"), Format.DOCX, "document_corrupt"),
        (b"<div>" * 50_000, Format.HTML, "document_too_complex"),
        (b"   \n\n  ", Format.TEXT, "document_has_no_text"),
        (b"far too long " * 100_000, Format.TEXT, "document_too_long"),
    ],
    ids=["password", "cut off", "blank", "pages", "cut zip", "no word", "nested", "spaces", "characters"],
)
def test_what_cannot_be_read_says_why(content: bytes, format: Format, code: str, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(content)
    answer = extract(tmp_path / "source", tmp_path / "pages", format=format, pages=10, chars=10**6)
    assert isinstance(answer, Failed)
    assert answer.code == code
    assert not (tmp_path / "pages").exists()


@pytest.mark.parametrize(
    ("content", "format", "ocr", "is_advised"),
    [
        (pdf(""), Format.PDF, "never", True),
        (pdf(""), Format.PDF, "always", False),
        (b"  \n ", Format.TEXT, "never", False),
    ],
    ids=["PDF", "recognised PDF", "text"],
)
def test_recognising_is_advised_where_it_may_help(
    content: bytes, format: Format, ocr: Literal["never", "always"], is_advised: bool, tmp_path: Path
) -> None:
    (tmp_path / "source").write_bytes(content)
    answer = extract(tmp_path / "source", tmp_path / "pages", format=format, ocr=ocr)
    assert isinstance(answer, Failed)
    assert ("profile that recognises" in answer.advice) is is_advised


def test_word_keeps_headings_tables_and_page_breaks(tmp_path: Path) -> None:
    document = docx.Document()
    document.add_heading("Bridges", level=1)
    document.add_paragraph("They cross rivers.")
    table = document.add_table(rows=1, cols=2)
    table.cell(0, 0).text, table.cell(0, 1).text = "Gard", "49 m"
    document.add_page_break()
    document.add_paragraph("Another page.")
    document.save(str(tmp_path / "bridges.docx"))
    assert isinstance(extract(tmp_path / "bridges.docx", tmp_path / "pages"), Done)
    first, second = read_lines(tmp_path / "pages", Page)
    assert first.text.startswith("# Bridges")
    assert "Gard\t49 m" in first.text
    assert "Another page." in second.text


def test_junk_before_the_header_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / "junk.pdf").write_bytes(b"\x00\xff" * 1200 + pdf("Water flows."))
    assert isinstance(extract(tmp_path / "junk.pdf", tmp_path / "pages", format=Format.PDF), Done)
    (page,) = read_lines(tmp_path / "pages", Page)
    assert "Water flows." in page.text
