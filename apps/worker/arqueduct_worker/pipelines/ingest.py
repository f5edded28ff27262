"""Making a document searchable."""

from arqueduct.pipeline import Pipeline

__all__ = ["document_ingest"]

document_ingest = Pipeline(
    kind="document.ingest",
    stages=("download", "extract", "chunk", "embed", "store"),
    for_profiles=True,
    about="Makes a document searchable.",
)
