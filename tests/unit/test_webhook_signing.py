import base64
import time
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from arqueduct.webhooks import messages, signing

BODY = messages.body("ping", datetime(2026, 11, 23, 12, tzinfo=UTC), {"webhook_id": "1"})


def test_a_body_has_type_time_and_data() -> None:
    assert BODY == b'{"type":"ping","timestamp":"2026-11-23T12:00:00.000000Z","data":{"webhook_id":"1"}}'


def test_the_reference_library_accepts_what_we_sign() -> None:
    secret = signing.new_secret()
    assert Webhook(secret).verify(BODY, signing.headers([secret], "id", int(time.time()), BODY))["type"] == "ping"


def test_either_of_two_secrets_is_enough() -> None:
    old, new, other = (signing.new_secret() for _ in range(3))
    headers = signing.headers([new, old], "id", int(time.time()), BODY)
    assert headers["webhook-signature"] == headers["X-Signature"]
    assert len(headers["webhook-signature"].split(" ")) == 2
    Webhook(old).verify(BODY, headers)
    Webhook(new).verify(BODY, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(other).verify(BODY, headers)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp"])
def test_a_signature_is_for_one_message_at_one_time(name: str) -> None:
    secret = signing.new_secret()
    headers = signing.headers([secret], "1", int(time.time()), BODY)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY, headers | {name: str(int(headers[name]) + 1)})
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY + b" ", headers)


def test_secrets_are_random_and_long_enough() -> None:
    found = {signing.new_secret() for _ in range(100)}
    assert len(found) == 100
    assert {len(signing.key_of(secret)) for secret in found} == {32}


@pytest.mark.parametrize("length", [0, 23, 65])
def test_what_is_no_secret_signs_nothing(length: int) -> None:
    with pytest.raises(ValueError, match="24 to 64"):
        signing.key_of(signing.PREFIX + base64.b64encode(b"k" * length).decode())


@pytest.mark.parametrize("secret", ["whsec_%%%", base64.b64encode(b"k" * 32).decode()])
def test_nor_does_what_is_spelled_otherwise(secret: str) -> None:
    with pytest.raises(ValueError, match="whsec_"):
        signing.key_of(secret)
