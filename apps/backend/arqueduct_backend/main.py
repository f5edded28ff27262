"""The application: what is opened, what stands round every request, and which routes there are."""

import gc
import re
import resource
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from arqueduct import __version__
from arqueduct.embedding import Embedder
from arqueduct.settings import Settings
from arqueduct_backend import audit_trail, error_handlers, protocols, reference
from arqueduct_backend.ambiguity import Unambiguous
from arqueduct_backend.api import API, describe, operation_id
from arqueduct_backend.client_address import ClientAddress
from arqueduct_backend.cross_origin import CrossOrigin
from arqueduct_backend.idempotency import KeptAnswers
from arqueduct_backend.middleware import BodyLimit, HeadLimit, Requests
from arqueduct_backend.routes import (
    analytics,
    audit,
    auth,
    batches,
    bulk,
    documents,
    errors,
    file_sets,
    invitations,
    jobs,
    keys,
    live,
    members,
    oidc,
    pipelines,
    probes,
    profiles,
    projects,
    queue,
    quotas,
    search,
    tenant,
    upkeep,
    webhooks,
)
from arqueduct_backend.routing import Routes
from arqueduct_backend.state import opened

__all__ = ["create_app", "serve"]

PREFIX = "/api/v1"
UPLOADS = re.compile(rf"{PREFIX}/(?:documents|file-sets|file-sets/[^/]+/files)")
"""Addresses whose POST brings files; a test compares them with the routes that say so."""
BODY_BYTES = 2**20
"""Of any body but an upload: a search that names a thousand documents has 50 kB."""
STOP_SECONDS = 10
"""Requests under way may end, then the process does; orchestrators kill after 30."""
BACKLOG = 2048
SPARE_FILES = 1024
"""Beside the sockets: requests, Postgres, Redis, files on their way to storage."""
LONG_LIVED = 500
"""Collections of the young between two of everything. The latter holds up 10,000 sockets for over a second and found
next to nothing; by Python's own number it came 16 times while they connected, and took a third of that time. Between
two collections of the young there are 7,000 new objects, so what is not found yet is half a GB at the very most.
"""

DESCRIPTION = """\
Carries documents through staged jobs, shows every one as it flows, and makes them searchable.

Send a file to `POST /api/v1/documents`, follow its job over `WS /api/v1/ws`, then ask `POST /api/v1/search`.
Every answer of 400 and above is a problem (RFC 9457) with a `code` to match on and an `advice` to follow.
"""

ROUTERS = {
    PREFIX: (
        *(documents.router, file_sets.router, projects.router, batches.router, profiles.router, pipelines.router),
        *(bulk.router, jobs.router, errors.router, queue.router, search.router, live.router, analytics.router),
        *(tenant.router, members.router, invitations.router, keys.router, audit.router),
        *(auth.router, oidc.router, webhooks.router),
        *(quotas.router, upkeep.router),
    ),
    "": (probes.router,),
}
"""By what stands before the paths of their routes."""


def create_app(settings: Settings, *, embedder: Embedder | None = None) -> FastAPI:
    """The ASGI application. `embedder` stands in for the one of the settings, for tests."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with opened(settings, embedder) as services:
            app.state.services = services
            yield
            await audit_trail.tell_dropped(app.state.services, is_last=True)

    app = API(
        title="Arqueduct",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        middleware=_middleware(settings),
        generate_unique_id_function=operation_id,
        redirect_slashes=False,
        docs_url=None,  # ours: `reference`
        redoc_url=None,
        routes=reference.ROUTES,
    )
    included: list[tuple[str, Iterable[BaseRoute]]] = [("", list(app.routes))]
    for prefix, routers in ROUTERS.items():
        for router in routers:
            for route in router.routes:
                describe(route, is_strict=prefix == PREFIX)
            app.include_router(router, prefix=prefix)
            included.append((prefix, router.routes))
    app.state.routes = Routes(included)
    error_handlers.install(app)
    return app


def serve(settings: Settings) -> None:
    """Runs until it is told to stop (SIGINT, SIGTERM). Logging is the caller's."""
    app = create_app(settings)
    _allow_files(settings.max_sockets + SPARE_FILES)
    _collect_seldom()
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        loop="auto",  # uvloop, where it exists
        backlog=BACKLOG,
        lifespan="on",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=STOP_SECONDS,
        **protocols.OPTIONS,
    )


def _allow_files(wanted: int) -> None:
    """As far as this process may: shells often begin with 1,024, which is fewer than the sockets that are allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _collect_seldom() -> None:
    """Looks for cycles among what is there for good no more, and seldom among what has lived for long."""
    gc.collect()
    gc.freeze()
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, LONG_LIVED)


def _middleware(settings: Settings) -> list[Middleware]:
    """From the outside to the inside."""
    return [
        Middleware(ClientAddress, trusted=settings.trusted_proxies, header=settings.client_address_header),
        Middleware(Requests),
        Middleware(HeadLimit),
        Middleware(CrossOrigin, origins=settings.allowed_origins),
        Middleware(Unambiguous),
        Middleware(BodyLimit, most=BODY_BYTES, idle=settings.body_idle_seconds, except_at=UPLOADS),
        Middleware(KeptAnswers),
    ]
