"""Telling an endpoint of a tenant what happened."""

from arqueduct.pipeline import Pipeline
from arqueduct.webhooks.kinds import DELIVER

__all__ = ["webhook_deliver"]

MINUTE, HOUR = 60.0, 3600.0

webhook_deliver = Pipeline(
    kind=DELIVER,
    stages=("deliver",),
    # A day in all: an outage that somebody has to be called for ends in that time. As many as `queue_webhook` of
    # sql/versions/0005 allows failures, less one.
    pauses=(5, 30, 2 * MINUTE, 10 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR, 8 * HOUR),
    # A receiver has 20 s (`webhooks.sender`); the rest is for Postgres, since who runs into a limit fails for good.
    limits=(90, 120),
)
