"""The fake embedder that ships."""

import numpy as np
import pytest

from arqueduct.testing import HashingEmbedder


async def test_texts_that_share_words_are_closer() -> None:
    embedder = HashingEmbedder()
    vectors = await embedder.embed(
        ["The bridge carries water.", "Water flows over the bridge!", "Quarterly tax report"]
    )
    assert vectors.shape == (3, 64)
    assert vectors.dtype == np.float32
    assert vectors[0] @ vectors[1] > 0.4 > vectors[0] @ vectors[2]


async def test_it_is_the_same_everywhere() -> None:
    vector = await HashingEmbedder(8).embed_query("aqueduct")
    assert (vector * np.sqrt(8)).round().astype(int).tolist() == [1, -1, -1, -1, 1, 1, 1, 1]


@pytest.mark.parametrize("text", ["", "   ", "…", "a" * 10_000, "水道橋"])
async def test_every_text_has_a_unit_vector(text: str) -> None:
    assert np.linalg.norm(await HashingEmbedder(100).embed_query(text)) == pytest.approx(1)


async def test_it_counts_what_is_asked() -> None:
    embedder = HashingEmbedder(32)
    await embedder.embed(["a", "b"])
    await embedder.embed([])
    await embedder.embed_query("a")
    await embedder.aclose()
    assert (embedder.calls, embedder.texts, embedder.queries, embedder.closed) == (2, 2, 1, True)
    assert embedder.model.dimensions == 32
