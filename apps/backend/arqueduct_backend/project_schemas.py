"""Projects, as clients see and send them."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from arqueduct import models
from arqueduct.lifecycle import JobState
from arqueduct.naming import Label
from arqueduct_backend.family_schemas import ErrorPolicy
from arqueduct_backend.patches import MAY_BE_LEFT_OUT, Patch
from arqueduct_backend.schemas import Answer, Job
from arqueduct_backend.set_schemas import Description

__all__ = [
    "ChildChoice",
    "Name",
    "ProfileRef",
    "Project",
    "ProjectAccepted",
    "ProjectAsked",
    "ProjectChange",
    "ProjectRun",
    "ProjectRunAsked",
]

MOST_NAMED = 1000


Name = Annotated[Label, Field(examples=["Contracts 2026, first pass"])]
ProfileRef = Annotated[
    Annotated[str, StringConstraints(min_length=1, max_length=200)] | None, Field(examples=["default"])
]
"""Id or name of a profile; null: the built-in one."""
Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,100}$")]


class ProjectAsked(BaseModel):
    """A file set to be processed."""

    model_config = ConfigDict(
        extra="forbid",
        use_attribute_docstrings=True,
        json_schema_extra={
            "examples": [
                {
                    "name": "Contracts 2026, first pass",
                    "file_set_id": "019aa7c2-5f0e-7cc1-8a86-3c1f0b8a4c11",
                    "profile": "default",
                    "policy": {"on_error": "continue"},
                }
            ]
        },
    )
    name: Name
    description: Description = None
    file_set_id: UUID
    profile: ProfileRef = None
    """Id or name of a processing profile, as it is now. Null: the built-in one."""
    policy: ErrorPolicy = ErrorPolicy()


class ProjectRunAsked(BaseModel):
    """Processing the same files once more."""

    model_config = ConfigDict(
        extra="forbid", use_attribute_docstrings=True, json_schema_extra={"examples": [{"profile": "large passages"}]}
    )
    profile: ProfileRef = None
    """Id or name of a processing profile, as it is now. Null: the built-in one."""
    policy: ErrorPolicy = ErrorPolicy()


class ProjectChange(Patch):
    """What to change of a project; what is not named stays."""

    model_config = ConfigDict(
        json_schema_extra={"minProperties": 1, "examples": [{"name": "Contracts 2026"}]},
    )
    name: Annotated[Name, MAY_BE_LEFT_OUT] = ""
    description: Annotated[Description, MAY_BE_LEFT_OUT] = None


class ChildChoice(BaseModel):
    """Which of those that failed are tried again. Nothing named: all that failed, and of a project or batch that was
    itself cancelled those too that were cancelled with it."""

    model_config = ConfigDict(
        extra="forbid",
        use_attribute_docstrings=True,
        json_schema_extra={
            "examples": [
                {"error_code": "dependency_unavailable"},
                {"job_ids": ["019aa7c2-5f0e-7cc1-8a86-3c1f0b8a4c11"]},
            ]
        },
    )
    error_code: Code | None = None
    job_ids: Annotated[list[UUID] | None, Field(min_length=1, max_length=MOST_NAMED)] = None
    with_cancelled: bool = False
    """Those too that were cancelled."""

    @property
    def is_named(self) -> bool:
        return self.error_code is not None or self.job_ids is not None or self.with_cancelled


class ProjectRun(Answer):
    """One time that the project was processed."""

    number: int
    """1 …"""
    job_id: UUID
    profile_id: UUID | None
    """Null: the built-in one."""
    profile_name: str = Field(examples=["default"])
    profile_version: int
    skipped: int
    """Duplicates that the profile says to leave out."""
    state: JobState
    progress: float = Field(ge=0, le=1)
    created_at: datetime
    finished_at: datetime | None

    @classmethod
    def of(cls, run: models.ProjectRun, job: models.Job) -> "ProjectRun":
        return cls.model_validate(
            {
                **{name: getattr(run, name) for name in ("number", "job_id", "profile_id", "profile_name")},
                **{name: getattr(run, name) for name in ("profile_version", "skipped", "created_at")},
                "state": JobState(job.state),
                "progress": round(job.progress, 4),
                "finished_at": job.finished_at,
            }
        )


class Project(Answer):
    """A file set that is processed under a profile."""

    id: UUID
    name: str = Field(examples=["Contracts 2026, first pass"])
    description: str | None
    file_set_id: UUID | None
    """Null: the set was deleted since."""
    job_id: UUID
    """Of its newest run."""
    state: JobState
    """Of its newest run, up to a second old; `status` has it to the last file."""
    progress: float = Field(ge=0, le=1)
    files: int
    """That its newest run was made with."""
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None

    @classmethod
    def of(cls, project: models.Project, job: models.Job) -> "Project":
        return cls.model_validate(
            {
                **{name: getattr(project, name) for name in ("id", "name", "description", "file_set_id", "job_id")},
                **{name: getattr(project, name) for name in ("created_at", "updated_at", "archived_at")},
                "state": JobState(job.state),
                "progress": round(job.progress, 4),
                "files": job.children or 0,
            }
        )


class ProjectAccepted(Answer):
    """A project, and the job whose children process its files."""

    project: Project
    job: Job
