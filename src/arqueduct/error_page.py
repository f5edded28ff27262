"""Writes docs/errors.md out of `arqueduct.errors`; `make docs` runs it."""

from collections.abc import Iterator

from arqueduct import errors
from arqueduct.errors import ArqueductError, PermanentError, RequestError, TransientError

__all__ = ["kinds", "page"]

HEAD = """\
# Codes of errors

Written by `make docs` from `src/arqueduct/errors/`; a test compares the two.

An answer of 400 and above is a problem (RFC 9457); a failed job carries `error`, an `error` message of a socket too
[has codes of its own](live-updates.md). All of them have a `code`. **Match on the code**: it stays what it is within
`/api/v1` ([what may change](api-versions.md)), while titles, details and advice may be put better any day. `type` of a
problem is `urn:arqueduct:problem:<code>`: a name and not an address, so that it is the same in every installation.

*Retry* says that the same thing may succeed later without being changed. With 429 and 503, and with 409 of an
idempotency key in flight, `Retry-After` says when. A new code may come with any version: treat one that you do not
know by its status.

| code | status | retry | seen in | meaning | what to do |
|---|---|---|---|---|---|
"""
LAST = (
    "| `worker_died` | – | yes | job | The worker died every time it ran this job. "
    "| Retry the job once the cause is mended; look into the workers' log. |\n"
)


def kinds() -> Iterator[type[ArqueductError]]:
    """All errors of this package, by status, then by code."""
    found = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ArqueductError)]
    yield from sorted(found, key=lambda kind: (kind.status, kind.code))


def page() -> str:
    """The whole page."""
    return HEAD + "".join(map(_row, kinds())) + LAST


def _row(kind: type[ArqueductError]) -> str:
    retry = "yes" if kind.retryable or kind.status in (429, 503) else "no"
    meaning = " ".join((kind.__doc__ or "").split())
    cells = (f"`{kind.code}`", str(kind.status), retry, _place(kind), meaning, kind.advice)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _place(kind: type[ArqueductError]) -> str:
    if issubclass(kind, RequestError):
        return "answer"
    if issubclass(kind, PermanentError):
        return "job"
    return "answer, job" if issubclass(kind, TransientError) or kind is ArqueductError else "log"


if __name__ == "__main__":
    print(page(), end="")
