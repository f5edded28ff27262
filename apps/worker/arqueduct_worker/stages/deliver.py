"""Sends one message to one endpoint, and writes down what came back. At least once: the receiver knows it by its id."""

from uuid import UUID

import asyncpg
import structlog

from arqueduct import metrics
from arqueduct.errors import SetupError, WebhookDisabled, WebhookFailed, WebhookGone, WebhookResting
from arqueduct.pipeline import Stage, StageContext
from arqueduct.repositories import webhook_deliveries
from arqueduct.webhooks import messages
from arqueduct.webhooks.sender import Message, Reply

__all__ = ["Deliver"]

log = structlog.get_logger()


class Deliver(Stage):
    """Raises `WebhookFailed` and `WebhookResting` to be tried again, `WebhookGone` and `WebhookDisabled` to give up."""

    name = "deliver"
    label = "delivering"
    weight = 1

    async def run(self, context: StageContext) -> None:
        job = context.job
        async with context.database.transaction(job.tenant_id) as transaction:
            taken = await webhook_deliveries.take(transaction.driver, UUID(job.payload["delivery_id"]), job.job_id)
            if taken is None or taken["is_done"]:
                return
            may_try = taken["is_enabled"] and await webhook_deliveries.may_try(transaction.driver, taken)
        if not taken["is_enabled"]:
            metrics.webhook_deliveries.labels("disabled").inc()
            raise WebhookDisabled(taken["disabled_why"])
        reply = await _send(context, taken, may_try=may_try)
        async with context.database.transaction(job.tenant_id) as transaction:
            await webhook_deliveries.record(transaction.driver, taken, job.job_id, reply)
        await _conclude(context, taken, reply)


async def _send(context: StageContext, taken: asyncpg.Record, *, may_try: bool) -> Reply:
    try:
        if not may_try:
            raise WebhookResting
        return await context.sender.send(_message(taken))
    except WebhookResting:
        metrics.webhook_deliveries.labels("resting").inc()
        raise
    except SetupError as error:  # of this worker; another one may have the key
        raise WebhookFailed(error.message) from error


async def _conclude(context: StageContext, taken: asyncpg.Record, reply: Reply) -> None:
    metrics.webhook_deliveries.labels(reply.outcome).inc()
    metrics.webhook_seconds.observe(reply.took)
    log.info(
        "webhook sent",
        endpoint=str(taken["endpoint_id"]),
        outcome=reply.outcome,
        status=reply.status,
        type=taken["type"],
    )
    if reply.outcome == "gone":
        raise WebhookGone
    if reply.outcome != "delivered":
        raise WebhookFailed(reply.error, retry_after=reply.retry_after)
    if taken["failures"] >= webhook_deliveries.RESTS_FROM:
        async with context.database.transaction(context.job.tenant_id) as transaction:
            await webhook_deliveries.hasten(transaction.driver, taken["endpoint_id"])


def _message(taken: asyncpg.Record) -> Message:
    return Message(
        id=str(taken["event_id"]),
        endpoint_id=taken["endpoint_id"],
        url=taken["url"],
        secrets=[secret for secret in (taken["secret"], taken["previous_secret"]) if secret],
        body=messages.body(taken["type"], taken["happened_at"], taken["data"]),
    )
