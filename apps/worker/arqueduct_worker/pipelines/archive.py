"""Putting a document away, and bringing it back."""

from arqueduct.pipeline import Pipeline
from arqueduct.repositories.originals import ARCHIVE, RESTORE

__all__ = ["document_archive", "document_restore"]

document_archive = Pipeline(kind=ARCHIVE, stages=("hide", "freeze"))
document_restore = Pipeline(kind=RESTORE, stages=("thaw", "reveal"))
