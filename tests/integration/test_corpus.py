"""Every file of a folder of real and hostile documents ends in text or in a typed error, within the limits.

The folder is named by ARQUEDUCT_TEST_CORPUS and is not part of the repository; without it these tests say so.
"""

import asyncio
import os
from pathlib import Path
from typing import NamedTuple

import pytest

from arqueduct.artifacts import SEPARATOR, Chunk, Page, read_lines
from arqueduct.errors import ArqueductError, UnsupportedFormat
from arqueduct.formats import Format, detect
from arqueduct.settings import Settings
from arqueduct_worker.parsing.pool import ParserPool

CORPUS = Path(os.environ.get("ARQUEDUCT_TEST_CORPUS") or "no-corpus-is-named")
MAX_PDF_RESIDENT = 300 * 2**20

EXPECTED = {
    "encrypted_R2_userpw.pdf": "document_encrypted",
    "encrypted_R6_userpw.pdf": "document_encrypted",
    "docx_bomb_1GB.docx": "document_too_complex",
    "docx_xxe.docx": "document_corrupt",
    "flate_bomb_10GB_double.pdf": "document_too_complex",
    "header_only.pdf": "document_corrupt",
    "million_pages_same_kid.pdf": "document_too_long",
    "ops_bomb_512MB.pdf": "document_too_complex",
    "png_bomb_60000.png": "unsupported_format",
    "svg_laughs.svg": "unsupported_format",
    "truncated.docx": "unsupported_format",
    "xlsx_5M_cells.xlsx": "unsupported_format",
    "xobject_billion_laughs.pdf": "document_too_complex",
    "zero_byte.pdf": "empty_upload",
    "zip_bomb_nested.zip": "unsupported_format",
    "html_named.pdf": "ok",
    "one_line_20MB_nospace.txt": "ok",
    "pdf_named.docx": "ok",
    "pypdf__r3-empty-password.pdf": "ok",
    "pypdf__r4-owner-password.pdf": "ok",
}
"""What becomes of the files whose end is certain."""

MAY_FAIL_WITH = {
    "formats": {"unsupported_format", "document_has_no_text"},
    "pdf": set[str](),
    "bad/made": {
        "document_corrupt",
        "document_encrypted",
        "document_has_no_text",
        "document_too_complex",
        "document_too_long",
        "empty_upload",
        "parser_crashed",
        "unsupported_format",
    },
    "bad/real": {"document_corrupt", "document_encrypted", "document_has_no_text", "unsupported_format"},
}


class End(NamedTuple):
    path: Path
    code: str
    format: Format | None = None


def files_of(folder: str, capsys: pytest.CaptureFixture[str]) -> list[Path]:
    found = sorted(path for path in (CORPUS / folder).rglob("*") if path.is_file())
    if not found:
        with capsys.disabled():
            print(f"\nLEFT OUT: no documents in {folder} of ARQUEDUCT_TEST_CORPUS.")
    return found


async def end_of(path: Path, parsers: ParserPool, work: Path) -> End:
    pages, chunks = work / "pages", work / "chunks"
    kind = None
    try:
        kind = await asyncio.to_thread(detect, path, path.name)
        extracted = await parsers.extract(path, kind, pages, lambda *_: None)
        await parsers.chunk(pages, chunks, lambda *_: None, format=kind)
    except ArqueductError as error:
        return End(path, error.code, kind)
    await asyncio.to_thread(check, pages, chunks, extracted.pages)
    return End(path, "ok", kind)


def check(pages: Path, chunks: Path, count: int) -> None:
    texts = [page.text for page in read_lines(pages, Page)]
    document = SEPARATOR.join(texts)
    assert len(texts) == count
    assert not {"\0", "\ufffe", "\r"} & set(document)
    found = list(read_lines(chunks, Chunk))
    assert found
    assert [chunk.ordinal for chunk in found] == list(range(len(found)))
    assert all(chunk.text == document[chunk.start : chunk.end] for chunk in found)


async def ends_of(paths: list[Path], parsers: ParserPool, work: Path) -> list[End]:
    async def run(lane: int) -> list[End]:
        folder = work / str(lane)
        folder.mkdir(exist_ok=True)
        return [await end_of(path, parsers, folder) for path in paths[lane::2]]

    return [end for lane in await asyncio.gather(run(0), run(1)) for end in lane]


@pytest.mark.parametrize("folder", MAY_FAIL_WITH)
async def test_every_document_ends_in_text_or_a_typed_error(
    folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = files_of(folder, capsys)
    async with ParserPool(Settings(parsers=2, parser_seconds=60)) as parsers:
        ends = await ends_of(paths, parsers, tmp_path)
    unexpected = [
        end
        for end in ends
        if end.code != EXPECTED.get(end.path.name, end.code)
        or (end.code != "ok" and end.code not in MAY_FAIL_WITH[folder])
    ]
    assert unexpected == []


KINDS = {
    "formats/pdf": Format.PDF,
    "formats/pdf_scripts": Format.PDF,
    "formats/docx": Format.DOCX,
    "formats/html": Format.HTML,
    "formats/md": Format.MARKDOWN,
    "formats/csv": Format.TEXT,
    "formats/rst": Format.TEXT,
    "formats/txt": Format.TEXT,
    "formats/txt_encodings": Format.TEXT,
}


@pytest.mark.parametrize("folder", KINDS)
def test_real_files_are_told_apart(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert {detect(path, path.name) for path in files_of(folder, capsys)} <= {KINDS[folder]}


def test_real_mails_are_told_and_refused(capsys: pytest.CaptureFixture[str]) -> None:
    mails = [path for path in files_of("formats/eml", capsys) if path.suffix == ".eml"]
    assert not mails or len(mails) > 10  # none: the corpus is not there, which was said
    for path in mails:
        with pytest.raises(UnsupportedFormat, match="a mail"):
            detect(path, path.name)


async def test_a_thousand_pages_need_little_memory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in files_of("pdf", capsys)[-1:]:
        async with ParserPool(Settings(parsers=1)) as parsers:
            extracted = await parsers.extract(path, Format.PDF, tmp_path / "pages", lambda *_: None)
            (process,) = parsers._all
            assert extracted.pages > 1000
            assert process.resident < MAX_PDF_RESIDENT
