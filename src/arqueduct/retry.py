"""When a failed attempt is tried again: values in, values out."""

import random
from collections.abc import Sequence
from datetime import timedelta

from arqueduct import storable
from arqueduct.errors import ArqueductError, TransientError

__all__ = ["backoff", "is_retryable", "problem_of", "scheduled"]

FIRST = 2.0
LONGEST = 600.0
LONGEST_ASKED = 3600.0
"""A provider that asks for more than this is treated as if it had asked for this."""
JITTER = 0.2
"""Share by which a pause of a schedule varies, so that what failed together is not tried together."""


def backoff(failures: int, *, retry_after: timedelta | None = None) -> timedelta:
    """How long to wait after the n-th failure: exponential with full jitter, never less than was asked for."""
    ceiling = min(LONGEST, FIRST * 2 ** min(max(failures - 1, 0), 20))
    jittered = random.uniform(0, ceiling)  # noqa: S311  # spreads load, guards nothing
    asked = min(retry_after.total_seconds(), LONGEST_ASKED) if retry_after else 0.0
    return timedelta(seconds=asked + jittered)


def scheduled(failures: int, pauses: Sequence[float], *, retry_after: timedelta | None = None) -> timedelta:
    """How long to wait after the n-th failure by a table of seconds, never less than was asked for."""
    pause = pauses[min(max(failures, 1), len(pauses)) - 1] * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311  # spreads load
    asked = min(retry_after.total_seconds(), LONGEST_ASKED) if retry_after else 0.0
    return timedelta(seconds=max(pause, asked))


def is_retryable(error: BaseException) -> bool:
    """Transient errors, and errors nobody foresaw: a bug may be mended, a machine may be sick."""
    return isinstance(error, TransientError) or not isinstance(error, ArqueductError)


def problem_of(error: BaseException, stage: str) -> dict[str, object]:
    """What a user reads of an error: `{code, message, stage, retryable, advice}`."""
    known = error if isinstance(error, ArqueductError) else ArqueductError()
    return {
        "code": known.code,
        "message": storable.text(known.message),
        "stage": stage,
        "retryable": is_retryable(error),
        "advice": known.advice,
    }
