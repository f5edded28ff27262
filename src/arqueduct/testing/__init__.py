"""Fakes that ship: for the tests of those who write plugins, and for our own."""

from arqueduct.testing.embedding import HashingEmbedder

__all__ = ["HashingEmbedder"]
