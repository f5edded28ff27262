"""The contract between the runner and a pipeline's stages, and the registry that finds both by entry point.

A distribution adds a stage by an entry point in the group `arqueduct.stages` that names a subclass of `Stage`, and
a pipeline by one in `arqueduct.pipelines` that names a `Pipeline`. The built-in ones register in just this way.
"""

import asyncio
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, TypeVar
from uuid import UUID

import structlog
from pydantic import BaseModel

from arqueduct import stage_order
from arqueduct.artifacts import Page, read_lines, writing
from arqueduct.database import Database, Transaction
from arqueduct.embedding import Embedder
from arqueduct.errors import DocumentDeleted, PipelineUnknown, SetupError, StagesInvalid, TimeIsUp
from arqueduct.formats import Format
from arqueduct.llm import LLMOptions
from arqueduct.room import Room
from arqueduct.settings import Settings
from arqueduct.shared import Shared
from arqueduct.stage_order import Place
from arqueduct.storage import Storage
from arqueduct.webhooks.sender import Sender

__all__ = [
    "Errand",
    "Parsers",
    "Pipeline",
    "Registry",
    "Stage",
    "StageContext",
    "Subject",
    "Usage",
    "Writer",
    "registry",
]

log = structlog.get_logger()

OptionsModel = TypeVar("OptionsModel", bound=BaseModel)
Result = TypeVar("Result")
Writer = Callable[[Transaction, Sequence[Result]], Awaitable[None]]
"""Writes the results of several jobs of one tenant."""
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
    for_profiles: bool = False
    """Whether a processing profile may name it. Its jobs are then about any document of a tenant's, begun by whoever
    may begin jobs, so it needs nothing in its payload that only its own code puts there."""
    about: str = ""
    """A sentence for those who choose."""


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
    is_stored: bool = False
    """Whether it has passages already, of an earlier job."""


class Parsers(Protocol):
    """Reading documents outside this process; killed with the attempt that uses them."""

    async def extract(
        self,
        source: Path,
        format: Format,
        target: Path,
        on_progress: OnProgress,
        *,
        max_pages: int | None = None,
        max_chars: int | None = None,
        navigation: bool = False,
        ocr: Literal["never", "missing", "always"] = "never",
        ocr_languages: tuple[str, ...] = (),
    ) -> Any:
        """Writes `Page` records; returns `pages, chars, title, metadata`. Limits lower those of the settings;
        `navigation` keeps the menus of web pages; `ocr` recognises the pages of a PDF that have no text, or all."""
        ...

    async def chunk(
        self,
        source: Path,
        target: Path,
        on_progress: OnProgress,
        *,
        format: Format | None = None,
        size: int | None = None,
        overlap: int | None = None,
        headings: bool | None = None,
    ) -> Any:
        """Reads `Page` records and writes `Chunk` records; returns `chunks`. The format says what a heading is, unless
        `headings` does; `size` and `overlap` are characters, by default those of the settings."""
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
    texts: Room
    """For the texts that wait for their vectors, counted one by one; all jobs of the process share it."""
    model_id: int
    """Under which the embedder's vectors are stored."""
    parsers: Parsers
    sender: Sender
    """Of webhooks."""
    shared: Shared
    """For short statements that other jobs of the tenant have as well: all ask at once."""
    report: Callable[[int, int, str, str | None], None]
    """Use `progress`."""
    complete: Callable[[], AbstractAsyncContextManager[Transaction]]
    """Use `completion`."""
    complete_with_others: Callable[[Writer[Any], Any], Awaitable[bool]]
    """Use `shared_completion`."""
    lend: Callable[[], AbstractContextManager[None]] = nullcontext
    """Use `lent_slot`."""
    enter: Callable[[str, float, float], None] = lambda _label, _start, _end: None
    """Use `relabel`."""
    options: Mapping[str, BaseModel] = field(default_factory=dict)
    """Use `options_of`."""
    llm: LLMOptions = field(default_factory=LLMOptions)
    """What the job's profile says about a language model. No stage of the core asks one."""
    recipe: list[str] = field(default_factory=list)
    """What made the text as it is now: extractor and options, then each stage that rewrote it."""
    is_time_up: bool = False
    """The job has used the time it may run at a stretch: begin nothing more, and call `checkpoint`."""
    has_advanced: bool = False
    """Set it where this attempt got further than those before it in a way that overall progress does not tell: its job
    is then put aside when its time is up, and not failed. Only for what the next attempt does not do again."""
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

    def options_of(self, stage: "Stage", kind: type[OptionsModel]) -> OptionsModel:
        """What the job's profile says for this stage: checked, and the defaults where it says nothing. `kind` is what
        the stage declares as its `options`."""
        found = self.options.get(stage.name)
        return found if isinstance(found, kind) else kind()

    def progress(self, done: int, total: int, unit: str = "", message: str | None = None) -> None:
        """Says how far this stage is, in units of its own. Call it as often as you like: it only keeps the newest."""
        self.report(done, total, unit, message)

    def relabel(self, label: str, start: float = 0.0, end: float = 1.0) -> None:
        """For a stage that does several things: clients see this label from here on, and `progress` counts within the
        part from `start` to `end` of the stage, which is 0 … 1. Each call is a line in the job's history."""
        self.enter(label, start, end)

    def lent_slot(self) -> AbstractContextManager[None]:
        """Inside of it the worker may begin another job. For what only waits, and what little it holds is bounded."""
        return self.lend()

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

    async def shared_completion(self, write: Writer[Result], result: Result) -> bool:
        """As `completion`, in one transaction with other jobs of the tenant that end at the same moment.

        `write` writes the results of all of them. False, and nothing is written, where it raised or one of the attempts
        no longer owns its job: then use `completion`. Only for results that are written in some milliseconds.
        """
        return await self.complete_with_others(write, result)

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
    about: ClassVar[str] = ""
    """A sentence for those who choose stages and options."""
    options: ClassVar[type[BaseModel] | None] = None
    """What a profile may say to it: a frozen model that refuses unknown fields, such as one derived from
    `stage_options.Options`. Each field has a default and a description. Read them with `context.options_of`."""
    needs: ClassVar[tuple[str, ...] | None] = None
    """Stages whose work it takes up: wherever a profile puts it, they run before it. None: the one that its pipeline
    declares before it, if its pipeline declares it."""
    anywhere: ClassVar[bool] = False
    """Whether a profile may put it into any pipeline, before the last stage."""
    optional: ClassVar[bool] = False
    """Whether a profile may leave it out of the pipeline that it joins. Nobody takes a redaction away by a profile."""
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

    def stages(
        self, kind: str, *, without: frozenset[str] = frozenset(), only: Sequence[str] | None = None
    ) -> Sequence[Stage]:
        """The stages of a kind in order of flow, or those that a profile names, in its order. `without`: added stages
        that are left out here. Raises `PipelineUnknown`, and `StagesInvalid` for names that cannot be had or cannot run
        in this order.
        """
        if kind not in self._pipelines:
            raise PipelineUnknown(f"No pipeline of the kind {kind} is installed on this worker.")
        names = [name for name in self._pipelines[kind] if name not in without or not self._has_joined(name)]
        if missing := self._missing(names, without):
            raise PipelineUnknown(f"The pipeline {kind} needs stages that are not installed: {', '.join(missing)}.")
        return [self._stages[name] for name in (names if only is None else self._checked(kind, only, without))]

    def places(self, kind: str, *, without: frozenset[str] = frozenset()) -> dict[str, Place]:
        """All stages that a profile can name for a kind, and what their order keeps to. Raises `PipelineUnknown`."""
        usual = [stage.name for stage in self.stages(kind, without=without)]
        others = [stage.name for stage in self._stages.values() if stage.anywhere and stage.name not in without]
        return {name: self._place_of(kind, self._stages[name]) for name in (*usual, *others)}

    def _checked(self, kind: str, only: Sequence[str], without: frozenset[str]) -> Sequence[str]:
        last = self._declared[kind].stages[-1]
        if faults := [fault for _, fault in stage_order.faults(only, self.places(kind, without=without), last)]:
            raise StagesInvalid(" ".join(faults))
        return only

    def _place_of(self, kind: str, stage: Stage) -> Place:
        declared = self._declared[kind].stages
        if stage.needs is not None:
            needs = stage.needs
        elif stage.name in declared[1:]:
            needs = (declared[declared.index(stage.name) - 1],)
        else:
            needs = ()
        optional = stage.pipeline is None or stage.optional
        return Place(needs=needs, before=stage.before, after=stage.after, optional=optional)

    def can_run(self, kind: str, *, without: frozenset[str] = frozenset()) -> bool:
        """Whether all stages are there that the pipeline declares."""
        return kind in self._declared and not self._missing(self._declared[kind].stages, without)

    def stage(self, name: str) -> Stage:
        """Raises `KeyError`."""
        return self._stages[name]

    def _missing(self, names: Sequence[str], without: frozenset[str]) -> list[str]:
        """What is not installed, or left out here though its pipeline declares it."""
        return [name for name in names if name not in self._stages or self._is_off(name, without)]

    def _has_joined(self, name: str) -> bool:
        """Into a pipeline that does not declare it. Others cannot be left out."""
        return name in self._stages and self._stages[name].pipeline is not None

    def _is_off(self, name: str, without: frozenset[str]) -> bool:
        return name in without and self._stages[name].anywhere

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
