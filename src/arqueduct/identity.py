"""Who is calling: API keys, and the first tenant of a new installation."""

import hashlib
import secrets
from dataclasses import dataclass
from typing import cast
from uuid import UUID

from pwdlib import PasswordHash
from sqlalchemy.exc import IntegrityError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import insert

from arqueduct.database import Driver, Transaction, owner_engine
from arqueduct.errors import NotAuthenticated, SetupError
from arqueduct.ids import new_id
from arqueduct.models import APIKey, Membership, Tenant, User
from arqueduct.permissions import Permission, granted
from arqueduct.repositories import audit

__all__ = ["Identity", "NewIdentity", "Password", "authenticate", "create", "key_hash"]

KEY_BYTES = 32
PREFIX_LENGTH = 7
"""`aq_` and four characters: enough to tell keys apart in a list, useless to an attacker."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """A user in a tenant, as proved by an API key or a session."""

    tenant_id: UUID
    user_id: UUID
    role: str
    key_id: UUID | None = None
    session_id: UUID | None = None
    scopes: tuple[str, ...] = ()
    """Of the key; none are no limit."""
    requests_per_minute: int | None = None
    """What the key may do instead of what every user may."""
    expires_at: float | None = None
    """Seconds since 1970, after which the proof is worth nothing."""

    @property
    def proof(self) -> UUID | None:
        """The key or the session."""
        return self.key_id or self.session_id

    @property
    def permissions(self) -> frozenset[Permission]:
        return granted(self.role, self.scopes)


@dataclass(frozen=True, kw_only=True)
class NewIdentity:
    """A tenant with its first user. Key and password are readable only here: the database has their hashes."""

    tenant_id: UUID
    user_id: UUID
    email: str
    password: str
    api_key: str


@dataclass(frozen=True, kw_only=True)
class Password:
    """One that was made up, with its argon2 hash."""

    text: str
    hashed: str

    @classmethod
    def new(cls) -> "Password":
        text = secrets.token_urlsafe(18)
        return cls(text=text, hashed=PasswordHash.recommended().hash(text))


def key_hash(key: str) -> bytes:
    """Keys carry 256 random bits, so one round of SHA-256 is enough, and quick on every request."""
    return hashlib.sha256(key.encode()).digest()


async def authenticate(transaction: Transaction, key: str) -> Identity:
    """Raises `NotAuthenticated` for a key that is unknown, revoked or expired."""
    row = await transaction.driver.fetchrow("SELECT * FROM authenticate($1)", key_hash(key))
    if row is None:
        raise NotAuthenticated("This API key is not valid.")
    return Identity(
        tenant_id=row["tenant_id"],
        user_id=row["user_id"],
        role=row["role"],
        key_id=row["key_id"],
        scopes=tuple(row["scopes"]),
        requests_per_minute=row["requests_per_minute"],
        expires_at=row["expires_at"].timestamp() if row["expires_at"] else None,
    )


async def create(
    url: str, *, tenant: str, email: str, action: str | None = None, password: Password | None = None
) -> NewIdentity:
    """Makes a tenant with an owner and an API key, as the owner of the tables; `action` is noted in its audit log.

    The password is a new one unless given. It is hashed on the calling thread, for a tenth of a second.
    Raises `SetupError` if a user has this address already, or the tables are not there.
    """
    password = password or Password.new()
    new = NewIdentity(
        tenant_id=new_id(),
        user_id=new_id(),
        email=email,
        password=password.text,
        api_key=f"aq_{secrets.token_urlsafe(KEY_BYTES)}",
    )
    engine = owner_engine(url)
    try:
        async with engine.begin() as connection:
            await _insert(connection, new, tenant, password.hashed)
            if action is not None:
                driver = cast("Driver", (await connection.get_raw_connection()).driver_connection)
                made = {"tenant_id": str(new.tenant_id), "user_id": str(new.user_id)}
                await audit.add(driver, audit.Actor(action=action, tenant_id=new.tenant_id), "done", after=made)
    except IntegrityError as error:
        raise SetupError(
            f"There is a user with the address {email} already.", advice="Choose another address."
        ) from error
    except ProgrammingError as error:
        raise SetupError("This database has no tables yet.", advice="Run `arqueduct migrate up`.") from error
    finally:
        await engine.dispose()
    return new


async def _insert(connection: AsyncConnection, new: NewIdentity, tenant: str, password_hash: str) -> None:
    await connection.execute(insert(Tenant).values(id=new.tenant_id, name=tenant))
    await connection.execute(insert(User).values(id=new.user_id, email=new.email, password_hash=password_hash))
    await connection.execute(insert(Membership).values(tenant_id=new.tenant_id, user_id=new.user_id, role="owner"))
    await connection.execute(
        insert(APIKey).values(
            id=new_id(),
            tenant_id=new.tenant_id,
            user_id=new.user_id,
            name="first key",
            prefix=new.api_key[:PREFIX_LENGTH],
            key_hash=key_hash(new.api_key),
        )
    )
