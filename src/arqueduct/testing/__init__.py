"""Fakes that ship: for the tests of those who write plugins, and for our own."""

from arqueduct.testing.embedding import HashingEmbedder
from arqueduct.testing.stages import stage_context

__all__ = ["HashingEmbedder", "stage_context"]
