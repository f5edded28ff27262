"""What the client raises: always a `ClientError`, whichever library noticed."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from arqueduct.client.models import Job

__all__ = ["APIError", "BadURLError", "ClientError", "UnreachableError", "WaitTimeoutError", "shown"]

KEY_PREFIX = "aq_"


class ClientError(Exception):
    """What all errors of this client are."""


class APIError(ClientError):
    """The server said no. `code` is the name to match on, `advice` says what to do."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.code = str(problem.get("code", "unknown"))
        self.detail = str(problem.get("detail", ""))
        self.advice = str(problem.get("advice", ""))
        self.request_id = problem.get("request_id")
        self.errors: list[dict[str, Any]] = list(problem.get("errors", ()))
        self.problem = dict(problem)
        super().__init__(f"{status} {self.code}: {self.detail} {self.advice}".rstrip())


class BadURLError(ClientError, ValueError):
    """What was given as the server's URL is none. Nothing was sent."""

    def __init__(self, given: str) -> None:
        if given.startswith(KEY_PREFIX):
            told = "An API key stands where the URL belongs: the URL comes first, then the key."
        elif "@" in given:
            told = "The URL has to begin with http:// or https:// and to name a host. It is not shown: it has an @."
        else:
            told = (
                f"{given!r} is not the URL of a server: it has to begin with http:// or https:// and to name a host, "
                "as in http://127.0.0.1:8000."
            )
        super().__init__(told)


class UnreachableError(ClientError):
    """No whole answer came: the connection could not be made, broke, or took too long. `__cause__` has the details.

    Whether the server did what was asked is then not known, but for a connection that could not be made.
    """

    def __init__(self, method: str, url: httpx.URL, cause: Exception) -> None:
        self.url = shown(url)
        why = str(cause) or type(cause).__name__
        super().__init__(f"No answer from {method} {self.url}: {why}. Look whether the server runs at this address.")


class WaitTimeoutError(ClientError, TimeoutError):
    """The job did not end in the time that was given. `job` is what was last told of it, if anything was."""

    def __init__(self, job_id: object, seconds: float, job: "Job | None") -> None:
        self.job = job
        told = f"is {job.state} at {job.progress:.0%}" if job else "could not be asked about"
        super().__init__(f"Job {job_id} {told} after {seconds:g} s. It goes on: wait again, or cancel it.")


def shown(url: httpx.URL) -> str:
    """Without what may be secret: a password, and what stands behind the `?`."""
    return str(url.copy_with(userinfo=b"", query=None, fragment=None))
