"""`arqueduct queue`: the line of all tenants, for who runs the installation."""

import asyncio
import math
import re
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar
from uuid import UUID

import typer
from rich.table import Table
from rich.text import Text

from arqueduct import settings
from arqueduct.cli.job_tables import ID_WIDTH
from arqueduct.cli.options import DataDir, Json, examples
from arqueduct.cli.output import PIPE_WIDTH, out, print_json, reporting
from arqueduct.cli.owner import owner_database
from arqueduct.cli.words import age, counted

if TYPE_CHECKING:  # half a second, which every other command would wait for
    from arqueduct.database import Driver
    from arqueduct.repositories.rules import Rule, Target, TenantLine

__all__ = ["queue"]

T = TypeVar("T")

queue = typer.Typer(
    name="queue",
    help="See and steer the queue of all tenants, in the database of DATABASE_URL, else in the embedded one.",
    no_args_is_help=True,
)

LARGEST_LIMIT = 2**31 - 1
"""What Postgres' integer holds."""
KIND = re.compile(r"[A-Za-z0-9._-]{1,100}")


def _tenant(value: str) -> str:
    """The id as Postgres spells it, or `*`."""
    if value == "*":
        return value
    try:
        return str(UUID(value))
    except ValueError:
        raise typer.BadParameter("a tenant is named by its id, or `*` for every tenant without a rule") from None


def _kind(value: str) -> str:
    """An empty one would mean everything."""
    if not KIND.fullmatch(value):
        raise typer.BadParameter("a kind is a word such as document.ingest")
    return value


Tenant = Annotated[
    str | None, typer.Option(parser=_tenant, metavar="ID", help="One tenant; '*': each that has no rule of its own.")
]
Kind = Annotated[
    str | None, typer.Option(parser=_kind, metavar="KIND", help="Jobs of one kind, such as document.ingest.")
]


@queue.command(epilog=examples("queue status"))
def status(data_dir: DataDir = None, json: Json = False) -> None:
    """Show how the queue stands, what is paused, and which tenants wait."""
    from arqueduct.repositories import rules as queue_rules
    from arqueduct.repositories import sweeps

    async def look(driver: "Driver") -> "tuple[dict[str, Any], list[Rule], list[TenantLine]]":
        health = await sweeps.health(driver, alive=effective.alive_time)
        return dict(health), await queue_rules.rules(driver), await queue_rules.lines(driver)

    effective = settings.load(data_dir=data_dir)
    with reporting(json=json):
        health, said, lines = _ask(data_dir, look)
        if json:
            print_json(health | {"rules": list(map(asdict, said)), "tenants": list(map(asdict, lines))})
            return
        _print_health(health)
        for rule in said:
            if rule.is_paused:
                out.print(Text(f"{_about(rule)} is paused.", "yellow"), soft_wrap=True)
        if lines:
            out.print()
            out.print(_lines_table(lines))


@queue.command(epilog=examples("queue rules"))
def rules(data_dir: DataDir = None, json: Json = False) -> None:
    """List what was paused, limited or weighted."""
    from arqueduct.repositories import rules as queue_rules

    with reporting(json=json):
        found = _ask(data_dir, queue_rules.rules)
        if json:
            print_json({"items": list(map(asdict, found))})
        elif found:
            out.print(_rules_table(found))
        else:
            out.print("There are no rules: every tenant has the same share, and as much runs as workers take.")


@queue.command(epilog=examples("queue pause", "queue pause --kind document.ingest"))
def pause(tenant: Tenant = None, kind: Kind = None, data_dir: DataDir = None, json: Json = False) -> None:
    """Let no more jobs begin: none at all, none of a tenant, or none of a kind. Those that run go on."""
    from arqueduct.repositories import rules as queue_rules

    target = _target(tenant, kind)
    with reporting(json=json):
        taken = _ask(data_dir, lambda driver: queue_rules.pause(driver, target))
        _tell(target, "paused", json=json, taken_back=taken)


@queue.command(epilog=examples("queue resume", "queue resume --kind document.ingest"))
def resume(tenant: Tenant = None, kind: Kind = None, data_dir: DataDir = None, json: Json = False) -> None:
    """Undo a pause. Workers notice within ARQUEDUCT_SWEEP (5 s); what another rule pauses stays paused."""
    from arqueduct.repositories import rules as queue_rules

    target = _target(tenant, kind)
    with reporting(json=json):
        _ask(data_dir, lambda driver: queue_rules.resume(driver, target))
        _tell(target, "resumed", json=json)


@queue.command(
    epilog=examples("queue limit --tenant '*' --max-running 20", "queue limit --kind document.ingest --no-max-running")
)
def limit(
    tenant: Tenant = None,
    kind: Kind = None,
    max_running: Annotated[
        int | None, typer.Option(min=1, max=LARGEST_LIMIT, metavar="N", help="Jobs that may be in flight at a time.")
    ] = None,
    no_max_running: Annotated[
        bool, typer.Option("--no-max-running", help="No limit; for one tenant: that of '*', if it has one.")
    ] = False,
    weight: Annotated[
        float | None,
        typer.Option(min=0.01, max=100, metavar="W", help="Share of a tenant; 2 is twice that of the others."),
    ] = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Limit how much of a tenant or a kind runs at a time, or give a tenant another share.

    Jobs in flight run, or are what workers take next; those beyond a new limit are not stopped. Workers notice within
    ARQUEDUCT_SWEEP (5 s). A rule of one tenant replaces that of '*'; one that says nothing is not kept.
    """
    from arqueduct.repositories import rules as queue_rules

    target = _target(tenant, kind)
    if target.scope == "all":
        raise typer.BadParameter("Say of what: --tenant or --kind.")
    if max_running is not None and no_max_running:
        raise typer.BadParameter("It is either --max-running or --no-max-running.")
    if weight is not None and (target.scope != "tenant" or not math.isfinite(weight)):
        raise typer.BadParameter("--weight is a number, and of a tenant.")
    if max_running is None and not no_max_running and weight is None:
        raise typer.BadParameter("Say what: --max-running, --no-max-running or --weight.")

    async def change(driver: "Driver") -> None:
        if max_running is not None or no_max_running:
            await queue_rules.set_max_running(driver, target, max_running)
        if weight is not None:
            await queue_rules.set_weight(driver, target, weight)

    with reporting(json=json):
        _ask(data_dir, change)
        _tell(target, "changed", json=json)


def _target(tenant: str | None, kind: str | None) -> "Target":
    from arqueduct.repositories.rules import EVERYTHING, Target

    if tenant and kind:
        raise typer.BadParameter("A rule is of a tenant or of a kind: name one.")
    if tenant:
        return Target("tenant", tenant)
    return Target("kind", kind) if kind else EVERYTHING


def _ask(data_dir: Path | None, act: "Callable[[Driver], Awaitable[T]]") -> T:
    """In one transaction, as the owner of the tables."""
    from arqueduct.repositories.rules import as_owner

    async def run(url: str) -> T:
        async with as_owner(url) as driver:
            return await act(driver)

    with owner_database(settings.load(data_dir=data_dir)) as url:
        return asyncio.run(run(url))


def _tell(target: "Target", done: str, *, json: bool, taken_back: int | None = None) -> None:
    if json:
        taken = {} if taken_back is None else {"taken_back": taken_back}
        print_json({"scope": target.scope, "name": target.name, "event": done, **taken})
        return
    back = f"; {counted(taken_back, 'job')} taken back from the workers' queue" if taken_back else ""
    out.print(Text(f"{_words_of(target.scope, target.name)}: {done}{back}."), soft_wrap=True)


def _words_of(scope: str, name: str) -> str:
    if scope == "all":
        return "The queue"
    if scope == "kind":
        return f"Kind {name}"
    return "Every tenant without a rule of its own" if name == "*" else f"Tenant {name}"


def _about(rule: "Rule") -> str:
    return _words_of(rule.scope, rule.name) + (f" ({rule.tenant})" if rule.tenant else "")


def _print_health(health: dict[str, Any]) -> None:
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="dim")
    rows.add_column()
    rows.add_row("live workers", str(health["live_workers"]))
    rows.add_row("queued", f"{health['queued']:,}, {health['retrying']:,} of them to be tried again")
    rows.add_row("oldest due for", age(health["oldest_queued_seconds"]))
    for name in ("running", "paused", "lapsed_leases", "quarantined"):
        rows.add_row(name.replace("_", " "), f"{health[name]:,}")
    out.print(rows)


def _lines_table(lines: "list[TenantLine]") -> Table:
    """The id is always whole. 80 columns hold it and the numbers; the name stands below it there, else beside it."""
    apart = "  " if out.width >= PIPE_WIDTH else "\n"
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("Tenant", overflow="fold", min_width=ID_WIDTH)
    for name in ("Waiting", "Later", "In flight", "Limit", "Weight"):
        table.add_column(name, no_wrap=True, justify="right")
    for line in lines:
        paused = (" (paused)", "yellow") if line.is_paused else ""
        table.add_row(
            Text.assemble(f"{line.tenant_id}{apart}", (line.tenant, "dim"), paused),
            f"{line.waiting:,}",
            f"{line.later:,}",
            f"{line.in_flight:,}",
            _limit(line.max_running),
            f"{line.weight:g}",
        )
    return table


def _rules_table(found: "list[Rule]") -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("Of", overflow="fold", min_width=ID_WIDTH)
    for name in ("Paused", "Limit", "Weight"):
        table.add_column(name, no_wrap=True, justify="right")
    for rule in found:
        weight = f"{rule.weight:g}" if rule.scope == "tenant" else ""
        table.add_row(Text(_about(rule)), "paused" if rule.is_paused else "", _limit(rule.max_running), weight)
    return table


def _limit(most: int | None) -> str:
    return "–" if most is None else f"{most:,}"
