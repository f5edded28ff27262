"""Cuts the text into passages that remember their pages, in a parser process."""

from arqueduct.pipeline import Stage, StageContext
from arqueduct_worker import kept_text

__all__ = ["Chunk"]


class Chunk(Stage):
    """Counts pages."""

    name = "chunk"
    label = "chunking"
    weight = 0.05

    async def run(self, context: StageContext) -> None:
        if context.kept_recipe != context.text_recipe:  # a stage rewrote the text since
            await kept_text.keep(context)
        chunked = await context.parsers.chunk(
            context.pages_path,
            context.chunks_path,
            lambda done, total, unit: context.progress(done, total, unit),
            format=context.subject.format,
        )
        context.facts["chunks"] = chunked.chunks
