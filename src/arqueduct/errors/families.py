"""What is wrong with a project or a batch."""

from arqueduct.errors.base import InvalidRequest, RequestError

__all__ = ["ActionUnknown", "NothingToProcess", "ProjectArchived", "ProjectUnfinished", "TooManyDocuments"]


class ActionUnknown(InvalidRequest):
    """No pipeline of this kind, for documents, is installed."""

    advice = "GET /api/v1/pipelines lists what is installed."


class NothingToProcess(RequestError):
    """No document fits, so there is nothing to do."""

    status = 409
    advice = "Look at what is there with GET /api/v1/documents, and widen the filter."


class ProjectUnfinished(RequestError):
    """The project's newest run has not ended."""

    status = 409
    advice = "Wait for its end, or cancel it."


class ProjectArchived(RequestError):
    """The project is archived."""

    status = 409
    advice = "Restore it first: POST /api/v1/projects/{id}/restore."


class TooManyDocuments(InvalidRequest):
    """These are more documents than one project or batch may have."""

    advice = "Take fewer at a time, or raise ARQUEDUCT_MAX_FAMILY."
