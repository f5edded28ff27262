"""The kinds of errors, which say who can mend them and whether trying again helps."""

import re
from datetime import timedelta
from typing import Any, ClassVar

__all__ = [
    "ArqueductError",
    "InvalidRequest",
    "LeaseLost",
    "PermanentError",
    "RequestError",
    "SetupError",
    "TimeIsUp",
    "TransientError",
]


class ArqueductError(Exception):
    """Something went wrong inside Arqueduct."""

    code: str = "internal_error"
    """Of a class; an error may have one of its own, as `advice`."""
    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False
    advice: str = "Look into the log under the request id, and report it if it comes again."

    def __init_subclass__(cls) -> None:
        if "code" not in cls.__dict__:
            cls.code = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", cls.__name__).lower()

    def __init__(self, message: str | None = None, *, advice: str | None = None, **details: Any) -> None:
        """`advice`: where that of the class does not help with this one."""
        self.message = message or " ".join((type(self).__doc__ or "").split())
        if advice is not None:
            self.advice = advice
        self.details = details
        super().__init__(self.message)


class RequestError(ArqueductError):
    """The request cannot be served as it is."""

    status = 400
    advice = "Change the request as the message says."


class InvalidRequest(RequestError):
    """The request has fields that are missing or wrong."""

    status = 422
    advice = "Correct the fields listed under `errors`."

    def __init__(self, message: str | None = None, *, advice: str | None = None, **details: Any) -> None:
        """A message that lists no fields says itself what to change."""
        if message and advice is None and "errors" not in details and type(self).advice is InvalidRequest.advice:
            advice = RequestError.advice
        super().__init__(message, advice=advice, **details)


class PermanentError(ArqueductError):
    """The document cannot be processed."""

    status = 422
    advice = "Trying again will not help; replace the document."


class TransientError(ArqueductError):
    """Something this job needs is away for the moment."""

    status = 503
    retryable = True
    advice = "Nothing to do: the job is tried again by itself."

    def __init__(self, message: str | None = None, *, retry_after: timedelta | None = None, **details: Any) -> None:
        super().__init__(message, **details)
        self.retry_after = retry_after


class TimeIsUp(ArqueductError):
    """The job has used the time it may run at a stretch."""

    advice = "Nothing to do: the job goes on by itself from what is kept."


class LeaseLost(ArqueductError):
    """This attempt no longer owns its job."""

    advice = "Nothing to do: another worker has the job, or it was cancelled."


class SetupError(ArqueductError):
    """Arqueduct cannot start on this machine as it is configured."""

    advice = "Run `arqueduct doctor`."
