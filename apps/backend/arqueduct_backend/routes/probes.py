"""What machines ask: is it alive, can it serve, which version is it, how is it doing."""

import msgspec
from fastapi import APIRouter, Response
from pydantic import BaseModel

from arqueduct import __version__, metrics
from arqueduct_backend.dependencies import Services
from arqueduct_backend.readiness import readiness

__all__ = ["router"]

router = APIRouter(tags=["probes"])


class Alive(BaseModel):
    """The event loop turns."""

    status: str = "alive"


class Version(BaseModel):
    """What runs here."""

    name: str = "arqueduct"
    version: str = __version__


class CheckAnswer(BaseModel):
    """One thing that is needed."""

    ok: bool
    detail: str


class ReadinessAnswer(BaseModel):
    """Everything that is needed to serve."""

    status: str
    checks: dict[str, CheckAnswer]


@router.get("/livez", response_model=Alive)
async def get_livez() -> Alive:
    """Restart the process if this does not answer."""
    return Alive()


@router.get(
    "/readyz",
    response_model=ReadinessAnswer,
    responses={503: {"model": ReadinessAnswer, "description": "Something that is needed is away."}},
)
async def get_readyz(services: Services) -> Response:
    """Send requests elsewhere while this answers 503."""
    found = await readiness(services)
    return Response(
        msgspec.json.encode(found), status_code=200 if found.is_ready else 503, media_type="application/json"
    )


@router.get("/version", response_model=Version)
async def get_version() -> Version:
    """Which version runs."""
    return Version()


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def get_metrics(services: Services) -> Response:
    """For Prometheus: what this process does. Workers tell about the queue, which spans tenants."""
    metrics.admitting.set(services.admitter.error is None)
    metrics.pool_in_use.set(services.database.in_use)
    return Response(metrics.render(), media_type=metrics.CONTENT_TYPE)
