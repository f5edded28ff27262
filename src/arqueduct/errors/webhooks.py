"""Why a webhook is refused, or its message not delivered."""

from arqueduct.errors.base import InvalidRequest, PermanentError, RequestError, TransientError

__all__ = [
    "TooManyWebhooks",
    "WebhookAddressRefused",
    "WebhookDisabled",
    "WebhookFailed",
    "WebhookGone",
    "WebhookResting",
]


class TooManyWebhooks(RequestError):
    """This tenant has as many webhooks as one may have."""

    status = 409
    advice = "Delete one that is no longer needed, or let one receiver pass events on."


class WebhookDisabled(RequestError):
    """This webhook is disabled."""

    status = 409
    advice = "Enable it with PATCH and `is_enabled`, then try again."


class WebhookAddressRefused(InvalidRequest):
    """The host of the receiver is not found, or not all its addresses are on the internet."""

    advice = "Use an https:// URL of a public host; who runs the installation allows others: docs/webhooks.md."


class WebhookGone(PermanentError):
    """The receiver says that it is gone for good."""

    advice = "Enable the webhook again if that was a mistake, then redeliver."


class WebhookFailed(TransientError):
    """The receiver did not take the message."""

    advice = "Look at the delivery's attempts; it is tried again for a day, and can be redelivered after that."


class WebhookResting(TransientError):
    """The receiver has failed several times in a row and is left alone for some minutes."""

    advice = "Nothing to do: the message is sent when the receiver is well again, within a day."
