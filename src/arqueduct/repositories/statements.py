"""How changes of rows are written: of a job with its line of history, and the end of the attempt, if it ends one."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlmodel import func

from arqueduct.database import Transaction
from arqueduct.lifecycle import Outcome
from arqueduct.models import Document, FileSet, Project

__all__ = ["COLUMNS", "TOUCHED", "moving", "noting", "revise"]

TOUCHED = "updated_at = greatest(clock_timestamp(), updated_at + interval '1 microsecond')"
"""The time of a row that is changed moves on, also where the clock does not."""

COLUMNS = """
    id, tenant_id, user_id, kind, parent_id, children, document_id, document_name, state, stage, progress, message,
    details, eta_seconds, eta_range, error, fence, seq, updated_at, dispatch, run_after
"""
"""What `messages.message_of` reads of a row."""

_NOTE = """
    INSERT INTO job_events (job_id, seq, tenant_id, type, state, stage, progress, message, details, error, attempt)
    SELECT id, seq, tenant_id, '{event}', state, stage, progress, message, details, error, fence FROM moved
"""

# `old` is the row as the statement found it: all parts of a statement see the same snapshot.
_END = """
    UPDATE job_attempts a SET ended_at = clock_timestamp(), outcome = '{outcome}', stage = old.stage,
        code = m.error ->> 'code', message = m.error ->> 'message', traceback = {traceback}
    FROM moved m JOIN jobs old ON old.id = m.id
    WHERE a.job_id = m.id AND a.ended_at IS NULL
"""


def moving(
    event: str, update: str, *, outcome: Outcome | None = None, traceback: str = "NULL", returning: str = "*"
) -> str:
    """A statement that changes rows, notes the change in the history, and returns the new state.

    With an outcome it also ends the attempt that is under way, if one is. `returning`: all columns of the rows.
    """
    ended = "" if outcome is None else f", ended AS ({_END.format(outcome=outcome, traceback=traceback)})"
    return noting(event, f"{update} RETURNING {returning}", ended)


def noting(event: str, rows: str, more: str = "") -> str:
    """A statement that notes rows as they are in the history, and returns them."""
    return f"WITH moved AS ({rows}), noted AS ({_NOTE.format(event=event)}){more} SELECT {COLUMNS} FROM moved"


async def revise(transaction: Transaction, row: Document | FileSet | Project, changes: Mapping[str, Any]) -> None:
    """Changes a row that is locked, and moves its time on as `TOUCHED` does."""
    moved = func.greatest(func.clock_timestamp(), type(row).updated_at + timedelta(microseconds=1))  # type: ignore[operator]  # a column, not a datetime
    for name, value in {**changes, "updated_at": moved}.items():
        setattr(row, name, value)
    await transaction.session.flush()
    await transaction.session.refresh(row)
