"""Whether somebody is there to take a job."""

from arqueduct.database import Transaction
from arqueduct.repositories.lists import Workforce, workforce
from arqueduct_backend.state import State

__all__ = ["workforce_of"]


async def workforce_of(transaction: Transaction, services: State) -> Workforce:
    return await workforce(transaction, services.settings.alive_time)
