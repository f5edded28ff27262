"""The contract between the runner and a pipeline's stages, and the registry that finds both by entry point.

A distribution adds a stage by an entry point in the group `arqueduct.stages` that names a subclass of `Stage`, and
a pipeline by one in `arqueduct.pipelines` that names a `Pipeline`. The built-in ones register in just this way.
"""

import asyncio
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, ClassVar, Protocol
from uuid import UUID

import structlog

from arqueduct.artifacts import Page, read_lines, writing
from arqueduct.database import Database, Transaction
from arqueduct.embedding import Embedder
from arqueduct.errors import DocumentDeleted, PipelineUnknown, SetupError, TimeIsUp
from arqueduct.formats import Format
from arqueduct.settings import Settings
from arqueduct.storage import Storage
from arqueduct.webhooks.sender import Sender

__all__ = ["Errand", "Parsers", "Pipeline", "Registry", "Stage", "StageContext", "Subject", "Usage", "registry"]

log = structlog.get_logger()

OnProgress = Callable[[int, int, str], None]
"""Takes `done, total, unit`."""


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """A kind of job: the names of its stages, in order of flow."""

    kind: str
    stages: tuple[str, ...]
    pauses: tuple[float, ...] = ()
    """Seconds, jittered, before the second attempt, the third, …; the last holds for all that follow. Empty: the
    exponential backoff that all kinds have. How many failures are enough is in the job's row."""
    limits: tuple[float, float] | None = None
    """Seconds a job may run until it is told, and until it is ended, where the settings do not name the kind."""


@dataclass(frozen=True, kw_only=True)
class Errand:
    """What a stage works for: one attempt at one job."""

    job_id: UUID
    attempt: int
    tenant_id: UUID
    user_id: UUID
    payload: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Subject(Errand):
    """An attempt at a job that is about a document, and that document."""

    document_id: UUID
    name: str
    format: Format
    blob_id: UUID
    size: int
    """Bytes."""
    sha256: str
    language: str
    """Name of the text-search configuration in Postgres."""


class Parsers(Protocol):
    """Reading documents outside this process; killed with the attempt that uses them."""

    async def extract(self, source: Path, format: Format, target: Path, on_progress: OnProgress) -> Any:
        """Writes `Page` records; returns `pages, chars, title, metadata`."""
        ...

    async def chunk(self, source: Path, target: Path, on_progress: OnProgress, *, format: Format | None = None) -> Any:
        """Reads `Page` records and writes `Chunk` records; returns `chunks`. The format says what a heading is."""
        ...


@dataclass(kw_only=True)
class Usage:
    """What one attempt has cost; stages add to it, and it is added to the job's at the attempt's end, whichever."""

    tokens: int = 0
    """Bought from the embedder, estimated."""
    embedding_requests: int = 0
    """Batches asked for; jobs share requests, so a provider may count fewer."""
    cache_hits: int = 0
    """Vectors that were there already."""

    def __bool__(self) -> bool:
        return bool(self.tokens or self.embedding_requests or self.cache_hits)


@dataclass(kw_only=True)
class StageContext:
    """Everything a stage may use, and the files through which stages hand their work on."""

    job: Errand
    settings: Settings
    folder: Path
    """The attempt's own work folder; removed at its end, whatever the end."""
    database: Database
    storage: Storage
    embedder: Embedder
    model_id: int
    """Under which the embedder's vectors are stored."""
    parsers: Parsers
    sender: Sender
    """Of webhooks."""
    report: Callable[[int, int, str, str | None], None]
    """Use `progress`."""
    complete: Callable[[], AbstractAsyncContextManager[Transaction]]
    """Use `completion`."""
    recipe: list[str] = field(default_factory=list)
    """What made the text as it is now: extractor and options, then each stage that rewrote it."""
    is_time_up: bool = False
    """The job has used the time it may run at a stretch: begin nothing more, and call `checkpoint`."""
    kept_recipe: str | None = None
    """The `text_recipe` under which the text was last put beside its blob, or taken from there."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What stages found out about the document: pages, characters, title, …"""
    usage: Usage = field(default_factory=Usage)

    @property
    def subject(self) -> Subject:
        """The job with its document. Raises `DocumentDeleted` in a job that is about none."""
        if not isinstance(self.job, Subject):
            raise DocumentDeleted("This job is about no document.")
        return self.job

    @property
    def source_path(self) -> Path:
        """The document's bytes, after download."""
        return self.folder / "source"

    @property
    def pages_path(self) -> Path:
        """`Page` records, after extract."""
        return self.folder / "pages.jsonl"

    @property
    def chunks_path(self) -> Path:
        """`Chunk` records, after chunk."""
        return self.folder / "chunks.jsonl"

    @property
    def text_recipe(self) -> str:
        """Under which the text as it is now is kept beside its blob."""
        return hashlib.sha256("\n".join(self.recipe).encode()).hexdigest()[:32]

    def progress(self, done: int, total: int, unit: str = "", message: str | None = None) -> None:
        """Says how far this stage is, in units of its own. Call it as often as you like: it only keeps the newest."""
        self.report(done, total, unit, message)

    def checkpoint(self) -> None:
        """Call it where stopping loses nothing, between two batches say. The runner does so between two stages.

        Raises `TimeIsUp` when the job has used its time; it then goes on later from what is kept.
        """
        if self.is_time_up:
            raise TimeIsUp

    def completion(self) -> AbstractAsyncContextManager[Transaction]:
        """The transaction that ends the job: its results become visible with its completion, or not at all.

        Raises `LeaseLost` at its end, and rolls back, if this attempt no longer owns the job.
        """
        return self.complete()

    async def rewrite_pages(self, rewrite: Callable[[Page], Page], *, version: str = "1") -> None:
        """Replaces every page's text, page by page in a thread; the result is what is chunked, kept and shown.

        `version` names the rewriting among the texts kept for a blob: change it when the outcome changes.
        """
        total = int(self.facts.get("pages", 0))
        await asyncio.to_thread(self._rewrite, rewrite, total)
        self.recipe.append(f"{rewrite.__module__}.{rewrite.__qualname__} {version}")

    def _rewrite(self, rewrite: Callable[[Page], Page], total: int) -> None:
        characters = 0
        with writing(self.pages_path.with_suffix(".rewritten")) as write:
            for done, page in enumerate(map(rewrite, read_lines(self.pages_path, Page)), 1):
                write(page)
                characters += len(page.text)
                self.report(done, total, "pages", None)
        self.pages_path.with_suffix(".rewritten").replace(self.pages_path)
        self.facts["characters"] = characters


class Stage(ABC):
    """One step of a pipeline. Instances are shared by all jobs of a process: keep state in the context."""

    name: ClassVar[str]
    """A verb, unique among all installed stages: `extract`."""
    label: ClassVar[str]
    """What clients see while it runs: `extracting`."""
    weight: ClassVar[float] = 0.0
    """Its share of overall progress, relative to the other stages' weights."""
    version: ClassVar[str] = "1"
    """Change it when the stage's output changes for the same input."""
    pipeline: ClassVar[str | None] = None
    """For a stage that joins a pipeline declared elsewhere: the kind of that pipeline …"""
    before: ClassVar[str | None] = None
    """… and the name of the stage it goes before …"""
    after: ClassVar[str | None] = None
    """… or after; nothing stands after the last one, whose transaction ends the job."""

    @abstractmethod
    async def run(self, context: StageContext) -> None:
        """Does the work. Raise a `PermanentError` to fail the job, a `TransientError` to have it tried again."""


class Registry:
    """Pipelines with their stages in order, additions put in their places."""

    def __init__(self, pipelines: Iterable[Pipeline], stages: Iterable[Stage]) -> None:
        self._stages: dict[str, Stage] = {}
        for stage in stages:
            if stage.name in self._stages:
                raise SetupError(f"Two installed stages are named {stage.name}: remove one of their packages.")
            self._stages[stage.name] = stage
        self._declared = {pipeline.kind: pipeline for pipeline in pipelines}
        self._pipelines = {kind: list(pipeline.stages) for kind, pipeline in self._declared.items()}
        for stage in self._stages.values():
            if stage.pipeline is not None:
                self._place(stage)

    def stages(self, kind: str, *, without: frozenset[str] = frozenset()) -> Sequence[Stage]:
        """The stages of a kind in order of flow. Raises `PipelineUnknown`."""
        if kind not in self._pipelines:
            raise PipelineUnknown(f"No pipeline of the kind {kind} is installed on this worker.")
        found = [self._stages[name] for name in self._pipelines[kind] if name in self._stages]
        missing = set(self._pipelines[kind]) - set(self._stages)
        if missing:
            raise PipelineUnknown(f"The pipeline {kind} needs stages that are not installed: {', '.join(missing)}.")
        return [stage for stage in found if stage.pipeline is None or stage.name not in without]

    def pipeline(self, kind: str) -> Pipeline | None:
        """As it was declared, without the stages that others added."""
        return self._declared.get(kind)

    @property
    def kinds(self) -> frozenset[str]:
        return frozenset(self._pipelines)

    def _place(self, stage: Stage) -> None:
        names = self._pipelines.get(stage.pipeline or "")
        neighbour = stage.before or stage.after
        if names is None or neighbour not in names:
            raise SetupError(
                f"The stage {stage.name} wants to stand next to {neighbour} in {stage.pipeline}, which is not there: "
                "upgrade or remove its package."
            )
        if stage.before is None and neighbour == names[-1]:
            raise SetupError(
                f"The stage {stage.name} wants to stand after {neighbour}, which ends the job: let it stand before."
            )
        names.insert(names.index(neighbour) + (0 if stage.before else 1), stage.name)


@lru_cache(maxsize=1)
def registry() -> Registry:
    """What is installed in this environment. Raises `SetupError` that names the package which does not load."""
    return Registry(
        [_load(point, Pipeline) for point in entry_points(group="arqueduct.pipelines")],
        [_load(point, type)() for point in sorted(entry_points(group="arqueduct.stages"))],
    )


def _load(point: EntryPoint, kind: type) -> Any:
    try:
        found = point.load()
    except Exception as error:
        raise SetupError(f"The entry point {point.name} = {point.value} does not load: {error}") from error
    if not isinstance(found, kind):
        raise SetupError(f"The entry point {point.name} = {point.value} is not a {kind.__name__}.")
    return found
