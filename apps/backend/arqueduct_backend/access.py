"""What a route asks of its caller, and what callers did, for the audit log."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Depends
from pydantic import BaseModel
from starlette.requests import HTTPConnection
from starlette.responses import Response

from arqueduct.database import Transaction
from arqueduct.identity import Identity
from arqueduct.permissions import Permission, check
from arqueduct.repositories import audit
from arqueduct.repositories.audit import Actor
from arqueduct_backend import idempotency
from arqueduct_backend.dependencies import Caller
from arqueduct_backend.problems import NOTED, request_id_of

__all__ = ["Acting", "Acts", "Needs", "actor_of", "needs"]

LONGEST = 300


class Needs:
    """Lets those pass who have the permission. Raises `NotAuthenticated` or `Forbidden`."""

    def __init__(self, permission: Permission) -> None:
        self.permission = permission

    async def __call__(self, caller: Caller) -> None:
        check(caller.permissions, self.permission)


def needs(permission: Permission) -> Any:
    """For `dependencies=[…]` of a route; a test sees to it that every route has one."""
    return Depends(Needs(permission))


class Acting:
    """A caller who changes something."""

    def __init__(self, connection: HTTPConnection, caller: Identity) -> None:
        self.identity = caller
        self._scope = connection.scope
        self._actor = actor_of(connection, caller)

    async def note(
        self,
        transaction: Transaction,
        *,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> None:
        """Writes down what is done in this transaction: it is done and told, or neither. Ids, never contents.

        Raises `IdempotencyInFlight` if the same request, sent again, is being carried out in place of this one.
        """
        await idempotency.mark(self._scope, transaction)
        await audit.add(transaction.driver, self._actor, "done", before=before, after=after)
        self._scope[NOTED] = True

    async def keep(self, transaction: Transaction, answer: BaseModel, response: Response) -> None:
        """The answer, as it will go out with the status and headers of `response`, for the same request sent again.

        A handler that does not say it beforehand has it kept a moment after the commit.
        """
        await idempotency.keep(self._scope, transaction, answer, response)


def _acting(connection: HTTPConnection, caller: Caller) -> Acting:
    return Acting(connection, caller)


Acts = Annotated[Acting, Depends(_acting)]


def actor_of(connection: HTTPConnection, caller: Identity | None) -> Actor:
    """Who it is, and from where, as far as that is known."""
    scope = connection.scope
    route = scope.get("route")
    return Actor(
        action=str(getattr(route, "name", None) or scope["type"]),
        tenant_id=caller.tenant_id if caller else None,
        user_id=caller.user_id if caller else None,
        key_id=caller.key_id if caller else None,
        session_id=caller.session_id if caller else None,
        role=caller.role if caller else None,
        address=connection.client.host if connection.client else None,
        user_agent=connection.headers.get("user-agent", "")[:LONGEST] or None,
        request_id=request_id_of(connection),
        target=scope["path"][:LONGEST],
    )
