"""Thousands of requests made up from the description of the API, good ones and bad ones: every answer is as described.

FUZZ_EXAMPLES=200 (`make fuzz`) sends thousands, other ones each time. Without it some hundreds are sent, the same ones
each time.
"""

import asyncio
import os
import random
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import schemathesis
from schemathesis import Case, HookContext
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from schemathesis.engine.recorder import ScenarioRecorder
from schemathesis.python.asgi import shutdown_lifespans

from arqueduct.identity import NewIdentity
from arqueduct.lifecycle import Action
from arqueduct.settings import Settings
from arqueduct.testing import HashingEmbedder
from arqueduct_backend.main import create_app
from tests.integration.backend import beat, client_of, serving
from tests.integration.worker import TestWorker

ours: set[str] = set()
"""The id of the API key that the requests are sent with."""
KEY = re.compile(r"[!-~]{1,255}")

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))
MANY = 10**6
UNLIMITED = {
    name: MANY
    for name in Settings.model_fields
    if name.endswith(("_per_minute", "_per_hour", "_per_address", "_per_account"))
}
ACCEPTED = ["2xx", "3xx", "401", "403", "404", "409", "412", "429"]
"""What a request may get that is as described: it may be about nothing, or come at the wrong moment, and its `If-Match`
is made up."""
ALSO = {
    "GET /api/v1/analytics/processing": ["422"],  # not every beginning lies before every end
    "POST /api/v1/batches": ["422"],  # documents by name or by filter, but not both and not neither
    "POST /api/v1/documents": ["415"],  # bytes are bytes, but not each is a document
    "POST /api/v1/file-sets": ["422"],  # a text is a text, but not each is a JSON object
    **{f"POST /api/v1/jobs/{action}": ["422"] for action in Action},  # some field, or `all`, but not both
    "POST /api/v1/keys": ["422"],  # not every moment lies in the future
    "PATCH /api/v1/keys/{key_id}": ["422"],  # so here
    "POST /api/v1/auth/password": ["422"],  # a new password may be too easy to guess
    "POST /api/v1/auth/password/reset": ["422"],  # so here
    "POST /api/v1/profiles": ["422"],  # not each pipeline is installed
    "PUT /api/v1/profiles/{profile_id}": ["422"],  # so here
    "POST /api/v1/webhooks": ["422"],  # a made-up host is on no network
    "PATCH /api/v1/webhooks/{webhook_id}": ["422"],  # so here
}


def configured(me: NewIdentity) -> SchemathesisConfig:
    """All checks that there are."""
    return SchemathesisConfig.from_dict(
        {
            "seed": random.getrandbits(32) if EXAMPLES else 4,
            "max-stream-events": 1,
            "headers": {"Authorization": f"Bearer {me.api_key}"},
            "generation": {"max-examples": EXAMPLES or 5, "deterministic": not EXAMPLES},
            "phases": {"coverage": {"enabled": bool(EXAMPLES)}, "stateful": {"enabled": bool(EXAMPLES)}},
            "checks": {"positive_data_acceptance": {"expected-statuses": ACCEPTED}},
            "operations": [
                {
                    "include-name": name,
                    "checks": {"positive_data_acceptance": {"expected-statuses": ACCEPTED + statuses}},
                }
                for name, statuses in ALSO.items()
            ],
        }
    )


@schemathesis.hook
def before_call(_context: HookContext, case: Case, _kwargs: dict[str, Any]) -> None:
    """The same idempotency key with another request is refused, and rightly so. And nobody revokes our own API key:
    after that everything would be 401, which is as described too.
    """
    if str(case.path_parameters.get("key_id")) in ours:
        case.path_parameters["key_id"] = str(uuid4())
    if case.meta is None or case.meta.generation.mode.is_positive:
        case.query.pop("cursor", None)  # one that nobody was given is refused
        (case.headers or {}).pop("X-API-Key", None)  # a second credential beside ours is refused
    for name, value in (case.headers or {}).items():
        if name.lower() == "idempotency-key" and KEY.fullmatch(str(value)):
            case.headers[name] = f"{value[:200]}{uuid4().hex}"


def run(settings: Settings, me: NewIdentity) -> tuple[Counter[str], dict[str, str]]:
    """How many requests each operation got, and what was wrong by its name. Blocks."""
    app = create_app(settings, embedder=HashingEmbedder())
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, config=configured(me))
    asked: Counter[str] = Counter()
    wrong: dict[str, str] = {}
    try:
        for event in from_schema(schema).execute():
            if isinstance(event, events.ScenarioFinished):
                asked[event.recorder.label] += len(event.recorder.interactions)
                wrong |= dict(failures(event.recorder))
            elif isinstance(event, events.NonFatalError):
                wrong[event.label] = f"{event.value!r}"
            elif isinstance(event, events.FatalError):
                wrong["fatal"] = f"{event.exception!r}"
    finally:
        shutdown_lifespans()
    return asked, wrong


def failures(recorder: ScenarioRecorder) -> Iterator[tuple[str, str]]:
    """By operation and check, with what reproduces it."""
    for case_id, checks in recorder.checks.items():
        for check in checks:
            if found := check.failure_info:
                answer = recorder.interactions[case_id].response
                told = answer.content[:600].decode(errors="replace") if answer else ""
                label = recorder.cases[case_id].value.operation.label
                yield f"{label}: {check.name}", f"{found.failure}\n{found.code_sample}\n{told}"


async def test_every_answer_is_as_described(settings: Settings, me: NewIdentity, api_worker: TestWorker) -> None:
    await beat(api_worker)
    async with serving(settings) as app, client_of(app, me) as api:
        ours.update(key["id"] for key in (await api.get("/api/v1/keys")).json()["items"])
    asked, wrong = await asyncio.to_thread(run, settings.model_copy(update=UNLIMITED), me)
    print(f"{asked.total():,} requests to {len(asked)} operations")
    assert not wrong, "\n\n".join(f"{name}: {text}" for name, text in sorted(wrong.items()))
    assert asked.total() > 300
    async with serving(settings) as app, client_of(app, me) as api:
        assert (await api.get("/api/v1/documents")).status_code == 200, "the key was good all the time"
