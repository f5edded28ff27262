"""Brings the document's bytes from storage to this machine, and checks that they are the ones uploaded."""

from arqueduct.errors import ContentMismatch
from arqueduct.pipeline import Stage, StageContext
from arqueduct.storage.layout import blob_key

__all__ = ["Download"]


class Download(Stage):
    """Counts bytes."""

    name = "download"
    label = "downloading"
    weight = 0.15
    about = "Brings the file to the worker."

    async def run(self, context: StageContext) -> None:
        subject = context.subject
        sha256 = await context.storage.get_file(
            blob_key(subject.tenant_id, subject.blob_id),
            context.source_path,
            lambda done: context.progress(done, subject.size, "bytes"),
        )
        if sha256 != subject.sha256:
            raise ContentMismatch
