"""A new key for a user that is there already: what the loss of credentials.json calls for."""

import secrets

from pwdlib import PasswordHash
from sqlmodel import insert, select, update

from arqueduct.database import owner_engine
from arqueduct.identity import KEY_BYTES, PREFIX_LENGTH, NewIdentity, key_hash
from arqueduct.ids import new_id
from arqueduct.models import APIKey, Membership, User

__all__ = ["renew"]


async def renew(url: str, *, email: str) -> NewIdentity:
    """One more API key and a new password, as the owner of the tables. Keys that exist stay valid."""
    engine = owner_engine(url)
    password = secrets.token_urlsafe(18)
    api_key = f"aq_{secrets.token_urlsafe(KEY_BYTES)}"
    try:
        async with engine.begin() as connection:
            query = select(User.id, Membership.tenant_id).join(Membership).where(User.email == email)
            user_id, tenant_id = (await connection.execute(query.order_by(Membership.created_at))).first()
            hashed = PasswordHash.recommended().hash(password)
            await connection.execute(update(User).where(User.id == user_id).values(password_hash=hashed))
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
