"""Pretending to work on a document."""

from arqueduct.pipeline import Pipeline

__all__ = ["document_simulate"]

document_simulate = Pipeline(
    kind="document.simulate",
    stages=("simulate",),
    for_profiles=True,
    about="Pretends to work: reads no file and asks no model, and reports and fails as its options say.",
)
