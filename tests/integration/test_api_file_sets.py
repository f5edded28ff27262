"""File sets: made, filled, changed, looked at and removed; and documents that no job has processed yet."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

from arqueduct.errors import FileSetArchived, FileSetBusy, FileSetEmpty, NotFound
from arqueduct.identity import NewIdentity
from arqueduct.ids import new_id
from arqueduct.repositories import file_sets
from arqueduct.settings import Settings
from tests.integration.backend import client_of, ingest, problem, services_of, serving, stored_files, upload
from tests.integration.file_sets import SETS, accepted, codes, files_of, make, parts, statistics
from tests.integration.many_jobs import Owner, owning
from tests.integration.worker import TestWorker

RHINE = ("rivers/rhine.md", b"# The Rhine\n\nIt flows north.\n")
NILE = ("rivers/nile.txt", b"The Nile flows north too.")
PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"


@pytest.fixture
async def owner(settings: Settings) -> AsyncIterator[Owner]:
    async with owning(settings) as connection:
        yield connection


async def test_a_set_is_made_of_many_files(api: httpx.AsyncClient) -> None:
    made = await make(api, RHINE, NILE, description="Of the world", metadata='{"continent": ["Europe", "Africa"]}')
    assert (made["name"], made["description"]) == ("Rivers", "Of the world")
    assert made["metadata"] == {"continent": ["Europe", "Africa"]}
    assert codes(made) == [None, None]
    assert [(file["name"], file["path"]) for file in made["files"]] == [
        ("rhine.md", "rivers/rhine.md"),
        ("nile.txt", "rivers/nile.txt"),
    ]
    found = (await api.get(f"{SETS}/{made['id']}")).json()
    assert found == {name: value for name, value in made.items() if name != "files"}


async def test_its_documents_are_there_without_a_job(api: httpx.AsyncClient) -> None:
    made = await make(api, RHINE)
    (document_id,) = accepted(made)
    document = (await api.get(f"/api/v1/documents/{document_id}")).json()
    assert (document["status"], document["job_id"], document["error"]) == ("uploaded", None, None)
    assert (document["name"], document["content_type"]) == ("rhine.md", "text/markdown")
    assert (await api.get(f"/api/v1/documents/{document_id}/content")).content == RHINE[1]
    problem(await api.get(f"/api/v1/documents/{document_id}/text"), 409, "document_not_ready")
    assert (await api.get(f"/api/v1/documents/{document_id}/chunks")).json()["items"] == []
    assert [found["id"] for found in (await api.get("/api/v1/documents")).json()["items"]] == [document_id]
    assert (await api.get("/api/v1/jobs")).json()["items"] == []
    tag = (await api.get(f"/api/v1/documents/{document_id}")).headers["etag"]
    changed = await api.patch(f"/api/v1/documents/{document_id}", json={"title": "R"}, headers={"If-Match": tag})
    assert (changed.status_code, changed.json()["status"]) == (200, "uploaded")


async def test_an_empty_set_is_a_set(api: httpx.AsyncClient) -> None:
    made = await make(api)
    assert made["files"] == []
    filled = await api.post(f"{SETS}/{made['id']}/files", files=parts([RHINE]))
    assert (filled.status_code, codes(filled.json())) == (200, [None])
    assert [file["path"] for file in await files_of(api, made)] == ["rivers/rhine.md"]


async def test_every_file_gets_an_answer_of_its_own(api: httpx.AsyncClient, settings: Settings) -> None:
    made = await make(
        api,
        RHINE,
        ("empty.txt", b""),
        ("picture.png", b"\x89PNG\r\n\x1a\n" + bytes(500)),
        ("copy of rhine.md", RHINE[1]),
        ("rivers/rhine.md", b"Another text at the same place."),
        ("a/" * 70 + "deep.txt", b"Too deep."),
        ("scan.pdf", PDF),
        NILE,
    )
    assert codes(made) == [
        *(None, "empty_upload", "unsupported_format", "duplicate_file", "path_taken", "path_too_long", None, None),
    ]
    assert made["files"][5]["path"] is None
    assert made["files"][5]["name"] == "deep.txt"
    assert len(await files_of(api, made)) == 3
    assert len(await stored_files(settings)) == 3, "of what was refused nothing is kept"


async def test_a_file_that_is_too_large_hinders_no_other(settings: Settings, me: NewIdentity) -> None:
    limited = settings.model_copy(update={"max_upload_bytes": 1000})
    async with serving(limited) as app, client_of(app, me) as api:
        made = await make(api, ("large.txt", b"x" * 200_000), ("exact.txt", b"y" * 1000), ("over.txt", b"z" * 1001))
        assert codes(made) == ["upload_too_large", None, "upload_too_large"]
        assert len(await stored_files(settings)) == 1


async def test_what_is_in_the_set_already_is_a_duplicate(api: httpx.AsyncClient, settings: Settings) -> None:
    made = await make(api, RHINE)
    again = [("elsewhere.md", RHINE[1]), ("rivers/rhine.md", b"Other bytes"), NILE]
    answer = await api.post(f"{SETS}/{made['id']}/files", files=parts(again))
    assert codes(answer.json()) == ["duplicate_file", "path_taken", None]
    other = await make(api, RHINE, name="Another set")
    assert codes(other) == [None], "another set may have the same bytes"
    assert accepted(other) != accepted(made)
    assert len(await stored_files(settings)) == 2, "which are kept once a tenant"


async def test_documents_that_are_there_are_added_by_id(api: httpx.AsyncClient, stranger: httpx.AsyncClient) -> None:
    made = await make(api, RHINE)
    known = (await upload(api, b"Water flows.", "water.txt"))["document"]["id"]
    copy = (await upload(api, RHINE[1], "copy.md"))["document"]["id"]
    theirs = (await upload(stranger, b"Not yours.", "secret.txt"))["document"]["id"]
    body = {"document_ids": [known, known, copy, theirs, str(new_id())]}
    answer = await api.post(f"{SETS}/{made['id']}/documents", json=body)
    assert codes(answer.json()) == [None, "duplicate_file", "duplicate_file", "not_found", "not_found"]
    assert "secret" not in answer.text
    assert [file["path"] for file in await files_of(api, made)] == ["rivers/rhine.md", "water.txt"]
    own = await make(stranger, name="Theirs")
    mine_there = await stranger.post(f"{SETS}/{own['id']}/documents", json={"document_ids": [known]})
    assert codes(mine_there.json()) == ["not_found"]


async def test_a_document_is_taken_out_and_stays(api: httpx.AsyncClient) -> None:
    made = await make(api, RHINE, NILE)
    first, second = accepted(made)
    assert (await api.delete(f"{SETS}/{made['id']}/files/{first}")).status_code == 204
    problem(await api.delete(f"{SETS}/{made['id']}/files/{first}"), 404, "not_found")
    assert [file["document"]["id"] for file in await files_of(api, made)] == [second]
    assert (await api.get(f"/api/v1/documents/{first}")).status_code == 200


async def test_a_deleted_document_leaves_its_sets(api: httpx.AsyncClient, owner: Owner) -> None:
    made = await make(api, RHINE, NILE)
    first, second = accepted(made)
    other = await make(api, name="Other")
    await api.post(f"{SETS}/{other['id']}/documents", json={"document_ids": [first]})
    assert (await api.delete(f"/api/v1/documents/{first}")).status_code == 204
    assert [file["document"]["id"] for file in await files_of(api, made)] == [second]
    assert await files_of(api, other) == []
    assert await owner.fetchval("SELECT count(*) FROM file_set_files") == 1


async def test_a_set_is_renamed_only_as_it_was_seen(api: httpx.AsyncClient) -> None:
    made = await make(api, description="Of the world")
    address = f"{SETS}/{made['id']}"
    tag = (await api.get(address)).headers["etag"]
    assert (await api.get(address, headers={"If-None-Match": tag})).status_code == 304
    changed = await api.patch(address, json={"name": "Streams", "description": None}, headers={"If-Match": tag})
    assert (changed.json()["name"], changed.json()["description"]) == ("Streams", None)
    problem(await api.patch(address, json={"name": "Late"}, headers={"If-Match": tag}), 412, "precondition_failed")
    again = await api.patch(address, json={"metadata": {"a": 1}}, headers={"If-Match": changed.headers["etag"]})
    assert again.json()["metadata"] == {"a": 1}
    for body in ({}, {"name": ""}, {"name": " x"}, {"name": None}, {"nome": "x"}, {"metadata": "x"}):
        problem(await api.patch(address, json=body), 422, "invalid_request")


async def test_a_file_is_moved_within_its_set(api: httpx.AsyncClient) -> None:
    made = await make(api, RHINE, NILE)
    first, _ = accepted(made)
    address = f"{SETS}/{made['id']}/files/{first}"
    moved = await api.patch(address, json={"path": "..\\Europe\\./rhine.md"})
    assert (moved.status_code, moved.json()["path"], moved.json()["document"]["name"]) == (
        200,
        "Europe/rhine.md",
        "rhine.md",
    )
    assert (await api.patch(address, json={"path": "Europe/rhine.md"})).status_code == 200
    problem(await api.patch(address, json={"path": "rivers/nile.txt"}), 409, "path_taken")
    problem(await api.patch(address, json={"path": "a/" * 100 + "b"}), 422, "path_too_long")
    problem(await api.patch(f"{SETS}/{made['id']}/files/{new_id()}", json={"path": "x"}), 404, "not_found")


async def test_sets_and_files_are_listed_page_by_page(api: httpx.AsyncClient) -> None:
    made = [await make(api, name=f"Set {number}") for number in range(3)]
    page = (await api.get(SETS, params={"limit": 2})).json()
    assert [found["id"] for found in page["items"]] == [made[2]["id"], made[1]["id"]]
    rest = (await api.get(SETS, params={"limit": 2, "cursor": page["next_cursor"]})).json()
    assert ([found["id"] for found in rest["items"]], rest["next_cursor"]) == ([made[0]["id"]], None)
    full = await make(api, *((f"{number}.txt", b"File %d" % number) for number in range(5)))
    address, seen, cursor = f"{SETS}/{full['id']}/files", [], None
    while True:
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await api.get(address, params=query)).json()
        seen += [file["path"] for file in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == [f"{number}.txt" for number in range(5)]


async def test_files_are_listed_and_counted_by_status(api: httpx.AsyncClient, api_worker: TestWorker) -> None:
    made = await make(api, RHINE, ("scan.pdf", PDF))
    done = await ingest(api, api_worker, b"# Water\n\nIt flows downhill.\n", "water.md")
    waiting = (await upload(api, b"Waits.", "waits.txt"))["document"]
    await api.post(f"{SETS}/{made['id']}/documents", json={"document_ids": [done["id"], waiting["id"]]})
    for status, paths in {
        "uploaded": ["rivers/rhine.md", "scan.pdf"],
        "completed": ["water.md"],
        "queued": ["waits.txt"],
        "failed": [],
    }.items():
        assert [file["path"] for file in await files_of(api, made, status=status)] == paths
    problem(await api.get(f"{SETS}/{made['id']}/files", params={"status": "lost"}), 422, "invalid_request")
    chunks = (await api.get(f"/api/v1/documents/{done['id']}/chunks")).json()["items"]
    told = await statistics(api, made)
    assert told["total"] == {
        "files": 4,
        "bytes": len(RHINE[1]) + len(PDF) + done["size"] + waiting["size"],
        "pages": done["pages"],
        "chunks": len(chunks),
        "tokens": sum(chunk["tokens"] for chunk in chunks),
    }
    assert {kind: amounts["files"] for kind, amounts in told["by_type"].items()} == {
        "text/markdown": 2,
        "application/pdf": 1,
        "text/plain": 1,
    }
    assert {status: amounts["files"] for status, amounts in told["by_status"].items()} == {
        "uploaded": 2,
        "completed": 1,
        "queued": 1,
    }
    empty = await statistics(api, await make(api))
    assert (empty["total"]["files"], empty["by_type"], empty["by_status"]) == (0, {}, {})


async def test_a_deleted_set_leaves_its_documents(api: httpx.AsyncClient) -> None:
    made = await make(api, RHINE)
    assert (await api.delete(f"{SETS}/{made['id']}")).status_code == 204
    problem(await api.get(f"{SETS}/{made['id']}"), 404, "not_found")
    problem(await api.delete(f"{SETS}/{made['id']}"), 404, "not_found")
    assert (await api.get(f"/api/v1/documents/{accepted(made)[0]}")).status_code == 200


async def test_a_set_is_deleted_with_those_documents_that_are_nowhere_else(
    api: httpx.AsyncClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("arqueduct_backend.deletion.BATCH", 2)
    made = await make(api, *((f"{number}.txt", b"File %d" % number) for number in range(7)))
    other = await make(api, name="Other")
    *gone, kept = accepted(made)
    running = await upload(api, b"Being processed.", "p.txt")
    await api.post(f"{SETS}/{made['id']}/documents", json={"document_ids": [running["document"]["id"]]})
    await api.post(f"{SETS}/{other['id']}/documents", json={"document_ids": [kept]})
    assert (await api.delete(f"{SETS}/{made['id']}", params={"documents": "true"})).status_code == 204
    left = (await api.get("/api/v1/documents")).json()["items"]
    assert [document["id"] for document in left] == [kept]
    assert (await api.get(f"/api/v1/jobs/{running['job']['id']}")).json()["state"] == "cancelled"
    assert len(await stored_files(settings)) == 1
    assert len(gone) == 6


async def test_a_set_says_what_makes_it_unfit(
    app: FastAPI, api: httpx.AsyncClient, me: NewIdentity, owner: Owner
) -> None:
    async def found(made: Any) -> list[type[Exception]]:
        async with services_of(app).database.transaction(me.tenant_id) as transaction:
            return [type(error) for error in await file_sets.problems(transaction, UUID(made["id"]))]

    assert await found(await make(api, RHINE)) == []
    empty = await make(api)
    assert await found(empty) == [FileSetEmpty]
    document = (await upload(api, b"Waits.", "waits.txt"))["document"]
    await api.post(f"{SETS}/{empty['id']}/documents", json={"document_ids": [document["id"]]})
    assert await found(empty) == [FileSetBusy]
    await owner.execute("UPDATE file_sets SET archived_at = now()")
    assert await found(empty) == [FileSetArchived, FileSetBusy]
    with pytest.raises(NotFound):
        await found({"id": str(new_id())})


async def test_nothing_of_another_tenant_is_in_reach(api: httpx.AsyncClient, stranger: httpx.AsyncClient) -> None:
    theirs, mine = await make(stranger, NILE), await make(api, RHINE)
    (their_document,), (my_document,) = accepted(theirs), accepted(mine)
    for address in (f"{theirs['id']}/files/{my_document}", f"{mine['id']}/files/{their_document}"):
        problem(await api.delete(f"{SETS}/{address}"), 404, "not_found")
        problem(await api.patch(f"{SETS}/{address}", json={"path": "x"}), 404, "not_found")
    problem(await api.post(f"{SETS}/{theirs['id']}/files", files=parts([RHINE])), 404, "not_found")
    assert [found["id"] for found in (await api.get(SETS)).json()["items"]] == [mine["id"]]
    assert [file["document"]["id"] for file in await files_of(stranger, theirs)] == [their_document]


async def test_documents_without_a_job_hold_no_job(api: httpx.AsyncClient, owner: Owner) -> None:
    """A document keeps the job that it names from being pruned: `NULL` names none."""
    await make(api, RHINE)
    job = (await upload(api, b"Water.", "w.txt"))["job"]["id"]
    await owner.execute("UPDATE documents SET job_id = NULL")
    await owner.execute(
        "UPDATE jobs SET state = 'cancelled', stage = 'cancelled', finished_at = now() - interval '90 days'"
    )
    row = await owner.fetchrow("SELECT * FROM prune_jobs('30 days', 10, '-infinity', $1)", UUID(int=0))
    assert row is not None
    assert row["pruned_jobs"] == 1, job


async def test_a_webhook_hears_of_a_document_without_a_job(
    api: httpx.AsyncClient, owner: Owner, me: NewIdentity
) -> None:
    await owner.execute(
        "INSERT INTO webhook_endpoints (id, tenant_id, url, events, secret) VALUES "
        "(gen_random_uuid(), $1, 'https://receiver.example.org/', '{document.created}', '')",
        me.tenant_id,
    )
    await make(api, RHINE, NILE)
    rows = await owner.fetch("SELECT data->>'job_id' AS job, type FROM webhook_deliveries")
    assert [(row["job"], row["type"]) for row in rows] == [(None, "document.created")] * 2


async def test_two_uploads_of_the_same_bytes_make_one_file(api: httpx.AsyncClient, settings: Settings) -> None:
    made = await make(api)
    address = f"{SETS}/{made['id']}/files"
    answers = await asyncio.gather(
        *(api.post(address, files=parts([(f"{number}.md", RHINE[1]), NILE])) for number in range(6))
    )
    told = [codes(answer.json()) for answer in answers]
    assert sorted(map(str, told)) == sorted(map(str, [[None, None]] + [["duplicate_file", "duplicate_file"]] * 5))
    assert len(await files_of(api, made)) == 2
    assert len(await stored_files(settings)) == 2


async def test_an_upload_and_the_deletion_of_its_set_end_in_one_of_two_ways(
    api: httpx.AsyncClient, settings: Settings, owner: Owner
) -> None:
    for _ in range(5):
        made = await make(api, RHINE)
        address = f"{SETS}/{made['id']}"
        sent, removed = await asyncio.gather(
            api.post(f"{address}/files", files=parts([NILE])), api.delete(address, params={"documents": "true"})
        )
        assert removed.status_code == 204, removed.text
        assert sent.status_code in (200, 404), sent.text
        problem(await api.get(address), 404, "not_found")
        left = (await api.get("/api/v1/documents")).json()["items"]
        assert len(left) <= (1 if sent.status_code == 200 else 0)
        for document in left:
            await api.delete(f"/api/v1/documents/{document['id']}")
    assert await owner.fetchval("SELECT count(*) FROM blobs") == 0
    assert await stored_files(settings) == []


async def test_a_document_that_is_deleted_while_it_is_added_is_in_no_set(api: httpx.AsyncClient, owner: Owner) -> None:
    made = await make(api)
    for number in range(8):
        document = (await upload(api, b"Water %d" % number, f"{number}.txt"))["document"]["id"]
        added, removed = await asyncio.gather(
            api.post(f"{SETS}/{made['id']}/documents", json={"document_ids": [document]}),
            api.delete(f"/api/v1/documents/{document}"),
        )
        assert (added.status_code, removed.status_code) == (200, 204)
        assert codes(added.json())[0] in (None, "not_found")
    assert await files_of(api, made) == []
    assert await owner.fetchval("SELECT count(*) FROM file_set_files") == 0


async def test_a_document_that_another_set_takes_up_survives_the_deletion_of_its_first(api: httpx.AsyncClient) -> None:
    for number in range(5):
        made = await make(api, (f"{number}.txt", b"Taken up %d" % number))
        other = await make(api, name="Other")
        (document,) = accepted(made)
        added, _ = await asyncio.gather(
            api.post(f"{SETS}/{other['id']}/documents", json={"document_ids": [document]}),
            api.delete(f"{SETS}/{made['id']}", params={"documents": "true"}),
        )
        is_there = (await api.get(f"/api/v1/documents/{document}")).status_code == 200
        assert is_there == (codes(added.json()) == [None])
