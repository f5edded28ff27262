"""Processing profiles: how documents are processed, under a name and in versions."""

from typing import Annotated, Any
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Path, Response

from arqueduct.database import Transaction
from arqueduct.errors import (
    InvalidCursor,
    NoWorkerYet,
    ProfileInvalid,
    ProfileNameTaken,
    ProfileUnknown,
    TooManyProfiles,
)
from arqueduct.permissions import Permission
from arqueduct.profiles import ProfileSettings
from arqueduct.repositories import installations, profiles
from arqueduct_backend import cursors, profile_check
from arqueduct_backend.access import Acts, needs
from arqueduct_backend.dependencies import Services, TenantTransaction
from arqueduct_backend.etags import NOT_MODIFIED, IfMatch, IfNoneMatch, check, etag_of, is_known, not_modified
from arqueduct_backend.idempotency import always
from arqueduct_backend.pages import Cursor, Limit, page_of
from arqueduct_backend.problems import answers
from arqueduct_backend.profile_schemas import (
    DefaultProfile,
    Profile,
    ProfileAsked,
    ProfileTried,
    ProfileVersion,
    Verdict,
)
from arqueduct_backend.schemas import Page
from arqueduct_backend.state import State

__all__ = ["router"]

router = APIRouter(prefix="/profiles", tags=["profiles"])

READ = [needs(Permission.DOCUMENTS_READ)]
WRITE = [needs(Permission.PROFILES_WRITE)]
REFUSALS = (NoWorkerYet, ProfileInvalid, ProfileNameTaken, TooManyProfiles)

Version = Annotated[int, Path(ge=1, le=2**31 - 1, description="From 1.", examples=[1])]


@router.get("", dependencies=READ, response_model=Page[Profile], responses=answers(InvalidCursor))
async def list_profiles(transaction: TenantTransaction, limit: Limit = 50, cursor: Cursor = None) -> Page[Profile]:
    """Each as it is now, the newest first. Archived ones are left out, and so is `default`, which is built in."""
    before = cursors.id_of("profiles", cursor)
    found = await profiles.page(transaction.driver, limit=limit + 1, before=before)
    return page_of(found, limit, Profile.of, lambda last: cursors.of("profiles", last["id"]))


@router.post("", dependencies=WRITE, status_code=201, response_model=Profile, responses=answers(*REFUSALS))
async def create_profile(
    asked: ProfileAsked, transaction: TenantTransaction, services: Services, acting: Acts, response: Response
) -> Profile:
    """Its first version. The settings are checked against what the workers have installed."""
    await _check(transaction, services, asked.settings)
    caller = acting.identity
    made = await profiles.add(
        transaction.driver,
        caller.tenant_id,
        caller.user_id,
        name=asked.name,
        description=asked.description,
        settings=asked.settings,
    )
    await acting.note(transaction, after=_told(made))
    response.headers["Location"] = f"/api/v1/profiles/{made['id']}"
    response.headers["ETag"] = _tag(made)
    return Profile.of(made)


@router.post("/validate", dependencies=[*WRITE, always()], response_model=Verdict, responses=answers(NoWorkerYet))
async def validate_profile(tried: ProfileTried, transaction: TenantTransaction, services: Services) -> Verdict:
    """Says what is wrong with settings, and keeps nothing."""
    found = await _faults(transaction, services, tried.settings)
    return Verdict.model_validate({"is_valid": not found, "errors": found})


@router.get("/default", dependencies=READ, response_model=DefaultProfile)
async def get_default_profile() -> DefaultProfile:
    """The profile that every tenant has by itself; what names no profile is processed by it."""
    return DefaultProfile.built_in()


@router.get("/{profile_id}", dependencies=READ, response_model=Profile, responses=NOT_MODIFIED)
async def get_profile(
    profile_id: UUID, transaction: TenantTransaction, response: Response, if_none_match: IfNoneMatch = None
) -> Any:
    """One as it is now, be it archived."""
    found = await profiles.find(transaction.driver, profile_id)
    tag = _tag(found)
    if is_known(tag, if_none_match):
        return not_modified(tag)
    response.headers["ETag"] = tag
    return Profile.of(found)


@router.put("/{profile_id}", dependencies=WRITE, response_model=Profile, responses=answers(*REFUSALS, ProfileUnknown))
async def change_profile(
    profile_id: UUID,
    asked: ProfileAsked,
    transaction: TenantTransaction,
    services: Services,
    acting: Acts,
    response: Response,
    if_match: IfMatch = None,
) -> Profile:
    """Other settings are a new version, for what is begun from now on; the old one stays for what was begun with it.

    The same settings are no new version, so that this may be sent twice. An archived profile is 404.
    """
    caller = acting.identity
    known = await profiles.find(transaction.driver, profile_id, locked=True)
    check(_tag(known), if_match)
    if known["archived_at"]:
        raise ProfileUnknown("This profile is archived.")
    await _check(transaction, services, asked.settings)
    changed = await profiles.change(
        transaction.driver,
        caller.tenant_id,
        caller.user_id,
        known,
        name=asked.name,
        description=asked.description,
        settings=asked.settings,
    )
    await acting.note(transaction, before=_told(known), after=_told(changed))
    response.headers["ETag"] = _tag(changed)
    return Profile.of(changed)


@router.delete("/{profile_id}", dependencies=WRITE, status_code=204)
async def archive_profile(
    profile_id: UUID, transaction: TenantTransaction, acting: Acts, if_match: IfMatch = None
) -> Response:
    """Nothing new begins with it, and its name is free again. Its versions stay for what was begun with them."""
    known = await profiles.find(transaction.driver, profile_id, locked=True)
    check(_tag(known), if_match)
    if known["archived_at"] is None:
        await profiles.archive(transaction.driver, profile_id)
    await acting.note(transaction, before=_told(known))
    return Response(status_code=204)


@router.get(
    "/{profile_id}/versions", dependencies=READ, response_model=Page[ProfileVersion], responses=answers(InvalidCursor)
)
async def list_profile_versions(
    profile_id: UUID, transaction: TenantTransaction, limit: Limit = 50, cursor: Cursor = None
) -> Page[ProfileVersion]:
    """What it said, the newest first."""
    before = cursors.number_of("profile-versions", cursor)
    await profiles.find(transaction.driver, profile_id)
    found = await profiles.versions(transaction.driver, profile_id, limit=limit + 1, before=before)
    return page_of(found, limit, ProfileVersion.of, lambda last: cursors.of("profile-versions", last["version"]))


@router.get("/{profile_id}/versions/{version}", dependencies=READ, response_model=ProfileVersion)
async def get_profile_version(profile_id: UUID, version: Version, transaction: TenantTransaction) -> ProfileVersion:
    """What it said then."""
    return ProfileVersion.of(await profiles.version(transaction.driver, profile_id, version))


async def _check(transaction: Transaction, services: State, settings: ProfileSettings) -> None:
    if found := await _faults(transaction, services, settings):
        raise ProfileInvalid(errors=found)


async def _faults(transaction: Transaction, services: State, settings: ProfileSettings) -> list[profile_check.Fault]:
    there = await installations.installed(transaction.driver, alive=services.settings.alive_time)
    return profile_check.faults(settings, there, embedder=services.embedder.model.name)


def _tag(row: asyncpg.Record) -> str:
    return etag_of(row["id"], row["updated_at"])


def _told(row: asyncpg.Record) -> dict[str, object]:
    """What the audit log says of it: not what it is called, nor what stages are told."""
    return {"profile_id": str(row["id"]), "version": row["version"]}
