"""What is wrong with a processing profile, or with what a job has from one."""

from arqueduct.errors.base import InvalidRequest, PermanentError, RequestError

__all__ = [
    "NoWorkerYet",
    "OptionsInvalid",
    "ProfileInvalid",
    "ProfileNameTaken",
    "ProfileUnknown",
    "StagesInvalid",
    "TooManyProfiles",
]


class ProfileUnknown(RequestError):
    """There is no processing profile of this id or name."""

    status = 404
    advice = "GET /api/v1/profiles lists all but `default`, which is built in. An archived one begins nothing new."


class ProfileInvalid(InvalidRequest):
    """The settings of this profile cannot be carried out."""

    advice = "Correct the fields listed under `errors`; GET /api/v1/pipelines tells what is installed."


class ProfileNameTaken(RequestError):
    """The tenant has a profile of this name."""

    status = 409
    advice = "Choose another name, or change that profile with PUT; an archived one gives its name free."


class TooManyProfiles(RequestError):
    """The tenant has as many profiles as it may have, or this one as many versions."""

    status = 409
    advice = "Archive profiles that nobody uses, or make a new profile in place of one more version."


class NoWorkerYet(RequestError):
    """No worker has ever run here, so nobody knows which pipelines and stages are installed."""

    status = 409
    retryable = True
    advice = "Start a worker (`arqueduct worker`, or `arqueduct up`); it tells within seconds. Then send this again."


class StagesInvalid(PermanentError):
    """These stages cannot run in this order, or not in this pipeline."""

    advice = "Correct the stages of the processing profile, and run the job anew with it."


class OptionsInvalid(PermanentError):
    """The options of a stage are not as the stage declares them."""

    advice = "Correct the options in the processing profile, and run the job anew with it."
