"""Every error that Arqueduct raises on purpose.

    ArqueductError
    ├── RequestError                what a caller can mend: 4xx
    │   ├── NotAuthenticated 401    ├── Forbidden 403        ├── NotFound 404
    │   ├── MethodNotAllowed 405    ├── IllegalTransition 409 ├── DocumentNotReady 409
    │   ├── UploadTooLarge 413      ├── RequestTooLarge 413   ├── UnsupportedFormat 415
    │   ├── RangeNotSatisfiable 416 ├── TooManyConnections 429
    │   └── InvalidRequest 422 ── EmptyUpload, MissingFile, InvalidCursor, InvalidJSON, InvalidQuery
    ├── PermanentError              a job fails at once: trying again cannot help
    │   ├── DocumentCorrupt         ├── DocumentEncrypted    ├── DocumentTooComplex
    │   ├── DocumentTooLong         ├── DocumentHasNoText    ├── DocumentTimeout
    │   ├── ParserCrashed           ├── ContentMismatch      ├── EmbeddingRejected
    │   ├── DocumentDeleted         ├── PipelineUnknown
    │   └── JobTimeout              (code `timeout`)
    ├── TransientError              a job is tried again later
    │   ├── DependencyUnavailable   ├── ParserKilled         ├── EmbeddingsMissing
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
    "ArqueductError",
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
    "IllegalTransition",
    "InvalidCursor",
    "InvalidJSON",
    "InvalidQuery",
    "InvalidRequest",
    "JobTimeout",
    "LeaseLost",
    "MethodNotAllowed",
    "MissingFile",
    "NotAuthenticated",
    "NotFound",
    "ParserCrashed",
    "ParserKilled",
    "PermanentError",
    "PipelineUnknown",
    "ProviderLimited",
    "RangeNotSatisfiable",
    "RequestError",
    "RequestTooLarge",
    "SetupError",
    "TimeIsUp",
    "TooManyConnections",
    "TransientError",
    "UnsupportedFormat",
    "UploadTooLarge",
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
    """No valid API key came with this request."""

    status = 401
    advice = "Send `Authorization: Bearer <API key>` or `X-API-Key: <API key>`."


class Forbidden(RequestError):
    """This identity may not do that."""

    status = 403
    advice = "Ask an administrator of the tenant for the role."


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


class DocumentNotReady(RequestError):
    """The document has no text yet: its job has not stored it."""

    status = 409
    advice = "Wait until the document's status is `completed`; if it failed, its `error` says why."


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
    """This user has as many live connections as one server allows."""

    status = 429
    advice = "Close other pages or clients, or raise ARQUEDUCT_MAX_SOCKETS_PER_USER."


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


class InvalidQuery(InvalidRequest):
    """The search query is empty or too long."""

    advice = "Send between 1 and 2,000 characters of text."


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
