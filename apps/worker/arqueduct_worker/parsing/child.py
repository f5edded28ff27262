"""One parser process: `python -m arqueduct_worker.parsing.child --parent PID --memory BYTES`.

Reads requests on standard input, one after the other, and answers on standard output, which libraries that print
cannot reach: descriptor 1 is turned to standard error before the first of them is loaded. Ends when its input does,
and dies with its parent.
"""

import argparse
import os
import resource
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from arqueduct.artifacts import Page, read_lines, writing
from arqueduct.errors import ArqueductError, DocumentCorrupt, DocumentHasNoText, DocumentTooComplex, PagesNotRecognised
from arqueduct.formats import Format
from arqueduct_worker.parsing.messages import (
    ChunkText,
    Done,
    Extract,
    Failed,
    Message,
    Progress,
    Request,
    decode_request,
    frame,
    receive,
)
from arqueduct_worker.parsing.orphans import die_with

if TYPE_CHECKING:
    from arqueduct_worker.parsing.ocr import Scans

PROGRESS_SECONDS: Final = 0.05  # twenty a second: more than any reader of them can see
NICENESS: Final = 5  # the event loops on this machine come first

Tell = Callable[[int, int, str], None]


def main() -> None:
    options = _options()
    die_with(options.parent)
    _limit(options.memory)
    requests, answers = _private_streams()
    _warm_up()
    while (body := receive(requests)) is not None:
        answer = serve(decode_request(body), _Reporter(answers))
        answers.write(frame(answer))
        answers.flush()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A parser process of an Arqueduct worker; the worker starts it.")
    parser.add_argument("--parent", type=int, required=True, help="process id of the worker")
    parser.add_argument("--memory", type=int, required=True, help="address space in bytes")
    return parser.parse_args()


def _limit(memory: int) -> None:
    with suppress(ValueError, OSError):  # macOS knows no limit of address space
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(NICENESS)


def _private_streams() -> tuple[BinaryIO, BinaryIO]:
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return requests, answers


def _warm_up() -> None:
    """The libraries that nearly every document needs, loaded before one waits for them."""
    import arqueduct_worker.parsing.chunking
    import arqueduct_worker.parsing.pdf
    import arqueduct_worker.parsing.text  # noqa: F401


class _Reporter:
    def __init__(self, answers: BinaryIO) -> None:
        self._answers = answers
        self._next = 0.0

    def __call__(self, done: int, total: int, unit: str) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + PROGRESS_SECONDS
            self._answers.write(frame(Progress(done=done, total=total, unit=unit)))
            self._answers.flush()


def serve(request: Request, tell: Tell) -> Message:
    """Answers one request; whatever the file does to its parser, the answer is `Done` or a typed `Failed`."""
    try:
        return _extract(request, tell) if isinstance(request, Extract) else _chunk(request, tell)
    except ArqueductError as error:
        return _failed(error)
    except MemoryError:
        return _failed(DocumentTooComplex())
    except RecursionError:
        return _failed(DocumentTooComplex("The file nests its parts too deeply."))
    except Exception as error:
        traceback.print_exc()
        return _failed(DocumentCorrupt(f"The file cannot be read ({type(error).__name__})."))


def _failed(error: ArqueductError) -> Failed:
    return Failed(code=error.code, message=error.message, advice=error.advice, resident=_resident())


def _extract(request: Extract, tell: Tell) -> Done:
    metadata: dict[str, str] = {}
    pages = chars = 0
    found = False
    scans = _scans(request)
    with writing(Path(request.target)) as write:
        for page in _pages(request, metadata, tell, scans):
            pages += 1
            chars += len(page.text)
            found = found or (not page.text.isspace() and page.text != "")
            _check_chars(chars, request.max_text_chars)
            write(page)
        unread = scans.unread if scans else 0
        if not found:
            raise PagesNotRecognised if unread else _without_text(request)
    title = metadata.pop("title", None)
    return Done(pages=pages, chars=chars, title=title, metadata=metadata, unread=unread, resident=_resident())


def _without_text(request: Extract) -> DocumentHasNoText:
    """Only the pages of a PDF can be recognised, and here nobody asked for it."""
    if request.format is not Format.PDF or request.ocr != "never":
        return DocumentHasNoText()
    return DocumentHasNoText(
        "The file has no text; it may be a scan.",
        advice="Process it with a profile that recognises pages (docs/profiles.md), or upload a copy that has text.",
    )


def _check_chars(chars: int, most: int) -> None:
    from arqueduct_worker.parsing.text import check_length

    check_length(chars, most)


def _pages(request: Extract, metadata: dict[str, str], tell: Tell, scans: "Scans | None") -> Iterator[Page]:
    """Each extractor is loaded when the first document of its format comes."""
    path, chars = Path(request.source), request.max_text_chars
    if request.format is Format.PDF:
        from arqueduct_worker.parsing import pdf

        yield from pdf.extract(path, request.max_pages, metadata, tell, scans=scans)
    elif request.format is Format.DOCX:
        from arqueduct_worker.parsing import docx

        yield from docx.extract(path, request.max_pages, chars, metadata, tell)
    elif request.format is Format.HTML:
        from arqueduct_worker.parsing import html

        page = html.extract(path, chars, tell, navigation=request.navigation)
        metadata |= {"title": page.heading} if page.heading else {}
        yield page
    else:
        from arqueduct_worker.parsing import text

        yield text.extract(path, chars, tell)


def _scans(request: Extract) -> "Scans | None":
    if request.ocr == "never" or request.format is not Format.PDF:
        return None
    from arqueduct_worker.parsing.ocr import Scans

    return Scans(request.ocr, request.ocr_languages)


def _chunk(request: ChunkText, tell: Tell) -> Done:
    from arqueduct_worker.parsing.chunking import chunks

    source = Path(request.source)
    total = source.stat().st_size
    pages = chars = count = 0

    def read() -> Iterator[Page]:
        nonlocal pages, chars
        for page in read_lines(source, Page):
            pages += 1
            chars += len(page.text)
            yield page

    with writing(Path(request.target)) as write:
        for chunk in chunks(read(), request.chunk_chars, request.overlap, markdown=request.markdown):
            write(chunk)
            count += 1
            tell(min(chunk.end, total), total, "characters")
    return Done(pages=pages, chars=chars, chunks=count, resident=_resident())


def _resident() -> int:
    """Memory held now, in bytes; where the system does not say it, the most that was ever held."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main()
