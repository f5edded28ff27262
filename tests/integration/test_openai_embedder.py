"""The OpenAI client of ours against a real server."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import numpy as np
import pytest

from arqueduct.embedding import Embedder, model_of, open_embedder
from arqueduct.errors import ArqueductError, DependencyUnavailable, EmbeddingRejected, ProviderLimited, SetupError
from arqueduct.settings import Settings
from arqueduct.testing import HashingEmbedder
from tests.openai_server import OpenAIServer, openai_server

KEY = "sk-test-0123456789abcdef"


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with openai_server() as running:
        yield running


def settings_for(server: OpenAIServer, **changes: object) -> Settings:
    return Settings(**{"embedder": "openai", "openai_base_url": server.url, "openai_api_key": KEY} | changes)


@pytest.fixture
async def embedder(server: OpenAIServer) -> AsyncIterator[Embedder]:
    opened = open_embedder(settings_for(server))
    yield opened
    await opened.aclose()


async def test_vectors_come_in_order_and_in_unit_length(server: OpenAIServer, embedder: Embedder) -> None:
    server.shuffled = True
    texts = [f"text number {number}" for number in range(600)]
    vectors = await embedder.embed(texts)
    expected = [HashingEmbedder(1536).vector(text) for text in texts]
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, expected, atol=1e-5)
    assert sorted(len(request["input"]) for request in server.requests) == [88, 256, 256]


async def test_a_request_says_what_the_provider_needs_and_no_more(server: OpenAIServer, embedder: Embedder) -> None:
    await embedder.embed_query("one question")
    assert server.requests == [
        {
            "input": ["one question"],
            "model": "text-embedding-3-small",
            "dimensions": 1536,
            "encoding_format": "base64",
            "authorization": f"Bearer {KEY}",
        }
    ]


async def test_a_server_without_keys_base64_and_dimensions(server: OpenAIServer) -> None:
    server.knows_base64, server.dimensions = False, 768
    embedder = open_embedder(settings_for(server, openai_api_key=None, embedding_model="nomic-embed-text:v1.5"))
    vectors = await embedder.embed(["a", "b"])
    assert vectors.shape == (2, 768)
    assert (await embedder.embed_query("")).shape == (768,)
    assert [request["encoding_format"] for request in server.requests] == ["base64", "float", "float"]
    assert "dimensions" not in server.requests[-1]
    assert server.requests[-1]["input"] == [" "]
    await embedder.aclose()


async def test_jobs_share_requests_and_never_exceed_their_number(server: OpenAIServer) -> None:
    server.latency = 0.02
    embedder = open_embedder(settings_for(server, embedding_batch=50, embedding_requests=3))
    jobs = [[f"job {job} text {number}" for number in range(10)] for job in range(60)]
    results = await asyncio.gather(*[embedder.embed(texts) for texts in jobs])
    assert [len(rows) for rows in results] == [10] * 60
    assert len(server.requests) == 12
    assert server.most_at_once == 3
    assert len(set(server.texts)) == len(server.texts) == 600
    await embedder.aclose()


@pytest.mark.parametrize(
    ("asked", "least", "most"),
    [
        ("7", 7, 7),
        ("0.5", 0.5, 0.5),
        (timedelta(minutes=30), 1200, 1800),
        ("999999999", 3600, 3600),
        ("-3", 0, 0),
    ],
    ids=["seconds", "half a second", "a date", "far too long", "in the past"],
)
async def test_slow_down(
    server: OpenAIServer, embedder: Embedder, asked: str | timedelta, least: float, most: float
) -> None:
    header = asked if isinstance(asked, str) else format_datetime(datetime.now(UTC) + asked, usegmt=True)
    server.answer_next(429, retry_after=header)
    with pytest.raises(ProviderLimited, match="scripted 429") as caught:
        await embedder.embed(["x"])
    assert caught.value.retry_after is not None
    assert least <= caught.value.retry_after.total_seconds() <= most
    assert len(await embedder.embed(["x"])) == 1


@pytest.mark.parametrize("header", [None, "soon", "nan"])
async def test_slow_down_without_a_usable_time(server: OpenAIServer, embedder: Embedder, header: str | None) -> None:
    server.answer_next(429, **({"retry_after": header} if header else {}))
    with pytest.raises(ProviderLimited) as caught:
        await embedder.embed(["x"])
    assert caught.value.retry_after is None


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, EmbeddingRejected),
        (401, EmbeddingRejected),
        (403, EmbeddingRejected),
        (404, EmbeddingRejected),
        (413, EmbeddingRejected),
        (422, EmbeddingRejected),
        (408, DependencyUnavailable),
        (500, DependencyUnavailable),
        (503, DependencyUnavailable),
        (529, DependencyUnavailable),
    ],
)
async def test_what_an_answer_means_for_the_job(
    server: OpenAIServer, embedder: Embedder, status: int, expected: type[ArqueductError]
) -> None:
    server.answer_next(status, {"error": {"message": f"the key {KEY} or sk-other-***cdef is not good"}})
    with pytest.raises(expected, match=f"{status}: the key … or … is not good") as caught:
        await embedder.embed(["x"])
    assert KEY not in caught.value.message
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"data": []}, "1 texts with 0 vectors"),
        ({"data": [{"embedding": [0.5] * 12}]}, "have 12 dimensions, not 1536.*EMBEDDING_DIMENSIONS=12"),
        ({"data": [{"embedding": [0.0] * 1536}]}, "zero or not a number"),
        ({"data": [{"embedding": "no base64!"}]}, "base64"),
        ({"data": [{"embedding": [1.0] * 1536, "index": 4}]}, "told apart"),
        ({"models": []}, "has no embeddings"),
    ],
)
async def test_an_answer_that_is_no_embedding(
    server: OpenAIServer, embedder: Embedder, body: dict[str, object], message: str
) -> None:
    server.answer_next(200, body)
    with pytest.raises(EmbeddingRejected, match=message):
        await embedder.embed(["x"])


async def test_one_jobs_bad_text_fails_that_job_only(server: OpenAIServer, embedder: Embedder) -> None:
    server.refused_text = "bad"
    good, bad, other = await asyncio.gather(
        embedder.embed(["one", "shared"]),
        embedder.embed(["bad", "two"]),
        embedder.embed(["shared", "three"]),
        return_exceptions=True,
    )
    assert isinstance(bad, EmbeddingRejected)
    assert isinstance(good, np.ndarray)
    assert isinstance(other, np.ndarray)
    np.testing.assert_array_equal(good[1], other[0])


async def test_nobody_listens() -> None:
    with openai_server() as gone:
        settings = settings_for(gone)
    embedder = open_embedder(settings)
    with pytest.raises(DependencyUnavailable, match="cannot be reached"):
        await embedder.embed(["x"])
    await embedder.aclose()


def test_no_key_and_no_address_is_told_at_the_start() -> None:
    with pytest.raises(SetupError, match="OPENAI_API_KEY"):
        open_embedder(Settings(embedder="openai", openai_api_key=None, openai_base_url=None))


@pytest.mark.parametrize(
    ("model", "dimensions", "name", "length"),
    [
        (None, None, "openai/text-embedding-3-small", 1536),
        ("text-embedding-3-large", None, "openai/text-embedding-3-large", 3072),
        ("text-embedding-3-large", 1024, "openai/text-embedding-3-large@1024", 1024),
        ("text-embedding-ada-002", None, "openai/text-embedding-ada-002", 1536),
        ("mxbai-embed-large:latest", None, "openai/mxbai-embed-large:latest", 1024),
        ("acme/own-model", 512, "openai/acme/own-model", 512),
    ],
)
def test_models_known_by_name(model: str | None, dimensions: int | None, name: str, length: int) -> None:
    found = model_of(Settings(embedder="openai", embedding_model=model, embedding_dimensions=dimensions))
    assert (found.name, found.dimensions) == (name, length)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"embedder": "openai", "embedding_model": "acme/own-model"}, "set ARQUEDUCT_EMBEDDING_DIMENSIONS"),
        ({"embedder": "openai", "embedding_dimensions": 2000}, "at most 1536"),
        ({"embedder": "local", "embedding_model": "bge-m3"}, "only knows all-MiniLM-L6-v2"),
        ({"embedder": "local", "embedding_dimensions": 768}, "384"),
    ],
)
def test_models_that_cannot_be_had(settings: dict[str, object], message: str) -> None:
    with pytest.raises(SetupError, match=message):
        model_of(Settings(**settings))
