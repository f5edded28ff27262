"""A set in numbers, kept in Redis for a moment: whoever watches a large set asks every second."""

from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from arqueduct.repositories import file_sets
from arqueduct_backend.set_schemas import FileSetStatistics
from arqueduct_backend.state import State

__all__ = ["forget", "statistics"]

TTL = timedelta(seconds=2)
"""Jobs move and nobody forgets for them: so old may their states be."""


async def statistics(services: State, tenant_id: UUID, file_set_id: UUID) -> bytes:
    """`FileSetStatistics` as JSON. Raises `NotFound`."""

    async def count() -> bytes:
        async with services.database.transaction(tenant_id) as transaction:
            await file_sets.find(transaction, file_set_id)
            rows = await file_sets.statistics(transaction, file_set_id)
        return FileSetStatistics.of(rows).model_dump_json().encode()

    return await services.cache.get(_name(tenant_id, file_set_id), count, ttl=TTL)


async def forget(services: State, tenant_id: UUID, file_set_ids: Iterable[UUID]) -> None:
    """After the commit of what put files into these sets, or took some out."""
    await services.cache.forget(*(_name(tenant_id, file_set_id) for file_set_id in file_set_ids))


def _name(tenant_id: UUID, file_set_id: UUID) -> str:
    return f"file-set-statistics:{tenant_id}:{file_set_id}"
