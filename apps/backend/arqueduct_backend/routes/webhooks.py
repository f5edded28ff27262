"""Webhooks: endpoints that are told what happens, and the log of what was told to them."""

from uuid import UUID

import asyncpg
from fastapi import APIRouter, Response

from arqueduct.errors import InvalidCursor, TooManyWebhooks, WebhookAddressRefused, WebhookDisabled
from arqueduct.permissions import Permission
from arqueduct.repositories import webhook_deliveries, webhooks
from arqueduct.webhooks import signing
from arqueduct.webhooks.addresses import Guard
from arqueduct_backend import cursors
from arqueduct_backend.access import Acts, needs
from arqueduct_backend.dependencies import Services, TenantTransaction
from arqueduct_backend.hooks import (
    Delivery,
    DeliveryDetails,
    DeliveryState,
    Webhook,
    WebhookAsked,
    WebhookChange,
    WebhookMade,
)
from arqueduct_backend.idempotency import once
from arqueduct_backend.pages import Cursor, Limit, page_of
from arqueduct_backend.problems import answers
from arqueduct_backend.schemas import Page

__all__ = ["router"]

router = APIRouter(prefix="/webhooks", tags=["webhooks"])

READ = [needs(Permission.WEBHOOKS_READ)]
WRITE = [needs(Permission.WEBHOOKS_WRITE)]
GIVES_SECRET = [*WRITE, once(keeps_answer=False)]


@router.get("", dependencies=READ, response_model=Page[Webhook], responses=answers(InvalidCursor))
async def list_webhooks(transaction: TenantTransaction, limit: Limit = 50, cursor: Cursor = None) -> Page[Webhook]:
    """The newest first."""
    before = cursors.id_of("webhooks", cursor)
    found = await webhooks.page(transaction.driver, limit=limit + 1, before=before)
    return page_of(found, limit, Webhook.of, lambda last: cursors.of("webhooks", last["id"]))


@router.post(
    "",
    dependencies=GIVES_SECRET,
    status_code=201,
    response_model=WebhookMade,
    responses=answers(WebhookAddressRefused, TooManyWebhooks),
)
async def create_webhook(asked: WebhookAsked, services: Services, acting: Acts) -> WebhookMade:
    """Tells a URL of events from now on; at most 20 a tenant. The secret that signs is shown here and never again."""
    await Guard.of(services.settings).check(asked.url)
    secret = signing.new_secret()
    async with services.database.transaction(acting.identity.tenant_id) as transaction:
        made = await webhooks.add(
            transaction.driver,
            acting.identity.tenant_id,
            **asked.model_dump(),
            secret=services.secret_keys.seal(secret.encode()),
        )
        await acting.note(transaction, after=_told(made))
    return WebhookMade(webhook=Webhook.of(made), secret=secret)


@router.get("/{webhook_id}", dependencies=READ, response_model=Webhook)
async def get_webhook(webhook_id: UUID, transaction: TenantTransaction) -> Webhook:
    """One endpoint, and whether it is well."""
    return Webhook.of(await webhooks.find(transaction.driver, webhook_id))


@router.patch("/{webhook_id}", dependencies=WRITE, response_model=Webhook, responses=answers(WebhookAddressRefused))
async def change_webhook(webhook_id: UUID, change: WebhookChange, services: Services, acting: Acts) -> Webhook:
    """What is pending is sent to the new address soon, and given up if the endpoint is disabled."""
    values = change.model_dump(exclude_unset=True)
    if "url" in values:
        await Guard.of(services.settings).check(change.url)
    async with services.database.transaction(acting.identity.tenant_id) as transaction:
        known = await webhooks.find(transaction.driver, webhook_id, locked=True)
        changed = await webhooks.change(transaction.driver, known, values)
        await webhook_deliveries.hasten(transaction.driver, webhook_id)
        await acting.note(transaction, before=_told(known), after={**_told(changed), "changed": sorted(values)})
    services.admitter.nudge()
    return Webhook.of(changed)


@router.delete("/{webhook_id}", dependencies=WRITE, status_code=204)
async def delete_webhook(webhook_id: UUID, services: Services, acting: Acts) -> Response:
    """With its log. What is pending is not sent."""
    async with services.database.transaction(acting.identity.tenant_id) as transaction:
        await webhooks.remove(transaction.driver, webhook_id)
        await acting.note(transaction, before={"webhook_id": str(webhook_id)})
    return Response(status_code=204)


@router.post("/{webhook_id}/rotate", dependencies=GIVES_SECRET, response_model=WebhookMade)
async def rotate_webhook_secret(webhook_id: UUID, services: Services, acting: Acts) -> WebhookMade:
    """Makes a new secret, shown here and never again. For 24 hours both sign, so that no message is refused."""
    secret = signing.new_secret()
    async with services.database.transaction(acting.identity.tenant_id) as transaction:
        changed = await webhooks.rotate(transaction.driver, webhook_id, services.secret_keys.seal(secret.encode()))
        await acting.note(transaction, after={"webhook_id": str(webhook_id)})
    return WebhookMade(webhook=Webhook.of(changed), secret=secret)


@router.post(
    "/{webhook_id}/ping",
    dependencies=WRITE,
    status_code=202,
    response_model=Delivery,
    responses=answers(WebhookDisabled),
)
async def ping_webhook(webhook_id: UUID, response: Response, services: Services, acting: Acts) -> Delivery:
    """Sends the event `ping` to this endpoint, whatever its filter; the delivery tells what came back."""
    caller = acting.identity
    async with services.database.transaction(caller.tenant_id) as transaction:
        driver = transaction.driver
        endpoint = await webhooks.find(driver, webhook_id, locked=True)
        delivery_id = await webhook_deliveries.add_ping(driver, caller.tenant_id, caller.user_id, endpoint)
        await acting.note(transaction, after={"webhook_id": str(webhook_id), "delivery_id": str(delivery_id)})
        found = await webhook_deliveries.find(driver, webhook_id, delivery_id)
    services.admitter.nudge()
    response.headers["Location"] = f"/api/v1/webhooks/{webhook_id}/deliveries/{delivery_id}"
    return Delivery.of(found)


@router.get(
    "/{webhook_id}/deliveries",
    dependencies=READ,
    response_model=Page[Delivery],
    responses=answers(InvalidCursor),
)
async def list_webhook_deliveries(
    webhook_id: UUID,
    transaction: TenantTransaction,
    state: DeliveryState | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[Delivery]:
    """What was told, or is to be, the newest first; kept for 30 days unless the installation says otherwise."""
    before = cursors.id_of("deliveries", cursor)
    await webhooks.find(transaction.driver, webhook_id)
    found = await webhook_deliveries.page(transaction.driver, webhook_id, limit=limit + 1, before=before, state=state)
    return page_of(found, limit, Delivery.of, lambda last: cursors.of("deliveries", last["id"]))


@router.get("/{webhook_id}/deliveries/{delivery_id}", dependencies=READ, response_model=DeliveryDetails)
async def get_webhook_delivery(webhook_id: UUID, delivery_id: UUID, transaction: TenantTransaction) -> DeliveryDetails:
    """One delivery with its message and every attempt."""
    found = await webhook_deliveries.find(transaction.driver, webhook_id, delivery_id)
    return DeliveryDetails.known(found, list(await webhook_deliveries.attempts(transaction.driver, delivery_id)))


@router.post(
    "/{webhook_id}/deliveries/{delivery_id}/redeliver",
    dependencies=WRITE,
    status_code=202,
    response_model=Delivery,
    responses=answers(WebhookDisabled),
)
async def redeliver_webhook(
    webhook_id: UUID, delivery_id: UUID, response: Response, services: Services, acting: Acts
) -> Delivery:
    """Sends a message again, under the same `webhook-id`; one that waits for its next attempt is sent now."""
    caller = acting.identity
    async with services.database.transaction(caller.tenant_id) as transaction:
        driver = transaction.driver
        endpoint = await webhooks.find(driver, webhook_id, locked=True)
        await webhook_deliveries.redeliver(driver, caller.user_id, endpoint, delivery_id)
        await acting.note(transaction, after={"webhook_id": str(webhook_id), "delivery_id": str(delivery_id)})
        found = await webhook_deliveries.find(driver, webhook_id, delivery_id)
    services.admitter.nudge()
    response.headers["Location"] = f"/api/v1/webhooks/{webhook_id}/deliveries/{delivery_id}"
    return Delivery.of(found)


def _told(endpoint: asyncpg.Record) -> dict[str, object]:
    """What the audit log says of it; not the URL, which may carry a secret of the receiver's."""
    return {
        "webhook_id": str(endpoint["id"]),
        "events": endpoint["events"],
        "is_enabled": endpoint["is_enabled"],
    }
