"""What a worker process opens once."""

from dataclasses import dataclass
from pathlib import Path

from arqueduct.database import Database
from arqueduct.dispatcher import Dispatcher
from arqueduct.embedding import Embedder
from arqueduct.pipeline import Parsers, Registry
from arqueduct.queue import Queue
from arqueduct.settings import Settings
from arqueduct.storage import Storage
from arqueduct_worker.leases import Leases
from arqueduct_worker.reporter import Reporter

__all__ = ["Services"]


@dataclass(frozen=True, kw_only=True)
class Services:
    """What a worker process opened once and all its jobs share."""

    settings: Settings
    database: Database
    storage: Storage
    embedder: Embedder
    model_id: int
    parsers: Parsers
    registry: Registry
    queue: Queue
    dispatcher: Dispatcher
    leases: Leases
    reporter: Reporter
    name: str
    """Of this worker, in leases and logs."""
    folder: Path
    """Below which attempts have their work folders."""
