"""Cuts the text into passages that remember their pages, in a parser process."""

from pydantic import Field

from arqueduct.pipeline import Stage, StageContext
from arqueduct.stage_options import Options
from arqueduct_worker import kept_text

__all__ = ["Chunk", "ChunkOptions"]


class ChunkOptions(Options):
    """How passages are cut. Null: as the installation has it."""

    size: int | None = Field(default=None, ge=100, le=20_000, examples=[1000])
    """Longest passage, in characters. The local model reads about 1,000 of them."""
    overlap: int | None = Field(default=None, ge=0, le=10_000, examples=[100])
    """Characters repeated between neighbours; more than half a passage counts as half of it."""
    headings: bool | None = Field(default=None, examples=[True])
    """Whether lines such as `# Title` are headings. Null: in Markdown, HTML and DOCX, not in PDF and plain text."""


class Chunk(Stage):
    """Counts pages."""

    name = "chunk"
    label = "chunking"
    weight = 0.05
    about = "Cuts the text into passages."
    options = ChunkOptions

    async def run(self, context: StageContext) -> None:
        if context.kept_recipe != context.text_recipe:  # a stage rewrote the text since
            await kept_text.keep(context)
        options = context.options_of(self, ChunkOptions)
        chunked = await context.parsers.chunk(
            context.pages_path,
            context.chunks_path,
            lambda done, total, unit: context.progress(done, total, unit),
            format=context.subject.format,
            size=options.size,
            overlap=options.overlap,
            headings=options.headings,
        )
        context.facts["chunks"] = chunked.chunks
