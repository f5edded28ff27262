"""Search over HTTP."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from pgvector import HalfVector
from pgvector.asyncpg import register_vector

from arqueduct.identity import NewIdentity
from arqueduct.settings import Settings
from arqueduct.testing import HashingEmbedder
from tests.integration.backend import ingest, problem, services_of
from tests.integration.worker import TestWorker

NewTenant: TypeAlias = Callable[[], Awaitable[NewIdentity]]

WATER = b"The Pont du Gard is an aqueduct. It carried water to Nimes."
CASTLE = b"A castle has walls & a <moat>. Knights lived in it."


@pytest.fixture
async def documents(api: httpx.AsyncClient, api_worker: TestWorker) -> dict[str, str]:
    """Ids by name."""
    return {
        name: (await ingest(api, api_worker, content, name))["id"]
        for name, content in {"water.txt": WATER, "castle.txt": CASTLE}.items()
    }


@pytest.mark.parametrize("mode", ["hybrid", "vector", "text"])
async def test_the_best_passage_comes_first(api: httpx.AsyncClient, documents: dict[str, str], mode: str) -> None:
    answer = await api.post("/api/v1/search", json={"query": "which aqueduct carried water", "mode": mode})
    best = answer.json()["items"][0]
    assert (best["document_id"], best["document_name"]) == (documents["water.txt"], "water.txt")
    assert best["text"] == WATER.decode()
    assert best["pages"] == [1, 1]
    assert best["score"] > 0
    assert set(best["ranks"]) == ({"vector", "text"} if mode == "hybrid" else {mode})


async def test_found_words_are_marked_in_escaped_text(api: httpx.AsyncClient, documents: dict[str, str]) -> None:
    answer = await api.post("/api/v1/search", json={"query": "walls", "mode": "text"})
    (hit,) = answer.json()["items"]
    assert "<mark>walls</mark> &amp; a" in hit["highlight"]
    assert "<moat>" not in hit["highlight"]


async def test_a_search_stays_within_the_documents_it_names(api: httpx.AsyncClient, documents: dict[str, str]) -> None:
    only = [documents["castle.txt"]]
    answer = await api.post("/api/v1/search", json={"query": "aqueduct water", "document_ids": only})
    assert {hit["document_id"] for hit in answer.json()["items"]} == set(only)
    answer = await api.post("/api/v1/search", json={"query": "aqueduct water", "document_ids": []})
    assert answer.json() == {"items": []}


async def test_the_limit_is_kept(api: httpx.AsyncClient, documents: dict[str, str]) -> None:
    answer = await api.post("/api/v1/search", json={"query": "a", "mode": "vector", "limit": 1})
    assert len(answer.json()["items"]) == 1


async def test_a_stranger_finds_nothing_even_by_id(
    api: httpx.AsyncClient, stranger: httpx.AsyncClient, documents: dict[str, str]
) -> None:
    for wanted in ({}, {"document_ids": list(documents.values())}):
        answer = await stranger.post("/api/v1/search", json={"query": "aqueduct water"} | wanted)
        assert answer.json() == {"items": []}


async def test_what_is_deleted_is_not_found(api: httpx.AsyncClient, documents: dict[str, str]) -> None:
    await api.delete(f"/api/v1/documents/{documents['water.txt']}")
    answer = await api.post("/api/v1/search", json={"query": "aqueduct water"})
    assert documents["water.txt"] not in {hit["document_id"] for hit in answer.json()["items"]}


async def test_text_mode_asks_no_embedder(
    api: httpx.AsyncClient, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_query: str) -> None:
        raise AssertionError("asked")

    monkeypatch.setattr(services_of(app).embedder, "embed", away)
    assert (await api.post("/api/v1/search", json={"query": "water", "mode": "text"})).status_code == 200


QUERIES = ["%", "'; DROP TABLE chunks; --", "a & | ! ( b", "\0water", "\\", "😀", "-", '"', "<->", "x" * 2000]


async def test_any_text_may_be_asked(
    api: httpx.AsyncClient, documents: dict[str, str], subtests: pytest.Subtests
) -> None:
    for query in QUERIES:
        with subtests.test(query[:20]):
            answer = await api.post("/api/v1/search", json={"query": query})
            assert answer.status_code == 200, answer.text


async def test_an_empty_or_overlong_query_is_refused(api: httpx.AsyncClient, subtests: pytest.Subtests) -> None:
    for query in ("", "   \n", "\0", "x" * 2001, "x" * 10_000):
        with subtests.test(query[:20]):
            problem(await api.post("/api/v1/search", json={"query": query}), 422, "invalid_query")


async def test_a_word_can_be_excluded(api: httpx.AsyncClient, documents: dict[str, str]) -> None:
    answer = await api.post("/api/v1/search", json={"query": "it -knights", "mode": "text"})
    assert documents["castle.txt"] not in {hit["document_id"] for hit in answer.json()["items"]}
    answer = await api.post("/api/v1/search", json={"query": "aqueduct -castle", "mode": "text"})
    assert [hit["document_id"] for hit in answer.json()["items"]] == [documents["water.txt"]]


async def test_a_small_tenant_finds_its_own_among_a_crowd_that_is_nearer(
    api: httpx.AsyncClient, settings: Settings, documents: dict[str, str], new_identity: NewTenant
) -> None:
    assert settings.database_url is not None
    crowd = await new_identity()
    embedder = HashingEmbedder()
    owner = await asyncpg.connect(settings.database_url.get_secret_value())
    await register_vector(owner)
    await owner.execute(
        "INSERT INTO embeddings (tenant_id, model_id, text_hash, vector, bought_for, indexed) "
        "SELECT $1, m.id, sha256(n::text::bytea), $2, $1, true FROM generate_series(1, 400) n, embedding_models m "
        "WHERE m.name = $3",
        crowd.tenant_id,
        HalfVector(await embedder.embed_query("aqueduct")),
        embedder.model.name,
    )
    # As if there were tens of thousands: the index gives up after the first hundred.
    await owner.execute(f"ALTER DATABASE {settings.redis_prefix} SET hnsw.max_scan_tuples = 1")
    await owner.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'arqueduct_app'")
    await owner.close()
    answer = await api.post("/api/v1/search", json={"query": "aqueduct", "mode": "vector"})
    assert {hit["document_id"] for hit in answer.json()["items"]} == set(documents.values())
