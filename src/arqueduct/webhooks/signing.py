"""Standard Webhooks (https://www.standardwebhooks.com): secrets, and the headers that prove who sent a message."""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Sequence

__all__ = ["PREFIX", "headers", "key_of", "new_secret", "sign"]

PREFIX = "whsec_"
BYTES = 32
LEAST, MOST = 24, 64
"""Bytes of a secret, as the specification has it."""


def new_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(BYTES)).decode()


def key_of(secret: str) -> bytes:
    """The bytes behind the words. Raises `ValueError`."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError("A webhook secret is whsec_ and base64.") from error
    if not secret.startswith(PREFIX) or not LEAST <= len(key) <= MOST:
        raise ValueError(f"A webhook secret is {PREFIX} and {LEAST} to {MOST} bytes in base64.")
    return key


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """HMAC-SHA256 over id, seconds since 1970 and body."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key_of(secret), signed, hashlib.sha256)).decode()


def headers(signers: Sequence[str], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Several secrets sign side by side while one replaces the other; a receiver accepts any that it knows."""
    signatures = " ".join(sign(secret, message_id, timestamp, body) for secret in signers)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signatures,
        "X-Signature": signatures,
    }
