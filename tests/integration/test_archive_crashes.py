"""A worker dies on the way of a document into the archive or out of it: its bytes are there, and it arrives."""

import asyncio
import hashlib
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest

from arqueduct.identity import NewIdentity
from arqueduct.ids import new_id
from arqueduct.lifecycle import Outcome
from arqueduct.repositories import jobs, originals
from arqueduct.repositories.originals import ARCHIVE, RESTORE, Original
from arqueduct.settings import Settings
from tests.integration.launcher import Launcher, Program, launching, loading
from tests.integration.trial import TEXT, Trial, trying

DIED, COMPLETED = Outcome.WORKER_DIED, Outcome.COMPLETED


@pytest.fixture(scope="module")
async def program() -> AsyncIterator[Program]:
    async with loading() as loaded:
        yield loaded


@pytest.fixture
async def launcher(program: Program) -> AsyncIterator[Launcher]:
    async with launching(program) as started:
        yield started


@pytest.fixture
async def trial(settings: Settings, me: NewIdentity) -> AsyncIterator[Trial]:
    async with trying(settings, me, lease=30.0, redispatch=0.2, max_crashes=2) as prepared:
        yield prepared


async def ask(trial: Trial, kind: str, document: UUID) -> UUID:
    """The job, committed as the API or a batch does it."""
    job = new_id()
    await trial.owner.execute(
        "INSERT INTO jobs (id, tenant_id, user_id, kind, document_id) VALUES ($1, $2, $3, $4, $5)",
        job,
        trial.me.tenant_id,
        trial.me.user_id,
        kind,
        document,
    )
    await jobs.note_created(trial.owner, [job])
    return job


def bytes_of(trial: Trial, original: Original) -> str:
    """Digest of the file that the row names; a cold one is unpacked."""
    import zstandard

    assert original.key is not None
    content = (trial.settings.data_dir / "storage" / original.key).read_bytes()
    plain = zstandard.ZstdDecompressor().decompress(content) if original.place == "cold" else content
    return hashlib.sha256(plain).hexdigest()


async def where(trial: Trial) -> str:
    """The place of the one blob, whose bytes must be there, and right."""
    found = await originals.find(trial.owner, await trial.owner.fetchval("SELECT id FROM blobs"))
    assert found is not None
    assert await asyncio.to_thread(bytes_of, trial, found) == found.sha256 == hashlib.sha256(TEXT).hexdigest()
    return found.place


def files(root: Path) -> int:
    return sum(1 for path in root.rglob("original*") if path.is_file())


STORIES = [
    (ARCHIVE, "hidden", "hot"),
    (ARCHIVE, "cold file there", "hot"),
    (ARCHIVE, "row says cold, not committed", "hot"),
    (ARCHIVE, "completion written", "hot"),
    (ARCHIVE, "moved, old file there", "cold"),
    (ARCHIVE, "old file gone", "cold"),
    (RESTORE, "thawed", "cold"),
    (RESTORE, "revealed, not committed", "cold"),
    (RESTORE, "row says hot, not committed", "cold"),
    (RESTORE, "completion written", "cold"),
    (RESTORE, "moved, old file there", "hot"),
    (RESTORE, "old file gone", "hot"),
]


@pytest.mark.parametrize(
    ("kind", "point", "left"),
    STORIES,
    ids=[f"{kind} {point}".replace(" ", "_").replace(",", "") for kind, point, _ in STORIES],
)
async def test_a_worker_dies_and_the_document_arrives(
    kind: str, point: str, left: str, trial: Trial, launcher: Launcher
) -> None:
    ingest = await trial.deliver()
    healthy = await launcher.start(trial.settings)
    document = (await trial.reaches(ingest, state="completed"))["document_id"]
    if kind == RESTORE:
        await trial.reaches(await ask(trial, ARCHIVE, document), state="completed")
    healthy.send(signal.SIGTERM)
    await healthy.ended()
    bought = len(trial.provider.texts)

    job = await ask(trial, kind, document)
    doomed = await launcher.start(trial.settings, point=point)
    assert await doomed.ended() == -signal.SIGKILL
    assert await where(trial) == left
    has_ended = (await trial.row(job))["state"] == "completed"
    await trial.lapse()

    await launcher.start(trial.settings)
    await trial.reaches(job, state="completed")
    assert await trial.outcomes(job) == ([COMPLETED] if has_ended else [DIED, COMPLETED])
    assert await where(trial) == ("cold" if kind == ARCHIVE else "hot")
    archived = await trial.owner.fetchval("SELECT archived_at IS NOT NULL FROM documents")
    assert archived is (kind == ARCHIVE)
    assert len(trial.provider.texts) == bought
    # The original, its text, and what an attempt that died had made: that is the janitor's, a day later.
    assert await asyncio.to_thread(files, trial.settings.data_dir / "storage") <= 3
    assert await trial.broken_rules() == []
