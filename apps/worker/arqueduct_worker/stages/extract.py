"""Turns the bytes into pages of text, in a parser process; takes the text kept by an earlier run where there is one."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from arqueduct import metrics
from arqueduct.errors import NotFound
from arqueduct.formats import Format
from arqueduct.pipeline import Stage, StageContext
from arqueduct.stage_options import Options
from arqueduct_worker import kept_text
from arqueduct_worker.parsing import RECIPE, ocr
from arqueduct_worker.parsing.pool import lower

__all__ = ["Extract", "ExtractOptions", "ScanOptions"]


def _installed(language: str) -> str:
    if language not in ocr.languages():
        raise ValueError(f"not installed; there are {', '.join(ocr.languages())}")
    return language


Language = Annotated[str, AfterValidator(_installed), Field(json_schema_extra={"enum": list(ocr.languages())})]


class ExtractOptions(Options):
    """How text is read. Limits lower those of the installation and cannot lift them."""

    max_pages: int | None = Field(default=None, ge=1, le=1_000_000, examples=[500])
    """Most pages of a document; one with more fails as `document_too_long`."""
    max_chars: int | None = Field(default=None, ge=1, le=1_000_000_000, examples=[2_000_000])
    """Most characters of a document; one with more fails as `document_too_long`."""
    navigation: bool = Field(default=False, examples=[False])
    """Whether the menus of web pages are a part of their text."""


class ScanOptions(ExtractOptions):
    """How text is read where text recognition is installed."""

    ocr: Literal["never", "missing", "always"] = Field(default="never", examples=["missing"])
    """Which pages of a PDF are recognised as pictures: none; `missing`: those without text; or all. A full page takes
    some seconds."""
    ocr_languages: tuple[Language, ...] = Field(default=(), max_length=5, examples=[["eng"]])
    """The languages to expect, the first one most; none: English, or what there is."""

    @property
    def languages(self) -> tuple[str, ...]:
        there = ocr.languages()
        return self.ocr_languages or (("eng",) if "eng" in there else there[:1])


class Extract(Stage):
    """Counts pages."""

    name = "extract"
    label = "extracting"
    weight = 0.20
    about = "Reads the text out of the file."
    options = ScanOptions if ocr.languages() else ExtractOptions

    async def run(self, context: StageContext) -> None:
        subject = context.subject
        options = context.options_of(self, ExtractOptions)
        context.recipe[:] = _recipe(context, options)
        try:
            await kept_text.fetch(context)
        except NotFound:
            extracted = await context.parsers.extract(
                context.source_path,
                subject.format,
                context.pages_path,
                lambda done, total, unit: context.progress(done, total, unit),
                max_pages=options.max_pages,
                max_chars=options.max_chars,
                navigation=options.navigation,
                **_scans(options),
            )
            context.facts.update(
                pages=extracted.pages, characters=extracted.chars, title=extracted.title, metadata=extracted.metadata
            )
            if extracted.unread:
                _remark(context, extracted.unread)
            await kept_text.keep(context)
            metrics.pages.inc(extracted.pages)
        pages = context.facts["pages"]
        context.progress(pages, pages, "pages", context.facts.get("remark"))


def _remark(context: StageContext, unread: int) -> None:
    """A text with gaps is this attempt's own: whoever processes the document again has them tried again."""
    pages = "1 page" if unread == 1 else f"{unread:,} pages"
    context.facts["remark"] = f"{pages} could not be recognised; process the document again to have that tried again"
    context.recipe.append(f"unread={context.job.job_id}-{context.job.attempt}")


def _recipe(context: StageContext, options: ExtractOptions) -> Iterator[str]:
    """Whatever decides about the text, and nothing else: kept text is found again under it."""
    settings, kind = context.settings, context.subject.format
    yield RECIPE
    # The name decides between Markdown and plain text, so the same bytes may be read in two ways.
    yield kind
    yield f"pages<={lower(settings.max_pages, options.max_pages)}"
    yield f"chars<={lower(settings.max_text_chars, options.max_chars)}"
    if options.navigation and kind is Format.HTML:
        yield "navigation"
    if isinstance(options, ScanOptions) and options.ocr != "never" and kind is Format.PDF:
        yield ocr.recipe(options.ocr, options.languages)


def _scans(options: ExtractOptions) -> dict[str, Any]:
    if not isinstance(options, ScanOptions):
        return {}
    return {"ocr": options.ocr, "ocr_languages": options.languages}
