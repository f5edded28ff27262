"""What the analytics of processing say: per stage how often, how long, with which errors; what was done when."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import asyncpg
from pydantic import Field

from arqueduct.durations import RELATIVE_ERROR, Durations
from arqueduct.eta import JOB, WAIT
from arqueduct.spans import Group, moments
from arqueduct_backend.schemas import Answer

__all__ = ["Processing", "Scope", "answer"]

DIGITS = 6
"""Of seconds: microseconds are what is kept."""

Scope = Literal["user", "tenant"]


class Seconds(Answer):
    """Of those that went well. Percentiles are within `relative_error` of what was measured; null where nothing was."""

    mean: float | None
    p50: float | None
    p95: float | None
    p99: float | None

    @classmethod
    def of(cls, durations: Durations) -> "Seconds":
        found = {f"p{number}": durations.percentile(number / 100) for number in (50, 95, 99)} | {"mean": durations.mean}
        return cls.model_validate(
            {name: None if value is None else round(value, DIGITS) for name, value in found.items()}
        )


class StageNumbers(Answer):
    """A stage of a kind of job, in all attempts."""

    kind: str = Field(examples=["document.ingest"])
    stage: str = Field(examples=["extract"])
    runs: int
    """That ended, well or in an error. One that was stopped, by a cancel say, is none."""
    errors: int
    error_rate: float = Field(ge=0, le=1)
    errors_by_code: dict[str, int] = Field(examples=[{"pdf_broken": 3}])
    seconds: Seconds


class JobNumbers(Answer):
    """Whole jobs of a kind, as far as they completed, and what they made."""

    kind: str = Field(examples=["document.ingest"])
    completed: int
    deaths: int
    """Attempts whose worker died before any stage began."""
    seconds: Seconds
    """Of the attempt that completed."""
    documents: int
    pages: int
    chunks: int


class WaitNumbers(Answer):
    """From due to taken by a worker."""

    kind: str = Field(examples=["document.ingest"])
    attempts: int
    seconds: Seconds


class Done(Answer):
    """What was completed in an hour or a day (UTC)."""

    began_at: datetime
    jobs: int
    documents: int
    pages: int
    chunks: int


class Processing(Answer):
    """How processing went in a stretch of time, by when each run ended."""

    from_: datetime = Field(alias="from")
    """As asked, rounded down to the hour; to the day where only days are kept any more."""
    to: datetime
    """As asked, rounded up alike. What ended at this moment does not count."""
    scope: Scope
    """Of one user's jobs, or of all the tenant's."""
    group: Group
    """Of the series."""
    relative_error: float
    """Bound of the error of percentiles, of what takes a millisecond or more."""
    stages: list[StageNumbers]
    jobs: list[JobNumbers]
    waits: list[WaitNumbers]
    series: list[Done]
    """Every hour or day, those without anything too; of the first and the last one only what lies in the range."""


@dataclass(kw_only=True)
class _Tally:
    """One stage of one kind."""

    well: Durations = field(default_factory=Durations)
    codes: Counter[str] = field(default_factory=Counter)
    documents: int = 0
    pages: int = 0
    chunks: int = 0

    @property
    def errors(self) -> int:
        return self.codes.total()

    def add(self, row: asyncpg.Record, code: str) -> None:
        if code:
            self.codes[code] += row["runs"]
            return
        self.well.add(row["bucket"], row["runs"], row["microseconds"])
        self.documents += row["documents"]
        self.pages += row["pages"]
        self.chunks += row["chunks"]


def answer(
    *,
    low: datetime,
    high: datetime,
    scope: Scope,
    group: Group,
    sums: Iterable[asyncpg.Record],
    series: Sequence[asyncpg.Record],
) -> Processing:
    """Out of the rows of `repositories.stage_runs`."""
    tallies: defaultdict[tuple[str, str], _Tally] = defaultdict(_Tally)
    for row in sums:
        tallies[row["kind"], row["stage"]].add(row, row["code"])
    parts = sorted(tallies.items())
    return Processing.model_validate(
        {
            "from": low,
            "to": high,
            "scope": scope,
            "group": group,
            "relative_error": RELATIVE_ERROR,
            "stages": [_stage(kind, stage, tally) for (kind, stage), tally in parts if stage not in (JOB, WAIT)],
            "jobs": [_job(kind, tally) for (kind, stage), tally in parts if stage == JOB],
            "waits": [
                WaitNumbers(kind=kind, attempts=tally.well.runs, seconds=Seconds.of(tally.well))
                for (kind, stage), tally in parts
                if stage == WAIT
            ],
            "series": list(_gapless(series, low, high, group)),
        }
    )


def _stage(kind: str, stage: str, tally: _Tally) -> StageNumbers:
    runs = tally.well.runs + tally.errors
    return StageNumbers(
        kind=kind,
        stage=stage,
        runs=runs,
        errors=tally.errors,
        error_rate=round(tally.errors / runs, 6),
        errors_by_code=dict(tally.codes.most_common()),
        seconds=Seconds.of(tally.well),
    )


def _job(kind: str, tally: _Tally) -> JobNumbers:
    return JobNumbers(
        kind=kind,
        completed=tally.well.runs,
        deaths=tally.errors,
        seconds=Seconds.of(tally.well),
        documents=tally.documents,
        pages=tally.pages,
        chunks=tally.chunks,
    )


def _gapless(rows: Sequence[asyncpg.Record], low: datetime, high: datetime, group: Group) -> Iterator[Done]:
    found = {row["began_at"]: row for row in rows}
    for moment in moments(low, high, group):
        row = found.get(moment)
        numbers = {name: row[name] if row else 0 for name in ("jobs", "documents", "pages", "chunks")}
        yield Done(began_at=moment, **numbers)
