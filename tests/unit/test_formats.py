import zipfile
from pathlib import Path

import pytest

from arqueduct.errors import EmptyUpload, UnsupportedFormat
from arqueduct.formats import Format, detect

PDF = b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n"


def kept(folder: Path, data: bytes) -> Path:
    path = folder / "upload"
    path.write_bytes(data)
    return path


def office(folder: Path, main_type: str) -> Path:
    path = folder / "upload"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("[Content_Types].xml", f'<Types><Override ContentType="{main_type}"/></Types>')
    return path


@pytest.mark.parametrize(
    ("data", "name", "expected"),
    [
        (PDF, "report.pdf", Format.PDF),
        (PDF, "report.docx", Format.PDF),
        (b"\0\xffjunk\n" * 350 + PDF, "report.pdf", Format.PDF),
        (b"mailed by a scanner\r\n" * 100 + PDF, "report.pdf", Format.PDF),
        (b"A PDF begins with\n%PDF-1.7 and then objects.", "about.txt", Format.TEXT),
        (b"<!DOCTYPE html><p>Hello", "page", Format.HTML),
        (b"\xef\xbb\xbf<!-- hi --><html><body>", "page.txt", Format.HTML),
        (b'<?xml version="1.0"?>\n<html xmlns="x"/>', "page.xhtml", Format.HTML),
        ("<html><p>Hej".encode("utf-16"), "page.html", Format.HTML),
        (b"<p>a fragment</p>", "part.htm", Format.HTML),
        (b'<p align="center">A readme</p>\n\n# Title', "README.md", Format.MARKDOWN),
        (b"# Title\n\nText.", "notes.MD", Format.MARKDOWN),
        (b"# Title\n\n- item\n- item", "notes", Format.MARKDOWN),
        (b"# Title\n\n- item\n- item", "notes.txt", Format.TEXT),
        (b"a,b\n1,2\n", "table.csv", Format.TEXT),
        (b'{"a": 1}', "data.json", Format.TEXT),
        (b"<note><to>you</to></note>", "note.xml", Format.TEXT),
        (b"Subject: hi\n\n<html>", "mail.eml", Format.TEXT),
        ("日本語の文章です。".encode("shift_jis"), "a.txt", Format.TEXT),
        ("日本語の文章です。".encode("iso2022_jp"), "a.txt", Format.TEXT),
        ("Das ist ein Text.".encode("utf-16-le"), "a.txt", Format.TEXT),
        ("Das ist ein Text.".encode("utf-32-be"), "a.txt", Format.TEXT),
        ("这是 308 篇文章。\n".encode("utf-16-be"), "a.txt", Format.TEXT),
        ("Привет".encode("koi8-r"), "a.txt", Format.TEXT),
    ],
)
def test_the_content_tells_the_format(tmp_path: Path, data: bytes, name: str, expected: Format) -> None:
    assert detect(kept(tmp_path, data), name) is expected


@pytest.mark.parametrize(
    ("data", "looks_like"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0", "a PNG image"),
        (b"\xff\xd8\xff\xe0", "a JPEG image"),
        (b"GIF89a", "a GIF image"),
        (b"\x1f\x8b\x08", "a gzip archive"),
        (b"\x7fELF\x02", "a Linux program"),
        (b"SQLite format 3\0", "an SQLite database"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 100, "an old Office file"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"), "protected by a password"),
        (rb"{\rtf1\ansi hello}", "an RTF document"),
        (b"%!PS-Adobe-3.0", "a PostScript file"),
        (b'<?xml version="1.0"?><svg xmlns="x"/>', "an SVG image"),
        (b'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY a "b">]><svg/>', "an SVG image"),
        (b"PK\x03\x04 and then nothing", "a damaged ZIP archive"),
        (bytes(range(256)) * 20, "binary data"),
    ],
)
def test_a_refusal_says_what_the_file_looks_like(tmp_path: Path, data: bytes, looks_like: str) -> None:
    with pytest.raises(UnsupportedFormat, match=looks_like):
        detect(kept(tmp_path, data), "document.pdf")


MAIL = b"From: Ada <ada@example.org>\r\nTo: bob@example.org\r\nSubject: Arches\r\n"
DATE = b"Date: Tue, 01 Oct 2024 12:34:56 -0500\r\n"
MIME = b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed;\r\n boundary=x\r\nContent-Transfer-Encoding: base64\r\n"
POSTMARK = b"From ada@example.org Tue Oct  1 12:34:56 2024\n"


@pytest.mark.parametrize(
    "data",
    [
        MAIL + MIME + b"\r\nSGVsbG8=",
        MAIL + DATE + b"\r\nHello",
        b"Received: by 10.0.0.1;\n\tTue, 1 Oct 2024\n" + MAIL + b"\r\nHello",
        MIME + MAIL,
        b"\xef\xbb\xbf" + MAIL + MIME + b"\r\n",
        POSTMARK + MAIL + b"\nHello\n\n" + POSTMARK + MAIL + b"\nBye\n",
        POSTMARK + b"Status: RO\n\nHello",
    ],
)
@pytest.mark.parametrize("name", ["mail.eml", "mails.mbox", "mail"])
def test_a_mail_is_refused(tmp_path: Path, data: bytes, name: str) -> None:
    with pytest.raises(UnsupportedFormat, match="a mail or a mailbox"):
        detect(kept(tmp_path, data), name)


def test_a_mail_that_is_called_a_text_is_one(tmp_path: Path) -> None:
    data = MAIL + MIME + b"\r\nHello"
    assert detect(kept(tmp_path, data), "mail.txt") is Format.TEXT
    assert detect(kept(tmp_path, data), "mail.md") is Format.MARKDOWN


@pytest.mark.parametrize(
    "data",
    [
        MAIL + b"\r\nA memo has these, too.",
        b"This is what a header looks like:\n\n" + MAIL + MIME + b"\nand so on.",
        b"".join(b"> " + line + b"\n" for line in (MAIL + MIME).splitlines()),
        b"    " + MAIL.replace(b"\n", b"\n    ") + MIME,
        MAIL + MIME + b"These fields begin a mail.\n",
        b"From: where I stand\nDate: unknown\n\nA poem.",
        b"From the first of October on\nit rained.",
        b"From 1 to 2024\n\nSubject: numbers\n",
        b"MIME-Version: 1.0\n\nis the field that says so.",
        b"From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001\n" + MAIL + DATE + MIME + b"\n---\n",
        b"Title: A note\nDate: 2024-10-01\n\nText.",
    ],
)
def test_a_text_that_quotes_mail_stays_text(tmp_path: Path, data: bytes) -> None:
    assert detect(kept(tmp_path, data), "notes.eml") is Format.TEXT


def test_an_endless_header_is_read_in_linear_time(tmp_path: Path) -> None:
    for data in (b"a: b\n" * 12_000, b"a:\n b\n" * 9_000 + b"\n", b"a:" + b"\n b" * 20_000, b"a" * 60_000):
        assert detect(kept(tmp_path, data), "a.txt") is Format.TEXT


@pytest.mark.parametrize(
    "main_type",
    [
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml",
        "application/vnd.ms-word.document.macroEnabled.main+xml",
    ],
)
def test_word_documents_are_told_by_their_main_part(tmp_path: Path, main_type: str) -> None:
    assert detect(office(tmp_path, main_type), "any.zip") is Format.DOCX


@pytest.mark.parametrize(
    ("main_type", "looks_like"),
    [
        ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml", "an Excel workbook"),
        ("application/vnd.openxmlformats-officedocument.presentationml.presentation.main+xml", "a PowerPoint"),
        ("application/x-other", "an Office package of an unknown kind"),
    ],
)
def test_other_office_packages_are_named(tmp_path: Path, main_type: str, looks_like: str) -> None:
    with pytest.raises(UnsupportedFormat, match=looks_like):
        detect(office(tmp_path, main_type), "any.docx")


@pytest.mark.parametrize(
    ("media_type", "looks_like"),
    [
        ("application/epub+zip", "an EPUB book"),
        ("application/vnd.oasis.opendocument.text", "an OpenDocument text"),
        ("application/vnd.oasis.opendocument.spreadsheet", "an OpenDocument spreadsheet"),
    ],
)
def test_archives_with_a_mimetype_are_named(tmp_path: Path, media_type: str, looks_like: str) -> None:
    path = tmp_path / "upload"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", media_type)
    with pytest.raises(UnsupportedFormat, match=looks_like):
        detect(path, "book.docx")


def test_a_directory_of_countless_entries_is_not_read(tmp_path: Path) -> None:
    end = b"PK\x05\x06" + bytes(4) + b"\xff\xff" * 2 + b"\xff" * 8 + bytes(2)
    with pytest.raises(UnsupportedFormat, match="too many entries"):
        detect(kept(tmp_path, b"PK\x03\x04" + end), "bomb.docx")


def test_a_chain_of_comments_is_read_in_linear_time(tmp_path: Path) -> None:
    assert detect(kept(tmp_path, b"<!-- -->" * 8000 + b"text"), "a.txt") is Format.TEXT


def test_no_bytes_are_an_empty_upload(tmp_path: Path) -> None:
    with pytest.raises(EmptyUpload):
        detect(kept(tmp_path, b""), "a.pdf")
