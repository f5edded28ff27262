"""Making a parent with its children: all of them in the transaction of whoever asks, by a handful of statements."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg

from arqueduct import storable
from arqueduct.database import Driver
from arqueduct.families import Policy
from arqueduct.ids import new_id
from arqueduct.lifecycle import Priority
from arqueduct.repositories import folding
from arqueduct.repositories.originals import RESTORE
from arqueduct.repositories.statements import noting

__all__ = ["BATCH", "INGEST", "PROJECT", "Brood", "busy", "hold", "page", "plant", "slowest"]

PROJECT, BATCH = "project.process", "batch.run"
"""Kinds of parents. No pipeline has them: no worker ever runs one."""
INGEST = "document.ingest"
"""Jobs that give their document its status, whoever makes them; others do so in a project only."""


@dataclass(frozen=True, kw_only=True)
class Brood:
    """What is to be made: one parent, and a child for each document."""

    tenant_id: UUID
    user_id: UUID
    parent_kind: str
    name: str
    """Of the parent, where a child has the name of its document."""
    kind: str
    """Of the children: the pipeline that they run."""
    document_ids: Sequence[UUID]
    payload: dict[str, Any] = field(default_factory=dict)
    """Of each child."""
    about: dict[str, Any] = field(default_factory=dict)
    """Payload of the parent."""
    policy: Policy = field(default_factory=Policy)
    priority: Priority = Priority.NORMAL
    max_failures: int = 5
    gives_status: bool = True
    """A document's status is the state of this job from now on."""

    @property
    def of_archived(self) -> bool:
        """What is put away can only be brought back, and only what is put away."""
        return self.kind == RESTORE


_PARENT = """
    INSERT INTO jobs (id, tenant_id, user_id, kind, children, document_name, payload, priority, run_after)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'infinity')
"""

_RULES = "INSERT INTO parents (job_id, tenant_id, on_error, threshold) VALUES ($1, $2, $3, $4)"

# Documents that went, or were put away or brought back meanwhile, get no child.
_CHILDREN = """
    INSERT INTO jobs (id, tenant_id, user_id, kind, parent_id, document_id, document_name, payload, weight, size,
        priority, max_failures)
    SELECT new.id, d.tenant_id, $3, $4, $5, d.id, d.name, $6::jsonb, expected_work($4, d.content_type, d.size), d.size,
        $7, $8
    FROM unnest($1::uuid[], $2::uuid[]) AS new(id, document_id) JOIN documents d ON d.id = new.document_id
    WHERE d.deleted_at IS NULL AND (d.archived_at IS NOT NULL) = $9
    ORDER BY new.id
    RETURNING id
"""

# In the order of their ids, as everybody locks documents; and before any job is locked.
_LOCK_DOCUMENTS = """
    SELECT id FROM documents WHERE id = ANY ($1) AND deleted_at IS NULL AND (archived_at IS NOT NULL) = $2
    ORDER BY id FOR NO KEY UPDATE
"""
# As uploads of the same bytes do, so that the janitor takes no text that the new jobs count on.
_LOCK_BLOBS = """
    SELECT FROM blobs WHERE id IN (SELECT blob_id FROM documents WHERE id = ANY ($1))
    ORDER BY sha256 FOR NO KEY UPDATE
"""
_BUSY = """
    SELECT d.id FROM documents d CROSS JOIN LATERAL (
        SELECT FROM jobs j WHERE j.id = d.job_id AND j.finished_at IS NULL OFFSET 0
    ) j WHERE d.id = ANY ($1)
"""
_STATUS = """
    UPDATE documents d SET job_id = j.id FROM jobs j WHERE j.parent_id = $1 AND d.id = j.document_id
"""
_NOTE_CHILDREN = """
    INSERT INTO job_events (job_id, seq, tenant_id, type, state, stage, progress, details, attempt)
    SELECT id, seq, tenant_id, 'job_queued', state, stage, progress, details, fence FROM jobs WHERE parent_id = $1
"""
_NOTE_PARENT = noting("job_queued", "SELECT * FROM jobs WHERE id = $1")

_PAGE_COLUMNS = """
    j.id, j.kind, j.document_id, j.document_name, j.state, j.stage, j.progress, j.message, j.details, j.eta_seconds,
    j.error, j.fence, j.seq, j.size, j.pages, j.chunks, j.tokens, j.embedding_requests, j.cache_hits, j.created_at,
    j.started_at, j.finished_at
"""
# Paths are looked up for what is shown, and for no other child.
_PAGE = f"""
    SELECT j.*, f.path FROM (
        SELECT {_PAGE_COLUMNS} FROM jobs j WHERE j.parent_id = $1 {{where}} ORDER BY {{order}} LIMIT $3
    ) j LEFT JOIN file_set_files f ON f.file_set_id = $2 AND f.document_id = j.document_id ORDER BY {{order}}
"""


async def hold(driver: Driver, document_ids: Sequence[UUID], *, of_archived: bool = False) -> set[UUID]:
    """Those that are there, or those that are archived; until the transaction ends nobody else changes them, begins to
    process them, or deletes what earlier jobs kept of their bytes.
    """
    held = {row["id"] for row in await driver.fetch(_LOCK_DOCUMENTS, document_ids, of_archived)}
    await driver.execute(_LOCK_BLOBS, held)
    return held


async def busy(driver: Driver, document_ids: Sequence[UUID]) -> set[UUID]:
    """Those whose newest job is not finished. It holds for as long as they are held."""
    return {row["id"] for row in await driver.fetch(_BUSY, document_ids)}


async def plant(driver: Driver, brood: Brood) -> asyncpg.Record:
    """Makes the parent with its children, which stand in line when the transaction commits; returns its new state.

    Its `children` is how many there are: documents that are not there (any more) get none, nor do archived ones, but
    for jobs that restore them.
    """
    parent_id = new_id()
    held = await hold(driver, brood.document_ids, of_archived=brood.of_archived)
    await driver.execute(
        _PARENT,
        parent_id,
        brood.tenant_id,
        brood.user_id,
        brood.parent_kind,
        len(held),
        brood.name,
        storable.json(brood.about),
        brood.priority,
    )
    policy = brood.policy
    await driver.execute(_RULES, parent_id, brood.tenant_id, policy.on_error, policy.threshold)
    # In the order that was asked for: ids grow, and the line goes by them.
    wanted = [document_id for document_id in dict.fromkeys(brood.document_ids) if document_id in held]
    made = await driver.fetch(
        _CHILDREN,
        [new_id() for _ in wanted],
        wanted,
        brood.user_id,
        brood.kind,
        parent_id,
        storable.json(brood.payload),
        brood.priority,
        brood.max_failures,
        brood.of_archived,
    )
    if brood.gives_status:
        await driver.execute(_STATUS, parent_id)
    await driver.execute(_NOTE_CHILDREN, parent_id)
    noted = await driver.fetch(_NOTE_PARENT, parent_id)
    await driver.execute("SELECT line_up($1)", [row["id"] for row in made])
    # With what it was made of: nobody ever sees a parent that knows of no children.
    folded = await folding.fold(driver, [parent_id])
    return folded.rows[0] if folded.rows else noted[0]


async def page(
    driver: Driver,
    parent_id: UUID,
    *,
    limit: int,
    after: UUID | None = None,
    state: str | None = None,
    file_set_id: UUID | None = None,
) -> list[asyncpg.Record]:
    """Children in the order in which they were made, from the one behind `after`; with their paths in the file set.

    The transaction reads `by_index`, or this reads all of them.
    """
    values: list[Any] = [parent_id, file_set_id, limit]
    where = ""
    for condition, value in (("j.id >", after), ("j.state =", state)):
        if value is not None:
            values.append(value)
            where += f" AND {condition} ${len(values)}"
    return await driver.fetch(_PAGE.format(where=where, order="j.id"), *values)


async def slowest(
    driver: Driver, parent_id: UUID, *, limit: int, file_set_id: UUID | None = None
) -> list[asyncpg.Record]:
    """Completed children that took longest, from their first claim to their end. As for `page`."""
    statement = _PAGE.format(where="AND j.state = 'completed'", order="(j.finished_at - j.started_at) DESC")
    return await driver.fetch(statement, parent_id, file_set_id, limit)
