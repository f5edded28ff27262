"""Processing profiles and their versions. Row-level security keeps to the transaction's tenant."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from arqueduct import storable
from arqueduct.database import Driver, Transaction
from arqueduct.errors import NotFound, ProfileNameTaken, ProfileUnknown, TooManyProfiles
from arqueduct.ids import new_id
from arqueduct.profiles import DEFAULT, DEFAULT_NAME, Profile, ProfileSettings
from arqueduct.repositories.statements import TOUCHED

__all__ = [
    "MOST",
    "MOST_VERSIONS",
    "add",
    "archive",
    "change",
    "find",
    "page",
    "profile_of",
    "resolve",
    "version",
    "versions",
]

MOST = 500
"""Of a tenant, archived ones left out: people choose from them."""
MOST_VERSIONS = 1000
"""Of a profile."""

_COLUMNS = """
    p.id, p.name, p.description, v.version, v.settings, p.created_by, p.created_at, p.updated_at, p.archived_at
"""
_JOINED = f"SELECT {_COLUMNS} FROM profiles p JOIN profile_versions v ON v.profile_id = p.id"
_NEWEST = f"{_JOINED} AND v.version = p.version"
_ALONE = "SELECT pg_advisory_xact_lock(hashtextextended('profiles ' || $1::uuid::text, 0))"
_COUNT = "SELECT count(*) FROM profiles WHERE archived_at IS NULL"
_ADD = "INSERT INTO profiles (id, tenant_id, name, description, created_by) VALUES ($1, $2, $3, $4, $5)"
_ADD_VERSION = """
    INSERT INTO profile_versions (profile_id, tenant_id, version, settings, created_by)
    SELECT id, tenant_id, version, $2, $3 FROM profiles WHERE id = $1
"""
_CHANGE = f"UPDATE profiles SET name = $2, description = $3, version = version + $4, {TOUCHED} WHERE id = $1"
_ARCHIVE = f"UPDATE profiles SET archived_at = now(), {TOUCHED} WHERE id = $1"
_PAGE = f"{_NEWEST} WHERE p.archived_at IS NULL AND ($1::uuid IS NULL OR p.id < $1) ORDER BY p.id DESC LIMIT $2"
_VERSIONS = """
    SELECT version, settings, created_by, created_at FROM profile_versions
    WHERE profile_id = $1 AND ($2::bigint IS NULL OR version < $2) ORDER BY version DESC LIMIT $3
"""


async def resolve(transaction: Transaction, ref: str | None, *, version: int | None = None) -> Profile:
    """The profile of this id or name, as it is now; None and `default` are the one that every tenant has.

    With a `version` it is as it was then, also after it was archived: by its id only, since its name may be another's.
    Raises `ProfileUnknown`.
    """
    if ref is None or ref == DEFAULT_NAME:
        return DEFAULT
    found = await _sought(transaction.driver, ref, version)
    if found is None:
        raise ProfileUnknown(f"There is no processing profile {ref[:200]}.")
    return profile_of(found)


async def add(
    driver: Driver,
    tenant_id: UUID,
    user_id: UUID,
    *,
    name: str,
    description: str | None,
    settings: ProfileSettings,
) -> asyncpg.Record:
    """Its first version. Raises `ProfileNameTaken`, `TooManyProfiles`."""
    await driver.execute(_ALONE, tenant_id)
    await _check_name(driver, name)
    if await driver.fetchval(_COUNT) >= MOST:
        raise TooManyProfiles(f"A tenant may have {MOST} profiles.")
    profile_id = new_id()
    await driver.execute(_ADD, profile_id, tenant_id, name, description, user_id)
    await driver.execute(_ADD_VERSION, profile_id, _json(settings), user_id)
    return await find(driver, profile_id)


async def find(driver: Driver, profile_id: UUID, *, locked: bool = False) -> asyncpg.Record:
    """The newest version, archived or not. `locked`: nobody else changes it until the transaction ends.

    Raises `NotFound`.
    """
    lock = "FOR NO KEY UPDATE OF p" if locked else ""
    found = await driver.fetchrow(f"{_NEWEST} WHERE p.id = $1 {lock}", profile_id)
    if found is None:
        raise NotFound
    return found


async def change(
    driver: Driver,
    tenant_id: UUID,
    user_id: UUID,
    known: asyncpg.Record,
    *,
    name: str,
    description: str | None,
    settings: ProfileSettings,
) -> asyncpg.Record:
    """Other settings are a new version; a name and a description are of all versions. It must be locked.

    Raises `ProfileNameTaken`, `TooManyProfiles`.
    """
    if name != known["name"]:
        await driver.execute(_ALONE, tenant_id)
        await _check_name(driver, name)
    is_new = ProfileSettings.model_validate(known["settings"]) != settings
    if is_new and known["version"] >= MOST_VERSIONS:
        raise TooManyProfiles(f"A profile may have {MOST_VERSIONS} versions.")
    await driver.execute(_CHANGE, known["id"], name, description, int(is_new))
    if is_new:
        await driver.execute(_ADD_VERSION, known["id"], _json(settings), user_id)
    return await find(driver, known["id"])


async def archive(driver: Driver, profile_id: UUID) -> None:
    """Begins nothing new, and gives its name free; its versions stay. It must be there."""
    await driver.execute(_ARCHIVE, profile_id)


async def page(driver: Driver, *, limit: int, before: UUID | None = None) -> Sequence[asyncpg.Record]:
    """Those that are not archived, each as it is now, the newest first, from the one older than `before`."""
    return await driver.fetch(_PAGE, before, limit)


async def versions(
    driver: Driver, profile_id: UUID, *, limit: int, before: int | None = None
) -> Sequence[asyncpg.Record]:
    """The newest first, from the one before `before`."""
    return await driver.fetch(_VERSIONS, profile_id, before, limit)


async def version(driver: Driver, profile_id: UUID, number: int) -> asyncpg.Record:
    """A version as it was, of a profile that may be archived. Raises `NotFound`."""
    found = await driver.fetchrow(f"{_JOINED} AND v.version = $2 WHERE p.id = $1", profile_id, number)
    if found is None:
        raise NotFound
    return found


def profile_of(row: asyncpg.Record) -> Profile:
    return Profile(
        id=row["id"],
        name=row["name"],
        version=row["version"],
        settings=ProfileSettings.model_validate(row["settings"]),
    )


async def _sought(driver: Driver, ref: str, version: int | None) -> asyncpg.Record | None:
    try:
        profile_id = UUID(ref)
    except ValueError:
        if version is None:
            return await driver.fetchrow(f"{_NEWEST} WHERE p.name = $1 AND p.archived_at IS NULL", storable.text(ref))
        return None
    if version is None:
        return await driver.fetchrow(f"{_NEWEST} WHERE p.id = $1 AND p.archived_at IS NULL", profile_id)
    return await driver.fetchrow(f"{_JOINED} AND v.version = $2 WHERE p.id = $1", profile_id, version)


async def _check_name(driver: Driver, name: str) -> None:
    """Needs the lock: nobody else takes it meanwhile."""
    if name == DEFAULT_NAME:
        raise ProfileNameTaken(f"The profile {DEFAULT_NAME} is built in, and nobody changes it.")
    if await driver.fetchval("SELECT EXISTS (SELECT FROM profiles WHERE name = $1 AND archived_at IS NULL)", name):
        raise ProfileNameTaken


def _json(settings: ProfileSettings) -> str:
    return storable.json(settings.model_dump())
