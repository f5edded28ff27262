"""A new key for a user that is there already: what the loss of credentials.json calls for."""

import secrets

from pwdlib import PasswordHash
from sqlalchemy import text
from sqlmodel import col, insert, update

from arqueduct.database import owner_engine
from arqueduct.identity import KEY_BYTES, PREFIX_LENGTH, NewIdentity, key_hash
from arqueduct.ids import new_id
from arqueduct.models import APIKey, User

__all__ = ["renew"]

_FIND = text(
    "SELECT u.id, m.tenant_id FROM users u JOIN memberships m ON m.user_id = u.id WHERE u.email = :email "
    "ORDER BY m.created_at LIMIT 1"
)


async def renew(url: str, *, email: str) -> NewIdentity | None:
    """One more API key and a new password, as the owner of the tables. Keys that exist stay valid.

    `None` if nobody has this address.
    """
    engine = owner_engine(url)
    password = secrets.token_urlsafe(18)
    api_key = f"aq_{secrets.token_urlsafe(KEY_BYTES)}"
    try:
        async with engine.begin() as connection:
            found = (await connection.execute(_FIND, {"email": email})).first()
            if found is None:
                return None
            user_id, tenant_id = found
            hashed = PasswordHash.recommended().hash(password)
            await connection.execute(update(User).where(col(User.id) == user_id).values(password_hash=hashed))
            await connection.execute(
                insert(APIKey).values(
                    id=new_id(),
                    tenant_id=tenant_id,
                    user_id=user_id,
                    name="new key",
                    prefix=api_key[:PREFIX_LENGTH],
                    key_hash=key_hash(api_key),
                )
            )
    finally:
        await engine.dispose()
    return NewIdentity(tenant_id=tenant_id, user_id=user_id, email=email, password=password, api_key=api_key)
