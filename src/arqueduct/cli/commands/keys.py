"""`arqueduct keys`: API keys of all tenants, for who runs the installation."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from arqueduct.cli import people
from arqueduct.cli.options import DataDir, Json, examples, label
from arqueduct.cli.output import out, print_json, reporting
from arqueduct.cli.words import age
from arqueduct.errors import NotFound
from arqueduct.permissions import Permission

if TYPE_CHECKING:  # half a second, which every other command would wait for
    from arqueduct.database import Driver

__all__ = ["keys"]

keys = typer.Typer(
    name="keys",
    help="See, make and revoke API keys of all tenants, in the database of DATABASE_URL, else in the embedded one.",
    no_args_is_help=True,
)

MOST_DAYS = 36_500
MOST_REQUESTS = 1_000_000
"""As in the API."""
COLUMNS = {
    "id": "Key",
    "name": "Name",
    "email": "Of",
    "tenant": "Tenant",
    "scopes": "Scopes",
    "last_used_at": "Used",
    "state": "State",
}


SCOPES = ", ".join(Permission)


def _scope(value: str) -> str:
    if value not in set(Permission):
        raise typer.BadParameter(f"a scope is one of {SCOPES}")
    return value


@keys.command(name="ls", epilog=examples("keys ls --tenant Acme", "keys ls --user ada@example.org --all"))
def list_keys(
    tenant: people.OnlyTenant = None,
    user: Annotated[str | None, typer.Option(metavar="USER", help="Of one user: id or e-mail address.")] = None,
    with_revoked: Annotated[bool, typer.Option("--all", help="Revoked ones too.")] = False,
    limit: people.Most = 200,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """List keys, the newest first. Keys themselves are kept nowhere: only how they begin."""
    from arqueduct.repositories import users

    async def look(driver: "Driver") -> list[dict[str, Any]]:
        user_id = (await people.find_user(driver, user))["id"] if user else None
        tenant_id = await people.find_tenant(driver, tenant) if tenant is not None else None
        found = await users.keys(driver, tenant_id=tenant_id, user_id=user_id, with_revoked=with_revoked, limit=limit)
        return list(map(dict, found))

    with reporting(json=json):
        found = people.ask(data_dir, look)
        if json:
            print_json({"items": found})
        elif found:
            people.table(COLUMNS, [_shown(key) for key in found])
        else:
            out.print("There are no keys.")


@keys.command(
    epilog=examples(
        "keys create ada@example.org --name ci --days 90",
        "keys create ada@example.org --scope documents:read --scope jobs:read",
    )
)
def create(
    user: people.User,
    name: Annotated[str, typer.Option(parser=label, metavar="NAME", help="What it is for.")] = "made by the operator",
    scope: Annotated[
        list[str] | None,
        typer.Option(
            parser=_scope,
            metavar="SCOPE",
            help="What it may do of what its user may, such as documents:read; again for more. None: all.",
        ),
    ] = None,
    days: Annotated[float | None, typer.Option(min=0.001, max=MOST_DAYS, help="Days it is good for.")] = None,
    requests_per_minute: Annotated[
        int | None, typer.Option(min=1, max=MOST_REQUESTS, help="What it may do instead of what every user may.")
    ] = None,
    tenant: people.Tenant = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Make a key for a member of a tenant. It is shown here and never again."""
    from arqueduct.repositories import keys as rows
    from arqueduct.repositories import members

    async def act(driver: "Driver") -> dict[str, Any]:
        found = await people.find_user(driver, user)
        tenant_id = await people.one_tenant(driver, tenant, found)
        try:
            await members.find(driver, tenant_id, found["id"])
        except NotFound:
            raise NotFound(f"User {user} is no member of tenant {tenant_id}; invite him.") from None
        made, secret = await rows.add(
            driver,
            tenant_id,
            found["id"],
            name,
            scopes=sorted(set(scope or ())),
            expires_at=datetime.now(UTC) + timedelta(days=days) if days else None,
            requests_per_minute=requests_per_minute,
        )
        told = {"key_id": str(made["id"]), "user_id": str(found["id"]), "scopes": made["scopes"]}
        await people.note(driver, "keys create", [tenant_id], after=told)
        return {"key_id": made["id"], "tenant_id": tenant_id, "user_id": found["id"], "api_key": secret}

    with reporting(json=json):
        made = people.ask(data_dir, act)
        if json:
            print_json(made)
        else:
            people.facts(made)


@keys.command(epilog=examples("keys revoke 019aa7c2-5f0e-7cc1-8a86-3c1f0b8a4c11"))
def revoke(
    key: Annotated[UUID, typer.Argument(metavar="KEY", help="Id of the key.")],
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """End a key at once; live connections that were opened with it end within a minute."""
    from arqueduct.repositories import keys as rows
    from arqueduct.repositories import users

    async def act(driver: "Driver") -> dict[str, Any]:
        found = await users.keys(driver, key_id=key, limit=1)
        if not found:
            raise NotFound(f"There is no key {key} that is not revoked.")
        tenant_id = found[0]["tenant_id"]
        await rows.revoke(driver, tenant_id, key)
        told = {"key_id": str(key), "user_id": str(found[0]["user_id"]), "scopes": found[0]["scopes"]}
        await people.note(driver, "keys revoke", [tenant_id], before=told)
        return {"key_id": key, "tenant_id": tenant_id, "user_id": found[0]["user_id"], "event": "revoked"}

    with reporting(json=json):
        revoked = people.ask(data_dir, act)
        if json:
            print_json(revoked)
        else:
            out.print(f"Key {key} is revoked.")


def _shown(key: dict[str, Any]) -> dict[str, Any]:
    used = key["last_used_at"]
    return {
        **key,
        "name": f"{key['name']} ({key['prefix']}…)",
        "scopes": key["scopes"] or "all",
        "last_used_at": f"{age((datetime.now(UTC) - used).total_seconds())} ago" if used else "never",
        "state": _state(key),
    }


def _state(key: dict[str, Any]) -> str:
    until = key["expires_at"]
    if key["revoked_at"]:
        return "revoked"
    if until is None:
        return "good"
    return "expired" if until <= datetime.now(UTC) else f"good until {until:%Y-%m-%d %H:%M}"
