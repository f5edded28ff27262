"""Processing profiles: what one says, and what a job gets from it. Values in, values out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from arqueduct.llm import LLMOptions

__all__ = ["DEFAULT", "DEFAULT_NAME", "Profile", "ProfileSettings", "payload_of"]

DEFAULT_NAME: Final = "default"

StageName = Annotated[str, Field(min_length=1, max_length=100, examples=["extract"])]


class ProfileSettings(BaseModel):
    """How documents are processed. Each field has a default; all defaults together are the profile `default`."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
    pipeline: str = Field(default="document.ingest", min_length=1, max_length=100, examples=["document.ingest"])
    """The kind of the jobs."""
    stages: tuple[StageName, ...] | None = Field(
        default=None, max_length=50, examples=[["download", "extract", "chunk", "embed", "store"]]
    )
    """Their stages, in order of flow. Null: those that the pipeline has by itself."""
    options: dict[StageName, dict[str, Any]] = Field(default={}, examples=[{"chunk": {"size": 1500, "overlap": 200}}])
    """What is said to stages, by their names; GET /api/v1/pipelines has the schemas. At most 16 kB as JSON."""
    llm: LLMOptions = LLMOptions()
    """For plugin stages that ask a language model; no built-in stage does."""
    embedder: str | None = Field(default=None, max_length=200, examples=["sentence-transformers/all-MiniLM-L6-v2"])
    """The embedding model that the installation must have. Null: whichever it has."""
    duplicates: Literal["process", "skip"] = "process"
    """What becomes of a document whose bytes the same set has already."""
    priority: Literal["interactive", "normal", "bulk"] = "normal"
    """Which of the tenant's own jobs goes first."""
    max_failures: int | None = Field(default=None, ge=1, le=20, examples=[5])
    """Failed attempts after which a job is failed. Null: as every job has it."""


@dataclass(frozen=True, kw_only=True)
class Profile:
    """One version of a profile."""

    id: UUID | None
    """None: the one that every tenant has without making it."""
    name: str
    version: int
    settings: ProfileSettings


DEFAULT: Final = Profile(id=None, name=DEFAULT_NAME, version=1, settings=ProfileSettings())
"""What every tenant has. Nobody changes it: what is uploaded without a profile is processed by it."""


def payload_of(profile: Profile) -> dict[str, Any]:
    """What a job carries of a profile: all that its stages need, so that a worker reads no profile. Adds to it what is
    the job's own."""
    settings = profile.settings
    return {
        "profile": {
            "id": None if profile.id is None else str(profile.id),
            "name": profile.name,
            "version": profile.version,
        },
        "stages": None if settings.stages is None else list(settings.stages),
        "options": {name: dict(options) for name, options in settings.options.items()},
        "llm": _named(settings.llm.model_dump()),
    }


def _named(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
