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
    "AuditLine",
    "CheckAnswer",
    "Chunk",
    "Delivery",
    "DeliveryAttempt",
    "DeliveryDetails",
    "Document",
    "DocumentMessage",
    "DocumentPatch",
    "Ended",
    "EventType",
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
    "JobSelection",
    "JobState",
    "KeyAsked",
    "KeyChange",
    "KeyMade",
    "KeyShown",
    "Login",
    "Member",
    "Mode",
    "Outcome",
    "PageAuditLine",
    "PageChunk",
    "PageDelivery",
    "PageDocument",
    "PageInvitationShown",
    "PageJob",
    "PageJobEvent",
    "PageKeyShown",
    "PageMember",
    "PageSessionShown",
    "PageWebhook",
    "PasswordRequest",
    "PasswordResetMade",
    "Permission",
    "Person",
    "PingMessage",
    "Problem",
    "ProblemField",
    "Proof",
    "ProviderAnswer",
    "ProviderPage",
    "Queue",
    "ReadinessAnswer",
    "RefreshRequest",
    "ResetRequest",
    "Role",
    "RoleChange",
    "SearchAnswer",
    "SearchHit",
    "SearchRequest",
    "ServiceAccountAsked",
    "ServiceAccountMade",
    "SessionShown",
    "SignedIn",
    "Steered",
    "TenantChange",
    "TenantOfMine",
    "TenantShown",
    "Ticket",
    "Tokens",
    "ToldDocument",
    "ToldError",
    "ToldJob",
    "Version",
    "Webhook",
    "WebhookAsked",
    "WebhookChange",
    "WebhookMade",
]


class EventType(OpenEnum):
    """What can be told; sql/versions/0005 writes all of it down but the ping."""

    JOB_COMPLETED = "job.completed"
    JOB_FAILED = "job.failed"
    JOB_CANCELLED = "job.cancelled"
    DOCUMENT_CREATED = "document.created"
    DOCUMENT_DELETED = "document.deleted"
    PING = "ping"


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


class CheckAnswer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that is needed."""

    ok: bool
    detail: str


class Chunk(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A passage: characters `start` to `end` of the document's text."""

    id: UUID
    ordinal: int
    """0 …, gapless."""
    text: str
    pages: list[Any]
    """First and last page."""
    start: int
    end: int
    tokens: int
    heading: str | None


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
    """The state of its job."""
    title: str | None
    pages: int | None
    characters: int | None
    chunks: int | None
    metadata: dict[str, Any]
    error: "JobError | None"
    job_id: UUID
    created_at: datetime
    updated_at: datetime


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


class Ended(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How many sessions were ended, in all tenants."""

    ended: int


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
    error: "JobError | None"
    document_id: UUID | None
    document_name: str | None
    parent_id: UUID | None
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

    type: Literal["job.completed", "job.failed", "job.cancelled"]
    timestamp: datetime
    data: "ToldJob"


class JobSelection(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which of the tenant's jobs are meant: those that fit every field that is given. An empty list fits none."""

    ids: list[UUID] | UnsetType | None = UNSET
    states: "list[JobState] | UnsetType | None" = UNSET
    kinds: list[str] | UnsetType | None = UNSET
    """`webhook.deliver` needs `webhooks:write`; where no kind is named, such jobs are not meant."""
    document_ids: list[UUID] | UnsetType | None = UNSET
    user_id: UUID | UnsetType | None = UNSET
    """Who created them."""
    error_code: str | UnsetType | None = UNSET
    """Of the job's newest error."""
    created_after: datetime | UnsetType | None = UNSET
    created_before: datetime | UnsetType | None = UNSET
    all: bool | UnsetType = UNSET
    """Every job of the tenant. Instead of the other fields."""


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


class RoleChange(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a member is to be."""

    role: Literal["owner", "admin", "editor", "viewer"]


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
    pages: list[Any]
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
    token_type: "Literal['Bearer']" = "Bearer"
    expires_in: int
    """Seconds until the access token is over."""
    refresh_token: str
    """Good for one renewal. Sent twice, it ends the session."""
    session_id: UUID
    user: "Person"
    tenant: "TenantOfMine"
    other_tenants: "list[TenantOfMine]"
    """Sign in again with `tenant_id` to work there."""


class Steered(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of the selected jobs."""

    changed: int
    """Jobs that were waiting, or had ended, and are in their new state now."""
    asked: int
    """Jobs that run; their workers were told and stop within moments."""
    remaining: int
    """Jobs that the same request would change now: more than one request does, or held by somebody all the time."""


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


class Ticket(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A pass for one live connection."""

    ticket: str
    expires_in: int = 30


class Tokens(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What proves who is calling, and what renews it."""

    access_token: str
    """Send it as `Authorization: Bearer`."""
    token_type: "Literal['Bearer']" = "Bearer"
    expires_in: int
    """Seconds until the access token is over."""
    refresh_token: str
    """Good for one renewal. Sent twice, it ends the session."""
    session_id: UUID


class ToldDocument(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A document that came or went."""

    document_id: UUID
    job_id: UUID
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
    state: Literal["completed", "failed", "cancelled"]
    document_id: UUID | None
    attempt: int
    error: "ToldError | None"


class Version(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What runs here."""

    name: str = "arqueduct"
    version: str = "0.1.0"


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
