"""Every error that Arqueduct raises on purpose.

    ArqueductError
    ├── RequestError                what a caller can mend: 4xx
    │   ├── NotAuthenticated 401    ├── Forbidden 403        ├── NotFound 404
    │   ├── MethodNotAllowed 405    ├── IllegalTransition 409 ├── DocumentNotReady 409
    │   ├── UploadTooLarge 413      ├── RequestTooLarge 413   ├── UnsupportedFormat 415
    │   ├── AlreadyMember 409       ├── LastOwner 409         ├── NotThisMember 409
    │   ├── InvitationNotOpen 404
    │   ├── RangeNotSatisfiable 416 ├── TooManyConnections 429 ├── RateLimited 429
    │   ├── SlowBody 408            ├── HeadersTooLarge 431
    │   ├── PreconditionFailed 412  ├── OriginNotAllowed 403  ├── IdempotencyKeyReused 422
    │   ├── IdempotencyInFlight 409 (carries retry_after)     ├── AnswerNotKept 409
    │   ├── NoSession 409
    │   ├── TooManyWebhooks 409     ├── WebhookDisabled 409
    │   ├── NotAuthenticated ──     WrongCredentials, AccessTokenExpired, SessionOver, RefreshTokenReused, ResetUnknown,
    │   │                           SignInRefused
    │   ├── Forbidden ──            WrongPassword, InvitationNeeded
    │   ├── InvalidRequest ──       WeakPassword, WebhookAddressRefused
    │   └── InvalidRequest 422 ── EmptyUpload, MissingFile, InvalidCursor, InvalidJSON, ComplexJSON, InvalidQuery
    ├── PermanentError              a job fails at once: trying again cannot help
    │   ├── DocumentCorrupt         ├── DocumentEncrypted    ├── DocumentTooComplex
    │   ├── DocumentTooLong         ├── DocumentHasNoText    ├── DocumentTimeout
    │   ├── ParserCrashed           ├── ContentMismatch      ├── EmbeddingRejected
    │   ├── DocumentDeleted         ├── PipelineUnknown      ├── WebhookGone
    │   └── JobTimeout              (code `timeout`)
    ├── TransientError              a job is tried again later
    │   ├── DependencyUnavailable   ├── ParserKilled         ├── EmbeddingsMissing
    │   ├── WebhookFailed           ├── WebhookResting
    │   └── ProviderLimited         (carries retry_after)
    ├── TimeIsUp                    the job has used its time: it stops where nothing is lost, and goes on later
    ├── LeaseLost                   this attempt no longer owns its job; it must stop and write nothing
    └── SetupError                  the machine or its configuration: the message says what to do

The docstring of a class is its default message. `code` is the stable name that clients match on; `status` is the
answer of the API; `retryable` says whether the same thing can succeed later; `advice` tells the reader what to do.
"""

import re
from datetime import timedelta
from typing import Any, ClassVar

__all__ = [
    "AccessTokenExpired",
    "AlreadyMember",
    "AnswerNotKept",
    "ArqueductError",
    "ComplexJSON",
    "ContentMismatch",
    "DependencyUnavailable",
    "DocumentCorrupt",
    "DocumentDeleted",
    "DocumentEncrypted",
    "DocumentHasNoText",
    "DocumentNotReady",
    "DocumentTimeout",
    "DocumentTooComplex",
    "DocumentTooLong",
    "EmbeddingRejected",
    "EmbeddingsMissing",
    "EmptyUpload",
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
    "NotAuthenticated",
    "NotFound",
    "NotThisMember",
    "OriginNotAllowed",
    "ParserCrashed",
    "ParserKilled",
    "PermanentError",
    "PipelineUnknown",
    "PreconditionFailed",
    "ProviderLimited",
    "RangeNotSatisfiable",
    "RateLimited",
    "RefreshTokenReused",
    "RequestError",
    "RequestTooLarge",
    "ResetUnknown",
    "SessionOver",
    "SetupError",
    "SignInRefused",
    "SlowBody",
    "TimeIsUp",
    "TooManyConnections",
    "TooManyWebhooks",
    "TransientError",
    "UnsupportedFormat",
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


class ArqueductError(Exception):
    """Something went wrong inside Arqueduct."""

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False
    advice: ClassVar[str] = "Look into the log under the request id, and report it if it comes again."

    def __init_subclass__(cls) -> None:
        if "code" not in cls.__dict__:
            cls.code = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", cls.__name__).lower()

    def __init__(self, message: str | None = None, **details: Any) -> None:
        self.message = message or " ".join((type(self).__doc__ or "").split())
        self.details = details
        super().__init__(self.message)


class RequestError(ArqueductError):
    """The request cannot be served as it is."""

    status = 400
    advice = "Change the request as the message says."


class NotAuthenticated(RequestError):
    """No valid API key or access token came with this request."""

    status = 401
    advice = "Send `Authorization: Bearer <API key or access token>` or `X-API-Key: <API key>`."


class WrongCredentials(NotAuthenticated):
    """The address or the password is wrong."""

    advice = "Check both. An administrator can hand out a token to choose a new password."


class AccessTokenExpired(NotAuthenticated):
    """This access token is over."""

    advice = "Renew it with the refresh token at `POST /api/v1/auth/refresh`."


class SessionOver(NotAuthenticated):
    """This session has ended, or its refresh token is unknown."""

    advice = "Sign in again."


class RefreshTokenReused(NotAuthenticated):
    """This refresh token was used before, so its session was ended."""

    advice = "Sign in again. If no client of yours sent it twice, somebody has stolen it: end your other sessions too."


class ResetUnknown(NotAuthenticated):
    """This token to choose a new password is unknown, used or too old."""

    advice = "Ask an administrator of the tenant for a new one."


class SignInRefused(NotAuthenticated):
    """What the OpenID provider said does not prove who this is."""

    advice = "Begin anew at `GET /api/v1/auth/oidc/start`; if it happens again, the log says why."


class Forbidden(RequestError):
    """This identity may not do that."""

    status = 403
    advice = "Ask an administrator of the tenant for the role."


class WrongPassword(Forbidden):
    """The old password is wrong."""

    advice = "Check it, or ask an administrator for a token to choose a new one."


class InvitationNeeded(Forbidden):
    """The OpenID provider knows this person, but no account here belongs to it."""

    advice = "Ask an administrator of a tenant to invite the address that the provider has verified, then begin anew."


class NotFound(RequestError):
    """There is nothing with this id or at this address."""

    status = 404
    advice = "Check the address and the id; an id of another tenant is not found either."


class MethodNotAllowed(RequestError):
    """This address does not know this method."""

    status = 405
    advice = "See the `Allow` header and the API reference at /docs."


class IllegalTransition(RequestError):
    """The job is in a state that does not allow this."""

    status = 409
    advice = "Read the job's state; what it allows is in docs/job-lifecycle.md."


class NoSession(RequestError):
    """This request came with an API key, which has no session."""

    status = 409
    advice = "Only who signed in can sign out; a key is revoked instead."


class DocumentNotReady(RequestError):
    """The document has no text yet: its job has not stored it."""

    status = 409
    advice = "Wait until the document's status is `completed`; if it failed, its `error` says why."


class AlreadyMember(RequestError):
    """Somebody with this address is a member of the tenant already."""

    status = 409
    advice = "Change the member's role instead; `GET /api/v1/members` lists them."


class InvitationNotOpen(RequestError):
    """This invitation is unknown, accepted, revoked or too old."""

    status = 404
    advice = "Ask who invited you for a new invitation."


class LastOwner(RequestError):
    """A tenant keeps at least one owner who may sign in."""

    status = 409
    advice = "Make somebody else an owner first."


class NotThisMember(RequestError):
    """This cannot be done to this member."""

    status = 409
    advice = "See docs/access.md; who runs the installation can do more with `arqueduct users`."


class IdempotencyInFlight(RequestError):
    """A request with this idempotency key is still being carried out."""

    status = 409
    retryable = True
    advice = "Send the same request again after `Retry-After`: then its answer is there."

    def __init__(self, message: str | None = None, *, retry_after: timedelta | None = None, **details: Any) -> None:
        super().__init__(message, **details)
        self.retry_after = retry_after


class AnswerNotKept(RequestError):
    """A request with this idempotency key was carried out, at least in part, but its answer was not kept."""

    code = "idempotency_answer_not_kept"
    status = 409
    advice = "Look at what it did. Use a new key for what is still to be done."


class IdempotencyKeyReused(RequestError):
    """This idempotency key came with another request before."""

    status = 422
    advice = "Use a new key for every new request, and the same one only to send the same request again."


class PreconditionFailed(RequestError):
    """It was changed since the version that `If-Match` names."""

    status = 412
    advice = "Read it again, look whether the change is still wanted, and send it with the new `ETag`."


class OriginNotAllowed(RequestError):
    """Pages of this origin may not send this request."""

    status = 403
    advice = "Add the origin of the page to ARQUEDUCT_ALLOWED_ORIGINS; see docs/api.md for methods and headers."


class TooManyWebhooks(RequestError):
    """This tenant has as many webhooks as one may have."""

    status = 409
    advice = "Delete one that is no longer needed, or let one receiver pass events on."


class WebhookDisabled(RequestError):
    """This webhook is disabled."""

    status = 409
    advice = "Enable it with PATCH and `is_enabled`, then try again."


class UploadTooLarge(RequestError):
    """The file is larger than this server accepts."""

    status = 413
    advice = "Split the file, or raise ARQUEDUCT_MAX_UPLOAD_BYTES."


class RequestTooLarge(RequestError):
    """The body of this request is larger than this address accepts."""

    status = 413
    advice = "Send less at a time; files go to POST /api/v1/documents."


class UnsupportedFormat(RequestError):
    """This kind of file cannot be read."""

    status = 415
    advice = "Send a PDF, DOCX, HTML, Markdown or plain-text file; the type is told by content, not by name."


class RangeNotSatisfiable(RequestError):
    """The file has no bytes in this range."""

    status = 416
    advice = "See the `Content-Range` header for the size of the file."


class TooManyConnections(RequestError):
    """There are as many live connections as one server allows."""

    status = 429
    advice = "Close other pages or clients, or raise the ARQUEDUCT_MAX_SOCKETS… that the message names."


class RateLimited(RequestError):
    """More requests came than the budget allows."""

    status = 429
    advice = "Wait as many seconds as `Retry-After` says; the `RateLimit-…` headers tell what is left."


class SlowBody(RequestError):
    """The body of this request came too slowly, or no further."""

    status = 408
    advice = "Send it again over a connection that does not stall; see ARQUEDUCT_BODY_IDLE_SECONDS."


class HeadersTooLarge(RequestError):
    """The headers of this request are too many or too large."""

    status = 431
    advice = "Send fewer and shorter headers; cookies of other applications on the same host are a usual cause."


class InvalidRequest(RequestError):
    """The request has fields that are missing or wrong."""

    status = 422
    advice = "Correct the fields listed under `errors`."


class EmptyUpload(InvalidRequest):
    """The file has no bytes."""

    advice = "Check the file on your side and send it again."


class MissingFile(InvalidRequest):
    """The multipart body has no part named `file` with a file name."""

    advice = "Send the document as multipart/form-data in a field named `file`."


class InvalidCursor(InvalidRequest):
    """The cursor was not made by this list."""

    advice = "Pass `next_cursor` of the previous page unchanged, or leave it out to begin anew."


class InvalidJSON(InvalidRequest):
    """The body is not valid JSON."""

    advice = "Send one JSON value in UTF-8 with `Content-Type: application/json`."


class ComplexJSON(InvalidRequest):
    """The JSON of the body is nested too deep, or has numbers that are too large."""

    code = "complex_json"
    advice = "Send flatter values; docs/limits.md has the limits."


class InvalidQuery(InvalidRequest):
    """The search query is empty or too long."""

    advice = "Send between 1 and 2,000 characters of text."


class WeakPassword(InvalidRequest):
    """This password is too easy to guess."""

    advice = "Choose 12 to 256 characters that no list has; several words that do not belong together are good."


class WebhookAddressRefused(InvalidRequest):
    """The host of the receiver is not found, or not all its addresses are on the internet."""

    advice = "Use an https:// URL of a public host; who runs the installation allows others: docs/webhooks.md."


class PermanentError(ArqueductError):
    """The document cannot be processed."""

    status = 422
    advice = "Trying again will not help; replace the document."


class DocumentCorrupt(PermanentError):
    """The file is damaged and cannot be read."""

    advice = "Open it in its own program, save it anew, and upload that copy."


class DocumentDeleted(PermanentError):
    """The document was deleted."""

    status = 404
    advice = "Upload it again if it is still wanted."


class DocumentEncrypted(PermanentError):
    """The file is protected by a password."""

    advice = "Remove the password and upload the file again."


class DocumentTooComplex(PermanentError):
    """Reading the file needs more memory than a parser may use."""

    advice = "Split or simplify the file, or raise ARQUEDUCT_PARSER_MEMORY_BYTES."


class DocumentTooLong(PermanentError):
    """The file has more pages or text than one document may have."""

    advice = "Split the file, or raise ARQUEDUCT_MAX_PAGES or ARQUEDUCT_MAX_TEXT_CHARS."


class DocumentHasNoText(PermanentError):
    """The file has no text; it may be a scan."""

    advice = "Run text recognition (OCR) over it and upload the result."


class DocumentTimeout(PermanentError):
    """Reading the file took longer than a parser may take."""

    advice = "Split or simplify the file, or raise ARQUEDUCT_PARSER_SECONDS."


class ParserCrashed(PermanentError):
    """The parser crashed on this file; nothing else was harmed."""

    advice = "Open the file in its own program, save it anew, and upload that copy."


class ContentMismatch(PermanentError):
    """The stored bytes no longer have the checksum they were uploaded with."""

    advice = "Check the storage for damage and upload the document again."


class EmbeddingRejected(PermanentError):
    """The embedding provider refused the request."""

    advice = "Check the model name, the API key and the provider's answer in the message."


class PipelineUnknown(PermanentError):
    """No pipeline of this kind is installed on this worker."""

    advice = "Install the package that brings the pipeline on every worker and retry the job."


class WebhookGone(PermanentError):
    """The receiver says that it is gone for good."""

    advice = "Enable the webhook again if that was a mistake, then redeliver."


class JobTimeout(PermanentError):
    """The job ran longer than a job of its kind may."""

    code = "timeout"
    advice = "Retry the job: it goes on from what is kept. If it comes again, raise ARQUEDUCT_HARD_LIMIT."


class TransientError(ArqueductError):
    """Something this job needs is away for the moment."""

    status = 503
    retryable = True
    advice = "Nothing to do: the job is tried again by itself."

    def __init__(self, message: str | None = None, *, retry_after: timedelta | None = None, **details: Any) -> None:
        super().__init__(message, **details)
        self.retry_after = retry_after


class DependencyUnavailable(TransientError):
    """A server this depends on does not answer."""

    advice = "Check Postgres and Redis with `arqueduct doctor`; the work goes on when they are back."


class ParserKilled(TransientError):
    """The parser process was killed from outside, perhaps for lack of memory."""

    advice = "Give the worker's machine more memory if this comes again."


class EmbeddingsMissing(TransientError):
    """Vectors that this job counted on were removed by a deletion meanwhile."""


class WebhookFailed(TransientError):
    """The receiver did not take the message."""

    advice = "Look at the delivery's attempts; it is tried again for a day, and can be redelivered after that."


class WebhookResting(TransientError):
    """The receiver has failed several times in a row and is left alone for some minutes."""

    advice = "Nothing to do: the message is sent when the receiver is well again, within a day."


class ProviderLimited(TransientError):
    """The provider asks to slow down."""

    status = 429
    advice = "Nothing to do: the job waits as long as the provider asked, then goes on."


class TimeIsUp(ArqueductError):
    """The job has used the time it may run at a stretch."""

    advice = "Nothing to do: the job goes on by itself from what is kept."


class LeaseLost(ArqueductError):
    """This attempt no longer owns its job."""

    advice = "Nothing to do: another worker has the job, or it was cancelled."


class SetupError(ArqueductError):
    """Arqueduct cannot start on this machine as it is configured."""

    advice = "Run `arqueduct doctor`."


def by_code(code: str) -> type[ArqueductError]:
    """The class whose `code` this is; `ArqueductError` for a code from elsewhere (a plugin, a newer version)."""
    return _tree(ArqueductError).get(code, ArqueductError)


def _tree(root: type[ArqueductError]) -> dict[str, type[ArqueductError]]:
    found = {root.code: root}
    for child in root.__subclasses__():
        found |= _tree(child)
    return found
