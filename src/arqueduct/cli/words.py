"""Numbers and states in words."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from arqueduct.cli.uploads import Item, Summary

__all__ = [
    "age",
    "age_of",
    "contents",
    "counted",
    "duration",
    "how_it_ended",
    "moment",
    "percent",
    "size",
    "summary_of",
]


def counted(number: int, noun: str) -> str:
    """`1 page`, `1,200 pages`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def duration(seconds: float) -> str:
    """`0.8 s`, `3 s` where whole seconds are all that is known, `42 s`, `3 min 20 s`, `2 h 05 min`."""
    if seconds < 10 and isinstance(seconds, float):
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def age(seconds: float) -> str:
    """`12 s`, `21 min`, `5 h`, `3 d`: as much as a list needs."""
    for least, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= least:
            return f"{seconds / least:.0f} {name}"
    return f"{max(seconds, 0):.0f} s"


def age_of(moment: str) -> str:
    """Of what was made at a moment, as the API tells it."""
    return age((datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds())


def moment(told: str) -> str:
    """`2026-11-22 14:30`, in UTC, of what the API tells."""
    return f"{datetime.fromisoformat(told).astimezone(UTC):%Y-%m-%d %H:%M}"


def size(bytes: int) -> str:
    """`812 B`, `34.1 kB`, `1,204.5 MB`."""
    if bytes < 1024:
        return f"{bytes} B"
    return f"{bytes / 2**10:,.1f} kB" if bytes < 2**20 else f"{bytes / 2**20:,.1f} MB"


def percent(share: float) -> str:
    """`62 %`; 100 % is only what is whole."""
    return f"{math.floor(share * 100 + 1e-9)} %"


def contents(document: Mapping[str, Any]) -> str:
    """What was found in a document: `36 pages, 120 passages`."""
    nouns = (("pages", "page"), ("chunks", "passage"))
    return ", ".join(counted(document[name], noun) for name, noun in nouns if document.get(name) is not None)


def how_it_ended(item: Item) -> tuple[bool, str]:
    """Whether it completed, and a line that says it or why not."""
    if item.error is not None:
        return False, f"not accepted: {item.error.message} {item.error.advice}"
    told = item.progress
    if told is None:
        return True, "accepted"
    if told.error is not None and told.state == "failed":
        return False, f"failed: {told.error.get('message')} {told.error.get('advice') or ''}".rstrip()
    found = contents(item.document or {})
    return told.state == "completed", f"{told.state} in {duration(item.took)}{', ' + found if found else ''}"


def summary_of(summary: Summary) -> str:
    parts = [
        f"{number:,} {word}"
        for number, word in (
            (summary.completed, "completed"),
            (summary.queued, "accepted"),
            (summary.failed, "failed"),
            (summary.cancelled, "cancelled"),
            (summary.refused, "not accepted"),
        )
        if number
    ]
    return (
        f"{counted(summary.documents, 'document')}: {', '.join(parts) or 'nothing to do'}, {duration(summary.seconds)}"
    )
