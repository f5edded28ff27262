"""`arqueduct tenants`: who owns documents."""

import asyncio
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from arqueduct import settings
from arqueduct.cli import people
from arqueduct.cli.options import DataDir, Json, address, examples, label
from arqueduct.cli.output import out, print_json, reporting
from arqueduct.cli.owner import owner_database
from arqueduct.errors import NotFound

if TYPE_CHECKING:
    from arqueduct.database import Driver

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


@tenants.command(epilog=examples("tenants quota TENANT", "tenants quota TENANT --documents 10000 --bytes 50000000000"))
def quota(
    tenant: Annotated[UUID, typer.Argument(metavar="TENANT", help="Its id; `tenants ls` shows it.")],
    documents: Annotated[int | None, typer.Option(min=0, help="Documents it may have.")] = None,
    size: Annotated[int | None, typer.Option("--bytes", min=0, help="Bytes of originals it may have.")] = None,
    jobs: Annotated[int | None, typer.Option(min=0, help="Jobs that may be unfinished at a time.")] = None,
    unlimited: Annotated[bool, typer.Option("--unlimited", help="First lift every limit that is set.")] = False,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """See or set how much a tenant may have; what is not named stays as it is."""
    from arqueduct.repositories import quotas
    from arqueduct.repositories.quotas import Limits

    async def change(driver: "Driver") -> tuple[quotas.Amounts, Limits]:
        if not await driver.fetchval("SELECT EXISTS (SELECT FROM tenants WHERE id = $1)", tenant):
            raise NotFound(f"There is no tenant {tenant}.", advice="`arqueduct tenants ls` lists them.")
        old = Limits() if unlimited else await quotas.of_tenant(driver, tenant)
        limits = Limits(
            documents=old.documents if documents is None else documents,
            bytes=old.bytes if size is None else size,
            jobs=old.jobs if jobs is None else jobs,
        )
        if unlimited or (documents, size, jobs) != (None, None, None):
            await quotas.set_of_tenant(driver, tenant, limits)
        return await quotas.used(driver, tenant), limits

    with reporting(json=json):
        used, limits = people.ask(data_dir, change)
        shown = {kind: {"used": getattr(used, kind), "limit": getattr(limits, kind)} for kind in quotas.KINDS}
        if json:
            print_json(shown)
        else:
            people.table(
                {"of": "Of", "used": "Used", "limit": "Limit"},
                [
                    {
                        "of": kind,
                        "used": f"{one['used']:,}",
                        "limit": "–" if one["limit"] is None else f"{one['limit']:,}",
                    }
                    for kind, one in shown.items()
                ],
            )
