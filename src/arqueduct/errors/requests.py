"""What is wrong with a request, whatever it is about."""

from datetime import timedelta
from typing import Any

from arqueduct.errors.base import InvalidRequest, RequestError

__all__ = [
    "AmbiguousHeaders",
    "AnswerNotKept",
    "ComplexJSON",
    "HeadersTooLarge",
    "IdempotencyInFlight",
    "IdempotencyKeyReused",
    "InvalidCursor",
    "InvalidJSON",
    "InvalidQuery",
    "MethodNotAllowed",
    "NotFound",
    "PreconditionFailed",
    "QuotaExceeded",
    "RateLimited",
    "RequestTooLarge",
    "SlowBody",
    "TooManyConnections",
]


class NotFound(RequestError):
    """There is nothing with this id or at this address."""

    status = 404
    advice = "Check the address and the id; an id of another tenant is not found either."


class AmbiguousHeaders(RequestError):
    """The headers of this request do not say one thing: who calls, or which host is meant."""

    advice = "Send one credential, in one header, and one `Host`."


class MethodNotAllowed(RequestError):
    """This address does not know this method."""

    status = 405
    advice = "See the `Allow` header and the API reference at /docs."


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


class RequestTooLarge(RequestError):
    """The body of this request is larger than this address accepts."""

    status = 413
    advice = "Send less at a time; files go to POST /api/v1/documents."


class TooManyConnections(RequestError):
    """There are as many live connections as one server allows."""

    status = 429
    advice = "Close other pages or clients, or raise the ARQUEDUCT_MAX_SOCKETS… that the message names."


class QuotaExceeded(RequestError):
    """This would be more than the tenant or the user may have."""

    status = 403
    advice = "Delete what is not needed, or wait for jobs to end; an administrator or the operator can raise the quota."


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
