"""Quotas, policies of retention, their runs and the storage: what is said and answered about them."""

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

import asyncpg
from pydantic import ConfigDict, Field

from arqueduct.formats import Format
from arqueduct.lifecycle import JobState
from arqueduct.repositories.quotas import KINDS, Amounts, Limits, Quotas
from arqueduct.repositories.upkeep import Policy, Target
from arqueduct_backend.people import Asked
from arqueduct_backend.schemas import Answer

__all__ = [
    "QuotasShown",
    "Retention",
    "RetentionAsked",
    "RunAsked",
    "StorageShown",
    "UpkeepRunShown",
    "UsageOf",
    "UsageShown",
    "UserQuotaAsked",
    "UserQuotaShown",
]

MOST = 2**53 - 1
"""What every client can count to."""
Amount = Annotated[int | None, Field(ge=0, le=MOST)]
FinalState = Literal["completed", "partially_completed", "failed", "cancelled"]


class UserQuotaAsked(Asked):
    """How much a user may have. What is left out, or null, is not limited."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"documents": 1000, "bytes": 10_000_000_000, "jobs": 100}]}
    )
    documents: Amount = None
    bytes: Amount = None
    """Of originals that are not deleted."""
    jobs: Amount = None
    """That are not finished."""

    @property
    def limits(self) -> Limits:
        return Limits(documents=self.documents, bytes=self.bytes, jobs=self.jobs)


class QuotaShown(Answer):
    """How much there may be; null: no limit."""

    documents: int | None
    bytes: int | None
    jobs: int | None

    @classmethod
    def of(cls, limits: Limits) -> Self:
        return cls.model_validate({kind: getattr(limits, kind) for kind in KINDS})


class UserQuotaShown(QuotaShown):
    """The quota of one user, which replaces the default as a whole."""

    user_id: UUID


class QuotasShown(Answer):
    """What is set in the tenant."""

    tenant: QuotaShown
    """By who runs the installation."""
    default: QuotaShown
    """Of each user that has none of its own."""
    users: list[UserQuotaShown]

    @classmethod
    def of(cls, found: Quotas) -> Self:
        return cls(
            tenant=QuotaShown.of(found.tenant),
            default=QuotaShown.of(found.default),
            users=[
                UserQuotaShown(user_id=user_id, documents=limits.documents, bytes=limits.bytes, jobs=limits.jobs)
                for user_id, limits in found.users
            ],
        )


class Used(Answer):
    """Of one thing."""

    used: int
    limit: int | None
    """Null: as much as comes."""


class UsageOf(Answer):
    """What somebody has, and may have."""

    documents: Used
    bytes: Used
    """Of originals that are not deleted, duplicates counted each."""
    jobs: Used
    """That are not finished."""

    @classmethod
    def of(cls, used: Amounts, limits: Limits) -> Self:
        return cls.model_validate(
            {kind: {"used": getattr(used, kind), "limit": getattr(limits, kind)} for kind in KINDS}
        )


class UsageShown(Answer):
    """Of the tenant, and of the caller in it."""

    tenant: UsageOf
    user: UsageOf


class PolicyAsked(Asked):
    """How long things of one sort are kept."""

    days: Annotated[int, Field(ge=1, le=36_500, examples=[365])]
    """Since the document was made, the text written, or the job ended."""
    is_enabled: bool = False
    """Applied once a day by itself."""

    def policy(self, target: Target) -> Policy:
        return Policy(target=target, days=self.days, is_enabled=self.is_enabled)


class JobsPolicyAsked(PolicyAsked):
    """How long finished jobs are kept that no document names."""

    states: Annotated[list[FinalState], Field(max_length=4)] = Field(default=[])
    """Only where the job is in one of these; none: any that is final."""

    def policy(self, target: Target) -> Policy:
        return replace(super().policy(target), states=sorted(set(self.states)))


class DocumentsPolicyAsked(JobsPolicyAsked):
    """How long documents are kept, or their files."""

    content_types: Annotated[list[Format], Field(max_length=len(Format))] = Field(default=[])
    """Only documents of these types; none: all."""

    def policy(self, target: Target) -> Policy:
        return replace(super().policy(target), content_types=sorted(set(self.content_types)))


class RetentionAsked(Asked):
    """All policies: one that is not named, or null, is removed."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"originals": {"days": 365, "is_enabled": True}}]})
    documents: DocumentsPolicyAsked | None = None
    """Whole documents, as if a user deleted them."""
    originals: DocumentsPolicyAsked | None = None
    """The files, of documents that have a text."""
    texts: PolicyAsked | None = None
    """Kept texts that only the retry of a failed or cancelled job would use."""
    jobs: JobsPolicyAsked | None = None
    """Finished jobs that no document names, with their history."""

    @property
    def wanted(self) -> list[Policy]:
        asked = {target: getattr(self, target) for target in Target}
        return [one.policy(target) for target, one in asked.items() if one is not None]


class PolicyShown(Answer):
    """How long things of one sort are kept."""

    days: int
    states: list[JobState]
    content_types: list[str]
    is_enabled: bool
    updated_at: datetime


class Retention(Answer):
    """The policies of the tenant, in the order in which a run applies them; null: there is none."""

    documents: PolicyShown | None
    originals: PolicyShown | None
    texts: PolicyShown | None
    jobs: PolicyShown | None

    @classmethod
    def of(cls, found: list[Policy]) -> Self:
        shown: dict[str, Any] = dict.fromkeys(Target)
        for policy in found:
            shown[policy.target] = {
                "days": policy.days,
                "states": list(policy.states),
                "content_types": list(policy.content_types),
                "is_enabled": policy.is_enabled,
                "updated_at": policy.updated_at,
            }
        return cls.model_validate(shown)


class RunAsked(Asked):
    """Whether to do it, or to say what would be done."""

    dry_run: bool = True
    """Counts what each policy means, enabled or not, and changes nothing."""


class TargetReport(Answer):
    """What a run did about one target, or would do."""

    rows: int
    bytes: int
    """That the storage has less."""
    sample: list[str]
    """Some ids; of texts the names of files."""


class UpkeepRunShown(Answer):
    """A run of `retention.apply` or `storage.optimise`."""

    id: UUID
    """Also of its job, which says how far it is: `GET /api/v1/jobs/{id}`."""
    kind: str = Field(examples=["retention.apply"])
    dry_run: bool
    targets: dict[str, TargetReport]
    """So far."""
    policies: list[dict[str, Any]]
    """Which it applies."""
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: asyncpg.Record) -> Self:
        report = row["report"]
        return cls(
            id=row["id"],
            kind=row["kind"],
            dry_run=row["is_dry"],
            targets=report.get("targets", {}),
            policies=report.get("policies", []),
            created_at=row["created_at"],
            updated_at=row["updated_at"],
        )


class StorageShown(Answer):
    """What the tenant's documents are, and what their files take."""

    documents: int
    archived: int
    logical_bytes: int
    """Of all originals, as if each document had its own."""
    hot_bytes: int
    """Of originals that can be read at once."""
    cold_bytes: int
    """Of compressed originals of archived documents."""
    shared_bytes: int
    """Saved because documents with the same bytes share them."""
    compressed_bytes: int
    """Saved because cold originals are compressed."""
    texts_bytes: int | None
    """Of kept texts, when a run of `storage.optimise` last measured them; null before the first."""
    measured_at: datetime | None
