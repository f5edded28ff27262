"""What goes wrong in a storage, said in the errors of Arqueduct."""

from collections.abc import Iterator
from contextlib import contextmanager

from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError

from arqueduct.errors import DependencyUnavailable, NotFound, SetupError

__all__ = ["checking", "reason", "translated"]

REFUSALS = (PermissionDeniedError, UnauthenticatedError, PermissionError)
MISSING, REFUSED = "status code: 404", ("status code: 401", "status code: 403")
"""A listing that fails is a `GenericError` of obstore, whatever the status; only its text tells."""


@contextmanager
def translated(key: str) -> Iterator[None]:
    """A missing key becomes `NotFound`, everything else that the storage says `DependencyUnavailable`.

    Refused credentials too: an administrator mends them while jobs wait, so the jobs must not fail for good.
    """
    try:
        yield
    except FileNotFoundError:
        raise NotFound(f"The storage has nothing at {key}.", key=key) from None
    except REFUSALS as error:
        raise DependencyUnavailable(f"The storage refuses access to {key}: {reason(error)}", key=key) from error
    except (BaseError, OSError) as error:
        raise DependencyUnavailable(f"The storage cannot serve {key}: {reason(error)}", key=key) from error


@contextmanager
def checking(place: str) -> Iterator[None]:
    """For `check`: what only an administrator can mend becomes `SetupError`, the rest `DependencyUnavailable`."""
    try:
        yield
    except (BaseError, OSError) as error:
        said = reason(error)
        if isinstance(error, FileNotFoundError) or MISSING in said:
            raise SetupError(
                f"The storage {place} does not exist: create the folder or bucket, or change ARQUEDUCT_STORAGE_URL "
                f"({said})"
            ) from error
        if isinstance(error, REFUSALS) or any(status in said for status in REFUSED):
            raise SetupError(
                f"The storage {place} refuses these credentials: they must allow to list, read, write and delete "
                f"({said})"
            ) from error
        raise DependencyUnavailable(f"The storage {place} does not answer: {said}") from error


def reason(error: Exception) -> str:
    """The first paragraph of an error of obstore, which goes on with pages of its inner structure."""
    return str(error).split("\n\n", 1)[0].replace("\n", " ")[:300]
