"""`arqueduct tenants`: who owns documents."""

import asyncio
from typing import Annotated

import typer

from arqueduct import settings
from arqueduct.cli import people
from arqueduct.cli.options import DataDir, Json, address, examples, label
from arqueduct.cli.output import out, print_json, reporting
from arqueduct.cli.owner import owner_database

__all__ = ["tenants"]

tenants = typer.Typer(
    name="tenants",
    help="See and make tenants, in the database of DATABASE_URL, else in the embedded one.",
    no_args_is_help=True,
)


COLUMNS = {"id": "Tenant", "name": "Name", "members": "Members", "since": "Since"}


@tenants.command(epilog=examples("tenants create Acme --email ada@example.org", "tenants create Acme --json"))
def create(
    name: Annotated[str, typer.Argument(parser=label, metavar="NAME", help="Name of the tenant.")],
    email: Annotated[
        str | None,
        typer.Option(parser=address, metavar="ADDRESS", help="Address of its owner; left out, one is made up."),
    ] = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Make a tenant with an owner and an API key. Key and password are shown here and never again."""
    from arqueduct import identity
    from arqueduct.ids import new_id

    with reporting(json=json), owner_database(settings.load(data_dir=data_dir)) as url:
        email = email or f"owner-{str(new_id())[-12:]}@localhost"
        new = asyncio.run(identity.create(url, tenant=name, email=email, action="cli tenants create"))
    shown = {
        "tenant_id": str(new.tenant_id),
        "user_id": str(new.user_id),
        "api_key": new.api_key,
        "email": new.email,
        "password": new.password,
    }
    if json:
        print_json(shown)
    else:
        people.facts(shown)


@tenants.command(name="ls", epilog=examples("tenants ls"))
def list_tenants(limit: people.Most = 200, data_dir: DataDir = None, json: Json = False) -> None:
    """List tenants, the newest first."""
    from arqueduct.repositories import users

    with reporting(json=json):
        found = people.ask(data_dir, lambda driver: users.tenants(driver, limit=limit))
        if json:
            print_json({"items": list(map(dict, found))})
        elif found:
            people.table(COLUMNS, [{**tenant, "since": f"{tenant['created_at']:%Y-%m-%d}"} for tenant in found])
        else:
            out.print("There are no tenants.")
