"""The API and a worker of a test, and clients of two tenants."""

from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest
from fastapi import FastAPI

from arqueduct.identity import NewIdentity
from arqueduct.settings import Settings
from tests.integration.backend import client_of, serving
from tests.integration.worker import TestWorker, working


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    async with serving(settings) as started:
        yield started


@pytest.fixture
async def api(app: FastAPI, me: NewIdentity) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the tenant that the test is about."""
    async with client_of(app, me) as client:
        yield client


@pytest.fixture
async def stranger(
    app: FastAPI, new_identity: Callable[[], Awaitable[NewIdentity]]
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of another tenant."""
    async with client_of(app, await new_identity()) as client:
        yield client


@pytest.fixture
async def api_worker(settings: Settings, me: NewIdentity) -> AsyncIterator[TestWorker]:
    """Runs the jobs that a test names, and hears what the API publishes."""
    async with working(settings, me) as running:
        yield running
