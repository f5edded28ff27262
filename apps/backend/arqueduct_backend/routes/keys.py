"""API keys: one's own, and with the permission those of all members."""

from typing import Annotated
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Query, Response

from arqueduct.database import Driver
from arqueduct.errors import (
    DependencyUnavailable,
    InvalidCursor,
    InvalidRequest,
    NotAuthenticated,
    NotFound,
)
from arqueduct.identity import Identity
from arqueduct.permissions import Permission, check
from arqueduct.repositories import keys, members
from arqueduct_backend import cursors
from arqueduct_backend.access import Acts, needs
from arqueduct_backend.dependencies import Caller, Services, TenantTransaction
from arqueduct_backend.idempotency import once
from arqueduct_backend.live.rechecking import ask_to_recheck
from arqueduct_backend.pages import Cursor, Limit, page_of
from arqueduct_backend.people import KeyAsked, KeyChange, KeyMade, KeyShown
from arqueduct_backend.problems import answers
from arqueduct_backend.ranks import check_covers, last_moment, rate_within, scopes_within
from arqueduct_backend.schemas import Page

__all__ = ["router"]

router = APIRouter(
    prefix="/keys", tags=["keys"], responses=answers(NotAuthenticated, InvalidRequest, DependencyUnavailable)
)

All = Annotated[bool, Query(alias="all", description="Those of every member; needs `keys:all`.")]


@router.get(
    "", dependencies=[needs(Permission.KEYS_OWN)], response_model=Page[KeyShown], responses=answers(InvalidCursor)
)
async def list_keys(
    transaction: TenantTransaction,
    caller: Caller,
    of_all: All = False,  # a query parameter
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[KeyShown]:
    """The caller's own, the newest first; revoked ones too."""
    if of_all:
        check(caller.permissions, Permission.KEYS_ALL)
    found = await keys.page(
        transaction.driver,
        caller.tenant_id,
        user_id=None if of_all else caller.user_id,
        limit=limit + 1,
        before=cursors.id_of("keys", cursor),
    )
    return page_of(found, limit, KeyShown.of, lambda last: cursors.of("keys", last["id"]))


@router.post(
    "",
    dependencies=[needs(Permission.KEYS_OWN), once(keeps_answer=False)],
    status_code=201,
    response_model=KeyMade,
    responses=answers(NotFound),
)
async def create_key(asked: KeyAsked, services: Services, acting: Acts) -> KeyMade:
    """Makes a key, which is shown here and never again. It may do no more than the caller, and lasts no longer than
    the key it is made with.

    A key for somebody else needs `keys:all`, and all that this member may do; a rate of its own needs `keys:all`.
    """
    caller = acting.identity
    owner_id = asked.user_id or caller.user_id
    is_own = owner_id == caller.user_id
    if not is_own or asked.requests_per_minute is not None:
        check(caller.permissions, Permission.KEYS_ALL)
    async with services.database.transaction(caller.tenant_id) as transaction:
        driver = transaction.driver
        await acting.stand(transaction)
        owner = await members.find(driver, caller.tenant_id, owner_id)
        used = await keys.find(driver, caller.tenant_id, caller.key_id) if caller.key_id else None
        made, secret = await keys.add(
            driver,
            caller.tenant_id,
            owner_id,
            asked.name,
            scopes=scopes_within(caller, owner["role"], asked.scopes or (), is_own=is_own),
            expires_at=last_moment(used["expires_at"] if used else None, asked.expires_at),
            requests_per_minute=rate_within(
                caller.requests_per_minute if is_own else None,
                asked.requests_per_minute,
                services.settings.requests_per_minute,
            ),
        )
        await acting.note(transaction, after=_told(made))
    return KeyMade(key=KeyShown.of(made), api_key=secret)


@router.patch(
    "/{key_id}",
    dependencies=[needs(Permission.KEYS_OWN)],
    response_model=KeyShown,
    responses=answers(NotFound),
)
async def change_key(key_id: UUID, change: KeyChange, services: Services, acting: Acts) -> KeyShown:
    """Gives a key another name or, with `keys:all`, another rate."""
    caller = acting.identity
    values = change.model_dump(exclude_unset=True)
    if "requests_per_minute" in values:
        check(caller.permissions, Permission.KEYS_ALL)
    async with services.database.transaction(caller.tenant_id) as transaction:
        await acting.stand(transaction)
        key = await _find(transaction.driver, caller, key_id)
        changed = await keys.change(transaction.driver, caller.tenant_id, key, values)
        await acting.note(transaction, before=_told(key), after={**_told(changed), "changed": sorted(values)})
    return KeyShown.of(changed)


@router.delete("/{key_id}", dependencies=[needs(Permission.KEYS_OWN)], status_code=204, responses=answers(NotFound))
async def revoke_key(key_id: UUID, services: Services, acting: Acts) -> Response:
    """Ends a key at once, and the live connections that were opened with it."""
    caller = acting.identity
    async with services.database.transaction(caller.tenant_id) as transaction:
        await acting.stand(transaction)
        key = await _find(transaction.driver, caller, key_id)
        await keys.revoke(transaction.driver, caller.tenant_id, key_id)
        await acting.note(transaction, before=_told(key))
    await ask_to_recheck(services.bus, key["user_id"])
    return Response(status_code=204)


async def _find(driver: Driver, caller: Identity, key_id: UUID) -> asyncpg.Record:
    """A key that the caller may look after: his own, and with `keys:all` those of members who may do no more than he.

    Raises `NotFound` or `Forbidden`.
    """
    found = await keys.find(driver, caller.tenant_id, key_id, locked=True)
    if found is None:
        raise NotFound
    if found["user_id"] != caller.user_id:
        if Permission.KEYS_ALL not in caller.permissions:
            raise NotFound
        owner = await members.find(driver, caller.tenant_id, found["user_id"])
        check_covers(caller, owner["role"])
    return found


def _told(key: asyncpg.Record) -> dict[str, object]:
    """What the audit log says of it."""
    return {
        "key_id": str(key["id"]),
        "user_id": str(key["user_id"]),
        "scopes": key["scopes"],
        "requests_per_minute": key["requests_per_minute"],
    }
