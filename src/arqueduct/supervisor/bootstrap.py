"""Makes a database ready to serve: schema, logins of the two roles, embedding model, and somebody to be in it."""

import msgspec
from sqlalchemy import text

from arqueduct import embedding, identity, migrations
from arqueduct.database import Role, owner_engine
from arqueduct.embedded import EmbeddedPostgres
from arqueduct.identity import NewIdentity, key_hash
from arqueduct.settings import Settings
from arqueduct.supervisor import records
from arqueduct.supervisor.child import Say
from arqueduct.supervisor.first_identity import renew
from arqueduct.supervisor.folder import DataFolder
from arqueduct.supervisor.records import Credentials

__all__ = ["bring_up_schema", "ensure_identity", "let_roles_log_in"]

TENANT = "default"
EMAIL = "admin@localhost"


async def bring_up_schema(url: str, settings: Settings) -> None:
    """To the newest revision, with the embedding model of the settings. Costs little where nothing is to be done."""
    await migrations.upgrade(url)
    await migrations.ensure_model(url, embedding.model_of(settings))


async def let_roles_log_in(server: EmbeddedPostgres) -> None:
    """Gives the two roles of an embedded server the passwords that its folder keeps."""
    engine = owner_engine(server.url())
    try:
        async with engine.begin() as connection:
            for role in Role:
                # Postgres itself quotes: a password cannot travel as a parameter of ALTER ROLE
                statement = await connection.scalar(
                    text("SELECT format('ALTER ROLE %I LOGIN PASSWORD %L', CAST(:role AS text), CAST(:word AS text))"),
                    {"role": role.value, "word": server.password(role)},
                )
                await connection.exec_driver_sql(str(statement))
    finally:
        await engine.dispose()


async def ensure_identity(url: str, folder: DataFolder, api_url: str, say: Say) -> Credentials:
    """Credentials that this database knows: those of the folder, else new ones, which are then kept in the folder."""
    known = folder.known_credentials()
    if known is not None and await _knows(url, known.api_key):
        current = msgspec.structs.replace(known, url=api_url)
    else:
        current = await _new(url, api_url)
        reason = "the database does not know the old key" if known else "first start"
        say("identity", email=current.email, reason=reason, file=str(folder.credentials))
    if current != known:
        records.write(folder.credentials, current)
    return current


async def _new(url: str, api_url: str) -> Credentials:
    """Where another folder's `up` has made the user in this database, that one gets one more key."""
    new = await renew(url, email=EMAIL) or await identity.create(url, tenant=TENANT, email=EMAIL, action="first start")
    return _credentials(new, api_url)


def _credentials(new: NewIdentity, api_url: str) -> Credentials:
    return Credentials(
        url=api_url,
        api_key=new.api_key,
        user_id=new.user_id,
        tenant_id=new.tenant_id,
        email=new.email,
        password=new.password,
    )


async def _knows(url: str, api_key: str) -> bool:
    engine = owner_engine(url)
    try:
        async with engine.begin() as connection:
            query = text("SELECT user_id FROM authenticate(:hash)")
            return await connection.scalar(query, {"hash": key_hash(api_key)}) is not None
    finally:
        await engine.dispose()
