"""A set of real files and broken ones, run as a project and watched over a socket while a worker is killed."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import msgspec
import psutil
import pytest
from websockets.asyncio.client import connect

from arqueduct.repositories.parents import Tally
from tests.acceptance.processes import Up, up
from tests.integration.family import BOTH

CORPUS = Path(os.environ.get("ARQUEDUCT_TEST_CORPUS") or "no-corpus-is-named")
OURS = Path(__file__).parents[2] / "examples" / "documents"
FORMATS = ("pdf", "docx", "html", "md", "txt")
BROKEN = ("bad/made/header_only.pdf", "bad/made/encrypted_R4_userpw.pdf", "bad/made/truncated_5pct.pdf")
QUICK = {
    "ARQUEDUCT_HEARTBEAT": "1",
    "ARQUEDUCT_LEASE": "4",
    "ARQUEDUCT_PARENT_INTERVAL": "0.3",
    "ARQUEDUCT_SWEEP": "1",
    "ARQUEDUCT_WORKER_CONCURRENCY": "3",
}
"""A worker that was killed is missed after four seconds instead of thirty."""
PATIENCE = 240
AT_WORK = """
    SELECT count(*) FROM job_attempts a JOIN jobs j ON j.id = a.job_id
    WHERE j.parent_id = $1 AND a.ended_at IS NULL AND split_part(a.worker, ':', 2) = $2
"""
LOST = """
    SELECT count(*) FROM job_attempts a JOIN jobs j ON j.id = a.job_id
    WHERE j.parent_id = $1 AND a.outcome = 'worker_died'
"""


def ours() -> dict[str, bytes]:
    """The documents of the repository, and three files that nobody can read."""
    found = {path.name: path.read_bytes() for path in sorted(OURS.iterdir()) if path.suffix != ""}
    torn = found["bzip2-manual.pdf"]
    return found | {"torn/header.pdf": b"%PDF-1.7\n", "torn/half.pdf": torn[: len(torn) // 50], "torn/x.pdf": b"%PDF-"}


def of_corpus() -> dict[str, bytes]:
    """The real files of the formats that are read, and three of the hostile ones."""
    folders = (CORPUS / "formats" / kind for kind in FORMATS)
    found = {
        str(path.relative_to(CORPUS)): path.read_bytes()
        for folder in folders
        for path in sorted(folder.iterdir())
        if path.is_file()
    }
    return found | {name: (CORPUS / name).read_bytes() for name in BROKEN}


@pytest.fixture
def installation(data_dir: Path) -> Iterator[Up]:
    with up(data_dir, "--workers", "2", environment=QUICK) as started:
        yield started


def test_a_project_of_real_and_broken_files_outlives_a_worker(installation: Up) -> None:
    asyncio.run(_story(installation, ours(), broken=[name for name in ours() if name.startswith("torn/")]))


@pytest.mark.skipif(
    not CORPUS.is_dir(), reason="ARQUEDUCT_TEST_CORPUS names no folder: the project of the corpus is left out"
)
def test_a_project_of_the_corpus_outlives_a_worker(installation: Up) -> None:
    asyncio.run(_story(installation, of_corpus(), broken=BROKEN, others_fail=True))


async def _story(
    installation: Up, files: Mapping[str, bytes], *, broken: Sequence[str], others_fail: bool = False
) -> None:
    known = installation.credentials()
    headers = {"Authorization": f"Bearer {known['api_key']}"}
    async with httpx.AsyncClient(base_url=f"{known['url']}/api/v1", headers=headers, timeout=120) as api:
        file_set, accepted = await _set(api, files)
        messages: list[dict[str, Any]] = []
        watching = asyncio.create_task(_watch(known, messages))
        await _until(lambda: bool(messages))
        made = (await api.post("/projects", json={"name": "real files", "file_set_id": file_set})).json()
        job_id, project_id = made["job"]["id"], made["project"]["id"]
        await _until(lambda: any(_begun(message, job_id) for message in messages))
        await _kill_at_work(installation, UUID(job_id))
        await _until(lambda: any(message.get("job_id") == job_id and _is_end(message) for message in messages))
        watching.cancel()
        status = (await api.get(f"/projects/{project_id}/status", params={"limit": 200})).json()
        assert (status["state"], status["progress"]) == ("partially_completed", 1)
        assert status["counts"]["total"] == len(accepted) == status["counts"]["completed"] + status["counts"]["failed"]
        failed = {file["path"] for file in (await _files(api, project_id, "failed"))}
        torn = set(broken) & accepted
        assert torn
        assert torn <= failed if others_fail else torn == failed
        assert sum(status["errors"].values()) == len(failed) == status["counts"]["failed"]
        assert await _lost(installation, UUID(job_id)), "no attempt ended with its worker"
        await _recounted(installation, UUID(job_id), status)
        _told_in_order(messages, job_id)
        await _only_the_failed_run_again(api, project_id, failed)
        await _recounted(installation, UUID(job_id), (await api.get(f"/projects/{project_id}/status")).json())


async def _set(api: httpx.AsyncClient, files: Mapping[str, bytes]) -> tuple[str, set[str]]:
    """The id, and the paths of the files that were taken in; whatever was not has a reason."""
    form: list[Any] = [("name", (None, "real files")), *(("files", item) for item in files.items())]
    answer = await api.post("/file-sets", files=form)
    assert answer.status_code == 201, answer.text
    body = answer.json()
    assert all(file["accepted"] or file["error"]["code"] for file in body["files"])
    return body["id"], {file["path"] for file in body["files"] if file["accepted"]}


async def _watch(known: Mapping[str, Any], messages: list[dict[str, Any]]) -> None:
    url = f"{known['url'].replace('http', 'ws', 1)}/api/v1/ws"
    async with connect(url, additional_headers={"X-API-Key": known["api_key"]}, max_size=2**24) as socket:
        async for text in socket:
            messages.append(msgspec.json.decode(text))


async def _until(holds: Any) -> None:
    async with asyncio.timeout(PATIENCE):
        while not holds():
            await asyncio.sleep(0.02)


async def _kill_at_work(installation: Up, job_id: UUID) -> None:
    """A worker that has some of the children at this moment: it is stopped, looked at, and killed or let go on."""
    async with _owner(installation) as owner, asyncio.timeout(PATIENCE):
        while True:
            for pid in installation.runtime()["pids"]["worker"]:
                worker = psutil.Process(pid)
                worker.suspend()
                if await owner.fetchval(AT_WORK, job_id, str(pid)):
                    worker.kill()
                    return
                worker.resume()


async def _lost(installation: Up, job_id: UUID) -> int:
    """Attempts at its children whose worker was taken from them."""
    async with _owner(installation) as owner:
        found: int = await owner.fetchval(LOST, job_id)
    return found


@asynccontextmanager
async def _owner(installation: Up) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(installation.runtime()["database_url"])
    try:
        yield connection
    finally:
        await connection.close()


def _begun(message: Mapping[str, Any], job_id: str) -> bool:
    return message.get("parent_id") == job_id and message["type"] == "job_progress" and message["stage"] != "queued"


def _is_end(message: Mapping[str, Any]) -> bool:
    return message["type"] in ("job_completed", "job_failed", "job_cancelled")


async def _files(api: httpx.AsyncClient, project_id: str, state: str) -> list[dict[str, Any]]:
    answer = await api.get(f"/projects/{project_id}/files", params={"state": state, "limit": 200})
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def _recounted(installation: Up, job_id: UUID, status: Mapping[str, Any]) -> None:
    """Every number of the status is what the rows of the children say."""
    async with _owner(installation) as owner:
        row = await owner.fetchrow(BOTH, job_id)
    assert row is not None
    told, found = (Tally.of(msgspec.json.decode(row[name])) for name in ("told", "found"))
    assert told == found
    counts = {name: count for name, count in status["counts"].items() if name != "total"}
    assert counts == {name: getattr(found.counts, name) for name in counts}
    assert status["counts"]["total"] == found.counts.total
    numbers = ("bytes_done", "bytes_total", "pages_done", "chunks_done")
    assert tuple(status[name] for name in numbers) == (found.size_done, found.size, found.pages, found.chunks)
    cost = {name: getattr(found, name) for name in ("tokens", "embedding_requests", "cache_hits")}
    assert status["cost"] == cost
    assert status["progress"] == round(found.progress, 4)


def _told_in_order(messages: Sequence[Mapping[str, Any]], job_id: str) -> None:
    mine = [message for message in messages if message.get("job_id") == job_id]
    assert {"batch_progress"} < {message["type"] for message in mine}
    seqs = [message["seq"] for message in mine]
    assert seqs == sorted(set(seqs))
    progress = [message["progress"] for message in mine]
    assert progress == sorted(progress)
    assert mine[-1]["details"]["completed"] + mine[-1]["details"]["failed"] == mine[-1]["details"]["total"]


async def _only_the_failed_run_again(api: httpx.AsyncClient, project_id: str, failed: set[str]) -> None:
    before = {file["path"]: file["attempt"] for file in await _all_files(api, project_id)}
    assert (await api.post(f"/projects/{project_id}/retry")).status_code == 200

    async def is_over() -> bool:
        answer = (await api.get(f"/projects/{project_id}/status")).json()
        return bool(answer["state"] == "partially_completed")

    async with asyncio.timeout(PATIENCE):
        while not await is_over():
            await asyncio.sleep(0.1)
    after = {file["path"]: file["attempt"] for file in await _all_files(api, project_id)}
    assert {path for path in after if after[path] > before[path]} == failed


async def _all_files(api: httpx.AsyncClient, project_id: str) -> list[dict[str, Any]]:
    answer = await api.get(f"/projects/{project_id}/files", params={"limit": 200})
    found: list[dict[str, Any]] = answer.json()["items"]
    return found
