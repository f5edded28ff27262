"""`arqueduct users`: people and service accounts of all tenants, for who runs the installation."""

import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arqueduct import settings
from arqueduct.cli import people
from arqueduct.cli.options import DataDir, Json, address, examples
from arqueduct.cli.output import out, print_json, reporting
from arqueduct.errors import NotFound, NotThisMember
from arqueduct.permissions import Role

if TYPE_CHECKING:  # half a second, which every other command would wait for
    from arqueduct.database import Driver

__all__ = ["users"]

users = typer.Typer(
    name="users",
    help="See, invite and disable users of all tenants, in the database of DATABASE_URL, else in the embedded one.",
    no_args_is_help=True,
)

TOKEN_BYTES = 32


def _person(value: str) -> str:
    """One of `Role`, and so a `str`: of an enum, help would offer `service` too."""
    if value not in set(Role) - {Role.SERVICE}:
        raise typer.BadParameter("a person is an owner, admin, editor or viewer")
    return Role(value)


PERSONS = "owner, admin, editor or viewer"
PersonRole = Annotated[
    str, typer.Option("--role", parser=_person, metavar="ROLE", help=f"What he is to be: {PERSONS}.")
]


@users.command(name="ls", epilog=examples("users ls", "users ls --tenant Acme"))
def list_users(
    tenant: people.OnlyTenant = None, limit: people.Most = 200, data_dir: DataDir = None, json: Json = False
) -> None:
    """List users, the newest first, with their roles."""
    from arqueduct.repositories import users as rows

    async def look(driver: "Driver") -> list[dict[str, Any]]:
        tenant_id = await people.find_tenant(driver, tenant) if tenant is not None else None
        return list(map(dict, await rows.page(driver, tenant_id=tenant_id, limit=limit)))

    with reporting(json=json):
        found = people.ask(data_dir, look)
        if json:
            print_json({"items": found})
        elif found:
            columns = {"id": "User", "email": "Address", "is": "Is", "disabled_at": "Disabled"}
            people.table(columns, [{**user, "is": _roles(user)} for user in found])
        else:
            out.print("There are no users.")


@users.command(epilog=examples("users invite ada@example.org --role owner --tenant Acme"))
def invite(
    email: Annotated[str, typer.Argument(parser=address, metavar="ADDRESS", help="E-mail address of whom to invite.")],
    role: PersonRole = Role.VIEWER,
    tenant: people.Tenant = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Make a token that makes somebody a member of a tenant. It is shown here and never again."""
    from arqueduct.identity import key_hash
    from arqueduct.repositories import invitations

    effective = settings.load(data_dir=data_dir)
    token = f"aq_invitation_{secrets.token_urlsafe(TOKEN_BYTES)}"

    async def act(driver: "Driver") -> dict[str, Any]:
        tenant_id = await people.one_tenant(driver, tenant)
        made = await invitations.add(
            driver,
            tenant_id,
            email,
            Role(role),
            invited_by=None,
            token_hash=key_hash(token),
            lasts=timedelta(days=effective.invitation_days),
        )
        told = {"invitation_id": str(made["id"]), "role": role}
        await people.note(driver, "users invite", [tenant_id], after=told)
        return {"invitation_id": made["id"], "tenant_id": tenant_id, "expires_at": made["expires_at"], "token": token}

    with reporting(json=json):
        _tell(people.ask(data_dir, act), json=json)


@users.command(epilog=examples("users disable ada@example.org"))
def disable(user: people.User, data_dir: DataDir = None, json: Json = False) -> None:
    """Let a user in nowhere any more: his sessions end, his keys are refused. What he made stays."""
    from arqueduct.repositories import users as rows

    async def act(driver: "Driver") -> dict[str, Any]:
        found = await people.find_user(driver, user)
        since = await rows.disable(driver, found["id"])
        told = {"user_id": str(found["id"])}
        await people.note(driver, "users disable", found["tenant_ids"], after=told)
        return {"user_id": found["id"], "email": found["email"], "disabled_at": since or found["disabled_at"]}

    with reporting(json=json):
        _tell(people.ask(data_dir, act), json=json)


@users.command(epilog=examples("users enable ada@example.org"))
def enable(user: people.User, data_dir: DataDir = None, json: Json = False) -> None:
    """Let a user in again. Keys that were not revoked are good again; sessions are not."""
    from arqueduct.repositories import users as rows

    async def act(driver: "Driver") -> dict[str, Any]:
        found = await people.find_user(driver, user)
        await rows.enable(driver, found["id"])
        await people.note(driver, "users enable", found["tenant_ids"], after={"user_id": str(found["id"])})
        return {"user_id": found["id"], "email": found["email"], "disabled_at": None}

    with reporting(json=json):
        _tell(people.ask(data_dir, act), json=json)


@users.command(name="reset-password", epilog=examples("users reset-password ada@example.org"))
def reset_password(user: people.User, data_dir: DataDir = None, json: Json = False) -> None:
    """Make a token with which a user chooses a new password, once. It is shown here and never again."""
    from arqueduct.identity import key_hash
    from arqueduct.repositories import users as rows

    effective = settings.load(data_dir=data_dir)
    token = f"aq_reset_{secrets.token_urlsafe(TOKEN_BYTES)}"

    async def act(driver: "Driver") -> dict[str, Any]:
        found = await people.find_user(driver, user)
        if Role.SERVICE in found["roles"]:
            raise NotThisMember("A service account has no password; make it a key.")
        lasts = timedelta(hours=effective.reset_hours)
        until = await rows.offer_reset(driver, found["id"], key_hash(token), lasts)
        await people.note(driver, "users reset-password", found["tenant_ids"], after={"user_id": str(found["id"])})
        return {"user_id": found["id"], "email": found["email"], "expires_at": until, "token": token}

    with reporting(json=json):
        _tell(people.ask(data_dir, act), json=json)


@users.command(epilog=examples("users role ada@example.org admin --tenant Acme"))
def role(
    user: people.User,
    role: Annotated[str, typer.Argument(parser=_person, metavar="ROLE", help=f"What he is to be: {PERSONS}.")],
    tenant: people.Tenant = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Give a member of a tenant another role. A tenant keeps at least one owner."""
    from arqueduct.repositories import members

    async def act(driver: "Driver") -> dict[str, Any]:
        found = await people.find_user(driver, user)
        tenant_id = await people.one_tenant(driver, tenant, found)
        try:
            held = await members.hold(driver, tenant_id, found["id"])
        except NotFound:
            raise NotFound(f"User {user} is no member of tenant {tenant_id}; invite him.") from None
        if held.role is Role.SERVICE:
            raise NotThisMember("A service account keeps its role.")
        revoked = await members.set_role(driver, held, Role(role))
        await people.note(
            driver,
            "users role",
            [tenant_id],
            before={"user_id": str(found["id"]), "role": held.role, "invitation_ids": [str(one) for one in revoked]},
            after={"user_id": str(found["id"]), "role": role},
        )
        return {"user_id": found["id"], "email": found["email"], "tenant_id": tenant_id, "role": role}

    with reporting(json=json):
        _tell(people.ask(data_dir, act), json=json)


def _roles(user: dict[str, Any]) -> list[str]:
    return [f"{role} of {tenant}" for role, tenant in zip(user["roles"], user["tenants"], strict=True)]


def _tell(done: dict[str, Any], *, json: bool) -> None:
    if json:
        print_json(done)
    else:
        people.facts(done)
