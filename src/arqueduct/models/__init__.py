"""The tables. Revisions under sql/ make them; a test keeps both equal.

Every table of a tenant's carries `tenant_id` and row-level security (sql/versions); what is not a tenant's own
says so. Ids are UUIDv7. Times are Postgres' `now()`: clocks of workers never matter.
"""

from arqueduct.models.access import APIKey, ExternalIdentity, Invitation, Membership, PasswordReset, Tenant, User
from arqueduct.models.documents import Blob, Chunk, Deletion, Document, Embedding, EmbeddingModelRow, VectorHead
from arqueduct.models.file_sets import FileSet, FileSetFile
from arqueduct.models.jobs import Chore, FairShare, Job, JobAttempt, JobEvent, QueueRule, Worker
from arqueduct.models.parents import ChildDelta, ChildError, Parent
from arqueduct.models.profiles import Installation, Profile, ProfileVersion
from arqueduct.models.projects import Project, ProjectRun
from arqueduct.models.quotas import TenantQuota, Usage, UsageChange, UserQuota
from arqueduct.models.sessions import AuditEntry, KeptAnswer, RefreshToken, Session
from arqueduct.models.stage_runs import StageRate, StageRun, StageRunSum
from arqueduct.models.upkeep import RetentionPolicy, UpkeepRun
from arqueduct.models.webhooks import WebhookAttempt, WebhookDelivery, WebhookEndpoint

__all__ = [
    "APIKey",
    "AuditEntry",
    "Blob",
    "ChildDelta",
    "ChildError",
    "Chore",
    "Chunk",
    "Deletion",
    "Document",
    "Embedding",
    "EmbeddingModelRow",
    "ExternalIdentity",
    "FairShare",
    "FileSet",
    "FileSetFile",
    "Installation",
    "Invitation",
    "Job",
    "JobAttempt",
    "JobEvent",
    "KeptAnswer",
    "Membership",
    "Parent",
    "PasswordReset",
    "Profile",
    "ProfileVersion",
    "Project",
    "ProjectRun",
    "QueueRule",
    "RefreshToken",
    "RetentionPolicy",
    "Session",
    "StageRate",
    "StageRun",
    "StageRunSum",
    "Tenant",
    "TenantQuota",
    "UpkeepRun",
    "Usage",
    "UsageChange",
    "User",
    "UserQuota",
    "VectorHead",
    "WebhookAttempt",
    "WebhookDelivery",
    "WebhookEndpoint",
    "Worker",
]
