"""Waiting for the end of a job with the Python client, and the programs of its manual."""

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator
from itertools import chain, repeat
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from arqueduct.client import APIError, AsyncClient, Client, JobMessage, Live, WaitTimeoutError, models, waiting
from arqueduct.identity import NewIdentity
from arqueduct.settings import Settings
from tests.integration.cutting_proxy import cutting_proxy
from tests.integration.labouring import labouring
from tests.integration.live_server import PATIENCE, LiveServer, driving, serving, until
from tests.integration.worker import TestWorker
from tests.unit.test_docs import snippets

MANUAL = Path(__file__).parents[2] / "examples" / "documents" / "bzip2-manual.pdf"
GOOD, TORN = b"# Water\n\nIt flows downhill, and never up.\n", b"%PDF-1.7 torn"
SAID = {
    "search_passages": ["bzip2"],
    "print(job.document_name": ["handbook.pdf completed 100%"],
    "create_project": [
        "partially_completed 100% ",
        "march/lease.pdf document_corrupt",
        "1 of 2 after another try",
    ],
}
"""What the programs of the manual say, by what stands in them."""
PROGRAMS = [(place, code) for place, words, code in snippets("python") if words == "client"]


@pytest.fixture
async def server(settings: Settings) -> AsyncIterator[LiveServer]:
    async with serving(settings) as running:
        yield running


def url_of(server: LiveServer) -> str:
    return f"http://127.0.0.1:{server.port}/"


@pytest.mark.parametrize(("place", "code"), PROGRAMS, ids=[place for place, _ in PROGRAMS])
async def test_the_programs_of_the_manual_run(
    server: LiveServer, api_worker: TestWorker, me: NewIdentity, tmp_path: Path, place: str, code: str
) -> None:
    assert len(PROGRAMS) == len(SAID)
    shutil.copy(MANUAL, tmp_path / "handbook.pdf")
    (tmp_path / "contracts" / "march").mkdir(parents=True)
    (tmp_path / "contracts" / "offer.md").write_bytes(GOOD)
    (tmp_path / "contracts" / "march" / "lease.pdf").write_bytes(TORN)
    program = code.replace(":8000", f":{server.port}").replace("aq_…", me.api_key)
    async with labouring(api_worker):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", program),
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    (wanted,) = (texts for name, texts in SAID.items() if name in code)
    for text in wanted:
        assert text in said.decode()


async def in_its_end(server: LiveServer, api_key: str, job_id: UUID, way: str) -> models.Job:
    """What each way of waiting answers with."""
    if way == "live":
        return await Live(url_of(server), api_key).wait_for(job_id, timeout=PATIENCE)
    if way == "async":
        async with AsyncClient(url_of(server), api_key) as api:
            return await api.wait(str(job_id), timeout=PATIENCE)

    def blocking() -> models.Job:
        with Client(url_of(server), api_key) as api:
            return api.wait(job_id, timeout=PATIENCE)

    return await asyncio.to_thread(blocking)


@pytest.mark.parametrize("way", ["async", "blocking", "live"])
async def test_a_job_is_waited_for_over_a_socket(
    server: LiveServer, me: NewIdentity, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Asking again would come too late."""
    monkeypatch.setattr(waiting, "FIRST_PAUSE", 1_000.0)
    monkeypatch.setattr(waiting, "LONGEST_PAUSE", 1_000.0)
    async with driving(server, me) as driver:
        job_id, other = await driver.create(), await driver.create()
        fence = await driver.claim(job_id)
        waits = asyncio.create_task(in_its_end(server, me.api_key, job_id, way))
        await until(lambda: len(server.services.bridge._clients()) == 1)
        await driver.complete(other, await driver.claim(other))
        await driver.complete(job_id, fence)
        job = await waits
    assert (job.id, job.state) == (job_id, models.JobState.COMPLETED)


@pytest.mark.parametrize("way", ["async", "blocking"])
async def test_a_job_is_waited_for_without_a_socket(
    server: LiveServer, me: NewIdentity, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """The first connection carries the calls; every other one, the sockets, is cut while it is opened."""
    monkeypatch.setattr(waiting, "LONGEST_PAUSE", 0.1)
    patience = chain([None], repeat(10))
    async with cutting_proxy(server.port, lambda: next(patience), lambda: True) as proxy, driving(server, me) as driver:
        job_id = await driver.create()
        fence = await driver.claim(job_id)
        target = LiveServer(port=proxy.port, services=server.services, server=server.server)
        waits = asyncio.create_task(in_its_end(target, me.api_key, job_id, way))
        await until(lambda: proxy.cuts >= 3)
        await driver.complete(job_id, fence)
        assert (await waits).state is models.JobState.COMPLETED


@pytest.mark.parametrize("way", ["async", "blocking", "live"])
async def test_a_project_is_waited_for_to_its_partial_success(
    server: LiveServer, api_worker: TestWorker, me: NewIdentity, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Over the socket: asking again would come too late."""
    monkeypatch.setattr(waiting, "FIRST_PAUSE", 1_000.0)
    monkeypatch.setattr(waiting, "LONGEST_PAUSE", 1_000.0)
    async with AsyncClient(url_of(server), me.api_key) as api:
        made = await api.create_file_set([("a/one.md", GOOD), ("a/two.pdf", TORN)], name="two files")
        accepted = await api.create_project(models.ProjectAsked(name="a project", file_set_id=made.id))
        waits = asyncio.create_task(in_its_end(server, me.api_key, accepted.job.id, way))
        await until(lambda: len(server.services.bridge._clients()) == 1)
        async with labouring(api_worker):
            job = await waits
        assert (job.id, job.state) == (accepted.job.id, models.JobState.PARTIALLY_COMPLETED)
        status = await api.get_project_status(accepted.project.id)
    assert (status.counts.completed, status.counts.failed, status.errors) == (1, 1, {"document_corrupt": 1})


async def test_a_project_is_followed_to_its_last_file(
    server: LiveServer, api_worker: TestWorker, me: NewIdentity
) -> None:
    heard: list[JobMessage] = []
    async with AsyncClient(url_of(server), me.api_key) as api:
        made = await api.create_file_set([(f"{number}.md", GOOD + b"%d" % number) for number in range(3)], name="three")
        accepted = await api.create_project(models.ProjectAsked(name="a project", file_set_id=made.id))
    parent = accepted.job.id
    async with labouring(api_worker), asyncio.timeout(PATIENCE):
        async for job in Live(url_of(server), me.api_key):
            heard.append(job)
            if job.job_id == parent and job.has_ended:
                break
    own = [job for job in heard if job.job_id == parent]
    assert {job.kind for job in own} == {"project.process"}
    assert "batch_progress" in {job.type for job in own}
    assert own[-1].details["completed"] == 3
    files = [job for job in heard if job.job_id != parent]
    assert {job.parent_id for job in files} == {parent}
    assert len({job.job_id for job in files if job.has_ended}) == 3
    assert all(len(job.eta_range) == 2 for job in heard if job.eta_range)


async def test_waiting_has_an_end_of_its_own(server: LiveServer, me: NewIdentity) -> None:
    async with AsyncClient(url_of(server), me.api_key) as api:
        accepted = await api.create_document(("water.md", b"# Water\n\nIt flows downhill.\n"))
        with pytest.raises(WaitTimeoutError, match=f"Job {accepted.job.id} is queued at 0% after 3 s") as caught:
            await api.wait(accepted.job.id, timeout=3)
        assert isinstance(caught.value, TimeoutError)
        with pytest.raises(APIError, match="404 not_found"):
            await api.wait(uuid4())
    with Client(url_of(server), me.api_key) as blocking:
        with pytest.raises(WaitTimeoutError, match="is queued"):
            await asyncio.to_thread(blocking.wait, accepted.job.id, timeout=3)
        with pytest.raises(APIError, match="404 not_found"):
            await asyncio.to_thread(blocking.wait, uuid4())
