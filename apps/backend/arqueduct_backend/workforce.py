"""Whether somebody is there to take a job."""

from datetime import timedelta

from arqueduct.database import Transaction
from arqueduct.repositories.lists import Workforce, workforce
from arqueduct_backend.state import State

__all__ = ["patience", "workforce_of"]

MISSED_BEATS = 3
"""One sign of life may be late; a worker that owes three is gone."""


def patience(services: State) -> timedelta:
    """How old a worker's sign of life may be."""
    return timedelta(seconds=MISSED_BEATS * services.settings.heartbeat)


async def workforce_of(transaction: Transaction, services: State) -> Workforce:
    return await workforce(transaction, patience(services))
