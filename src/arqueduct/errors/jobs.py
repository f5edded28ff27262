"""Why a job fails or waits, apart from its document."""

from arqueduct.errors.base import PermanentError, RequestError, TransientError

__all__ = [
    "DependencyUnavailable",
    "EmbeddingRejected",
    "EmbeddingsMissing",
    "IllegalTransition",
    "JobTimeout",
    "PipelineUnknown",
    "ProviderLimited",
    "UpkeepUnderWay",
]


class IllegalTransition(RequestError):
    """The job is in a state that does not allow this."""

    status = 409
    advice = "Read the job's state; what it allows is in docs/job-lifecycle.md."


class PipelineUnknown(PermanentError):
    """No pipeline of this kind is installed on this worker."""

    advice = "Install the package that brings the pipeline on every worker and retry the job."


class JobTimeout(PermanentError):
    """The job ran longer than a job of its kind may."""

    code = "timeout"
    advice = "Retry the job: it goes on from what is kept. If it comes again, raise ARQUEDUCT_HARD_LIMIT."


class DependencyUnavailable(TransientError):
    """A server this depends on does not answer."""

    advice = "Check Postgres and Redis with `arqueduct doctor`; the work goes on when they are back."


class EmbeddingRejected(PermanentError):
    """The embedding provider refused the request."""

    advice = "Check the model name, the API key and the provider's answer in the message."


class EmbeddingsMissing(TransientError):
    """Vectors that this job counted on were removed by a deletion meanwhile."""


class ProviderLimited(TransientError):
    """The provider asks to slow down."""

    status = 429
    advice = "Nothing to do: the job waits as long as the provider asked, then goes on."


class UpkeepUnderWay(RequestError):
    """A run of this kind is not finished in this tenant."""

    status = 409
    advice = "Wait for it, or cancel its job: `GET /api/v1/jobs?kind=…` finds it."
