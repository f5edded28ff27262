"""Passwords: which are good enough, and comparing them with what is kept, off the event loop and a few at a time."""

import asyncio
import base64
import os
import re
import secrets
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import argon2
from pwdlib import PasswordHash

from arqueduct.errors import DependencyUnavailable, WeakPassword

__all__ = ["LONGEST", "SHORTEST", "Passwords", "check"]

Result = TypeVar("Result")

SHORTEST = 12
LONGEST = 256
"""More adds nothing, and argon2 reads it all."""
LEAST_OWN = 6
"""Characters that must be left when everything is taken away that guessers try by themselves."""
LEAST_NAME = 4
"""A shorter name is part of many words."""

AT_ONCE = min(4, os.cpu_count() or 1)
"""Each takes 64 MiB and a few cores for some 50 ms."""
MOST_WAITING = 100
"""Some seconds' worth; whoever comes on top had better come again."""

# Put together by hand: what the published lists of the most frequent passwords are variations of.
WORDS = (  # noqa: SIM905  # sixty quoted words are harder to read
    "password passwort passwd letmein welcome willkommen administrator admin root login secret geheim changeme default "
    "iloveyou monkey dragon football baseball soccer sunshine princess master superman batman starwars trustno "
    "shadow michael jordan charlie hello freedom whatever arqueduct qazwsx access guest user test temp "
    "january february march april june july august september october november december "
    "spring summer autumn winter monday tuesday wednesday thursday friday saturday sunday"
).split()
RUNS = (
    *("abcdefghijklmnopqrstuvwxyz", "01234567890", "qwertyuiop", "qwertzuiop", "azertyuiop", "asdfghjkl", "zxcvbnm"),
    *("1q2w3e4r5t6y7u8i9o0p", "1qaz2wsx3edc4rfv5tgb"),
)
LEAST_RUN = 3
LEET = str.maketrans("01345789@$!|", "oleastbgasil")
YEAR = re.compile(r"(?:19|20)\d\d")
REPEATED = re.compile(r"(.+?)\1+")


def check(password: str, email: str | None = None) -> None:
    """Raises `WeakPassword` that says which rule it breaks. `email`: of whose password it is to be."""
    if len(password) < SHORTEST:
        raise WeakPassword(f"A password needs at least {SHORTEST} characters.")
    if len(password) > LONGEST:
        raise WeakPassword(f"A password may have at most {LONGEST} characters.")
    name = (email or "").partition("@")[0].casefold()
    if len(name) >= LEAST_NAME and name in password.casefold():
        raise WeakPassword("A password must not contain the name of your e-mail address.")
    if _own_part(password) < LEAST_OWN:
        raise WeakPassword(
            "This password is made of words, runs of keys, years or repetitions that everybody tries first."
        )


class Passwords:
    """Hashes with argon2id in threads of its own, so that no flood of sign-ins takes all memory or all cores."""

    def __init__(self) -> None:
        self._hash = PasswordHash.recommended()
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="passwords")
        self._waiting = 0

    async def hash(self, password: str) -> str:
        """For the database. Raises `DependencyUnavailable` if too many wait."""
        return await self._in_turn(lambda: self._hash.hash(_normal(password)))

    async def verify(self, password: str, hashed: str | None) -> bool:
        """Takes as long for somebody without a password, or whom nobody knows, as for anybody else.

        Raises `DependencyUnavailable` if too many wait.
        """
        return await self._in_turn(lambda: self._hash.verify(_normal(password), hashed or NOBODYS)) and bool(hashed)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _in_turn(self, work: Callable[[], Result]) -> Result:
        if self._waiting >= MOST_WAITING:
            raise DependencyUnavailable("Too many passwords are being checked at this moment.")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1


def _own_part(password: str) -> int:
    """How many characters are left without what guessers combine, read plainly and with digits for letters."""
    plain = password.casefold()
    return min(_without_patterns(plain), _without_patterns(plain.translate(LEET)))


def _without_patterns(text: str) -> int:
    for word in sorted(WORDS, key=len, reverse=True):
        text = text.replace(word, " ")
    text = YEAR.sub(" ", text)
    text = re.sub(r"\w+", lambda found: _without_runs(found[0]), text)
    text = REPEATED.sub(r"\1", re.sub(r"[\W_]", "", text))
    return len(text)


def _without_runs(text: str) -> str:
    """Without `abc`, `321`, `qwerty` and the like, each step of which is a neighbour of the one before."""
    kept, run = [], text[:1]
    for letter in text[1:]:
        if _follows(run[-1:], letter) and (len(run) == 1 or _follows(run[-2:-1], run[-1])):
            run += letter
        else:
            kept.append(run if len(run) < LEAST_RUN else "")
            run = letter
    kept.append(run if len(run) < LEAST_RUN else "")
    return "".join(kept)


def _follows(first: str, second: str) -> bool:
    pair = first + second
    return any(pair in run or pair[::-1] in run for run in RUNS)


def _normal(password: str) -> bytes:
    """The same bytes however a keyboard composes a letter (NIST SP 800-63B, 3.1.1.2)."""
    return unicodedata.normalize("NFKC", password).encode()


def _encoded(size: int) -> str:
    return base64.b64encode(secrets.token_bytes(size)).decode().rstrip("=")


NOBODYS = (
    f"$argon2id$v=19$m={argon2.DEFAULT_MEMORY_COST},t={argon2.DEFAULT_TIME_COST},p={argon2.DEFAULT_PARALLELISM}"
    f"${_encoded(argon2.DEFAULT_RANDOM_SALT_LENGTH)}${_encoded(argon2.DEFAULT_HASH_LENGTH)}"
)
"""A hash that no password has, and that costs what ours cost."""
