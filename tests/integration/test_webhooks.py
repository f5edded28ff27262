"""Webhooks against a real receiver, which checks signatures with the reference library."""

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from uuid import UUID

import httpx
import pytest
from standardwebhooks import WebhookVerificationError

from arqueduct.errors import DependencyUnavailable
from arqueduct.identity import NewIdentity
from arqueduct.secret_keys import SecretKeys
from arqueduct.settings import Settings
from arqueduct.together import Together
from arqueduct.webhooks.addresses import Guard
from arqueduct.webhooks.sender import Sender
from arqueduct_worker.housekeeping import Housekeeping
from arqueduct_worker.pipelines.webhook import webhook_deliver
from tests.integration.backend import problem, upload
from tests.integration.many_jobs import owning
from tests.integration.receiver import Answer, Receiver, receiving
from tests.integration.test_api_projects import fold
from tests.integration.webhook_site import Site
from tests.integration.worker import TestWorker, until

NOTHING = "01890000-0000-7000-8000-000000000000"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """One whose own machine may be told."""
    return settings.model_copy(update={"webhook_private_hosts": frozenset({"127.0.0.1", "localhost"}), "lease": 60.0})


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as opened:
        yield opened


@pytest.fixture
async def site(
    settings: Settings, api: httpx.AsyncClient, api_worker: TestWorker, receiver: Receiver
) -> AsyncIterator[Site]:
    async with owning(settings) as owner:
        yield Site(api=api, worker=api_worker, owner=owner, receiver=receiver)


async def test_a_ping_arrives_signed(site: Site) -> None:
    hook = await site.hook(description="the archive's own")
    delivery = await site.ping(hook)
    await site.work()
    (got,) = site.receiver.got
    message = got.verified(hook.secret)
    assert (message["type"], message["data"]) == ("ping", {"webhook_id": hook.id})
    assert got.line == "POST /hook?token=of-the-receiver HTTP/1.1"
    assert got.headers["x-signature"] == got.headers["webhook-signature"]
    assert got.headers["host"] == f"127.0.0.1:{site.receiver.port}"
    assert got.headers["user-agent"].startswith("Arqueduct/")
    assert got.headers["content-type"] == "application/json"
    details = await site.details(hook, delivery)
    assert details["delivery"] | {"ended_at": 1} == details["delivery"] | {
        "state": "delivered",
        "attempts": 1,
        "last_status": 200,
        "last_error": None,
        "event_id": got.id,
        "next_attempt_at": None,
        "ended_at": 1,
    }
    (attempt,) = details["attempts"]
    assert (attempt["status"], attempt["error"], attempt["answer"]) == (200, None, "thanks")
    assert details["data"] == message["data"]


async def test_what_happens_to_documents_and_jobs_is_told(site: Site) -> None:
    hook = await site.hook()
    good = await upload(site.api, b"# Water\n\nIt flows in secret.\n", "the-secret-plan.md")
    bad = await upload(site.api, b"%PDF-1.7 this is not a PDF at all", "bad.pdf")
    for accepted in (good, bad):
        await site.worker.run(UUID(accepted["job"]["id"]))
    queued = await upload(site.api, b"never read", "late.txt")
    for accepted in (queued, good):
        await site.api.delete(f"/api/v1/documents/{accepted['document']['id']}")
    await site.work()
    assert site.receiver.types == [
        *["document.created"] * 3,
        *["document.deleted"] * 2,
        "job.cancelled",
        "job.completed",
        "job.failed",
    ]
    told = {(m["type"], m["data"]["document_id"]): m for got in site.receiver.got if (m := got.verified(hook.secret))}
    failed = told["job.failed", bad["document"]["id"]]["data"]
    assert failed | {"job_id": bad["job"]["id"], "kind": "document.ingest", "state": "failed"} == failed
    assert failed["error"] == {"code": "document_corrupt", "stage": "extracting", "retryable": False}
    completed = told["job.completed", good["document"]["id"]]
    assert completed["data"]["error"] is None
    assert datetime.fromisoformat(completed["timestamp"]).tzinfo is not None
    created = told["document.created", good["document"]["id"]]["data"]
    assert created["content_type"] == "text/markdown"
    assert "job.cancelled" in {kind for kind, document in told if document == queued["document"]["id"]}
    assert not [got for got in site.receiver.got if b"secret" in got.body or b"bad.pdf" in got.body]


async def test_the_end_of_a_batch_is_told_once_however_it_ends(site: Site) -> None:
    hook = await site.hook(events=["job.completed", "job.failed", "job.partially_completed"])
    ids = []
    for content, name in ((b"Rain falls.", "good.txt"), (b"%PDF-1.7 torn", "bad.pdf")):
        accepted = await upload(site.api, content, name)
        await site.worker.run(UUID(accepted["job"]["id"]))
        ids.append(accepted["document"]["id"])
    made = []
    for some in (ids, ids[:1], ids[1:]):
        batch = (await site.api.post("/api/v1/batches", json={"document_ids": some})).json()["batch"]["id"]
        for child in (await site.api.get(f"/api/v1/batches/{batch}/files")).json()["items"]:
            await site.worker.run(UUID(child["job_id"]))
        await fold(site.worker)
        made.append(batch)
    await fold(site.worker)
    await site.work()
    told = [message for got in site.receiver.got if (message := got.verified(hook.secret))["data"]["job_id"] in made]
    ended = {message["data"]["job_id"]: (message["type"], message["data"]["kind"]) for message in told}
    assert [ended[batch] for batch in made] == [
        ("job.partially_completed", "batch.run"),
        ("job.completed", "batch.run"),
        ("job.failed", "batch.run"),
    ]
    assert len(told) == 3


async def test_an_endpoint_hears_what_it_asked_for(site: Site, receiver: Receiver) -> None:
    async with receiving() as other:
        await site.hook(events=["document.created"])
        await site.hook(other.url(), events=["job.completed", "job.completed"])
        await site.hook(other.url("localhost"), is_enabled=False)
        accepted = await upload(site.api)
        await site.worker.run(UUID(accepted["job"]["id"]))
        await site.work()
        assert (receiver.types, other.types) == (["document.created"], ["job.completed"])


async def test_one_event_is_one_message_id_for_all_endpoints(site: Site) -> None:
    for _ in range(3):
        await site.hook(events=["document.created"])
    await upload(site.api)
    await site.work()
    assert len(site.receiver.got) == 3
    assert len({got.id for got in site.receiver.got}) == 1
    assert len({got.body for got in site.receiver.got}) == 1


async def test_a_transaction_that_is_rolled_back_tells_nothing(site: Site, me: NewIdentity) -> None:
    await site.hook()
    accepted = await upload(site.api)
    with suppress(LookupError):
        async with site.worker.services.database.transaction(me.tenant_id) as transaction:
            await transaction.driver.execute(
                "UPDATE jobs SET state = 'cancelled', finished_at = now() WHERE id = $1", UUID(accepted["job"]["id"])
            )
            raise LookupError
    assert await site.owner.fetchval("SELECT array_agg(type) FROM webhook_deliveries") == ["document.created"]


async def test_what_fails_is_tried_again_under_the_same_id(site: Site) -> None:
    hook = await site.hook()
    tomorrow = format_datetime(datetime.now(UTC) + timedelta(seconds=600), usegmt=True)
    site.receiver.answers.extend(
        [
            Answer(status=500, body=b"\xff" + b"e" * 5000),
            Answer(status=429, headers={"Retry-After": "120"}),
        ]
    )
    delivery = await site.ping(hook)
    await site.work()
    (job,) = await site.waiting()
    assert 3 < job["due"] <= 6
    await site.work()
    (job,) = await site.waiting()
    assert 119 < job["due"] <= 120
    shown = (await site.details(hook, delivery))["delivery"]
    assert (shown["state"], shown["attempts"], shown["last_status"]) == ("pending", 2, 429)
    assert shown["next_attempt_at"]
    site.receiver.answers.append(Answer(status=503, headers={"Retry-After": tomorrow}))
    await site.work()
    (job,) = await site.waiting()
    assert 590 < job["due"] <= 600
    await site.pass_rests()
    await site.work()
    assert len({got.id for got in site.receiver.got}) == 1
    assert [got.verified(hook.secret)["type"] for got in site.receiver.got] == ["ping"] * 4
    details = await site.details(hook, delivery)
    assert details["delivery"]["state"] == "delivered"
    assert [attempt["status"] for attempt in details["attempts"]] == [500, 429, 503, 200]
    assert details["attempts"][0]["answer"] == "�" + "e" * 999
    assert details["attempts"][0]["error"] == "The receiver answered 500."


async def test_after_a_day_it_is_given_up_and_can_be_redelivered(site: Site) -> None:
    hook = await site.hook()
    delivery = await site.ping(hook)
    most = len(webhook_deliver.pauses) + 1
    due = []
    site.receiver.answers.extend([Answer(status=500)] * most)
    for _ in range(most):
        await site.pass_rests()
        await site.work()
        due += [job["due"] for job in await site.waiting()]
    for waited, pause in zip(due, webhook_deliver.pauses, strict=True):
        assert 0.75 * pause < waited < 1.25 * pause
    row = await site.row(delivery)
    assert (row["state"], row["attempts"]) == ("failed", most)
    assert await site.owner.fetchval("SELECT error ->> 'code' FROM jobs WHERE id = $1", row["job_id"]) == (
        "webhook_failed"
    )
    assert (await site.redeliver(hook, delivery)).json()["state"] == "pending"
    await site.work()
    assert len({got.id for got in site.receiver.got}) == 1
    assert ((await site.row(delivery))["state"], len(site.receiver.got)) == ("delivered", most + 1)


async def test_a_receiver_that_fails_is_left_alone_and_then_gets_everything(site: Site) -> None:
    hook = await site.hook()
    site.receiver.answers.extend([Answer(status=500)] * 3)
    for _ in range(5):
        await site.ping(hook)
    await site.owner.execute("UPDATE webhook_endpoints SET failures = 0, resting_until = NULL")
    await site.work()
    assert len(site.receiver.got) == 3, "the last two found it resting"
    shown = await site.webhook(hook)
    assert shown["failing_since"]
    assert shown["resting_until"]
    await site.pass_rests()
    (first, *_) = await site.waiting()
    await site.worker.run(first["id"], first["dispatch"])
    assert len(site.receiver.got) == 4
    assert all(job["due"] <= 6 for job in await site.waiting()), "what waited for it comes due"
    await site.work()
    assert {row["state"] for row in await site.deliveries(hook)} == {"delivered"}
    assert (await site.webhook(hook))["failing_since"] is None


async def test_one_at_a_time_finds_out_whether_it_is_well(site: Site) -> None:
    hook = await site.hook()
    for _ in range(3):
        await site.ping(hook)
    await site.owner.execute("UPDATE webhook_endpoints SET failures = 5, resting_until = now()")
    site.receiver.answers.append(Answer(status=500))
    await site.work()
    assert len(site.receiver.got) == 1


async def test_410_disables_the_endpoint(site: Site) -> None:
    hook = await site.hook()
    first, second = await site.ping(hook), await site.ping(hook)
    site.receiver.answers.append(Answer(status=410))
    await site.work()
    assert len(site.receiver.got) == 1
    shown = await site.webhook(hook)
    assert (shown["is_enabled"], "410" in shown["disabled_why"]) == (False, True)
    codes = await site.owner.fetch("SELECT error ->> 'code' FROM jobs WHERE kind LIKE 'webhook.%' ORDER BY id")
    assert [row[0] for row in codes] == ["webhook_gone", "webhook_disabled"]
    assert {(await site.row(delivery))["state"] for delivery in (first, second)} == {"failed"}
    problem(await site.api.post(f"/api/v1/webhooks/{hook.id}/ping"), 409, "webhook_disabled")
    problem(await site.redeliver(hook, second), 409, "webhook_disabled")
    await upload(site.api)
    assert len(await site.deliveries(hook)) == 2, "nothing is written down for it any more"
    enabled = await site.api.patch(f"/api/v1/webhooks/{hook.id}", json={"is_enabled": True})
    assert (enabled.json()["is_enabled"], enabled.json()["disabled_why"]) == (True, None)
    assert (await site.redeliver(hook, second)).status_code == 202
    await site.work()
    assert (await site.row(second))["state"] == "delivered"


async def test_two_secrets_sign_for_a_day(site: Site) -> None:
    hook = await site.hook()
    rotated = (await site.api.post(f"/api/v1/webhooks/{hook.id}/rotate")).json()
    new = rotated["secret"]
    assert new != hook.secret
    until = datetime.fromisoformat(rotated["webhook"]["previous_secret_until"])
    assert timedelta(hours=23.9) < until - datetime.now(UTC) < timedelta(hours=24.1)
    await site.ping(hook)
    await site.work()
    site.receiver.got[0].verified(hook.secret)
    site.receiver.got[0].verified(new)
    await site.owner.execute("UPDATE webhook_endpoints SET previous_until = now()")
    assert (await site.webhook(hook))["previous_secret_until"] is None
    await site.ping(hook)
    await site.work()
    site.receiver.got[1].verified(new)
    with pytest.raises(WebhookVerificationError):
        site.receiver.got[1].verified(hook.secret)


async def test_a_secret_is_shown_once_and_kept_sealed(site: Site, me: NewIdentity) -> None:
    hook = await site.hook()
    new = (await site.api.post(f"/api/v1/webhooks/{hook.id}/rotate")).json()["secret"]
    await site.ping(hook)
    shown = [
        (await site.api.get(path)).text
        for path in ("/api/v1/webhooks", f"/api/v1/webhooks/{hook.id}", f"/api/v1/webhooks/{hook.id}/deliveries")
    ]
    kept = []
    for table in ("webhook_endpoints", "webhook_deliveries", "jobs", "audit_log"):
        kept += [str(dict(row)) for row in await site.owner.fetch(f"SELECT * FROM {table}")]
    for secret in (hook.secret, new):
        bare = secret.removeprefix("whsec_").rstrip("=")
        assert not [text for text in shown + kept if bare in text]
    assert not [text for text in kept if "audit" in text and "of-the-receiver" in text]
    sealed = await site.owner.fetchval("SELECT secret FROM webhook_endpoints")
    assert site.worker.services.sender._keys.open(sealed).decode() == new


async def test_what_was_delivered_is_delivered_again_on_demand(site: Site) -> None:
    hook = await site.hook()
    delivery = await site.ping(hook)
    await site.work()
    assert (await site.redeliver(hook, delivery)).status_code == 202
    await site.work()
    assert [got.id for got in site.receiver.got] == [site.receiver.got[0].id] * 2
    assert [attempt["number"] for attempt in (await site.details(hook, delivery))["attempts"]] == [1, 2]


async def test_what_waits_for_hours_is_sent_now_on_demand(site: Site) -> None:
    hook = await site.hook()
    delivery = await site.ping(hook)
    site.receiver.answers.append(Answer(status=503, headers={"Retry-After": "3600"}))
    await site.work()
    assert (await site.waiting())[0]["due"] > 3000
    assert (await site.redeliver(hook, delivery)).status_code == 202
    (job,) = await site.waiting()
    assert job["due"] <= 0


async def test_a_deleted_endpoint_hears_nothing_more(site: Site) -> None:
    hook = await site.hook()
    await site.ping(hook)
    assert (await site.api.delete(f"/api/v1/webhooks/{hook.id}")).status_code == 204
    problem(await site.api.get(f"/api/v1/webhooks/{hook.id}"), 404, "not_found")
    await site.work()
    assert site.receiver.connections == 0
    assert await site.owner.fetchval("SELECT array_agg(state) FROM jobs") == ["completed"]


async def test_an_endpoint_that_moved_is_told_at_its_new_address(site: Site) -> None:
    hook = await site.hook()
    await site.ping(hook)
    site.receiver.answers.append(Answer(status=503, headers={"Retry-After": "3600"}))
    await site.work()
    async with receiving() as other:
        changed = await site.api.patch(
            f"/api/v1/webhooks/{hook.id}", json={"url": other.url(), "events": ["ping"], "description": "moved"}
        )
        assert (changed.json()["url"], changed.json()["events"]) == (other.url(), ["ping"])
        assert (await site.waiting())[0]["due"] <= 0
        await site.work()
        other.got[0].verified(hook.secret)
    problem(await site.api.patch(f"/api/v1/webhooks/{hook.id}", json={}), 422, "invalid_request")
    problem(await site.api.patch(f"/api/v1/webhooks/{hook.id}", json={"secret": "x"}), 422, "invalid_request")


async def test_a_worker_that_died_after_the_answer_does_not_send_it_again(site: Site) -> None:
    """It wrote down what came back; ending the job was still to come."""

    async def away(_asked: Any) -> list[Any]:
        raise DependencyUnavailable

    hook = await site.hook()
    delivery = await site.ping(hook)
    cut_off = replace(site.worker, services=replace(site.worker.services, completions=Together(away)))
    await site.work(cut_off)
    assert (await site.row(delivery))["state"] == "pending"
    await site.work()
    assert (await site.row(delivery))["state"] == "delivered"
    assert len(site.receiver.got) == 1


async def test_a_worker_without_the_key_leaves_it_to_another(site: Site) -> None:
    hook = await site.hook()
    delivery = await site.ping(hook)
    elsewhere = Sender(
        Guard.of(site.worker.services.settings), SecretKeys(["a key that nobody else has, of thirty-two"])
    )
    await site.work(replace(site.worker, services=replace(site.worker.services, sender=elsewhere)))
    assert (await site.row(delivery))["state"] == "pending"
    await site.work()
    await elsewhere.aclose()
    assert (await site.row(delivery))["state"] == "delivered"


async def test_a_tenant_may_have_twenty(site: Site) -> None:
    for _ in range(20):
        await site.hook()
    answer = await site.api.post("/api/v1/webhooks", json={"url": site.receiver.url()})
    problem(answer, 409, "too_many_webhooks")
    page = (await site.api.get("/api/v1/webhooks", params={"limit": 15})).json()
    rest = (await site.api.get("/api/v1/webhooks", params={"limit": 15, "cursor": page["next_cursor"]})).json()
    assert len({item["id"] for item in page["items"] + rest["items"]}) == 20
    assert rest["next_cursor"] is None


async def test_deliveries_are_listed_by_state_in_pages(site: Site) -> None:
    hook = await site.hook()
    for _ in range(3):
        await site.ping(hook)
    await site.work()
    await site.ping(hook)
    assert len(await site.deliveries(hook, state="delivered")) == 3
    (pending,) = await site.deliveries(hook, state="pending")
    path = f"/api/v1/webhooks/{hook.id}/deliveries"
    page = (await site.api.get(path, params={"limit": 2})).json()
    assert page["items"][0]["id"] == pending["id"]
    rest = (await site.api.get(path, params={"limit": 2, "cursor": page["next_cursor"]})).json()
    assert len({item["id"] for item in page["items"] + rest["items"]}) == 4


async def test_another_tenant_finds_nothing(site: Site, stranger: httpx.AsyncClient) -> None:
    hook = await site.hook()
    delivery = await site.ping(hook)
    base = f"/api/v1/webhooks/{hook.id}"
    for method, path, body in [
        ("GET", base, None),
        ("PATCH", base, {"is_enabled": False}),
        ("DELETE", base, None),
        ("POST", f"{base}/rotate", None),
        ("POST", f"{base}/ping", None),
        ("GET", f"{base}/deliveries", None),
        ("GET", f"{base}/deliveries/{delivery}", None),
        ("POST", f"{base}/deliveries/{delivery}/redeliver", None),
    ]:
        problem(await stranger.request(method, path, json=body), 404, "not_found")
    assert (await stranger.get("/api/v1/webhooks")).json()["items"] == []
    await upload(stranger)
    await site.work()
    assert site.receiver.types == ["ping"]


async def test_a_delivery_is_found_only_under_its_endpoint(site: Site) -> None:
    hook, other = await site.hook(), await site.hook()
    delivery = await site.ping(hook)
    problem(await site.api.get(f"/api/v1/webhooks/{other.id}/deliveries/{delivery}"), 404, "not_found")
    problem(await site.redeliver(other, delivery), 404, "not_found")
    problem(await site.redeliver(hook, NOTHING), 404, "not_found")


async def test_every_change_is_in_the_audit_log(site: Site) -> None:
    hook = await site.hook()
    delivery = await site.ping(hook)
    await site.api.patch(f"/api/v1/webhooks/{hook.id}", json={"url": site.receiver.url("localhost")})
    await site.api.post(f"/api/v1/webhooks/{hook.id}/rotate")
    await site.redeliver(hook, delivery)
    await site.api.delete(f"/api/v1/webhooks/{hook.id}")
    lines = await site.owner.fetch("SELECT action, outcome, before, after FROM audit_log ORDER BY id")
    assert [(line["action"], line["outcome"]) for line in lines] == [
        ("create_webhook", "done"),
        ("ping_webhook", "done"),
        ("change_webhook", "done"),
        ("rotate_webhook_secret", "done"),
        ("redeliver_webhook", "done"),
        ("delete_webhook", "done"),
    ]
    assert all(hook.id in str(line["before"]) + str(line["after"]) for line in lines)


async def test_deliveries_are_no_work_of_a_users(site: Site, me: NewIdentity) -> None:
    hook = await site.hook()
    accepted = await upload(site.api)
    await site.ping(hook)
    await site.work()
    listed = (await site.api.get("/api/v1/jobs")).json()["items"]
    assert [job["id"] for job in listed] == [accepted["job"]["id"]]
    asked = (await site.api.get("/api/v1/jobs", params={"kind": "webhook.deliver"})).json()["items"]
    assert len(asked) == 2
    assert {message.kind for message in site.worker.heard} <= {"document.ingest"}
    from arqueduct.repositories import live

    async with site.worker.services.database.transaction(me.tenant_id) as transaction:
        shown = await live.of_user(transaction.driver, me.user_id)
        newer = await live.newer(transaction.driver, [me.user_id], {})
    assert {row["kind"] for row in [*shown, *newer]} == {"document.ingest"}


async def test_who_cancels_everything_is_told_of_it(site: Site) -> None:
    await site.hook(events=["job.cancelled"])
    for _ in range(3):
        await upload(site.api)
    done = (await site.api.post("/api/v1/jobs/cancel", json={"all": True})).json()
    assert (done["changed"], done["remaining"]) == (3, 0)
    await site.work()
    assert site.receiver.types == ["job.cancelled"] * 3


async def test_who_names_a_delivery_may_cancel_it(site: Site) -> None:
    hook = await site.hook()
    delivery = await site.ping(hook)
    done = (await site.api.post("/api/v1/jobs/cancel", json={"kinds": ["webhook.deliver"]})).json()
    assert done["changed"] == 1
    assert (await site.row(delivery))["state"] == "cancelled"
    await site.api.post(f"/api/v1/jobs/{(await site.row(delivery))['job_id']}/retry")
    assert (await site.row(delivery))["state"] == "pending"
    await site.work()
    assert (await site.row(delivery))["state"] == "delivered"


async def test_a_delivery_stands_beside_the_head_of_the_line(site: Site) -> None:
    """Not behind all documents that its user has queued since."""
    await site.owner.execute("INSERT INTO queue_rules (scope, name, is_paused) VALUES ('all', '*', true)")
    await site.hook(events=["job.cancelled"])
    accepted = [await upload(site.api) for _ in range(5)]
    await site.api.post(f"/api/v1/jobs/{accepted[-1]['job']['id']}/cancel")

    async def lined_up() -> bool:
        return not await site.owner.fetchval("SELECT count(*) FROM jobs WHERE state = 'queued' AND turn IS NULL")

    await until(lined_up)
    line = await site.owner.fetch("SELECT kind FROM jobs_in_line ORDER BY priority, turn, id")
    assert [row["kind"] for row in line].index("webhook.deliver") == 1


async def test_the_log_goes_when_it_is_old(site: Site) -> None:
    hook = await site.hook()
    old, young, pending = [await site.ping(hook) for _ in range(3)]
    for job in (await site.waiting())[:2]:
        await site.worker.run(job["id"], job["dispatch"])
    await site.owner.execute(
        "UPDATE webhook_deliveries SET ended_at = now() - interval '31 days' WHERE id = $1", UUID(old)
    )
    await Housekeeping(site.worker.services).prune()
    assert {row["id"] for row in await site.deliveries(hook)} == {young, pending}
    assert await site.owner.fetchval("SELECT count(*) FROM webhook_attempts") == 1
