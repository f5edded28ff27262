"""The installation's own secrets: one list, newest first, from which every purpose gets keys of its own.

The newest signs and seals; all of them verify and open. So a key is changed without anybody being signed out: put
the new one first, wait until nothing made with the old one is in use, take the old one away.
"""

import base64
import hashlib
import os
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from arqueduct.errors import SetupError
from arqueduct.settings import LEAST_SECRET_KEY, Settings

__all__ = ["SecretKeys"]

DERIVED_BYTES = 32
"""What HMAC-SHA256 and Fernet take."""
KID_LENGTH = 16
"""Hex digits; enough that no two keys of one list have the same."""
FILE = "secret_keys"
JWT = b"arqueduct jwt"
SEAL = b"arqueduct seal"


class SecretKeys:
    """Immutable; in memory for as long as the process runs. Never shown, not even by `repr`."""

    def __init__(self, keys: Sequence[str]) -> None:
        """Newest first. Raises `SetupError` if there is none, or one is too short."""
        if not keys or any(len(key) < LEAST_SECRET_KEY for key in keys):
            raise SetupError(
                f"ARQUEDUCT_SECRET_KEYS must be a list, by commas, of keys with at least {LEAST_SECRET_KEY} random "
                "characters each: `openssl rand -base64 48` makes one."
            )
        self._keys = tuple(keys)

    @classmethod
    def of(cls, settings: Settings) -> "SecretKeys":
        """Those of the settings; in development else those of a file in the data folder, made when first needed.

        Reads a file: call it when a process starts, or from a thread. Raises `SetupError`.
        """
        if settings.secret_keys is not None:
            return cls(split(settings.secret_keys.get_secret_value()))
        if settings.environment == "production":
            raise SetupError(
                "ARQUEDUCT_SECRET_KEYS is not set, and production makes none by itself: every process needs the "
                "same. `openssl rand -base64 48` makes one; give it, or its file as ARQUEDUCT_SECRET_KEYS_FILE."
            )
        return cls(split(_kept(settings.data_dir / FILE)))

    @cached_property
    def jwt(self) -> Mapping[str, bytes]:
        """For access tokens: keys by their `kid`, newest first."""
        return {hashlib.sha256(key).hexdigest()[:KID_LENGTH]: key for key in self._derived(JWT)}

    def seal(self, content: bytes) -> bytes:
        """Encrypts a small secret for the database, with the newest key. ASCII, a third longer and 80 bytes more."""
        return self._sealer.encrypt(content)

    def open(self, sealed: bytes) -> bytes:
        """What was sealed with any of the keys. Raises `SetupError` if its key is no longer among them."""
        try:
            return self._sealer.decrypt(sealed)
        except InvalidToken:
            raise SetupError(
                "A secret in the database was sealed with a key that ARQUEDUCT_SECRET_KEYS does not have: "
                "put that key back, behind the newer ones."
            ) from None

    @cached_property
    def _sealer(self) -> MultiFernet:
        return MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in self._derived(SEAL)])

    def _derived(self, purpose: bytes) -> list[bytes]:
        """HKDF-SHA256 (RFC 5869): who learns the key of one purpose learns no other."""
        return [
            HKDF(algorithm=SHA256(), length=DERIVED_BYTES, salt=None, info=purpose).derive(key.encode())
            for key in self._keys
        ]


def split(keys: str) -> list[str]:
    """A list by commas (or lines, as files have them)."""
    return [key for part in keys.split(",") for key in part.split()]


def _kept(path: Path) -> str:
    """What the file says, and if there is none, a new key that is then in it.

    Processes that start at once agree: a link is made by one of them only, and with its content.
    """
    try:
        with suppress(FileNotFoundError):
            return path.read_text()
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        file = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(file, "w") as content:
                content.write(f"{secrets.token_urlsafe(48)}\n")
                content.flush()
                os.fsync(content.fileno())
            with suppress(FileExistsError):
                path.hardlink_to(unfinished)
        finally:
            unfinished.unlink()
        return path.read_text()
    except OSError as error:
        raise SetupError(f"The secret keys in {path} cannot be read or made: {error}") from error
