"""What `tenants`, `users` and `keys` share: the owner's transaction, who is meant, and a line in the audit log."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar
from uuid import UUID

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from arqueduct import settings
from arqueduct.cli.output import out, print_table
from arqueduct.cli.owner import owner_database
from arqueduct.cli.stacked import Records
from arqueduct.errors import NotFound, RequestError

if TYPE_CHECKING:  # half a second, which every other command would wait for
    import asyncpg

    from arqueduct.database import Driver

__all__ = [
    "Most",
    "OnlyTenant",
    "Tenant",
    "User",
    "ask",
    "facts",
    "find_tenant",
    "find_user",
    "note",
    "one_tenant",
    "table",
]

T = TypeVar("T")

Tenant = Annotated[
    str | None, typer.Option(metavar="TENANT", help="Id or name; can be left out where there is only one.")
]
OnlyTenant = Annotated[str | None, typer.Option("--tenant", metavar="TENANT", help="Only of this one: id or name.")]
Most = Annotated[int, typer.Option("--limit", min=1, max=100_000, help="How many at most, the newest first.")]
LISTED = "`arqueduct tenants ls` lists them."
User = Annotated[str, typer.Argument(metavar="USER", help="Id or e-mail address.")]


def ask(data_dir: Path | None, act: "Callable[[Driver], Awaitable[T]]") -> T:
    """In one transaction, as the owner of the tables."""
    from arqueduct.repositories.rules import as_owner

    async def run(url: str) -> T:
        async with as_owner(url) as driver:
            return await act(driver)

    with owner_database(settings.load(data_dir=data_dir)) as url:
        return asyncio.run(run(url))


async def find_user(driver: "Driver", named: str) -> "asyncpg.Record":
    """By id or by address. Raises `NotFound`."""
    from arqueduct.repositories import users

    try:
        found = await users.find(driver, user_id=UUID(named))
    except ValueError:
        found = await users.find(driver, email=named)
    if found is None:
        raise NotFound(f"There is no user {named}.", advice="`arqueduct users ls` lists them.")
    return found


async def find_tenant(driver: "Driver", named: str) -> UUID:
    """By id or by name. Raises `NotFound`, and `RequestError` for a name that several have."""
    from arqueduct.repositories import members, users

    try:
        tenant_id = UUID(named)
    except ValueError:
        found = await users.tenants_named(driver, named)
    else:
        await members.tenant(driver, tenant_id)
        return tenant_id
    if not found:
        raise NotFound(f"There is no tenant {named}.", advice=LISTED)
    if len(found) > 1:
        raise RequestError(f"Several tenants are named {named}.", advice=f"Name it by its id: {LISTED}")
    return found[0]


async def one_tenant(driver: "Driver", asked: str | None, user: "asyncpg.Record | None" = None) -> UUID:
    """The tenant that was named, else the only one, of the user or at all. Raises `NotFound` and `RequestError`."""
    from arqueduct.repositories import users

    if asked is not None:
        return await find_tenant(driver, asked)
    known = user["tenant_ids"] if user else [row["id"] for row in await users.tenants(driver, limit=2)]
    if not known and user:
        raise RequestError(f"{user['email']} belongs to no tenant.", advice="`arqueduct users invite` makes a member.")
    if not known:
        raise RequestError("There is no tenant.", advice="Make one with `arqueduct tenants create NAME`.")
    if len(known) > 1:
        raise RequestError("There are several tenants.", advice=f"Say which with --tenant: {LISTED}")
    found: UUID = known[0]
    return found


async def note(
    driver: "Driver",
    action: str,
    tenant_ids: Iterable[UUID],
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """A line in the log of each tenant that it touches; of none, where it touches none. The user is null."""
    from arqueduct.repositories import audit

    touched: list[UUID | None] = [*tenant_ids]
    for tenant_id in touched or [None]:
        actor = audit.Actor(action=f"cli {action}", tenant_id=tenant_id)
        await audit.add(driver, actor, "done", before=before, after=after)


def facts(values: Mapping[str, Any], console: Console | None = None) -> None:
    """A name and a value a line."""
    rows = Table.grid(padding=(0, 2))
    for name, value in values.items():
        rows.add_row(Text(name.replace("_", " "), "dim"), Text(_text(value), overflow="fold"))
    (console or out).print(rows)


def table(columns: Mapping[str, str], found: "Iterable[asyncpg.Record | Mapping[str, Any]]") -> None:
    """A line a row, or several where the terminal is too narrow; ids are always whole, and the first column."""
    rows = [[Text("" if row[name] is None else _text(row[name])) for name in columns] for row in found]
    drawn = Table(box=None, pad_edge=False, header_style="dim")
    for title in columns.values():
        drawn.add_column(title, no_wrap=True)
    for row in rows:
        drawn.add_row(*row)
    print_table(drawn, Records(list(columns.values()), rows), out)


def _text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, list):
        return ", ".join(map(_text, value)) or "–"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    return " ".join(str(value).split())  # a line break in a name must not look like a row
