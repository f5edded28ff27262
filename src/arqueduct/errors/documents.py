"""What is wrong with a document: when it is sent, read or asked for."""

from arqueduct.errors.base import InvalidRequest, PermanentError, RequestError, TransientError

__all__ = [
    "ContentMismatch",
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
    "EmptyUpload",
    "MissingFile",
    "OriginalAway",
    "OriginalRemoved",
    "PagesNotRecognised",
    "ParserCrashed",
    "ParserKilled",
    "RangeNotSatisfiable",
    "UnsupportedFormat",
    "UploadTooLarge",
]


class EmptyUpload(InvalidRequest):
    """The file has no bytes."""

    advice = "Check the file on your side and send it again."


class MissingFile(InvalidRequest):
    """The request brings no file as multipart/form-data."""

    advice = "Send the document as multipart/form-data in a field named `file`: curl -F file=@paper.pdf …"


class UploadTooLarge(RequestError):
    """The file is larger than this server accepts."""

    status = 413
    advice = "Split the file, or raise ARQUEDUCT_MAX_UPLOAD_BYTES."


class UnsupportedFormat(RequestError):
    """This kind of file cannot be read."""

    status = 415
    advice = "Send a PDF, DOCX, HTML, Markdown or plain-text file; the type is told by content, not by name."


class RangeNotSatisfiable(RequestError):
    """The file has no bytes in this range."""

    status = 416
    advice = "See the `Content-Range` header for the size of the file."


class DocumentNotReady(RequestError):
    """The document has no text yet: its job has not stored it."""

    status = 409
    advice = (
        "Wait until the document's status is `completed`; if it failed, its `error` says why, and one that is "
        "`uploaded` has no job yet."
    )


class DocumentArchived(PermanentError):
    """The document is archived: its file and its processing are put away."""

    status = 409
    advice = "Restore it with `POST /api/v1/documents/{id}/restore`, and ask again when that job is completed."


class DocumentBusy(TransientError):
    """A job of this document is not finished, so it cannot be archived, restored or processed anew just now."""

    status = 409
    advice = "Wait for the document's jobs to end, or cancel them."


class OriginalRemoved(PermanentError):
    """The original file was removed by a policy of retention; text and passages are kept."""

    status = 410
    advice = "Read its text, or upload the file again if you still have it."


class OriginalAway(TransientError):
    """The bytes of this file are being put away, or brought back, at this moment."""

    advice = "Ask again in a moment."


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
    """The file has no text."""

    advice = "Upload a copy that has text."


class PagesNotRecognised(TransientError):
    """None of the pages could be recognised; text recognition failed or took too long."""

    advice = "It is tried again by itself. If it comes again, look at the worker's log and at how busy its machine is."


class DocumentTimeout(PermanentError):
    """Reading the file took longer than a parser may take."""

    advice = "Split or simplify the file, or raise ARQUEDUCT_PARSER_SECONDS."


class ParserCrashed(PermanentError):
    """The parser crashed on this file; nothing else was harmed."""

    advice = "Open the file in its own program, save it anew, and upload that copy."


class ParserKilled(TransientError):
    """The parser process was killed from outside, perhaps for lack of memory."""

    advice = "Give the worker's machine more memory if this comes again."


class ContentMismatch(PermanentError):
    """The stored bytes no longer have the checksum they were uploaded with."""

    advice = "Check the storage for damage and upload the document again."
