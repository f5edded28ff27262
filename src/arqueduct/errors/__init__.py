"""Every error that Arqueduct raises on purpose.

    ArqueductError
    ├── RequestError      what a caller can mend: 4xx
    │   └── InvalidRequest    422: a field is missing or wrong
    ├── PermanentError    a job fails at once: trying again cannot help
    ├── TransientError    a job is tried again later; may carry `retry_after`
    ├── TimeIsUp          the job has used its time: it stops where nothing is lost, and goes on later
    ├── LeaseLost         this attempt no longer owns its job; it must stop and write nothing
    └── SetupError        the machine or its configuration: the message says what to do

The docstring of a class is its default message. `code` is the stable name that clients match on; `status` is the
answer of the API; `retryable` says whether the same thing can succeed later; `advice` tells the reader what to do.
docs/errors.md lists them all.
"""

from arqueduct.errors.access import (
    AccessTokenExpired,
    AlreadyMember,
    Forbidden,
    InvitationNeeded,
    InvitationNotOpen,
    LastOwner,
    NoSession,
    NotAuthenticated,
    NotThisMember,
    OriginNotAllowed,
    RefreshTokenReused,
    ResetUnknown,
    SessionOver,
    SeveralInvitations,
    SignInRefused,
    WeakPassword,
    WrongCredentials,
    WrongPassword,
)
from arqueduct.errors.base import (
    ArqueductError,
    InvalidRequest,
    LeaseLost,
    PermanentError,
    RequestError,
    SetupError,
    TimeIsUp,
    TransientError,
)
from arqueduct.errors.documents import (
    ContentMismatch,
    DocumentArchived,
    DocumentBusy,
    DocumentCorrupt,
    DocumentDeleted,
    DocumentEncrypted,
    DocumentHasNoText,
    DocumentNotReady,
    DocumentTimeout,
    DocumentTooComplex,
    DocumentTooLong,
    EmptyUpload,
    MissingFile,
    OriginalAway,
    OriginalRemoved,
    PagesNotRecognised,
    ParserCrashed,
    ParserKilled,
    RangeNotSatisfiable,
    UnsupportedFormat,
    UploadTooLarge,
)
from arqueduct.errors.families import (
    ActionUnknown,
    NothingToProcess,
    ProjectArchived,
    ProjectUnfinished,
    TooManyDocuments,
)
from arqueduct.errors.file_sets import (
    DuplicateFile,
    FileSetArchived,
    FileSetBusy,
    FileSetDeleted,
    FileSetEmpty,
    PathTaken,
    PathTooLong,
    TooManyFiles,
)
from arqueduct.errors.jobs import (
    DependencyUnavailable,
    EmbeddingRejected,
    EmbeddingsMissing,
    IllegalTransition,
    JobTimeout,
    PipelineUnknown,
    ProviderLimited,
    UpkeepUnderWay,
)
from arqueduct.errors.profiles import (
    NoWorkerYet,
    OptionsInvalid,
    ProfileInvalid,
    ProfileNameTaken,
    ProfileUnknown,
    StagesInvalid,
    TooManyProfiles,
)
from arqueduct.errors.requests import (
    AmbiguousHeaders,
    AnswerNotKept,
    ComplexJSON,
    HeadersTooLarge,
    IdempotencyInFlight,
    IdempotencyKeyReused,
    InvalidCursor,
    InvalidJSON,
    InvalidQuery,
    MethodNotAllowed,
    NotFound,
    PreconditionFailed,
    QuotaExceeded,
    RateLimited,
    RequestTooLarge,
    SlowBody,
    TooManyConnections,
)
from arqueduct.errors.webhooks import (
    TooManyWebhooks,
    WebhookAddressRefused,
    WebhookDisabled,
    WebhookFailed,
    WebhookGone,
    WebhookResting,
)

__all__ = [
    "AccessTokenExpired",
    "ActionUnknown",
    "AlreadyMember",
    "AmbiguousHeaders",
    "AnswerNotKept",
    "ArqueductError",
    "ComplexJSON",
    "ContentMismatch",
    "DependencyUnavailable",
    "DocumentArchived",
    "DocumentBusy",
    "DocumentCorrupt",
    "DocumentDeleted",
    "DocumentEncrypted",
    "DocumentHasNoText",
    "DocumentNotReady",
    "DocumentTimeout",
    "DocumentTooComplex",
    "DocumentTooLong",
    "DuplicateFile",
    "EmbeddingRejected",
    "EmbeddingsMissing",
    "EmptyUpload",
    "FileSetArchived",
    "FileSetBusy",
    "FileSetDeleted",
    "FileSetEmpty",
    "Forbidden",
    "HeadersTooLarge",
    "IdempotencyInFlight",
    "IdempotencyKeyReused",
    "IllegalTransition",
    "InvalidCursor",
    "InvalidJSON",
    "InvalidQuery",
    "InvalidRequest",
    "InvitationNeeded",
    "InvitationNotOpen",
    "JobTimeout",
    "LastOwner",
    "LeaseLost",
    "MethodNotAllowed",
    "MissingFile",
    "NoSession",
    "NoWorkerYet",
    "NotAuthenticated",
    "NotFound",
    "NotThisMember",
    "NothingToProcess",
    "OptionsInvalid",
    "OriginNotAllowed",
    "OriginalAway",
    "OriginalRemoved",
    "PagesNotRecognised",
    "ParserCrashed",
    "ParserKilled",
    "PathTaken",
    "PathTooLong",
    "PermanentError",
    "PipelineUnknown",
    "PreconditionFailed",
    "ProfileInvalid",
    "ProfileNameTaken",
    "ProfileUnknown",
    "ProjectArchived",
    "ProjectUnfinished",
    "ProviderLimited",
    "QuotaExceeded",
    "RangeNotSatisfiable",
    "RateLimited",
    "RefreshTokenReused",
    "RequestError",
    "RequestTooLarge",
    "ResetUnknown",
    "SessionOver",
    "SetupError",
    "SeveralInvitations",
    "SignInRefused",
    "SlowBody",
    "StagesInvalid",
    "TimeIsUp",
    "TooManyConnections",
    "TooManyDocuments",
    "TooManyFiles",
    "TooManyProfiles",
    "TooManyWebhooks",
    "TransientError",
    "UnsupportedFormat",
    "UpkeepUnderWay",
    "UploadTooLarge",
    "WeakPassword",
    "WebhookAddressRefused",
    "WebhookDisabled",
    "WebhookFailed",
    "WebhookGone",
    "WebhookResting",
    "WrongCredentials",
    "WrongPassword",
    "by_code",
]


def by_code(code: str) -> type[ArqueductError]:
    """The class whose `code` this is; `ArqueductError` for a code from elsewhere (a plugin, a newer version)."""
    return _tree(ArqueductError).get(code, ArqueductError)


def _tree(root: type[ArqueductError]) -> dict[str, type[ArqueductError]]:
    found = {root.code: root}
    for child in root.__subclasses__():
        found |= _tree(child)
    return found
