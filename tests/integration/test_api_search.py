"""Search over HTTP."""

import httpx
import pytest
from fastapi import FastAPI

from tests.integration.backend import ingest, problem, services_of
from tests.integration.worker import TestWorker

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
