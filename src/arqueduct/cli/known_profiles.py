"""Profiles that the server knows, found by id or by name."""

from uuid import UUID

from arqueduct.cli.client import Body, Client
from arqueduct.errors import ProfileUnknown
from arqueduct.profiles import DEFAULT_NAME

__all__ = ["check_known", "find_profile"]


async def find_profile(client: Client, named: str) -> Body:
    """Raises `ProfileUnknown`."""
    if named == DEFAULT_NAME:
        return await client.get("/profiles/default")
    try:
        return await client.get(f"/profiles/{UUID(named)}")
    except ValueError:
        pass
    async for profile in client.pages("/profiles"):
        if profile["name"] == named:
            return profile
    raise ProfileUnknown(f"There is no profile {named}.", advice="`arqueduct profiles ls` lists them.")


async def check_known(client: Client, named: str | None) -> None:
    """Before a folder is uploaded for nothing. Raises `ProfileUnknown`."""
    if named is not None:
        await find_profile(client, named)
