"""Processing profiles and what is installed for them: what is said and answered."""

from datetime import datetime
from typing import Any, Self
from uuid import UUID

import asyncpg
from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from arqueduct.installed import Installed
from arqueduct.naming import Label
from arqueduct.profiles import DEFAULT, ProfileSettings
from arqueduct_backend.people import Asked
from arqueduct_backend.schemas import Answer
from arqueduct_backend.small_json import small

__all__ = ["DefaultProfile", "Pipelines", "Profile", "ProfileAsked", "ProfileTried", "ProfileVersion", "Verdict"]

USUAL: dict[str, Any] = {"settings": {"options": {"chunk": {"size": 1500, "overlap": 200}}}}


class ProfileTried(Asked):
    """Settings that are only looked at."""

    model_config = ConfigDict(json_schema_extra={"examples": [USUAL]})
    settings: ProfileSettings = ProfileSettings()

    @model_validator(mode="after")
    def _has_small_options(self) -> Self:
        self.settings = self.settings.model_copy(update={"options": small(self.settings.options)})
        return self


class ProfileAsked(ProfileTried):
    """A profile as it is to be."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "long passages", **USUAL}]})
    name: Label = Field(examples=["long passages"])
    """Among the tenant's own; not `default`, which is built in, and nothing that looks like an id."""
    description: Label | None = None

    @model_validator(mode="after")
    def _is_no_id(self) -> Self:
        try:
            UUID(self.name)
        except ValueError:
            return self
        raise PydanticCustomError("name", "A name must not look like an id: profiles are found by either.")


class DefaultProfile(Answer):
    """The profile that every tenant has by itself. It has no id: a job, a project or a batch names it or names none."""

    name: str = Field(examples=["default"])
    version: int = Field(examples=[1])
    settings: ProfileSettings

    @classmethod
    def built_in(cls) -> "DefaultProfile":
        return cls(name=DEFAULT.name, version=DEFAULT.version, settings=DEFAULT.settings)


class Profile(Answer):
    """A processing profile, as it is now."""

    id: UUID
    name: str = Field(examples=["long passages"])
    description: str | None
    version: int = Field(examples=[3])
    """Grows by one with other settings."""
    settings: ProfileSettings
    created_by: UUID | None
    """Null: the user is no more."""
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None
    """Since when nothing new can be begun with it."""

    @classmethod
    def of(cls, row: asyncpg.Record) -> "Profile":
        return cls.model_validate(dict(row))


class ProfileVersion(Answer):
    """What a profile said at a time."""

    version: int
    settings: ProfileSettings
    created_by: UUID | None
    created_at: datetime

    @classmethod
    def of(cls, row: asyncpg.Record) -> "ProfileVersion":
        return cls.model_validate(dict(row))


class VerdictFault(Answer):
    """What is wrong in one place."""

    detail: str
    pointer: str = Field(examples=["#/settings/options/chunk/size"])
    """Where in the body, as a JSON pointer."""


class Verdict(Answer):
    """Whether a profile with these settings could be made now."""

    is_valid: bool
    errors: list[VerdictFault]


class Stage(Answer):
    """A stage, where a pipeline can have it."""

    name: str = Field(examples=["chunk"])
    label: str = Field(examples=["chunking"])
    """What clients see while it runs."""
    version: str = Field(examples=["1"])
    about: str
    needs: list[str] = Field(examples=[["extract"]])
    """Stages that must run before it."""
    before: str | None
    """A stage that must run after it, where the profile has it."""
    after: str | None
    """A stage that must run before it, where the profile has it."""
    optional: bool
    """Whether a profile may leave it out, as far as no other stage needs it."""
    options: dict[str, Any] | None = Field(examples=[{"type": "object", "properties": {"size": {"type": "integer"}}}])
    """The JSON schema of its options, as a form can be drawn from; null: it takes none."""


class Pipeline(Answer):
    """A pipeline that profiles can name."""

    kind: str = Field(examples=["document.ingest"])
    about: str
    stages: list[str] = Field(examples=[["download", "extract", "chunk", "embed", "store"]])
    """Those that run where a profile names none, in order of flow; the last one is the last of every profile."""
    choice: list[Stage]
    """All that a profile can name."""


class Pipelines(Answer):
    """What is installed on the workers."""

    pipelines: list[Pipeline]
    embedder: str = Field(examples=["sentence-transformers/all-MiniLM-L6-v2"])
    """The embedding model."""

    @classmethod
    def of(cls, installed: Installed, embedder: str) -> "Pipelines":
        pipelines = [Pipeline.model_validate(pipeline, from_attributes=True) for pipeline in installed.pipelines]
        return cls(pipelines=pipelines, embedder=embedder)
