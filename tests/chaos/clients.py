"""Programs that use the API while it breaks: they upload, steer, delete and watch, and try again as documented."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
import msgspec
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from arqueduct.identity import NewIdentity
from tests.chaos.documents import Upload

__all__ = ["Ledger", "Tenant", "Watcher", "meddle", "upload_all"]

PAUSE_SECONDS = 0.2
"""Until a request that met a dead server is made again."""
REQUEST_SECONDS = 10
LOST = (OSError, EOFError, WebSocketException)


@dataclass
class Ledger:
    """What the API has promised, and what else was asked of it."""

    documents: dict[UUID, UUID] = field(default_factory=dict)
    """Every accepted document, with its job."""
    deleted: set[UUID] = field(default_factory=set)
    """Documents whose deletion was confirmed."""
    unsure: set[UUID] = field(default_factory=set)
    """Documents whose deletion was asked for, and the answer lost."""
    repeated: int = 0
    """Uploads made again because no answer came: each may exist twice."""
    asked: dict[str, int] = field(default_factory=dict)
    """Wishes that were granted."""

    def note(self, action: str) -> None:
        self.asked[action] = self.asked.get(action, 0) + 1


@dataclass
class Tenant:
    """Who uploads, and what became of it."""

    identity: NewIdentity
    url: str
    ledger: Ledger = field(default_factory=Ledger)

    def http(self) -> httpx.AsyncClient:
        headers = {"X-API-Key": self.identity.api_key}
        return httpx.AsyncClient(
            base_url=f"{self.url}/api/v1", headers=headers, timeout=REQUEST_SECONDS, trust_env=False
        )

    async def jobs(self) -> dict[str, dict[str, Any]]:
        """As REST shows them."""
        found: dict[str, dict[str, Any]] = {}
        params: dict[str, str | int] = {"limit": 100}
        async with self.http() as http:
            while True:
                page = (await insist(lambda: http.get("/jobs", params=params))).json()
                found |= {job["id"]: job for job in page["items"]}
                if page["next_cursor"] is None:
                    return found
                params["cursor"] = page["next_cursor"]


async def insist(
    ask: Callable[[], Awaitable[httpx.Response]], on_repeat: Callable[[], None] = lambda: None
) -> httpx.Response:
    """Asks until there is an answer that is not the server's trouble."""
    while True:
        with suppress(httpx.TransportError):
            answer = await ask()
            if answer.status_code < 500:
                return answer
        on_repeat()
        await asyncio.sleep(PAUSE_SECONDS)


async def upload_all(tenant: Tenant, waiting: Iterator[Upload]) -> None:
    """Takes from what is waiting until nothing is left; several may take from the same."""
    ledger = tenant.ledger

    def repeated() -> None:
        ledger.repeated += 1

    async with tenant.http() as http:
        for upload in waiting:
            file = (upload.name, upload.content)
            answer = await insist(lambda: http.post("/documents", files={"file": file}), repeated)  # noqa: B023
            assert answer.status_code == 202, f"{upload.name}: {answer.status_code} {answer.text}"
            said = answer.json()
            ledger.documents[UUID(said["document"]["id"])] = UUID(said["job"]["id"])


async def meddle(tenant: Tenant, chance: random.Random, pause: float) -> None:
    """Cancels, retries, pauses, resumes and deletes at random, for ever."""
    async with tenant.http() as http:
        while True:
            await asyncio.sleep(chance.uniform(0, 2 * pause))
            if not tenant.ledger.documents:
                continue
            document_id = chance.choice(list(tenant.ledger.documents))
            wish = chance.choices(["cancel", "retry", "pause", "resume", "delete"], [3, 3, 2, 2, 1])[0]
            with suppress(httpx.TransportError):
                if wish == "delete":
                    await _delete(http, tenant.ledger, document_id)
                else:
                    answer = await http.post(f"/jobs/{tenant.ledger.documents[document_id]}/{wish}")
                    if answer.is_success:
                        tenant.ledger.note(wish)


async def _delete(http: httpx.AsyncClient, ledger: Ledger, document_id: UUID) -> None:
    ledger.unsure.add(document_id)
    answer = await http.delete(f"/documents/{document_id}")
    if answer.status_code in (204, 404):  # the latter: an earlier answer was lost
        ledger.unsure.discard(document_id)
        ledger.deleted.add(document_id)
        ledger.note("delete")


async def resume_all(tenant: Tenant) -> None:
    """Nothing stays paused."""
    async with tenant.http() as http:
        for job_id, job in (await tenant.jobs()).items():
            if job["state"] == "paused":
                await insist(lambda: http.post(f"/jobs/{job_id}/resume"))  # noqa: B023  # asked before the next one
                tenant.ledger.note("resume")


@dataclass
class Watcher:
    """A page that stays open, over a socket or server-sent events, as docs/live-updates.md says."""

    tenant: Tenant
    chance: random.Random
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    connections: int = 0
    wrong: list[str] = field(default_factory=list)

    async def follow(self, longest: float) -> None:
        """For ever; leaves by itself now and then, at the latest after `longest` seconds."""
        while True:
            with suppress(*LOST, httpx.TransportError, TimeoutError):
                async with asyncio.timeout(self.chance.uniform(0, longest)):
                    self.connections += 1
                    messages = self._socket() if self.chance.random() < 0.7 else self._stream()
                    async for message in messages:
                        self._take(message)
            await asyncio.sleep(self.chance.uniform(0, PAUSE_SECONDS))

    async def _socket(self) -> AsyncIterator[dict[str, Any]]:
        url = f"{self.tenant.url.replace('http', 'ws', 1)}/api/v1/ws"
        headers = {"X-API-Key": self.tenant.identity.api_key}
        async with connect(url, additional_headers=headers, proxy=None) as client:
            try:
                async for text in client:
                    yield msgspec.json.decode(text)
            finally:
                client.transport.abort()  # a page that is closed says no farewell

    async def _stream(self) -> AsyncIterator[dict[str, Any]]:
        async with self.tenant.http() as http, http.stream("GET", "/events", timeout=None) as stream:
            async for line in stream.aiter_lines():
                if line.startswith("data: "):
                    with suppress(msgspec.DecodeError):  # cut in the middle
                        yield msgspec.json.decode(line.removeprefix("data: "))

    def _take(self, message: dict[str, Any]) -> None:
        if message["type"] == "snapshot":
            for job in message["jobs"]:
                self._show(job)
        elif message["type"].startswith("job_"):
            self._show(message)

    def _show(self, job: dict[str, Any]) -> None:
        known = self.jobs.get(job["job_id"])
        if known is not None and job["seq"] <= known["seq"]:
            said, before = [(one["state"], one["stage"], one["progress"]) for one in (job, known)]
            if job["seq"] == known["seq"] and said != before:
                self.wrong.append(f"{job['id']} was told as {before} and as {said}")
            return
        self.jobs[job["job_id"]] = job

    def differences(self, shown: dict[str, dict[str, Any]]) -> list[str]:
        """Jobs of which it shows something else than REST."""
        mine, theirs = ({job_id: _brief(job) for job_id, job in jobs.items()} for jobs in (self.jobs, shown))
        return [
            f"{job_id}: shows {mine.get(job_id)}, REST says {theirs.get(job_id)}"
            for job_id in sorted(mine.keys() | theirs.keys())
            if mine.get(job_id) != theirs.get(job_id)
        ]


def _brief(job: dict[str, Any]) -> tuple[object, ...]:
    return job["state"], job["stage"], job["progress"], job["seq"], job["attempt"]
