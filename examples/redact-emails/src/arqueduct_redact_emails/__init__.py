"""Removes e-mail addresses from a document's text before it is chunked."""

import re

import msgspec

from arqueduct.artifacts import Page
from arqueduct.pipeline import Stage, StageContext

__all__ = ["RedactEmails", "redact_page", "redact_text"]

# Linear: a match starts only where a run of these characters starts, and such a run is never given back.
ADDRESS = re.compile(r"(?<![\w.%+-])[\w.%+-]++@(?:[\w-]+\.)+[A-Za-z][A-Za-z0-9-]*[A-Za-z0-9]")


class RedactEmails(Stage):
    """Runs between extract and chunk, so that addresses reach neither chunks nor embeddings."""

    name = "redact"
    label = "redacting"
    pipeline = "document.ingest"
    before = "chunk"
    version = "1"

    async def run(self, context: StageContext) -> None:
        await context.rewrite_pages(redact_page)


def redact_page(page: Page) -> Page:
    heading = None if page.heading is None else redact_text(page.heading)
    return msgspec.structs.replace(page, text=redact_text(page.text), heading=heading)


def redact_text(text: str) -> str:
    return ADDRESS.sub("[e-mail removed]", text)
