"""Live updates over WebSockets and server-sent events, and the tickets to open either from a page."""

from typing import Annotated

from fastapi import APIRouter, Query, Response, WebSocket
from pydantic import BaseModel
from starlette.requests import Request

from arqueduct.errors import DependencyUnavailable, NotAuthenticated, RateLimited, TooManyConnections
from arqueduct.permissions import Permission, check
from arqueduct_backend.access import needs
from arqueduct_backend.dependencies import Caller, Services
from arqueduct_backend.idempotency import always
from arqueduct_backend.live import websocket as sockets
from arqueduct_backend.live.event_stream import EventStream
from arqueduct_backend.live.handshake import identify, last_connection
from arqueduct_backend.live.tickets import LIFETIME_SECONDS, Tickets
from arqueduct_backend.problems import answers

__all__ = ["router"]

router = APIRouter(tags=["live"])


class Ticket(BaseModel):
    """A pass for one live connection."""

    ticket: str
    expires_in: int = LIFETIME_SECONDS
    """Seconds."""


@router.post(
    "/ws/tickets",
    dependencies=[needs(Permission.JOBS_READ), always()],
    status_code=201,
    summary="Get a ticket for a live connection",
    responses=answers(NotAuthenticated, DependencyUnavailable),
)
async def create_ticket(caller: Caller, services: Services, response: Response) -> Ticket:
    """Opens one connection within 30 seconds: `/api/v1/ws?ticket=…` or `/api/v1/events?ticket=…`."""
    response.headers["Cache-Control"] = "no-store"
    return Ticket(ticket=await Tickets(services.redis, services.keys).issue(caller))


@router.websocket("/ws")
async def socket(websocket: WebSocket) -> None:
    """Snapshot, then live, of the caller's jobs."""
    await sockets.serve(websocket)


@router.websocket("/ws/{user_id}")
async def socket_of_user(websocket: WebSocket, user_id: str) -> None:
    """The same; the id must be the caller's own."""
    await sockets.serve(websocket, user_id)


@router.get(
    "/events",
    summary="Follow jobs as server-sent events",
    status_code=200,
    response_class=EventStream,
    responses={
        200: {"content": {"text/event-stream": {}}, "description": "A snapshot, then each change."},
        **answers(NotAuthenticated, TooManyConnections, RateLimited, DependencyUnavailable),
    },
)
async def stream_events(
    request: Request,
    services: Services,
    ticket: Annotated[str | None, Query(description="Of `POST /ws/tickets`.")] = None,  # noqa: ARG001  # `identify` reads it
    resume: Annotated[  # noqa: ARG001  # `last_connection` reads it
        str | None, Query(description="`connection_id` of the `hello` before, from a client that comes back.")
    ] = None,
) -> EventStream:
    """The messages of the WebSocket: `event` is their type, `data` the message. Signed in by header or `?ticket=`."""
    caller = await identify(request, services)
    if caller is None:
        await services.budgets.stranger(request)
        raise NotAuthenticated
    check(caller.permissions, Permission.JOBS_READ)
    return EventStream(services.bridge, caller, last_connection(request))
