"""Documents over HTTP: in, listed, read, deleted."""

import base64
import hashlib
from uuid import UUID, uuid4

import httpx
import pytest
from pydantic import SecretStr

from arqueduct.database import Database
from arqueduct.errors import DependencyUnavailable
from arqueduct.identity import NewIdentity
from arqueduct.keys import Keys
from arqueduct.settings import Settings
from tests.integration.backend import (
    beat,
    client_of,
    ingest,
    problem,
    services_of,
    serving,
    stored_files,
    upload,
)
from tests.integration.worker import TestWorker, until

MARKDOWN = b"# Aqueducts\n\nThe Pont du Gard carried water to Nimes.\n\n# Castles\n\nCastles have walls and a moat.\n"


async def test_an_upload_is_answered_with_document_and_job(api: httpx.AsyncClient, me: NewIdentity) -> None:
    answer = await api.post("/api/v1/documents", files={"file": ("water.md", MARKDOWN)})
    assert answer.status_code == 202
    document, job = answer.json()["document"], answer.json()["job"]
    assert answer.headers["location"] == f"/api/v1/jobs/{job['id']}"
    assert answer.headers["retry-after"] == "1"
    assert document["sha256"] == hashlib.sha256(MARKDOWN).hexdigest()
    assert (document["name"], document["size"], document["status"]) == ("water.md", len(MARKDOWN), "queued")
    assert (document["content_type"], document["job_id"]) == ("text/markdown", job["id"])
    assert (job["state"], job["kind"], job["document_id"]) == ("queued", "document.ingest", document["id"])
    found = (await api.get(answer.headers["location"])).json()
    assert {**found, "position": None, "waiting_for": None} == {**job, "position": None, "waiting_for": None}


async def test_an_upload_is_announced_and_wakes_a_worker(
    api: httpx.AsyncClient, api_worker: TestWorker, redis: object, keys: Keys
) -> None:
    accepted = await upload(api)
    job_id = accepted["job"]["id"]

    async def is_heard() -> bool:
        return bool(api_worker.heard)

    await until(is_heard)
    assert (str(api_worker.heard[0].job_id), api_worker.heard[0].type) == (job_id, "job_queued")

    async def is_sent() -> bool:
        return await redis.zscore(keys.queue, f"{job_id}:0") is not None  # type: ignore[attr-defined]  # a client of arq

    await until(is_sent)
    async with api_worker.services.database.transaction() as transaction:
        assert await transaction.driver.fetchval("SELECT dispatched_at FROM jobs") is not None


async def test_a_stored_document_says_what_was_found(api: httpx.AsyncClient, api_worker: TestWorker) -> None:
    document = await ingest(api, api_worker, MARKDOWN, "water.md")
    assert document["pages"] == 1
    assert document["characters"] > 0
    assert document["chunks"] >= 1
    assert document["error"] is None


async def test_text_and_chunks_agree(api: httpx.AsyncClient, api_worker: TestWorker) -> None:
    document = await ingest(api, api_worker, MARKDOWN * 40, "water.md")
    answer = await api.get(f"/api/v1/documents/{document['id']}/text")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert len(answer.text) == document["characters"]
    chunks = []
    url: str | None = f"/api/v1/documents/{document['id']}/chunks?limit=2"
    while url:
        page = (await api.get(url)).json()
        chunks += page["items"]
        cursor = page["next_cursor"]
        url = f"/api/v1/documents/{document['id']}/chunks?limit=2&cursor={cursor}" if cursor else None
    assert [chunk["ordinal"] for chunk in chunks] == list(range(document["chunks"]))
    assert all(answer.text[chunk["start"] : chunk["end"]] == chunk["text"] for chunk in chunks)
    assert chunks[0]["pages"] == [1, 1]


async def test_text_is_a_conflict_until_it_is_stored(api: httpx.AsyncClient) -> None:
    document = (await upload(api))["document"]
    problem(await api.get(f"/api/v1/documents/{document['id']}/text"), 409, "document_not_ready")
    assert (await api.get(f"/api/v1/documents/{document['id']}/chunks")).json() == {"items": [], "next_cursor": None}


async def test_content_is_what_was_sent(api: httpx.AsyncClient) -> None:
    document = (await upload(api, MARKDOWN, "naïve „Wasser“.md"))["document"]
    answer = await api.get(f"/api/v1/documents/{document['id']}/content")
    assert answer.content == MARKDOWN
    assert answer.headers["content-type"] == "text/markdown"
    assert answer.headers["etag"] == f'"{document["sha256"]}"'
    assert answer.headers["content-length"] == str(len(MARKDOWN))
    assert "filename*=UTF-8''na%C3%AFve%20%E2%80%9EWasser%E2%80%9C.md" in answer.headers["content-disposition"]
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_range_is_served_alone(api: httpx.AsyncClient, subtests: pytest.Subtests) -> None:
    document = (await upload(api, MARKDOWN))["document"]
    parts = {"bytes=0-9": MARKDOWN[:10], "bytes=-7": MARKDOWN[-7:], "bytes=90-99999": MARKDOWN[90:]}
    for asked, expected in parts.items():
        with subtests.test(asked):
            answer = await api.get(f"/api/v1/documents/{document['id']}/content", headers={"Range": asked})
            assert (answer.status_code, answer.content) == (206, expected)
            assert answer.headers["content-range"].endswith(f"/{len(MARKDOWN)}")
            assert answer.headers["content-length"] == str(len(expected))


async def test_a_range_that_is_not_understood_is_ignored(api: httpx.AsyncClient, subtests: pytest.Subtests) -> None:
    document = (await upload(api, MARKDOWN))["document"]
    for asked in ("bytes=5-2", "bytes=0-1,4-5", "lines=1-2", "bytes=-", "nonsense"):
        with subtests.test(asked):
            answer = await api.get(f"/api/v1/documents/{document['id']}/content", headers={"Range": asked})
            assert (answer.status_code, answer.content) == (200, MARKDOWN)


async def test_a_range_behind_the_end_is_refused(api: httpx.AsyncClient) -> None:
    document = (await upload(api, MARKDOWN))["document"]
    answer = await api.get(f"/api/v1/documents/{document['id']}/content", headers={"Range": "bytes=9999-"})
    problem(answer, 416, "range_not_satisfiable")
    assert answer.headers["content-range"] == f"bytes */{len(MARKDOWN)}"


async def test_bytes_that_a_client_has_are_not_sent_again(api: httpx.AsyncClient) -> None:
    document = (await upload(api, MARKDOWN))["document"]
    tag = f'"{document["sha256"]}"'
    answer = await api.get(f"/api/v1/documents/{document['id']}/content", headers={"If-None-Match": tag})
    assert (answer.status_code, answer.content) == (304, b"")


async def test_the_list_is_newest_first_and_stable_while_documents_come(api: httpx.AsyncClient) -> None:
    ids = [(await upload(api, b"number %d" % number, f"{number}.txt"))["document"]["id"] for number in range(5)]
    first = (await api.get("/api/v1/documents?limit=2")).json()
    await upload(api, b"meanwhile", "meanwhile.txt")
    second = (await api.get("/api/v1/documents", params={"limit": 2, "cursor": first["next_cursor"]})).json()
    third = (await api.get("/api/v1/documents", params={"limit": 2, "cursor": second["next_cursor"]})).json()
    seen = [item["id"] for page in (first, second, third) for item in page["items"]]
    assert seen == ids[::-1]
    assert third["next_cursor"] is None


async def test_the_same_bytes_are_kept_once(api: httpx.AsyncClient, settings: Settings) -> None:
    one, two = await upload(api, MARKDOWN, "one.md"), await upload(api, MARKDOWN, "two.md")
    assert len(await stored_files(settings)) == 1
    await api.delete(f"/api/v1/documents/{one['document']['id']}")
    assert (await api.get(f"/api/v1/documents/{two['document']['id']}/content")).content == MARKDOWN


async def test_a_deletion_leaves_nothing_behind(
    api: httpx.AsyncClient, api_worker: TestWorker, settings: Settings, app_database: Database, me: NewIdentity
) -> None:
    document = await ingest(api, api_worker, MARKDOWN, "water.md")
    assert (await api.delete(f"/api/v1/documents/{document['id']}")).status_code == 204
    for below in ("", "/content", "/text", "/chunks"):
        problem(await api.get(f"/api/v1/documents/{document['id']}{below}"), 404, "not_found")
    problem(await api.delete(f"/api/v1/documents/{document['id']}"), 404, "not_found")
    assert await stored_files(settings) == []
    async with app_database.transaction(me.tenant_id) as transaction:
        for table in ("documents", "chunks", "embeddings", "blobs"):
            assert await transaction.driver.fetchval(f"SELECT count(*) FROM {table}") == 0


async def test_a_deletion_cancels_what_waits(api: httpx.AsyncClient, api_worker: TestWorker) -> None:
    accepted = await upload(api)
    await api.delete(f"/api/v1/documents/{accepted['document']['id']}")
    job = (await api.get(f"/api/v1/jobs/{accepted['job']['id']}")).json()
    assert job["state"] == "cancelled"

    async def is_heard() -> bool:
        return any(message.type == "job_cancelled" for message in api_worker.heard)

    await until(is_heard)
    await api_worker.run(UUID(job["id"]))  # the wake-up that was sent before
    assert (await api.get(f"/api/v1/jobs/{job['id']}")).json()["state"] == "cancelled"


async def test_a_stranger_finds_nothing(api: httpx.AsyncClient, stranger: httpx.AsyncClient) -> None:
    document = (await upload(api))["document"]
    for below in ("", "/content", "/text", "/chunks"):
        problem(await stranger.get(f"/api/v1/documents/{document['id']}{below}"), 404, "not_found")
    problem(await stranger.delete(f"/api/v1/documents/{document['id']}"), 404, "not_found")
    assert (await stranger.get("/api/v1/documents")).json()["items"] == []
    assert (await api.get(f"/api/v1/documents/{document['id']}")).status_code == 200


async def test_an_unknown_id_is_not_found(api: httpx.AsyncClient) -> None:
    problem(await api.get(f"/api/v1/documents/{uuid4()}"), 404, "not_found")


async def test_with_redis_away_uploads_are_taken_all_the_same(settings: Settings, me: NewIdentity) -> None:
    away = settings.model_copy(update={"redis_url": SecretStr("redis://127.0.0.1:9/0")})
    async with serving(away) as app, client_of(app, me) as api:
        accepted = await upload(api)
        assert accepted["job"]["state"] == "queued"
        assert (await api.get(f"/api/v1/jobs/{accepted['job']['id']}")).status_code == 200


async def test_with_postgres_away_nothing_stays_of_an_upload(
    settings: Settings, me: NewIdentity, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise DependencyUnavailable("Postgres is away.")

    async with serving(settings) as app, client_of(app, me) as api:
        monkeypatch.setattr("arqueduct_backend.intake.jobs.note_created", away)
        answer = await api.post("/api/v1/documents", files={"file": ("water.md", MARKDOWN)})
        problem(answer, 503, "dependency_unavailable")
        assert int(answer.headers["retry-after"]) >= 1
        assert (await api.get("/api/v1/documents")).json()["items"] == []
        assert services_of(app).database.in_use == 0
    assert await stored_files(settings) == []


async def test_a_queued_job_says_what_it_waits_for(api: httpx.AsyncClient, api_worker: TestWorker) -> None:
    assert (await upload(api))["job"]["waiting_for"] == "no live worker"
    await beat(api_worker)
    job = (await upload(api))["job"]
    assert job["waiting_for"] == "its turn"

    async def is_next() -> bool:
        found = (await api.get(f"/api/v1/jobs/{job['id']}")).json()
        return (found["waiting_for"], found["position"]) == ("a free worker", None)

    await until(is_next)


async def test_an_order_that_lists_do_not_have_is_refused(api: httpx.AsyncClient) -> None:
    for path in ("documents", "jobs"):
        assert (await api.get(f"/api/v1/{path}", params={"sort": "-created_at"})).status_code == 200
        refused = await api.get(f"/api/v1/{path}", params={"sort": "name"})
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid_request")


async def test_a_cursor_far_behind_the_last_passage_is_an_empty_page(
    api: httpx.AsyncClient, api_worker: TestWorker
) -> None:
    document = await ingest(api, api_worker, MARKDOWN, "water.md")
    cursor = base64.urlsafe_b64encode(f"chunks:{2**31}".encode()).decode().rstrip("=")
    answer = await api.get(f"/api/v1/documents/{document['id']}/chunks", params={"cursor": cursor})
    assert (answer.status_code, answer.json()) == (200, {"items": [], "next_cursor": None})
