"""What the API says and takes. Written by clients/python.py; do not edit."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType, field

from arqueduct.client.calls import OpenEnum

__all__ = [
    "Acceptance",
    "Accepted",
    "Account",
    "Alive",
    "Amounts",
    "AuditLine",
    "Batch",
    "BatchAccepted",
    "BatchAsked",
    "CheckAnswer",
    "ChildChoice",
    "ChildCounts",
    "ChildJob",
    "Chunk",
    "Cost",
    "DefaultProfile",
    "Delivery",
    "DeliveryAttempt",
    "DeliveryDetails",
    "Document",
    "DocumentChoice",
    "DocumentMessage",
    "DocumentPatch",
    "DocumentsAdded",
    "DocumentsNamed",
    "DocumentsPolicyAsked",
    "Done",
    "Ended",
    "ErrorPolicy",
    "ErrorReport",
    "Estimate",
    "EventType",
    "FailedJob",
    "FamilyStatus",
    "FileAnswer",
    "FileRefused",
    "FileSet",
    "FileSetChange",
    "FileSetFile",
    "FileSetFileChange",
    "FileSetFilled",
    "FileSetStatistics",
    "Format",
    "InvitationAccepted",
    "InvitationAsked",
    "InvitationMade",
    "InvitationShown",
    "Job",
    "JobAttempt",
    "JobAttempts",
    "JobError",
    "JobEvent",
    "JobMessage",
    "JobNumbers",
    "JobSelection",
    "JobState",
    "JobsPolicyAsked",
    "KeyAsked",
    "KeyChange",
    "KeyMade",
    "KeyShown",
    "LLMOptions",
    "Login",
    "Member",
    "Mode",
    "OnError",
    "Outcome",
    "PageAuditLine",
    "PageBatch",
    "PageChildJob",
    "PageChunk",
    "PageDelivery",
    "PageDocument",
    "PageFileSet",
    "PageFileSetFile",
    "PageInvitationShown",
    "PageJob",
    "PageJobEvent",
    "PageKeyShown",
    "PageMember",
    "PageProfile",
    "PageProfileVersion",
    "PageProject",
    "PageProjectRun",
    "PageSessionShown",
    "PageWebhook",
    "PasswordRequest",
    "PasswordResetMade",
    "Permission",
    "Person",
    "PingMessage",
    "Pipeline",
    "Pipelines",
    "PolicyAsked",
    "PolicyShown",
    "Problem",
    "ProblemField",
    "Processing",
    "Profile",
    "ProfileAsked",
    "ProfileSettings",
    "ProfileTried",
    "ProfileVersion",
    "Project",
    "ProjectAccepted",
    "ProjectAsked",
    "ProjectChange",
    "ProjectRun",
    "ProjectRunAsked",
    "Proof",
    "ProviderAnswer",
    "ProviderPage",
    "Queue",
    "QuotaShown",
    "QuotasShown",
    "ReadinessAnswer",
    "RefreshRequest",
    "ResetRequest",
    "Retention",
    "RetentionAsked",
    "Role",
    "RoleChange",
    "RunAsked",
    "SearchAnswer",
    "SearchHit",
    "SearchRequest",
    "Seconds",
    "ServiceAccountAsked",
    "ServiceAccountMade",
    "SessionShown",
    "SignedIn",
    "Stage",
    "StageNumbers",
    "Steered",
    "StorageShown",
    "TargetReport",
    "TenantChange",
    "TenantOfMine",
    "TenantShown",
    "Throughput",
    "Ticket",
    "Tokens",
    "ToldDocument",
    "ToldError",
    "ToldJob",
    "UpkeepRunShown",
    "UsageOf",
    "UsageShown",
    "Used",
    "UserQuotaAsked",
    "UserQuotaShown",
    "Verdict",
    "VerdictFault",
    "Version",
    "WaitNumbers",
    "Webhook",
    "WebhookAsked",
    "WebhookChange",
    "WebhookMade",
]


class EventType(OpenEnum):
    """What can be told; sql/versions/0005 and 0007 write all of it down but the ping."""

    JOB_COMPLETED = "job.completed"
    JOB_PARTIALLY_COMPLETED = "job.partially_completed"
    JOB_FAILED = "job.failed"
    JOB_CANCELLED = "job.cancelled"
    DOCUMENT_CREATED = "document.created"
    DOCUMENT_DELETED = "document.deleted"
    PING = "ping"


class Format(OpenEnum):
    """The formats Arqueduct reads, by media type."""

    APPLICATION_PDF = "application/pdf"
    APPLICATION_VND_OPENXMLFORMATS_OFFICEDOCUMENT_WORDPROCESSINGML_DOCUMENT = (
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    )
    TEXT_HTML = "text/html"
    TEXT_MARKDOWN = "text/markdown"
    TEXT_PLAIN = "text/plain"


class JobState(OpenEnum):
    """Where a job stands. The row in Postgres is the only place that knows."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    PARTIALLY_COMPLETED = "partially_completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Mode(OpenEnum):
    """Which rankings are asked."""

    HYBRID = "hybrid"
    VECTOR = "vector"
    TEXT = "text"


class OnError(OpenEnum):
    """What becomes of the other children when some have failed."""

    CONTINUE = "continue"
    STOP_ON_ERROR = "stop_on_error"


class Outcome(OpenEnum):
    """How one attempt at a job ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    RETRIED = "retried"
    SNOOZED = "snoozed"
    HANDED_BACK = "handed_back"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    WORKER_DIED = "worker_died"


class Permission(OpenEnum):
    """What a route asks for. Also the scopes of API keys."""

    SELF = "self"
    DOCUMENTS_READ = "documents:read"
    DOCUMENTS_WRITE = "documents:write"
    PROFILES_WRITE = "profiles:write"
    JOBS_READ = "jobs:read"
    JOBS_WRITE = "jobs:write"
    JOBS_INSPECT = "jobs:inspect"
    KEYS_OWN = "keys:own"
    KEYS_ALL = "keys:all"
    MEMBERS_READ = "members:read"
    MEMBERS_WRITE = "members:write"
    OWNERS_WRITE = "owners:write"
    TENANT_WRITE = "tenant:write"
    WEBHOOKS_READ = "webhooks:read"
    WEBHOOKS_WRITE = "webhooks:write"
    AUDIT_READ = "audit:read"
    UPKEEP_READ = "upkeep:read"
    UPKEEP_WRITE = "upkeep:write"


class Role(OpenEnum):
    """What a member is in a tenant."""

    OWNER = "owner"
    ADMIN = "admin"
    EDITOR = "editor"
    VIEWER = "viewer"
    SERVICE = "service"


class Acceptance(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody takes an invitation up."""

    token: str
    name: str | UnsetType | None = UNSET
    """Of a new user; one who is there already keeps his."""
    password: str
    """A new user's from now on; the right one of a user who is there already."""


class Accepted(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A document that was taken in, and the job that processes it."""

    document: "Document"
    job: "Job"


class Account(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The caller: who, where, as what."""

    user: "Person"
    tenant: "TenantOfMine"
    permissions: "list[Permission]"
    signed_in_by: "Proof"


class Alive(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The event loop turns."""

    status: str = "alive"


class Amounts(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How much it is."""

    files: int
    bytes: int
    pages: int
    """Of documents that were read."""
    chunks: int
    tokens: int


class AuditLine(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who did what, or tried to."""

    id: UUID
    at: datetime
    action: str
    """The operation's id; `cli …` of who runs the installation."""
    outcome: Literal["done", "denied", "failed"]
    """`denied`: he may not. `failed`: he may, but it could not be done."""
    code: str | None
    """Of the problem that was answered."""
    user_id: UUID | None
    key_id: UUID | None
    session_id: UUID | None
    role: str | None
    address: str | None
    user_agent: str | None
    request_id: str | None
    target: str | None
    before: dict[str, Any] | None
    """Ids and states that were."""
    after: dict[str, Any] | None
    """Ids and states that are."""


class Batch(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A job whose children do the same to many documents."""

    id: UUID
    """Also that of its job."""
    name: str | None
    action: str
    state: "JobState"
    progress: float
    documents: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class BatchAccepted(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A batch, and its job."""

    batch: "Batch"
    job: "Job"


class BatchAsked(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The same job for many documents."""

    action: str | UnsetType = UNSET
    """The kind of the jobs: any pipeline for documents that is installed."""
    name: str | UnsetType = UNSET
    document_ids: list[UUID] | UnsetType | None = UNSET
    """At most 20,000; for more give a filter."""
    filter: "DocumentChoice | UnsetType | None" = UNSET
    """Instead of naming them. An empty object: every document of the tenant."""
    profile: str | UnsetType | None = UNSET
    """Id or name of a processing profile of this pipeline. Null: none."""
    policy: "ErrorPolicy | UnsetType" = UNSET


class CheckAnswer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that is needed."""

    ok: bool
    detail: str


class ChildChoice(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which of those that failed are tried again. Nothing named: all that failed, and of a project or batch that
    was itself cancelled those too that were cancelled with it."""

    error_code: str | UnsetType | None = UNSET
    job_ids: list[UUID] | UnsetType | None = UNSET
    with_cancelled: bool | UnsetType = UNSET
    """Those too that were cancelled."""


class ChildCounts(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Children by state."""

    total: int
    queued: int
    running: int
    paused: int
    completed: int
    failed: int
    cancelled: int


class ChildJob(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One child, which is about one document."""

    job_id: UUID
    kind: str
    document_id: UUID | None
    name: str | None
    path: str | None
    """Within the file set, where it is in one."""
    state: "JobState"
    stage: str
    progress: float
    message: str | None
    details: dict[str, Any]
    eta_seconds: int | None
    error: "JobError | None"
    attempt: int
    size: int
    pages: int
    chunks: int
    tokens: int
    took_seconds: float | None
    """From its first claim to its end, pauses and retries included."""
    started_at: datetime | None
    finished_at: datetime | None


class Chunk(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A passage: characters `start` to `end` of the document's text."""

    id: UUID
    ordinal: int
    """0 …, gapless."""
    text: str
    pages: tuple[int, int]
    """First and last page."""
    start: int
    end: int
    tokens: int
    heading: str | None


class Cost(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What all attempts of all children have cost, those that failed too."""

    tokens: int
    """Bought from the embedder, estimated."""
    embedding_requests: int
    """Batches asked for; jobs share requests, so a provider may count fewer."""
    cache_hits: int
    """Vectors that were there already."""


class DefaultProfile(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The profile that every tenant has by itself. It has no id: a job, a project or a batch names it or names
    none."""

    name: str
    version: int
    settings: "ProfileSettings"


class Delivery(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One event for one endpoint."""

    id: UUID
    event_id: UUID
    """The `webhook-id` of the message: the same for each attempt and each redelivery."""
    type: str
    state: Literal["pending", "delivered", "failed", "cancelled"]
    """`failed`: given up; it can be redelivered."""
    attempts: int
    """How often it was sent, or was to be."""
    last_status: int | None
    """What the receiver answered last; null: nothing, and `last_error` says why."""
    last_error: str | None
    job_id: UUID
    """The job that delivers it, of the kind `webhook.deliver`."""
    created_at: datetime
    """When it happened."""
    ended_at: datetime | None
    next_attempt_at: datetime | None


class DeliveryAttempt(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One attempt to send a message."""

    number: int
    started_at: datetime
    took_ms: int
    status: int | None
    error: str | None
    answer: str | None
    """How the receiver's answer began: its first 1,000 bytes, as text."""


class DeliveryDetails(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A delivery with all that is known of it."""

    delivery: "Delivery"
    data: dict[str, Any]
    """That of the message."""
    attempts: "list[DeliveryAttempt]"
    """The oldest first."""


class Document(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A file that was uploaded, and what was read out of it."""

    id: UUID
    name: str
    content_type: str
    """Told by content, not by name."""
    size: int
    """Bytes."""
    sha256: str
    status: "JobState"
    """The state of its job; `uploaded` before it has one."""
    title: str | None
    pages: int | None
    characters: int | None
    chunks: int | None
    metadata: dict[str, Any]
    error: "JobError | None"
    job_id: UUID | None
    """Null before a job was made for it."""
    archived_at: datetime | None
    """Since when no search finds it; its text and passages can still be read, its content after a restore."""
    original_removed_at: datetime | None
    """When a policy of retention took the file; text and passages stay."""
    created_at: datetime
    updated_at: datetime


class DocumentChoice(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Documents that fit every field that is given."""

    statuses: "list[JobState | Literal['uploaded']] | UnsetType | None" = UNSET
    content_types: "list[Format] | UnsetType | None" = UNSET
    file_set_id: UUID | UnsetType | None = UNSET
    project_id: UUID | UnsetType | None = UNSET
    """Those of its newest run."""
    error_code: str | UnsetType | None = UNSET
    """Of the document's newest job."""
    created_after: datetime | UnsetType | None = UNSET
    created_before: datetime | UnsetType | None = UNSET
    archived: bool | UnsetType | None = UNSET
    """Only `document.restore` is for archived documents; every other action leaves them out anyway."""


class DocumentMessage(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body of `document.…`."""

    type: Literal["document.created", "document.deleted"]
    timestamp: datetime
    data: "ToldDocument"


class DocumentPatch(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What to change of a document; what is not named stays."""

    name: str | UnsetType = UNSET
    """What cannot be shown is taken out of it, and folders before it, as with an upload."""
    title: str | UnsetType | None = UNSET
    """Null: as the document itself has it, when it is read the next time."""
    metadata: dict[str, Any] | UnsetType = UNSET
    """Replaces the whole of it. At most 16 kB as JSON, and eight levels deep."""


class DocumentsAdded(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of the documents that were named."""

    files: "list[FileAnswer]"
    """In the order in which they were named."""


class DocumentsNamed(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Documents that are there already."""

    document_ids: list[UUID]


class DocumentsPolicyAsked(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How long documents are kept, or their files."""

    days: int
    """Since the document was made, the text written, or the job ended."""
    is_enabled: bool | UnsetType = UNSET
    """Applied once a day by itself."""
    states: list[Literal["completed", "partially_completed", "failed", "cancelled"]] | UnsetType = UNSET
    """Only where the job is in one of these; none: any that is final."""
    content_types: "list[Format] | UnsetType" = UNSET
    """Only documents of these types; none: all."""


class Done(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was completed in an hour or a day (UTC)."""

    began_at: datetime
    jobs: int
    documents: int
    pages: int
    chunks: int


class Ended(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How many sessions were ended, in all tenants."""

    ended: int


class ErrorPolicy(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What becomes of the others when some fail."""

    on_error: "OnError | UnsetType" = UNSET
    """`continue`: all are tried. `stop_on_error`: once more failed than may, the others are cancelled."""
    threshold: float | UnsetType | None = UNSET
    """Share that may fail before the whole counts as failed. Left out: 1 for `continue`, 0 for `stop_on_error`."""


class ErrorReport(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Failed jobs: of a project or a batch in the order in which they were made, of a tenant what failed last
    first."""

    after: datetime | None
    """What failed later than this is told; null: all of the project or batch."""
    by_code: dict[str, int] | None
    """How many there are of each, over all pages. Only on the first page; null on those behind a cursor."""
    items: "list[FailedJob]"
    next_cursor: str | None


class Estimate(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Seconds until the end, from measured rates; docs/eta.md says how good it is."""

    seconds: int
    low: int
    high: int


class FailedJob(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One job that failed."""

    job_id: UUID
    kind: str
    project_id: UUID | None
    document_id: UUID | None
    name: str | None
    path: str | None
    """Within the file set of the project that was asked for."""
    stage: str | None
    """Where it failed."""
    code: str
    message: str | None
    advice: str | None
    """What to do."""
    retryable: bool
    """Whether trying again can help without a change."""
    attempts: int
    failed_at: datetime


class FamilyStatus(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a job with children stands at this moment, to the last child; live messages are a second behind."""

    id: UUID
    """Of the project or the batch."""
    job_id: UUID
    state: "JobState"
    progress: float
    """Mean of the children's progress, weighted by how long each was expected to take."""
    message: str
    policy: "ErrorPolicy"
    counts: "ChildCounts"
    bytes_done: int
    bytes_total: int
    pages_done: int
    chunks_done: int
    throughput: "Throughput | None"
    """Null until children have run for a second."""
    eta: "Estimate | None"
    """Null while there is no basis for one, and once it has ended."""
    errors: dict[str, int]
    """Failed children by the code of their error."""
    cost: "Cost"
    slowest: "list[ChildJob]"
    """Of those completed, at most five."""
    failed: "list[ChildJob]"
    """At most twenty; the error report has all."""
    files: "PageChildJob"
    """The first, in the order in which they were asked for; `next_cursor` is one of `files`."""
    error: "JobError | None"
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class FileAnswer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one file of a request."""

    name: str
    """The last step of its path."""
    path: str | None
    """In the set; null where what was sent cannot be one."""
    document_id: UUID | None
    accepted: bool
    error: "FileRefused | None"


class FileRefused(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a file was not taken into a set; the others are not hindered by it."""

    code: str
    message: str
    advice: str


class FileSet(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A named group of documents."""

    id: UUID
    name: str
    description: str | None
    metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    """Of the set itself: files that come or go do not move it."""
    archived_at: datetime | None


class FileSetChange(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What to change of a set; what is not named stays."""

    name: str | UnsetType = UNSET
    description: str | UnsetType | None = UNSET
    metadata: dict[str, Any] | UnsetType = UNSET
    """Replaces the whole of it. At most 16 kB as JSON, and eight levels deep."""


class FileSetFile(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A document in a set."""

    path: str
    added_at: datetime
    document: "Document"


class FileSetFileChange(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a file lies in its set from now on."""

    path: str
    """Relative; made safe as with an upload. The document keeps its name."""


class FileSetFilled(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A set, and what became of the files that were sent."""

    id: UUID
    name: str
    description: str | None
    metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    """Of the set itself: files that come or go do not move it."""
    archived_at: datetime | None
    files: "list[FileAnswer]"
    """In the order in which they came."""


class FileSetStatistics(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A set in numbers."""

    total: "Amounts"
    by_type: "dict[str, Amounts]"
    by_status: "dict[str, Amounts]"


class InvitationAccepted(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whom to sign in as, and where."""

    user_id: UUID
    tenant_id: UUID


class InvitationAsked(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who is to become what."""

    email: str
    role: Literal["owner", "admin", "editor", "viewer"]


class InvitationMade(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An invitation, and what opens it."""

    invitation: "InvitationShown"
    token: str
    """Shown here and never again: hand it to whom it is for."""


class InvitationShown(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was sent to whom."""

    id: UUID
    email: str
    role: "Role"
    state: Literal["open", "accepted", "revoked", "expired"]
    invited_by: UUID | None
    """Null: by who runs the installation, or by somebody who is no more."""
    created_at: datetime
    expires_at: datetime
    accepted_at: datetime | None
    revoked_at: datetime | None


class Job(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One run of a pipeline."""

    id: UUID
    kind: str
    state: "JobState"
    stage: str
    progress: float
    message: str | None
    details: dict[str, Any]
    attempt: int
    """0 before the first worker took it."""
    eta_seconds: int | None
    """Seconds until it is done, as likely too many as too few; null: nobody can tell. Of a queued job, with its
    wait, only where one job is asked for."""
    eta_range: list[int] | None
    """`[least, most]` seconds until it is done: what comes lies between them eight times in ten."""
    error: "JobError | None"
    document_id: UUID | None
    document_name: str | None
    parent_id: UUID | None
    """Of a child: the job of the project or the batch that it belongs to."""
    children: int | None
    """Of the job of a project or a batch: how many it was made with. Null for a job that workers run."""
    seq: int
    """Grows with every change; live messages carry the same number."""
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    waiting_for: str | None
    """Why a queued job does not run; null in every other state."""
    position: int | None = None
    """How many jobs begin before this one if nothing changes, where one job is asked for and it waits for its turn."""
    priority: Literal["interactive", "normal", "bulk"]
    """Which of the tenant's jobs goes first: `interactive`, then `normal`, then `bulk`."""


class JobAttempt(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One attempt at a job."""

    attempt: int
    worker: str | None
    """Its name, for who has `jobs:inspect`: owners and administrators; null for everybody else."""
    version: str
    """Of the worker."""
    started_at: datetime
    ended_at: datetime | None
    outcome: "Outcome | None"
    """Null while it runs."""
    stage: str | None
    """Where it was when it ended."""
    code: str | None
    message: str | None
    traceback: str | None
    """For who has `jobs:inspect`; null for everybody else, and where there was no error."""


class JobAttempts(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The newest hundred, the oldest of them first."""

    items: "list[JobAttempt]"


class JobError(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a job failed, or why it is tried again."""

    code: str
    message: str
    stage: str | None = None
    retryable: bool = False
    advice: str = ""


class JobEvent(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line of a job's history."""

    seq: int
    type: str
    state: "JobState"
    stage: str
    progress: float
    message: str | None
    details: dict[str, Any]
    error: "JobError | None"
    attempt: int
    timestamp: datetime


class JobMessage(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body of `job.…`."""

    type: Literal["job.completed", "job.partially_completed", "job.failed", "job.cancelled"]
    timestamp: datetime
    data: "ToldJob"


class JobNumbers(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whole jobs of a kind, as far as they completed, and what they made."""

    kind: str
    completed: int
    deaths: int
    """Attempts whose worker died before any stage began."""
    seconds: "Seconds"
    """Of the attempt that completed."""
    documents: int
    pages: int
    chunks: int


class JobSelection(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which of the tenant's jobs are meant: those that fit every field that is given. An empty list fits none."""

    ids: list[UUID] | UnsetType | None = UNSET
    states: "list[JobState] | UnsetType | None" = UNSET
    kinds: list[str] | UnsetType | None = UNSET
    """`webhook.deliver` needs `webhooks:write`; where no kind is named, such jobs are not meant."""
    document_ids: list[UUID] | UnsetType | None = UNSET
    parent_id: UUID | UnsetType | None = UNSET
    """The project's or the batch's job of which they are children."""
    user_id: UUID | UnsetType | None = UNSET
    """Who created them."""
    error_code: str | UnsetType | None = UNSET
    """Of the job's newest error."""
    created_after: datetime | UnsetType | None = UNSET
    created_before: datetime | UnsetType | None = UNSET
    all: bool | UnsetType = UNSET
    """Every job of the tenant. Instead of the other fields."""


class JobsPolicyAsked(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How long finished jobs are kept that no document names."""

    days: int
    """Since the document was made, the text written, or the job ended."""
    is_enabled: bool | UnsetType = UNSET
    """Applied once a day by itself."""
    states: list[Literal["completed", "partially_completed", "failed", "cancelled"]] | UnsetType = UNSET
    """Only where the job is in one of these; none: any that is final."""


class KeyAsked(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A key that is to be made."""

    name: str
    scopes: "list[Permission] | UnsetType | None" = UNSET
    """What it may do, of what its user may. None: all of that – or, made with a key that is limited itself or for
    somebody else, what both may."""
    expires_at: datetime | UnsetType | None = UNSET
    user_id: UUID | UnsetType | None = UNSET
    """Whose; the caller's own unless told."""
    requests_per_minute: int | UnsetType | None = UNSET
    """What the key may do instead of what every user may."""


class KeyChange(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is to be different; what is not named stays."""

    name: str | UnsetType = UNSET
    requests_per_minute: int | UnsetType | None = UNSET
    """Null: as much as every user."""


class KeyMade(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A key, and the secret itself."""

    key: "KeyShown"
    api_key: str
    """Shown here and never again."""


class KeyShown(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A key as lists show it."""

    id: UUID
    user_id: UUID
    name: str
    prefix: str
    """How it begins."""
    scopes: "list[Permission]"
    """None are no limit."""
    requests_per_minute: int | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    """To the minute."""


class LLMOptions(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which language model a stage should ask, and how. A field that is null is the stage's own choice."""

    model: str | UnsetType | None = UNSET
    """The name of the model, as its provider has it."""
    temperature: float | UnsetType | None = UNSET
    """0: the likeliest words; higher: more variety."""
    max_tokens: int | UnsetType | None = UNSET
    """The longest answer."""


class Login(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who says who he is."""

    email: str
    """Upper and lower case are the same."""
    password: str
    tenant_id: UUID | UnsetType | None = UNSET
    """Where to; the tenant he has belonged to for longest unless told."""


class Member(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody who belongs to the tenant."""

    user_id: UUID
    email: str
    name: str | None
    role: "Role"
    created_at: datetime
    """Since when he is a member."""
    disabled_at: datetime | None
    """Since when he may not sign in anywhere."""


class PageAuditLine(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Page[AuditLine]"""

    items: "list[AuditLine]"
    next_cursor: str | None
    """Pass it as `cursor` for the next page; null on the last one."""


class PageBatch(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Page[Batch]"""

    items: "list[Batch]"
    next_cursor: str | None
    """Pass it as `cursor` for the next page; null on the last one."""


class PageChildJob(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Page[ChildJob]"""

    items: "list[ChildJob]"
    next_cursor: str | None
    """Pass it as `cursor` for the next page; null on the last one."""


class PageChunk(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Page[Chunk]"""

    items: "list[Chunk]"
    next_cursor: str | None
    """Pass it as `cursor` for the next page; null on the last one."""


class PageDelivery(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Page[Delivery]"""

    items: "list[Delivery]"
    next_cursor: str | None
    """Pass it as `cursor` for the next page; null on the last one."""


class PageDocument(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Page[Document]"""

    items: "list[Document]"
    next_cursor: str | None
    """Pass it as `cursor` for the next page; null on the last one."""


class PageFileSetFile(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Page[FileSetFile]"""

    items: "list[FileSetFile]"
    next_cursor: str | None
    """Pass it as `cursor` for the next page; null on the last one."""


class PageFileSet(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Page[FileSet]"""

    items: "list[FileSet]"
    next_cursor: str | None
    """Pass it as `cursor` for the next page; null on the last one."""


class PageInvitationShown(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Page[InvitationShown]"""

    items: "list[InvitationShown]"
    next_cursor: str | None
    """Pass it as `cursor` for the next page; null on the last one."""


class PageJobEvent(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Page[JobEvent]"""

    items: "list[JobEvent]"
    next_cursor: str | None
    """Pass it as `cursor` for the next page; null on the last one."""


class PageJob(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Page[Job]"""

    items: "list[Job]"
    next_cursor: str | None
    """Pass it as `cursor` for the next page; null on the last one."""


class PageKeyShown(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Page[KeyShown]"""

    items: "list[KeyShown]"
    next_cursor: str | None
    """Pass it as `cursor` for the next page; null on the last one."""


class PageMember(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Page[Member]"""

    items: "list[Member]"
    next_cursor: str | None
    """Pass it as `cursor` for the next page; null on the last one."""


class PageProfileVersion(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Page[ProfileVersion]"""

    items: "list[ProfileVersion]"
    next_cursor: str | None
    """Pass it as `cursor` for the next page; null on the last one."""


class PageProfile(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Page[Profile]"""

    items: "list[Profile]"
    next_cursor: str | None
    """Pass it as `cursor` for the next page; null on the last one."""


class PageProjectRun(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Page[ProjectRun]"""

    items: "list[ProjectRun]"
    next_cursor: str | None
    """Pass it as `cursor` for the next page; null on the last one."""


class PageProject(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Page[Project]"""

    items: "list[Project]"
    next_cursor: str | None
    """Pass it as `cursor` for the next page; null on the last one."""


class PageSessionShown(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Page[SessionShown]"""

    items: "list[SessionShown]"
    next_cursor: str | None
    """Pass it as `cursor` for the next page; null on the last one."""


class PageWebhook(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Page[Webhook]"""

    items: "list[Webhook]"
    next_cursor: str | None
    """Pass it as `cursor` for the next page; null on the last one."""


class PasswordRequest(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A new password, and the proof that it is not a stranger at an unlocked screen."""

    old_password: str
    new_password: str


class PasswordResetMade(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Lets a member choose a new password, once."""

    token: str
    """Shown here and never again."""
    expires_at: datetime


class Person(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who it is."""

    id: UUID
    email: str
    name: str | None


class PingMessage(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body of `ping`."""

    type: Literal["ping"]
    timestamp: datetime
    data: dict[str, Any]


class Pipeline(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A pipeline that profiles can name."""

    kind: str
    about: str
    stages: list[str]
    """Those that run where a profile names none, in order of flow; the last one is the last of every profile."""
    choice: "list[Stage]"
    """All that a profile can name."""


class Pipelines(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is installed on the workers."""

    pipelines: "list[Pipeline]"
    embedder: str
    """The embedding model."""


class PolicyAsked(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How long things of one sort are kept."""

    days: int
    """Since the document was made, the text written, or the job ended."""
    is_enabled: bool | UnsetType = UNSET
    """Applied once a day by itself."""


class PolicyShown(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How long things of one sort are kept."""

    days: int
    states: "list[JobState]"
    content_types: list[str]
    is_enabled: bool
    updated_at: datetime


class Problem(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """RFC 9457; every answer of 400 and above is one."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    """The name to match on."""
    request_id: str | None
    """Under which the log has it."""
    advice: str
    """What to do."""
    errors: "list[ProblemField]"
    limit: int | None = None
    """With 413: how many bytes are accepted."""
    state: "JobState | None" = None
    """With 409: the state that does not allow it."""


class ProblemField(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that is wrong with a request."""

    detail: str
    pointer: str | None = None
    """Where in the body, as a JSON pointer."""
    parameter: str | None = None
    """Which parameter …"""
    in_: str | None = field(default=None, name="in")
    """… of `path`, `query` or `header`."""


class Processing(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How processing went in a stretch of time, by when each run ended."""

    from_: datetime = field(name="from")
    """As asked, rounded down to the hour; to the day where only days are kept any more."""
    to: datetime
    """As asked, rounded up alike. What ended at this moment does not count."""
    scope: Literal["user", "tenant"]
    """Of one user's jobs, or of all the tenant's."""
    group: Literal["hour", "day"]
    """Of the series."""
    relative_error: float
    """Bound of the error of percentiles, of what takes a millisecond or more."""
    stages: "list[StageNumbers]"
    jobs: "list[JobNumbers]"
    waits: "list[WaitNumbers]"
    series: "list[Done]"
    """Every hour or day, those without anything too; of the first and the last one only what lies in the range."""


class Profile(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A processing profile, as it is now."""

    id: UUID
    name: str
    description: str | None
    version: int
    """Grows by one with other settings."""
    settings: "ProfileSettings"
    created_by: UUID | None
    """Null: the user is no more."""
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None
    """Since when nothing new can be begun with it."""


class ProfileAsked(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A profile as it is to be."""

    settings: "ProfileSettings | UnsetType" = UNSET
    name: str
    """Among the tenant's own; not `default`, which is built in, and nothing that looks like an id."""
    description: str | UnsetType | None = UNSET


class ProfileSettings(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How documents are processed. Each field has a default; all defaults together are the profile `default`."""

    pipeline: str | UnsetType = UNSET
    """The kind of the jobs."""
    stages: list[str] | UnsetType | None = UNSET
    """Their stages, in order of flow. Null: those that the pipeline has by itself."""
    options: dict[str, dict[str, Any]] | UnsetType = UNSET
    """What is said to stages, by their names; GET /api/v1/pipelines has the schemas. At most 16 kB as JSON."""
    llm: "LLMOptions | UnsetType" = UNSET
    """For plugin stages that ask a language model; no built-in stage does."""
    embedder: str | UnsetType | None = UNSET
    """The embedding model that the installation must have. Null: whichever it has."""
    duplicates: Literal["process", "skip"] | UnsetType = UNSET
    """What becomes of a document whose bytes the same set has already."""
    priority: Literal["interactive", "normal", "bulk"] | UnsetType = UNSET
    """Which of the tenant's own jobs goes first."""
    max_failures: int | UnsetType | None = UNSET
    """Failed attempts after which a job is failed. Null: as every job has it."""


class ProfileTried(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Settings that are only looked at."""

    settings: "ProfileSettings | UnsetType" = UNSET


class ProfileVersion(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a profile said at a time."""

    version: int
    settings: "ProfileSettings"
    created_by: UUID | None
    created_at: datetime


class Project(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A file set that is processed under a profile."""

    id: UUID
    name: str
    description: str | None
    file_set_id: UUID | None
    """Null: the set was deleted since."""
    job_id: UUID
    """Of its newest run."""
    state: "JobState"
    """Of its newest run, up to a second old; `status` has it to the last file."""
    progress: float
    files: int
    """That its newest run was made with."""
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None


class ProjectAccepted(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A project, and the job whose children process its files."""

    project: "Project"
    job: "Job"


class ProjectAsked(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A file set to be processed."""

    name: str
    description: str | UnsetType | None = UNSET
    file_set_id: UUID
    profile: str | UnsetType | None = UNSET
    """Id or name of a processing profile, as it is now. Null: the built-in one."""
    policy: "ErrorPolicy | UnsetType" = UNSET


class ProjectChange(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What to change of a project; what is not named stays."""

    name: str | UnsetType = UNSET
    description: str | UnsetType | None = UNSET


class ProjectRun(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One time that the project was processed."""

    number: int
    """1 …"""
    job_id: UUID
    profile_id: UUID | None
    """Null: the built-in one."""
    profile_name: str
    profile_version: int
    skipped: int
    """Duplicates that the profile says to leave out."""
    state: "JobState"
    progress: float
    created_at: datetime
    finished_at: datetime | None


class ProjectRunAsked(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Processing the same files once more."""

    profile: str | UnsetType | None = UNSET
    """Id or name of a processing profile, as it is now. Null: the built-in one."""
    policy: "ErrorPolicy | UnsetType" = UNSET


class Proof(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How the caller of this very request is known."""

    method: Literal["api_key", "password", "oidc"]
    key_id: UUID | None
    session_id: UUID | None
    session_expires_at: datetime | None
    """When even a renewed session is over."""


class ProviderAnswer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the OpenID provider sent the browser back with."""

    code: str
    state: str
    binding: str
    """What the start told the page beside the address."""
    tenant_id: UUID | UnsetType | None = UNSET
    """Where to; the tenant he has belonged to for longest unless told. One that has invited him counts, too."""


class ProviderPage(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where to sign in."""

    url: str
    """Send the browser there within ten minutes."""
    binding: str
    """Keep it in the page, and send it when the browser comes back: it shows that this browser began the sign-in."""


class Queue(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The tenant's jobs that are not finished, and what decides when they run."""

    queued: int
    running: int
    paused: int
    unfinished: int
    """All three."""
    oldest_due_seconds: float
    """For how long the oldest job that is due has been waiting; 0 where none is."""
    live_workers: int
    """Of the whole installation."""
    is_paused: bool
    """By an administrator: the queue, or this tenant's part of it."""
    in_flight: int
    """Jobs that run, or that workers will take next."""
    max_running: int | None
    """How many may be in flight; null: as many as there are workers for."""
    paused_kinds: list[str]
    full_kinds: list[str]
    """Kinds of which as many run as may."""


class QuotaShown(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How much there may be; null: no limit."""

    documents: int | None
    bytes: int | None
    jobs: int | None


class QuotasShown(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is set in the tenant."""

    tenant: "QuotaShown"
    """By who runs the installation."""
    default: "QuotaShown"
    """Of each user that has none of its own."""
    users: "list[UserQuotaShown]"


class ReadinessAnswer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything that is needed to serve."""

    status: str
    checks: "dict[str, CheckAnswer]"


class RefreshRequest(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A refresh token, which is worth nothing afterwards."""

    refresh_token: str


class ResetRequest(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A new password, by a token from an administrator."""

    token: str
    new_password: str


class Retention(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The policies of the tenant, in the order in which a run applies them; null: there is none."""

    documents: "PolicyShown | None"
    originals: "PolicyShown | None"
    texts: "PolicyShown | None"
    jobs: "PolicyShown | None"


class RetentionAsked(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All policies: one that is not named, or null, is removed."""

    documents: "DocumentsPolicyAsked | UnsetType | None" = UNSET
    """Whole documents, as if a user deleted them."""
    originals: "DocumentsPolicyAsked | UnsetType | None" = UNSET
    """The files, of documents that have a text."""
    texts: "PolicyAsked | UnsetType | None" = UNSET
    """Kept texts that only the retry of a failed or cancelled job would use."""
    jobs: "JobsPolicyAsked | UnsetType | None" = UNSET
    """Finished jobs that no document names, with their history."""


class RoleChange(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a member is to be."""

    role: Literal["owner", "admin", "editor", "viewer"]


class RunAsked(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whether to do it, or to say what would be done."""

    dry_run: bool | UnsetType = UNSET
    """Counts what each policy means, enabled or not, and changes nothing."""


class SearchAnswer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The best first."""

    items: "list[SearchHit]"


class SearchHit(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A passage that answers the query."""

    document_id: UUID
    document_name: str
    chunk_id: UUID
    text: str
    highlight: str
    """HTML: escaped text with found words in `<mark>`."""
    pages: tuple[int, int]
    heading: str | None
    score: float
    """Comparable within one answer only."""
    ranks: dict[str, int]
    """Its place, from 1, in each ranking that found it."""


class SearchRequest(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What to look for, and how."""

    query: str
    """Between 1 and 2,000 characters, white space at both ends not counted."""
    mode: "Mode | UnsetType" = UNSET
    limit: int | UnsetType = UNSET
    document_ids: list[UUID] | UnsetType | None = UNSET
    """Look only into these; those of other tenants are passed over."""


class Seconds(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Of those that went well. Percentiles are within `relative_error` of what was measured; null where nothing
    was."""

    mean: float | None
    p50: float | None
    p95: float | None
    p99: float | None


class ServiceAccountAsked(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A program that is to work with documents."""

    name: str


class ServiceAccountMade(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """It has no keys yet."""

    user_id: UUID
    name: str


class SessionShown(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody signed in, on one device."""

    id: UUID
    is_current: bool
    """Whether this request belongs to it."""
    method: Literal["password", "oidc"]
    created_at: datetime
    renewed_at: datetime
    expires_at: datetime
    address: str | None
    user_agent: str | None


class SignedIn(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A session has begun."""

    access_token: str
    """Send it as `Authorization: Bearer`."""
    token_type: Literal["Bearer"] = "Bearer"
    expires_in: int
    """Seconds until the access token is over."""
    refresh_token: str
    """Good for one renewal. Sent twice, it ends the session."""
    session_id: UUID
    user: "Person"
    tenant: "TenantOfMine"
    other_tenants: "list[TenantOfMine]"
    """Sign in again with `tenant_id` to work there."""


class Stage(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A stage, where a pipeline can have it."""

    name: str
    label: str
    """What clients see while it runs."""
    version: str
    about: str
    needs: list[str]
    """Stages that must run before it."""
    before: str | None
    """A stage that must run after it, where the profile has it."""
    after: str | None
    """A stage that must run before it, where the profile has it."""
    optional: bool
    """Whether a profile may leave it out, as far as no other stage needs it."""
    options: dict[str, Any] | None
    """The JSON schema of its options, as a form can be drawn from; null: it takes none."""


class StageNumbers(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A stage of a kind of job, in all attempts."""

    kind: str
    stage: str
    runs: int
    """That ended, well or in an error. One that was stopped, by a cancel say, is none."""
    errors: int
    error_rate: float
    errors_by_code: dict[str, int]
    seconds: "Seconds"


class Steered(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of the selected jobs."""

    changed: int
    """Jobs that were waiting, or had ended, and are in their new state now."""
    asked: int
    """Jobs that run; their workers were told and stop within moments."""
    remaining: int
    """Jobs that the same request would change now: more than one request does, or held by somebody all the time."""


class StorageShown(Struct, frozen=True, kw_only=True, omit_defaults=True):
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


class TargetReport(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a run did about one target, or would do."""

    rows: int
    bytes: int
    """That the storage has less."""
    sample: list[str]
    """Some ids; of texts the names of files."""


class TenantChange(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the tenant is to be called."""

    name: str


class TenantOfMine(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A tenant that somebody belongs to, and as what."""

    id: UUID
    name: str
    role: str


class TenantShown(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The tenant of the caller."""

    id: UUID
    name: str
    created_at: datetime


class Throughput(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """While any child ran: pauses, and the time between an end and a retry, are left out."""

    elapsed_seconds: float
    documents_per_hour: float
    pages_per_hour: float
    bytes_per_second: float


class Ticket(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A pass for one live connection."""

    ticket: str
    expires_in: int = 30


class Tokens(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What proves who is calling, and what renews it."""

    access_token: str
    """Send it as `Authorization: Bearer`."""
    token_type: Literal["Bearer"] = "Bearer"
    expires_in: int
    """Seconds until the access token is over."""
    refresh_token: str
    """Good for one renewal. Sent twice, it ends the session."""
    session_id: UUID


class ToldDocument(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A document that came or went."""

    document_id: UUID
    job_id: UUID | None
    """Null where no job has processed it: it was uploaded into a file set."""
    content_type: str
    size: int


class ToldError(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a job failed. Its message is read at the job."""

    code: str
    stage: str | None
    retryable: bool | None


class ToldJob(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A job that ended. Ids and codes: what a document says or is called never leaves this way."""

    job_id: UUID
    kind: str
    state: Literal["completed", "partially_completed", "failed", "cancelled"]
    document_id: UUID | None
    attempt: int
    error: "ToldError | None"


class UpkeepRunShown(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A run of `retention.apply` or `storage.optimise`."""

    id: UUID
    """Also of its job, which says how far it is: `GET /api/v1/jobs/{id}`."""
    kind: str
    dry_run: bool
    targets: "dict[str, TargetReport]"
    """So far."""
    policies: list[dict[str, Any]]
    """Which it applies."""
    created_at: datetime
    updated_at: datetime


class UsageOf(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What somebody has, and may have."""

    documents: "Used"
    bytes: "Used"
    """Of originals that are not deleted, duplicates counted each."""
    jobs: "Used"
    """That are not finished."""


class UsageShown(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Of the tenant, and of the caller in it."""

    tenant: "UsageOf"
    user: "UsageOf"


class Used(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Of one thing."""

    used: int
    limit: int | None
    """Null: as much as comes."""


class UserQuotaAsked(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How much a user may have. What is left out, or null, is not limited."""

    documents: int | UnsetType | None = UNSET
    bytes: int | UnsetType | None = UNSET
    """Of originals that are not deleted."""
    jobs: int | UnsetType | None = UNSET
    """That are not finished."""


class UserQuotaShown(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The quota of one user, which replaces the default as a whole."""

    documents: int | None
    bytes: int | None
    jobs: int | None
    user_id: UUID


class Verdict(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whether a profile with these settings could be made now."""

    is_valid: bool
    errors: "list[VerdictFault]"


class VerdictFault(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is wrong in one place."""

    detail: str
    pointer: str
    """Where in the body, as a JSON pointer."""


class Version(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What runs here."""

    name: str = "arqueduct"
    version: str = "0.1.0"


class WaitNumbers(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """From due to taken by a worker."""

    kind: str
    attempts: int
    seconds: "Seconds"


class Webhook(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An endpoint of the tenant's."""

    id: UUID
    url: str
    events: list[str]
    description: str | None
    is_enabled: bool
    disabled_why: str | None
    """Null: it is enabled, or somebody disabled it."""
    failing_since: datetime | None
    """Null: the last message got through, or none was sent yet."""
    resting_until: datetime | None
    """It failed several times in a row, and is left alone until then."""
    previous_secret_until: datetime | None
    """Until then the secret before the last rotation signs too."""
    created_at: datetime
    updated_at: datetime


class WebhookAsked(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A receiver that is to be told."""

    url: str
    """https, a public host, port 443, 80 or above 1023; no credentials, no fragment."""
    events: "list[EventType | Literal['*']] | UnsetType" = UNSET
    """`*` is every event, those of later versions too."""
    description: str | UnsetType | None = UNSET
    is_enabled: bool | UnsetType = UNSET


class WebhookChange(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is to be different; what is not named stays."""

    url: str | UnsetType = UNSET
    events: "list[EventType | Literal['*']] | UnsetType" = UNSET
    description: str | UnsetType | None = UNSET
    is_enabled: bool | UnsetType = UNSET
    """Who enables it again, or gives it another address, says that it is well."""


class WebhookMade(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An endpoint, and the secret that signs what is sent to it."""

    webhook: "Webhook"
    secret: str
    """Shown here and never again."""
