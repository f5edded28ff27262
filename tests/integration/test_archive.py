"""A document is put away and comes back as it was; its bytes are somewhere at every moment."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import httpx
from fastapi import FastAPI
from obstore.store import LocalStore

from arqueduct.identity import NewIdentity
from arqueduct.lifecycle import JobState
from arqueduct.repositories import originals
from arqueduct.settings import Settings
from arqueduct.storage import Storage
from arqueduct_worker.janitor import Janitor
from arqueduct_worker.sweeper import Sweeper
from tests.integration.backend import client_of, ingest, problem, services_of, stored_files, upload
from tests.integration.two_tenants import above
from tests.integration.worker import TestWorker, row

WATER = b"# Water\n\n" + b"An aqueduct carries water over the valley.\n\n" * 50


async def run(worker: TestWorker, answer: httpx.Response) -> dict[str, Any]:
    """The job of an answer, when a worker has run it."""
    assert answer.status_code == 202, answer.text
    job = answer.json()
    await worker.run(UUID(job["id"]))
    return await row(worker.services.database, UUID(job["id"]))


async def archive(api: httpx.AsyncClient, worker: TestWorker, document: dict[str, Any]) -> dict[str, Any]:
    return await run(worker, await api.post(f"/api/v1/documents/{document['id']}/archive"))


async def restore(api: httpx.AsyncClient, worker: TestWorker, document: dict[str, Any]) -> dict[str, Any]:
    return await run(worker, await api.post(f"/api/v1/documents/{document['id']}/restore"))


async def found(api: httpx.AsyncClient, mode: str = "hybrid", query: str = "aqueduct water valley") -> set[str]:
    answer = await api.post("/api/v1/search", json={"query": query, "mode": mode})
    return {hit["document_id"] for hit in answer.raise_for_status().json()["items"]}


async def content(api: httpx.AsyncClient, document: dict[str, Any]) -> httpx.Response:
    return await api.get(f"/api/v1/documents/{document['id']}/content")


async def originals_in(settings: Settings) -> list[str]:
    """Hot and cold files of bytes."""
    return [file for file in await stored_files(settings) if "/original" in file]


async def test_it_leaves_search_at_once_and_its_file_gets_cold(
    api: httpx.AsyncClient, api_worker: TestWorker, settings: Settings
) -> None:
    document = await ingest(api, api_worker, WATER, "water.md")
    asked = await api.post(f"/api/v1/documents/{document['id']}/archive")
    assert [await found(api, mode) for mode in ("hybrid", "vector", "text")] == [set()] * 3
    problem(await content(api, document), 409, "document_archived")
    job = await run(api_worker, asked)
    assert (job["state"], job["progress"]) == (JobState.COMPLETED, 1)
    (cold,) = await originals_in(settings)
    assert cold.startswith("storage/cold/tenants/")
    assert cold.endswith(".zst")
    problem(await content(api, document), 409, "document_archived")
    shown = (await api.get(f"/api/v1/documents/{document['id']}")).json()
    assert shown["archived_at"]
    assert shown["updated_at"] > document["updated_at"]


async def test_restored_it_is_as_before_and_nothing_is_embedded(
    api: httpx.AsyncClient, api_worker: TestWorker, settings: Settings
) -> None:
    document = await ingest(api, api_worker, WATER, "water.md")
    await archive(api, api_worker, document)
    bought = api_worker.embedder.calls
    job = await restore(api, api_worker, document)
    assert job["state"] == JobState.COMPLETED
    assert api_worker.embedder.calls == bought
    assert await found(api) == {document["id"]}
    assert (await content(api, document)).content == WATER
    (hot,) = await originals_in(settings)
    assert not hot.endswith(".zst")
    shown = (await api.get(f"/api/v1/documents/{document['id']}")).json()
    assert shown["archived_at"] is None
    assert {**shown, "updated_at": 0} == {**document, "updated_at": 0}


async def test_lists_tell_what_is_archived(api: httpx.AsyncClient, api_worker: TestWorker) -> None:
    away = await ingest(api, api_worker, WATER, "away.md")
    here = await ingest(api, api_worker, WATER + b"More.", "here.md")
    await archive(api, api_worker, away)

    async def listed(query: str) -> set[str]:
        return {item["id"] for item in (await api.get(f"/api/v1/documents{query}")).json()["items"]}

    assert await listed("?archived=true") == {away["id"]}
    assert await listed("?archived=false") == {here["id"]}
    assert await listed("") == {away["id"], here["id"]}


async def test_text_and_passages_of_an_archived_document_can_be_read(
    api: httpx.AsyncClient, api_worker: TestWorker
) -> None:
    document = await ingest(api, api_worker, WATER, "water.md")
    await archive(api, api_worker, document)
    assert "aqueduct" in (await api.get(f"/api/v1/documents/{document['id']}/text")).raise_for_status().text
    assert (await api.get(f"/api/v1/documents/{document['id']}/chunks")).json()["items"]


async def test_bytes_that_another_document_has_stay_hot(
    api: httpx.AsyncClient, api_worker: TestWorker, settings: Settings
) -> None:
    first = await ingest(api, api_worker, WATER, "first.md")
    second = await ingest(api, api_worker, WATER, "second.md")
    await archive(api, api_worker, first)
    assert (await content(api, second)).content == WATER
    assert await found(api) == {second["id"]}
    await archive(api, api_worker, second)
    (file,) = await originals_in(settings)
    assert file.endswith(".zst")
    await restore(api, api_worker, first)
    assert (await content(api, first)).content == WATER
    problem(await content(api, second), 409, "document_archived")


async def test_the_same_bytes_uploaded_again_make_them_hot(
    api: httpx.AsyncClient, api_worker: TestWorker, settings: Settings
) -> None:
    first = await ingest(api, api_worker, WATER, "first.md")
    await archive(api, api_worker, first)
    second = await ingest(api, api_worker, WATER, "second.md")
    assert (await content(api, second)).content == WATER
    problem(await content(api, first), 409, "document_archived")
    await restore(api, api_worker, first)
    assert (await content(api, first)).content == WATER
    await age(settings)
    assert await Janitor(api_worker.services).clean()
    (file,) = await originals_in(settings)
    assert not file.endswith(".zst")
    assert (await content(api, first)).content == WATER


async def test_a_document_that_is_deleted_while_archived_leaves_nothing(
    api: httpx.AsyncClient, api_worker: TestWorker, settings: Settings
) -> None:
    document = await ingest(api, api_worker, WATER, "water.md")
    await archive(api, api_worker, document)
    assert (await api.delete(f"/api/v1/documents/{document['id']}")).status_code == 204
    assert await stored_files(settings) == []


async def test_one_that_is_still_processed_cannot_be_archived(api: httpx.AsyncClient, api_worker: TestWorker) -> None:
    accepted = await upload(api, WATER, "water.md")
    problem(await api.post(f"/api/v1/documents/{accepted['document']['id']}/archive"), 409, "document_busy")
    await api_worker.run(UUID(accepted["job"]["id"]))
    assert (await api.post(f"/api/v1/documents/{accepted['document']['id']}/archive")).status_code == 202
    problem(await api.post(f"/api/v1/documents/{accepted['document']['id']}/restore"), 409, "document_busy")


async def test_an_archived_document_is_not_processed_again(
    api: httpx.AsyncClient, api_worker: TestWorker, settings: Settings
) -> None:
    broken = await upload(api, b"%PDF-1.7 not a PDF", "broken.pdf")
    await api_worker.run(UUID(broken["job"]["id"]))
    await archive(api, api_worker, broken["document"])
    problem(await api.post(f"/api/v1/jobs/{broken['job']['id']}/retry"), 409, "document_archived")
    many = await api.post("/api/v1/jobs/retry", json={"states": ["failed"]})
    assert (many.json()["changed"], many.json()["remaining"]) == (0, 0)
    await restore(api, api_worker, broken["document"])
    assert (await api.post(f"/api/v1/jobs/{broken['job']['id']}/retry")).status_code == 202


async def test_both_may_be_asked_again(api: httpx.AsyncClient, api_worker: TestWorker) -> None:
    document = await ingest(api, api_worker, WATER, "water.md")
    for _ in range(2):
        assert (await archive(api, api_worker, document))["state"] == JobState.COMPLETED
    for _ in range(2):
        assert (await restore(api, api_worker, document))["state"] == JobState.COMPLETED
    assert (await content(api, document)).content == WATER


async def test_another_tenant_does_not_see_it(
    api: httpx.AsyncClient, stranger: httpx.AsyncClient, api_worker: TestWorker
) -> None:
    document = await ingest(api, api_worker, WATER, "water.md")
    for action in ("archive", "restore"):
        problem(await stranger.post(f"/api/v1/documents/{document['id']}/{action}"), 404, "not_found")
    assert await found(api) == {document["id"]}


async def test_damaged_bytes_are_not_frozen(api: httpx.AsyncClient, api_worker: TestWorker, settings: Settings) -> None:
    document = await ingest(api, api_worker, WATER, "water.md")
    (hot,) = await originals_in(settings)
    (settings.data_dir / hot).write_bytes(b"damaged")
    job = await archive(api, api_worker, document)
    assert (job["state"], job["error"]["code"]) == (JobState.FAILED, "content_mismatch")
    assert await originals_in(settings) == [hot]


async def test_a_damaged_cold_file_is_not_taken_for_the_original(
    api: httpx.AsyncClient, api_worker: TestWorker, settings: Settings
) -> None:
    document = await ingest(api, api_worker, WATER, "water.md")
    await archive(api, api_worker, document)
    (cold,) = await originals_in(settings)
    path = settings.data_dir / cold
    path.write_bytes(path.read_bytes()[:-30])
    job = await restore(api, api_worker, document)
    assert (job["state"], job["error"]["code"]) == (JobState.FAILED, "content_mismatch")
    assert await originals_in(settings) == [cold]
    problem(await content(api, document), 409, "document_archived")


class Interrupted(Storage):
    """The storage of a worker, to which something happens right after it took a file in."""

    def __init__(self, worker: TestWorker, happens: Callable[[], Awaitable[None]]) -> None:
        place = worker.services.settings.effective_storage_url
        super().__init__(LocalStore(urlsplit(place).path, automatic_cleanup=True), place)
        self._happens: Callable[[], Awaitable[None]] | None = happens

    async def put_file(self, key: str, path: Any) -> None:
        await super().put_file(key, path)
        if self._happens:
            happens, self._happens = self._happens, None
            await happens()


def interrupted(worker: TestWorker, happens: Callable[[], Awaitable[None]]) -> TestWorker:
    return replace(worker, services=replace(worker.services, storage=Interrupted(worker, happens)))


async def test_an_upload_while_it_is_frozen_keeps_the_bytes_hot(
    api: httpx.AsyncClient, api_worker: TestWorker, settings: Settings
) -> None:
    document = await ingest(api, api_worker, WATER, "water.md")

    async def again() -> None:
        await upload(api, WATER, "again.md")

    job = await archive(api, interrupted(api_worker, again), document)
    assert job["state"] == JobState.COMPLETED
    (second,) = (await api.get("/api/v1/documents?archived=false")).json()["items"]
    assert (await content(api, second)).content == WATER


async def test_an_upload_while_it_is_thawed_wins(
    api: httpx.AsyncClient, api_worker: TestWorker, settings: Settings
) -> None:
    document = await ingest(api, api_worker, WATER, "water.md")
    await archive(api, api_worker, document)

    async def again() -> None:
        await upload(api, WATER, "again.md")

    job = await restore(api, interrupted(api_worker, again), document)
    assert job["state"] == JobState.COMPLETED
    assert (await content(api, document)).content == WATER
    await age(settings)
    assert await Janitor(api_worker.services).clean()
    assert (await content(api, document)).content == WATER
    assert len(await originals_in(settings)) == 1


async def test_a_deletion_while_it_is_frozen_leaves_nothing(
    api: httpx.AsyncClient, api_worker: TestWorker, settings: Settings
) -> None:
    document = await ingest(api, api_worker, WATER, "water.md")

    async def delete() -> None:
        await api.delete(f"/api/v1/documents/{document['id']}")

    job = await archive(api, interrupted(api_worker, delete), document)
    assert job["state"] == JobState.CANCELLED
    async with above(settings) as owner:
        await owner.execute("UPDATE deletions SET created_at = now() - interval '1 hour'")
    await Sweeper(api_worker.services).sweep()
    assert await stored_files(settings) == []


async def test_everything_at_once_loses_nothing(
    app: FastAPI, me: NewIdentity, api_worker: TestWorker, settings: Settings
) -> None:
    """Uploads, archives, restores and deletions of the same bytes, each when it likes."""
    async with client_of(app, me) as api:
        documents = [await ingest(api, api_worker, WATER, f"{number}.md") for number in range(4)]

        async def to_and_fro(document: dict[str, Any]) -> None:
            for action in ("archive", "restore", "archive", "restore"):
                answer = await api.post(f"/api/v1/documents/{document['id']}/{action}")
                assert answer.status_code == 202, answer.text
                job, dispatch = UUID(answer.json()["id"]), 0
                while (state := await row(api_worker.services.database, job))["state"] == "queued":
                    dispatch = state["dispatch"]
                    await api_worker.run(job, dispatch)
                assert state["state"] == JobState.COMPLETED, state["error"]

        async def come_and_go() -> None:
            for number in range(6):
                accepted = await upload(api, WATER, f"passing {number}.md")
                assert (await content(api, accepted["document"])).content == WATER
                assert (await api.delete(f"/api/v1/documents/{accepted['document']['id']}")).status_code == 204

        await asyncio.gather(*map(to_and_fro, documents), come_and_go())
        for document in documents:
            assert (await content(api, document)).content == WATER
        await age(settings)
        assert await Janitor(api_worker.services).clean()
        assert len(await originals_in(settings)) == 1
        for document in documents:
            assert (await content(api, document)).content == WATER


async def test_a_frozen_original_is_seen_by_nobody_who_looks_for_a_hot_one(
    api: httpx.AsyncClient, api_worker: TestWorker, me: NewIdentity
) -> None:
    document = await ingest(api, api_worker, WATER, "water.md")
    await archive(api, api_worker, document)
    async with api_worker.services.database.transaction(me.tenant_id) as transaction:
        cold = await originals.of_document(transaction.driver, UUID(document["id"]))
        assert cold.place == "cold"
        assert (cold.cold_size or 0) < cold.size
        assert not await originals.chill(transaction.driver, cold, cold.id, 1)


async def test_a_file_that_is_moved_while_it_is_asked_for_is_found(
    app: FastAPI, api: httpx.AsyncClient, api_worker: TestWorker
) -> None:
    document = await ingest(api, api_worker, WATER, "water.md")
    services = services_of(app)

    class Moved(Storage):
        """To and fro, just when the key was read from the row."""

        is_moved = False

        async def stream(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
            if not self.is_moved:
                self.is_moved = True
                await archive(api, api_worker, document)
                await restore(api, api_worker, document)
            async for piece in super().stream(key, start=start, end=end):
                yield piece

    place = services.settings.effective_storage_url
    moved = Moved(LocalStore(urlsplit(place).path, automatic_cleanup=True), place)
    app.state.services = replace(services, storage=moved)
    assert (await content(api, document)).content == WATER
    app.state.services = services


async def age(settings: Settings, root: str = "storage") -> None:
    """Makes every file two days old."""

    def touch() -> None:
        for path in (settings.data_dir / root).rglob("*"):
            os.utime(path, (time.time() - 2 * 24 * 3600,) * 2)

    await asyncio.to_thread(touch)
