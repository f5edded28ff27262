"""What a worker process opens once."""

from dataclasses import dataclass
from pathlib import Path

import asyncpg

from arqueduct.admitter import Admitter
from arqueduct.database import Database
from arqueduct.dispatcher import Dispatcher
from arqueduct.embedding import Embedder
from arqueduct.pipeline import Parsers, Registry
from arqueduct.queue import Queue
from arqueduct.repositories.jobs import End
from arqueduct.room import Room
from arqueduct.settings import Settings
from arqueduct.shared import Shared
from arqueduct.storage import Storage
from arqueduct.together import Together
from arqueduct.webhooks.sender import Sender
from arqueduct_worker.leases import Leases
from arqueduct_worker.reporter import Reporter
from arqueduct_worker.run_log import RunLog
from arqueduct_worker.shared_ends import SharedEnds
from arqueduct_worker.slots import Slots

__all__ = ["Services"]


@dataclass(frozen=True, kw_only=True)
class Services:
    """What a worker process opened once and all its jobs share."""

    settings: Settings
    database: Database
    """For what keeps jobs alive: none of it waits for a job."""
    stage_database: Database
    """For the stages of jobs. There are fewer connections than jobs, which wait for each other's transactions."""
    storage: Storage
    embedder: Embedder
    texts: Room
    model_id: int
    parsers: Parsers
    sender: Sender
    registry: Registry
    queue: Queue
    admitter: Admitter
    dispatcher: Dispatcher
    slots: Slots
    shared: Shared
    completions: Together[End, asyncpg.Record | None]
    """Ends jobs that have no results to commit with their end; None: the lease is lost."""
    shared_ends: SharedEnds
    leases: Leases
    reporter: Reporter
    runs: RunLog
    name: str
    """Of this worker, in leases and logs."""
    folder: Path
    """Below which attempts have their work folders."""
