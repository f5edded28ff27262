"""What a contest found, as values and as a table."""

import statistics
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import msgspec
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from arqueduct.cli.words import counted

__all__ = ["ContestReport", "Figure", "Measure", "Pair", "QueueReport", "Spread", "report_of", "table_of"]

Pair: TypeAlias = tuple[float, float | None]
"""What we reached and what the rival did; `None` where it is left out."""


class Measure(NamedTuple):
    """What is compared. Of what has the unit `jobs/s` more is better, of what has `ms` less is."""

    name: str
    unit: str
    least_ratio: float | None = None
    """How many times better than the rival we mean to be."""
    limit: float | None = None
    """What we mean to stay below."""


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """Over the rounds."""

    median: float
    least: float
    most: float


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """`ratios` says how many times better we are, each within one round: absolute speed drifts, this does not.

    It is `None`, and so is `rival`, where the rival is left out.
    """

    name: str
    unit: str
    ours: Spread
    rival: Spread | None
    ratios: Spread | None
    target: str | None
    is_met: bool | None


class ContestReport(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    ours: str
    rival: str
    left_out: str | None
    """Why the rival is not measured."""
    settings: dict[str, int | str]
    figures: list[Figure]


class QueueReport(msgspec.Struct, frozen=True, kw_only=True):
    rounds: int
    cpus: int
    contests: list[ContestReport]


def report_of(measure: Measure, pairs: Sequence[Pair]) -> Figure:
    """From what we and the rival reached in each round."""
    ours = _spread([reached for reached, _ in pairs])
    both = [(reached, other) for reached, other in pairs if other is not None]
    ratios = _spread([b / a if measure.unit == "ms" else a / b for a, b in both]) if both else None
    target, is_met = None, None
    if measure.least_ratio is not None:
        target = f"≥ {measure.least_ratio:g} ×"
        is_met = ratios.median >= measure.least_ratio if ratios else None
    elif measure.limit is not None:
        target, is_met = f"< {measure.limit:g} {measure.unit}", ours.median < measure.limit
    return Figure(
        name=measure.name,
        unit=measure.unit,
        ours=ours,
        rival=_spread([other for _, other in both]) if both else None,
        ratios=ratios,
        target=target,
        is_met=is_met,
    )


def table_of(report: QueueReport) -> RenderableType:
    parts: list[RenderableType] = []
    for contest in report.contests:
        table = Table(box=None, pad_edge=False, header_style="dim")
        table.add_column("", no_wrap=True)
        for name in (contest.ours, contest.rival, "better by", "target", ""):
            table.add_column(name, justify="right", no_wrap=True)
        for figure in contest.figures:
            verdict = {None: Text(""), True: Text("met", "green"), False: Text("missed", "red")}[figure.is_met]
            both = (_cell(spread, figure.unit) for spread in (figure.ours, figure.rival))
            table.add_row(Text(figure.name, "dim"), *both, _cell(figure.ratios, "×"), figure.target or "", verdict)
        parts += [Text(contest.name, "bold"), table]
        if contest.left_out is not None:
            parts.append(Text(f"{contest.rival} is left out: {contest.left_out}", "yellow"))
        parts += [Text(" · ".join(_setting(*setting) for setting in contest.settings.items()), "dim"), ""]
    said = f"Medians of {counted(report.rounds, 'round')} (least–most), {counted(report.cpus, 'CPU')}. "
    said += "Only ratios within a round mean something: speed drifts."
    return Group(*parts, Text(said, "dim"))


def _setting(name: str, value: int | str) -> str:
    """Numbers need their name; words speak for themselves."""
    return f"{name} {value:,}" if isinstance(value, int) else value


def _cell(spread: Spread | None, unit: str) -> str:
    if spread is None:
        return "left out"
    digits = 0 if spread.median >= 100 else 2
    return f"{spread.median:,.{digits}f} {unit} ({spread.least:,.{digits}f}–{spread.most:,.{digits}f})"


def _spread(values: Sequence[float]) -> Spread:
    return Spread(median=round(statistics.median(values), 3), least=round(min(values), 3), most=round(max(values), 3))
