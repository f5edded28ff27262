"""What is wrong with a set of files, or with one file for its set."""

from arqueduct.errors.base import InvalidRequest, RequestError

__all__ = [
    "DuplicateFile",
    "FileSetArchived",
    "FileSetBusy",
    "FileSetDeleted",
    "FileSetEmpty",
    "PathTaken",
    "PathTooLong",
    "TooManyFiles",
]


class DuplicateFile(RequestError):
    """A file with the same bytes is in this set already, or comes earlier in this request."""

    status = 409
    advice = "Nothing is missing; leave the copy out."


class FileSetArchived(RequestError):
    """The file set is archived."""

    status = 409
    advice = "Restore it first: POST /api/v1/file-sets/{id}/restore."


class FileSetBusy(RequestError):
    """Files of the set are being processed already."""

    status = 409
    retryable = True
    advice = "Wait for their jobs to end, or cancel them."


class FileSetDeleted(RequestError):
    """The file set of this project was deleted."""

    status = 409
    advice = "Make a new set, and a project of it."


class FileSetEmpty(RequestError):
    """The file set has no files."""

    status = 409
    advice = "Put files into it: POST /api/v1/file-sets/{id}/files."


class PathTaken(RequestError):
    """Another file has this path in the set, or earlier in this request."""

    status = 409
    advice = "Give one of the two another path or name."


class PathTooLong(InvalidRequest):
    """The path of the file is longer than a set keeps."""

    advice = "Send fewer or shorter folder names: at most 1,024 bytes of UTF-8 and 64 steps in all."


class TooManyFiles(RequestError):
    """These are more files than one request or one set may have."""

    status = 413
    advice = (
        "Send them in several requests, or make several sets; ARQUEDUCT_MAX_FILES_PER_REQUEST and "
        "ARQUEDUCT_MAX_FILES_PER_SET raise the limits."
    )
