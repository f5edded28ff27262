"""What `tenants`, `users` and `keys` share: the owner's transaction, who is meant, and a line in the audit log."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar
from uuid import UUID

import typer
from rich.table import Table
from rich.text import Text

from arqueduct import settings
from arqueduct.cli.job_tables import ID_WIDTH
from arqueduct.cli.output import out
from arqueduct.cli.owner import owner_database
from arqueduct.errors import NotFound, RequestError

if TYPE_CHECKING:  # half a second, which every other command would wait for
    import asyncpg

    from arqueduct.database import Driver

__all__ = ["Most", "Tenant", "User", "ask", "facts", "find_user", "note", "one_tenant", "table"]

T = TypeVar("T")

Tenant = Annotated[UUID | None, typer.Option(metavar="ID", help="Tenant; can be left out where there is only one.")]
Most = Annotated[int, typer.Option("--limit", min=1, max=100_000, help="How many at most, the newest first.")]
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
        raise NotFound(f"There is no user {named}.")
    return found


async def one_tenant(driver: "Driver", asked: UUID | None, user: "asyncpg.Record | None" = None) -> UUID:
    """The tenant that was named, else the only one, of the user or at all. Raises `NotFound` and `RequestError`."""
    from arqueduct.repositories import members, users

    if asked is not None:
        await members.tenant(driver, asked)
        return asked
    known = user["tenant_ids"] if user else [row["id"] for row in await users.tenants(driver, limit=2)]
    if len(known) != 1:
        raise RequestError("Say which tenant: --tenant ID. `arqueduct tenants ls` lists them.")
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


def facts(values: Mapping[str, Any]) -> None:
    """A name and a value a line."""
    rows = Table.grid(padding=(0, 2))
    for name, value in values.items():
        rows.add_row(Text(name.replace("_", " "), "dim"), Text(_text(value), overflow="fold"))
    out.print(rows)


def table(columns: Mapping[str, str], found: "Iterable[asyncpg.Record | Mapping[str, Any]]") -> None:
    """A line a row; ids are always whole."""
    drawn = Table(box=None, pad_edge=False, header_style="dim")
    for name, title in columns.items():
        is_id = name == "id"
        drawn.add_column(title, overflow="fold", min_width=ID_WIDTH if is_id else None, no_wrap=is_id)
    for row in found:
        drawn.add_row(*(Text(_text(row[name])) for name in columns))
    out.print(drawn)


def _text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, list):
        return ", ".join(map(_text, value)) or "–"
    return f"{value:%Y-%m-%d %H:%M}" if hasattr(value, "strftime") else str(value)
