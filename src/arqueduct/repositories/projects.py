"""Projects and their runs. Row-level security keeps to the transaction's tenant."""

from collections.abc import Sequence
from uuid import UUID

from sqlmodel import select

from arqueduct.database import Transaction
from arqueduct.errors import NotFound
from arqueduct.models import Job, Project, ProjectRun
from arqueduct.profiles import Profile

__all__ = [
    "add_run",
    "delete",
    "documents_of",
    "find",
    "has_open",
    "hold",
    "page",
    "runs",
]

_DOCUMENTS = """
    SELECT d.id FROM file_set_files f JOIN documents d ON d.id = f.document_id
    WHERE f.file_set_id = $1 AND d.deleted_at IS NULL AND d.archived_at IS NULL ORDER BY f.path
"""
# Of several documents of the same bytes the one that came first; and none whose bytes another one of the tenant, that
# was processed already and can be found, has. Those are counted once for each blob: thousands may have the same.
_WITHOUT_DUPLICATES = """
    WITH mine AS MATERIALIZED (
        SELECT d.id, d.blob_id, f.path, row_number() OVER (PARTITION BY d.sha256 ORDER BY d.id) AS nth,
            coalesce(j.state = 'completed', false) AS is_done
        FROM file_set_files f JOIN documents d ON d.id = f.document_id LEFT JOIN jobs j ON j.id = d.job_id
        WHERE f.file_set_id = $1 AND d.deleted_at IS NULL AND d.archived_at IS NULL
    ), known AS MATERIALIZED (
        SELECT b.blob_id, o.done FROM (SELECT DISTINCT blob_id FROM mine) b CROSS JOIN LATERAL (
            SELECT count(*) AS done FROM documents o JOIN jobs j ON j.id = o.job_id
            WHERE o.blob_id = b.blob_id AND o.deleted_at IS NULL AND o.archived_at IS NULL AND j.state = 'completed'
        ) o
    )
    SELECT m.id, m.nth = 1 AND k.done = m.is_done::int AS is_wanted
    FROM mine m JOIN known k ON k.blob_id = m.blob_id ORDER BY m.path
"""


async def find(transaction: Transaction, project_id: UUID) -> tuple[Project, Job]:
    """A project, and the job of its newest run. Raises `NotFound`."""
    query = select(Project, Job).join(Job, Job.id == Project.job_id).where(Project.id == project_id)  # type: ignore[arg-type]  # SQLModel types the comparison as bool
    found = (await transaction.session.exec(query)).one_or_none()
    if found is None:
        raise NotFound
    return found[0], found[1]


async def hold(transaction: Transaction, project_id: UUID) -> Project:
    """Nobody else changes it until the transaction ends. Raises `NotFound`."""
    query = select(Project).where(Project.id == project_id).with_for_update(key_share=True)
    found = (await transaction.session.exec(query)).one_or_none()
    if found is None:
        raise NotFound
    return found


async def has_open(transaction: Transaction, file_set_id: UUID) -> bool:
    """Whether a project that is not archived has this set. It holds as long as the set is locked."""
    return bool(
        await transaction.driver.fetchval(
            "SELECT EXISTS (SELECT FROM projects WHERE file_set_id = $1 AND archived_at IS NULL)", file_set_id
        )
    )


async def page(transaction: Transaction, *, limit: int, before: UUID | None) -> Sequence[tuple[Project, Job]]:
    """The newest first, from the one older than `before`."""
    query = (
        select(Project, Job)
        .join(Job, Job.id == Project.job_id)  # type: ignore[arg-type]  # SQLModel types the comparison as bool
        .order_by(Project.id.desc())  # type: ignore[attr-defined]  # a column, not a UUID
        .limit(limit)
    )
    if before is not None:
        query = query.where(Project.id < before)
    return [(project, job) for project, job in await transaction.session.exec(query)]


async def runs(
    transaction: Transaction, project_id: UUID, *, limit: int, before: int | None = None
) -> Sequence[tuple[ProjectRun, Job]]:
    """The newest first, from the one before the number `before`."""
    query = (
        select(ProjectRun, Job)
        .join(Job, Job.id == ProjectRun.job_id)  # type: ignore[arg-type]  # SQLModel types the comparison as bool
        .where(ProjectRun.project_id == project_id)
        .order_by(ProjectRun.number.desc())  # type: ignore[attr-defined]  # a column, not an int
        .limit(limit)
    )
    if before is not None:
        query = query.where(ProjectRun.number < before)
    return [(run, job) for run, job in await transaction.session.exec(query)]


async def documents_of(
    transaction: Transaction, file_set_id: UUID, *, skips_duplicates: bool
) -> tuple[list[UUID], int]:
    """What a run of this set processes, in the order of the paths: none that is archived; and how many duplicates it
    leaves out.
    """
    driver = transaction.driver
    if not skips_duplicates:
        return [row["id"] for row in await driver.fetch(_DOCUMENTS, file_set_id)], 0
    rows = await driver.fetch(_WITHOUT_DUPLICATES, file_set_id)
    wanted = [row["id"] for row in rows if row["is_wanted"]]
    return wanted, len(rows) - len(wanted)


async def add_run(
    transaction: Transaction, project: Project, job_id: UUID, profile: Profile, skipped: int
) -> ProjectRun:
    """The next one, of a project that is held or new."""
    newest: int | None = await transaction.driver.fetchval(
        "SELECT max(number) FROM project_runs WHERE project_id = $1", project.id
    )
    run = ProjectRun(
        project_id=project.id,
        number=(newest or 0) + 1,
        tenant_id=project.tenant_id,
        job_id=job_id,
        profile_id=profile.id,
        profile_name=profile.name,
        profile_version=profile.version,
        skipped=skipped,
    )
    transaction.session.add(run)
    await transaction.session.flush()
    await transaction.session.refresh(run)
    return run


async def delete(transaction: Transaction, project: Project) -> None:
    """The project, not its documents, its set or its jobs."""
    await transaction.session.delete(project)
    await transaction.session.flush()
