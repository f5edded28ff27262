"""The API inside the test's own process, spoken to as a client would."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from fastapi import FastAPI

from arqueduct.identity import NewIdentity
from arqueduct.installed import of_registry
from arqueduct.repositories import installations
from arqueduct.settings import Settings
from arqueduct.testing import HashingEmbedder
from arqueduct_backend.main import create_app
from arqueduct_backend.state import State
from tests.integration.worker import TestWorker

BEAT = """
    INSERT INTO workers (id, version, concurrency, beat_at) VALUES ('test', '0', 1, $1)
    ON CONFLICT (id) DO UPDATE SET beat_at = excluded.beat_at
"""


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[FastAPI]:
    """The application, started; only the vectors are cheap."""
    app = create_app(settings, embedder=HashingEmbedder())
    async with app.router.lifespan_context(app):
        yield app


@asynccontextmanager
async def client_of(app: FastAPI, identity: NewIdentity | None = None) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {identity.api_key}"} if identity else {}
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://api", headers=headers) as client:
        yield client


def services_of(app: FastAPI) -> State:
    services: State = app.state.services
    return services


async def upload(api: httpx.AsyncClient, content: bytes = b"# Water\n\nIt flows.\n", name: str = "water.md") -> Any:
    """The accepted document and job."""
    answer = await api.post("/api/v1/documents", files={"file": (name, content)})
    assert answer.status_code == 202, answer.text
    return answer.json()


async def ingest(api: httpx.AsyncClient, worker: TestWorker, content: bytes, name: str) -> Any:
    """A document that a worker has stored."""
    accepted = await upload(api, content, name)
    await worker.run(UUID(accepted["job"]["id"]))
    document = (await api.get(f"/api/v1/documents/{accepted['document']['id']}")).json()
    assert document["status"] == "completed", document["error"]
    return document


def problem(answer: httpx.Response, status: int, code: str) -> Any:
    """The body of an answer that must be this problem."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    body = answer.json()
    assert (body["status"], body["code"]) == (status, code)
    assert body["type"] == f"urn:arqueduct:problem:{code}"
    assert body["title"]
    assert body["detail"]
    assert body["advice"]
    assert body["request_id"] == answer.headers["x-request-id"]
    assert body["instance"] == answer.url.path
    return body


async def beat(worker: TestWorker) -> None:
    """A worker gives a sign of life that outlasts the test."""
    later = datetime.now(UTC) + timedelta(hours=1)
    async with worker.services.database.transaction() as transaction:
        await transaction.driver.execute(BEAT, later)
        await installations.tell(transaction.driver, "test", of_registry(worker.services.registry))


def files_below(settings: Settings) -> list[str]:
    """What the storage and the temporary folder hold."""
    roots = [settings.data_dir / "storage", settings.temporary_dir]
    return sorted(
        str(path.relative_to(settings.data_dir)) for root in roots for path in root.rglob("*") if path.is_file()
    )


async def stored_files(settings: Settings) -> list[str]:
    return await asyncio.to_thread(files_below, settings)
