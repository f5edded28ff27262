"""What is said and answered by who looks after jobs: which are meant, what became of them, how the queue stands."""

import re
from datetime import UTC, datetime
from typing import Annotated, Self
from uuid import UUID

import asyncpg
from fastapi import Query
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StringConstraints,
    model_validator,
)
from pydantic_core import PydanticCustomError

from arqueduct.lifecycle import JobState, Outcome
from arqueduct.repositories.backlog import Backlog
from arqueduct.repositories.lists import Workforce
from arqueduct.repositories.steering import JobFilter
from arqueduct_backend.schemas import Answer

__all__ = ["JobAttempt", "JobAttempts", "JobSelection", "KindQuery", "Moment", "Queue", "Steered"]

MOST_NAMED = 1000
"""Values of one field of a selection."""

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,100}$")]


RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d")


def _no_moment() -> PydanticCustomError:
    return PydanticCustomError("not_a_moment", "A moment is written as RFC 3339 has it: 2026-11-22T14:30:00Z.")


def _spelt_out(given: object) -> object:
    """A bare number would be taken for seconds since 1970, or for milliseconds, whichever seems likelier."""
    if not isinstance(given, datetime) and not (isinstance(given, str) and RFC3339.match(given)):
        raise _no_moment()
    return given


def _in_utc(given: datetime) -> datetime:
    if given.tzinfo is None:
        raise _no_moment()
    try:
        return given.astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError("out_of_range", "The moment lies outside of the calendar.") from None


KindQuery = Annotated[str | None, Query(pattern=r"^[a-z0-9._-]{1,100}$", examples=["document.ingest"])]
Moment = Annotated[datetime, BeforeValidator(_spelt_out), AfterValidator(_in_utc)]


class JobSelection(BaseModel):
    """Which of the tenant's jobs are meant: those that fit every field that is given. An empty list fits none."""

    model_config = ConfigDict(
        extra="forbid",
        use_attribute_docstrings=True,
        json_schema_extra={
            "examples": [
                {"states": ["failed"], "error_code": "dependency_unavailable"},
                {"kinds": ["document.ingest"], "created_before": "2026-11-01T00:00:00Z"},
                {"all": True},
            ]
        },
    )
    ids: Annotated[list[UUID] | None, Field(max_length=MOST_NAMED)] = None
    states: Annotated[list[JobState] | None, Field(max_length=MOST_NAMED)] = None
    kinds: Annotated[list[Name] | None, Field(max_length=MOST_NAMED)] = None
    """`webhook.deliver` needs `webhooks:write`; where no kind is named, such jobs are not meant."""
    document_ids: Annotated[list[UUID] | None, Field(max_length=MOST_NAMED)] = None
    parent_id: UUID | None = None
    """The project's or the batch's job of which they are children."""
    user_id: UUID | None = None
    """Who created them."""
    error_code: Name | None = None
    """Of the job's newest error."""
    created_after: Moment | None = None
    created_before: Moment | None = None
    all: StrictBool = False
    """Every job of the tenant. Instead of the other fields."""

    @model_validator(mode="after")
    def _says_which(self) -> Self:
        named = self.model_dump(exclude={"all"}, exclude_none=True)
        if not named and not self.all:
            raise PydanticCustomError("nothing_named", 'Name at least one field, or say "all": true.')
        if named and self.all:
            raise PydanticCustomError("too_much_named", 'Name fields, or say "all": true, but not both.')
        return self

    def filter(self) -> JobFilter:
        return JobFilter(**self.model_dump(exclude={"all"}))


class Steered(Answer):
    """What became of the selected jobs."""

    changed: int
    """Jobs that were waiting, or had ended, and are in their new state now."""
    asked: int
    """Jobs that run; their workers were told and stop within moments."""
    remaining: int
    """Jobs that the same request would change now: more than one request does, or held by somebody all the time."""


class JobAttempt(Answer):
    """One attempt at a job."""

    attempt: int
    worker: str | None
    """Its name, for who has `jobs:inspect`: owners and administrators; null for everybody else."""
    version: str
    """Of the worker."""
    started_at: datetime
    ended_at: datetime | None
    outcome: Outcome | None
    """Null while it runs."""
    stage: str | None = Field(examples=["embedding"])
    """Where it was when it ended."""
    code: str | None = Field(examples=["dependency_unavailable"])
    message: str | None
    traceback: str | None
    """For who has `jobs:inspect`; null for everybody else, and where there was no error."""

    @classmethod
    def of(cls, row: asyncpg.Record) -> "JobAttempt":
        return cls.model_validate(dict(row))


class JobAttempts(Answer):
    """The newest hundred, the oldest of them first."""

    items: list[JobAttempt]


class Queue(Answer):
    """The tenant's jobs that are not finished, and what decides when they run."""

    queued: int
    running: int
    paused: int
    unfinished: int
    """All three."""
    oldest_due_seconds: float
    """For how long the oldest job that is due has been waiting; 0 where none is."""
    live_workers: int
    """Of the whole installation."""
    is_paused: bool
    """By an administrator: the queue, or this tenant's part of it."""
    in_flight: int
    """Jobs that run, or that workers will take next."""
    max_running: int | None
    """How many may be in flight; null: as many as there are workers for."""
    paused_kinds: list[str] = Field(examples=[["report.write"]])
    full_kinds: list[str]
    """Kinds of which as many run as may."""

    @classmethod
    def of(cls, backlog: Backlog, workforce: Workforce) -> "Queue":
        return cls(
            queued=backlog.queued,
            running=backlog.running,
            paused=backlog.paused,
            unfinished=backlog.queued + backlog.running + backlog.paused,
            oldest_due_seconds=round(backlog.oldest_due_seconds, 3),
            live_workers=workforce.live_workers,
            is_paused=workforce.is_paused,
            in_flight=workforce.in_flight,
            max_running=workforce.max_running,
            paused_kinds=workforce.paused_kinds,
            full_kinds=workforce.full_kinds,
        )
