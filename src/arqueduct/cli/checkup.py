"""What `arqueduct doctor` says of one thing, and how questions that may hang or fail are asked."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from arqueduct.errors import ArqueductError

__all__ = ["Check", "Finding", "Verdict", "ask", "bad", "good", "skipped", "weak"]


class Verdict(StrEnum):
    OK = "ok"
    WARNING = "warning"
    """It works, but not as it should."""
    FAILED = "failed"
    SKIPPED = "skipped"
    """Nothing to look at here and now."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Without the name of what was looked at."""

    verdict: Verdict
    detail: str
    advice: str = ""


@dataclass(frozen=True, kw_only=True)
class Check:
    name: str
    verdict: Verdict
    detail: str
    advice: str = ""


def good(detail: str) -> Finding:
    return Finding(verdict=Verdict.OK, detail=detail)


def weak(detail: str, advice: str) -> Finding:
    return Finding(verdict=Verdict.WARNING, detail=detail, advice=advice)


def bad(detail: str, advice: str) -> Finding:
    return Finding(verdict=Verdict.FAILED, detail=detail, advice=advice)


def skipped(detail: str) -> Finding:
    return Finding(verdict=Verdict.SKIPPED, detail=detail)


async def ask(name: str, question: Callable[[], Awaitable[Finding]], *, seconds: float = 15) -> Check:
    """One question; an error or a silence is an answer too."""
    try:
        async with asyncio.timeout(seconds):
            found = await question()
    except TimeoutError:
        found = bad(f"no answer within {seconds:g} s", "Look whether the machine or the network is overloaded.")
    except ArqueductError as error:
        found = bad(error.message, error.advice if "doctor" not in error.advice else "")
    except Exception as error:
        found = bad(f"{type(error).__name__}: {error}", "")
    return Check(name=name, verdict=found.verdict, detail=found.detail, advice=found.advice)
