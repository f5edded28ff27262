"""Turns the bytes into pages of text, in a parser process; takes the text kept by an earlier run where there is one."""

from arqueduct import metrics
from arqueduct.errors import NotFound
from arqueduct.pipeline import Stage, StageContext
from arqueduct_worker import kept_text
from arqueduct_worker.parsing import RECIPE

__all__ = ["Extract"]


class Extract(Stage):
    """Counts pages."""

    name = "extract"
    label = "extracting"
    weight = 0.20

    async def run(self, context: StageContext) -> None:
        subject = context.subject
        settings = context.settings
        # The name decides between Markdown and plain text, so the same bytes may be read in two ways.
        context.recipe[:] = [
            RECIPE,
            subject.format,
            f"pages<={settings.max_pages}",
            f"chars<={settings.max_text_chars}",
        ]
        try:
            await kept_text.fetch(context)
        except NotFound:
            extracted = await context.parsers.extract(
                context.source_path,
                subject.format,
                context.pages_path,
                lambda done, total, unit: context.progress(done, total, unit),
            )
            context.facts.update(
                pages=extracted.pages, characters=extracted.chars, title=extracted.title, metadata=extracted.metadata
            )
            await kept_text.keep(context)
            metrics.pages.inc(extracted.pages)
        pages = context.facts["pages"]
        context.progress(pages, pages, "pages")
