"""What a route asks of its caller, and what callers did, for the audit log."""

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends
from pydantic import BaseModel
from starlette.requests import HTTPConnection
from starlette.responses import Response

from arqueduct import storable
from arqueduct.database import Transaction
from arqueduct.errors import Forbidden, NoSession
from arqueduct.identity import Identity
from arqueduct.permissions import Permission, check, granted
from arqueduct.repositories import audit, members, sessions
from arqueduct.repositories.audit import Actor
from arqueduct_backend import idempotency
from arqueduct_backend.dependencies import Caller
from arqueduct_backend.problems import NOTED, request_id_of

__all__ = ["Acting", "Acts", "Needs", "actor_of", "in_session", "needs"]

LONGEST = 300


class Needs:
    """Lets those pass who have the permission. Raises `NotAuthenticated` or `Forbidden`."""

    def __init__(self, permission: Permission) -> None:
        self.permission = permission

    async def __call__(self, caller: Caller) -> None:
        if caller.scopes and self.permission in granted(caller.role) - caller.permissions:
            raise Forbidden(
                f"This needs the permission `{self.permission}`, which the member has and this key has not: make a key "
                "with that scope.",
                permission=str(self.permission),
            )
        check(caller.permissions, self.permission)


def needs(permission: Permission) -> Any:
    """For `dependencies=[…]` of a route; a test sees to it that every route has one."""
    return Depends(Needs(permission))


async def _in_session(caller: Caller) -> None:
    if caller.session_id is None:
        raise NoSession


def in_session() -> Any:
    """For routes about the caller as a person, who may belong to several tenants: a key is one tenant's, and may have
    been made by somebody else. Raises `NoSession`; list it among the answers.
    """
    return Depends(_in_session)


class Acting:
    """A caller who changes something."""

    def __init__(self, connection: HTTPConnection, caller: Identity) -> None:
        self.identity = caller
        self._scope = connection.scope
        self._actor = actor_of(connection, caller)
        self._stands_in: Transaction | None = None

    async def stand(self, transaction: Transaction) -> None:
        """From here to the end of the transaction nobody takes from the caller what he may do: membership, role, and
        the key or session that he came with. `note` does it by itself; a handler that locks a key, a session or an
        invitation does it first, so that it cannot hold what somebody who removes the caller waits for.

        Raises `NotAuthenticated` or `Forbidden`.
        """
        if self._stands_in is not transaction:  # once: a handler may end the very session that it came with
            await members.stand(transaction.driver, self.identity)
            self._stands_in = transaction

    async def note(
        self,
        transaction: Transaction,
        *,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> None:
        """Writes down what is done in this transaction: it is done and told, or neither. Ids, never contents.

        Raises `IdempotencyInFlight` if the same request, sent again, is being carried out in place of this one, and
        what `stand` raises.
        """
        await self.stand(transaction)
        await idempotency.mark(self._scope, transaction)
        await audit.add(transaction.driver, self._actor, "done", before=before, after=after)
        self._scope[NOTED] = True

    async def note_elsewhere(self, transaction: Transaction, ended: Mapping[UUID, int]) -> None:
        """A line in the log of each other tenant of the caller in which sessions of his ended. Comes last."""
        for tenant_id, count in ended.items():
            if tenant_id != self.identity.tenant_id:
                await sessions.enter(transaction.driver, tenant_id)
                there = Actor(action=self._actor.action, tenant_id=tenant_id, user_id=self.identity.user_id)
                await audit.add(transaction.driver, there, "done", after={"ended": count})

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
        user_agent=storable.text(connection.headers.get("user-agent", ""))[:LONGEST] or None,
        request_id=request_id_of(connection),
        target=storable.text(scope["path"])[:LONGEST],
    )
