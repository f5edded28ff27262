"""Access tokens that nobody issued, that are over, and tokens that are used twice."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt

from arqueduct.secret_keys import SecretKeys
from arqueduct.settings import Settings
from tests.attack.tally import Tally
from tests.attack.target import PREFIX, Target

__all__ = ["forged_tokens", "token_reuse"]

LOGIN, REFRESH, LOGOUT, ME = (f"{PREFIX}/auth/{name}" for name in ("login", "refresh", "logout", "me"))
GUESSES = ("", "secret", "changeme", "arqueduct", "password", "0" * 32, "arqueduct-api")


async def sign_in(target: Target, client: httpx.AsyncClient, tally: Tally) -> Any:
    """What a login answers; none where it cannot be tried."""
    if not target.has("/auth/login"):
        tally.not_tried("the service has no login")
        return None
    if target.me.password is None:
        tally.not_tried("no password is known: only keys were given")
        return None
    answer = await client.post(LOGIN, json={"email": target.me.email, "password": target.me.password})
    if answer.status_code == 429:
        tally.not_tried("the login is limited just now")
        return None
    return answer.raise_for_status().json()


async def forged_tokens(target: Target, tally: Tally) -> None:
    async with target.client() as client:
        session = await sign_in(target, client, tally)
        if session is None:
            return
        good = session["access_token"]
        assert (await client.get(ME, headers=_bearer(good))).status_code == 200
        for what, token in [*_forged(good), *_signed_here(target, good, tally)]:
            for path in (ME, f"{PREFIX}/documents"):
                answer = await client.get(path, headers=_bearer(token))
                tally.check(answer.status_code == 401, f"{what} at {path}: {answer.status_code}")
        for what, token in (("a refresh token", session["refresh_token"]), ("an address", target.me.email or "")):
            tally.check((await client.get(ME, headers=_bearer(token))).status_code == 401, f"{what} as access token")
        for what, token in (("an access token", good), ("an API key", target.me.api_key)):
            answer = await client.post(REFRESH, json={"refresh_token": token})
            tally.check(answer.status_code == 401, f"{what} as refresh token: {answer.status_code}")
        tally.check(
            (await client.get(f"{ME}?access_token={good}&token={good}&api_key={target.me.api_key}")).status_code == 401,
            "a token in the address is taken",
        )


async def token_reuse(target: Target, tally: Tally) -> None:
    async with target.client() as client:
        session = await sign_in(target, client, tally)
        if session is None:
            return
        first = await client.post(REFRESH, json={"refresh_token": session["refresh_token"]})
        tally.check(first.status_code == 200, f"a refresh token cannot be used at all: {first.text}")
        if first.is_error:
            return
        again = await client.post(REFRESH, json={"refresh_token": session["refresh_token"]})
        tally.check(again.status_code == 401, f"a refresh token works twice: {again.status_code}")
        after = await client.post(REFRESH, json={"refresh_token": first.json()["refresh_token"]})
        tally.check(after.status_code == 401, "the session lives on after its token came twice")
        for token in (session["access_token"], first.json()["access_token"]):
            answer = await client.get(ME, headers=_bearer(token))
            tally.check(answer.status_code == 401, "an access token of a session that was ended still works")
        session = await sign_in(target, client, tally)
        if session is None:
            return
        await client.post(LOGOUT, headers=_bearer(session["access_token"]))
        tally.check(
            (await client.get(ME, headers=_bearer(session["access_token"]))).status_code == 401,
            "an access token works after logout",
        )
        answer = await client.post(REFRESH, json={"refresh_token": session["refresh_token"]})
        tally.check(answer.status_code == 401, "a refresh token works after logout")
    async with target.client(target.me) as client:
        ticket = (await client.post(f"{PREFIX}/ws/tickets")).json()["ticket"]
    async with target.client() as client:
        tally.check((await client.get(ME, headers=_bearer(ticket))).status_code == 401, "a ticket works as a key")


def _forged(good: str) -> Iterator[tuple[str, str]]:
    head, body, signature = good.split(".")
    header, claims = _read(head), _read(body)
    for algorithm in ("none", "None", "NONE", "nOnE", ""):
        yield f"alg {algorithm!r} without signature", f"{_write(header | {'alg': algorithm})}.{body}."
        yield f"alg {algorithm!r} with the old one", f"{_write(header | {'alg': algorithm})}.{body}.{signature}"
    yield "no signature", f"{head}.{body}."
    yield "a changed signature", f"{head}.{body}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"
    yield "a changed body", f"{head}.{_write(claims | {'sub': claims['tid'], 'role': 'owner'})}.{signature}"
    yield "an end far away", f"{head}.{_write(claims | {'exp': claims['exp'] + 10**9})}.{signature}"
    for key in GUESSES:
        yield f"signed with {key!r}", _signed(claims, key, header)
    for kid in ("../../../../dev/null", "' UNION SELECT 'x", None, "", {"a": 1}, "0", 0):
        yield f"kid {kid!r}", _signed(claims, "", header | {"kid": kid})
    yield (
        "its own key",
        _signed(claims, "x" * 32, header | {"jwk": {"kty": "oct", "k": "eHh4"}, "jku": "http://127.0.0.1/"}),
    )
    yield "three dots", f"{good}.x"
    yield "an endless one", f"{head}.{_write(claims | {'x': 'x' * 3000})}.{signature}"


def _signed_here(target: Target, good: str, tally: Tally) -> Iterator[tuple[str, str]]:
    """With the service's own key, where we have it: what is signed rightly may still be over, or for somebody else."""
    signing = _key_in(target.data_dir, good) if target.data_dir else None
    if signing is None:
        tally.not_tried("tokens that are signed rightly, but over: the key of the service is not known here")
        return
    head, body, _ = good.split(".")
    header, claims = _read(head), _read(body)
    now = int(time.time())
    changes: dict[str, dict[str, Any]] = {
        "expired": {"iat": now - 7200, "exp": now - 3600},
        "issued tomorrow": {"iat": now + 86_400, "exp": now + 90_000},
        "of another issuer": {"iss": "evil"},
        "for another audience": {"aud": "evil"},
        "for many audiences": {"aud": ["arqueduct-api", "evil"]},
        "of a session that is not": {"sid": claims["tid"]},
        "with another tenant": {"tid": claims["sub"]},
        "with another user": {"sub": claims["tid"]},
        "with an end that is no number": {"exp": "never"},
    }
    for what, change in changes.items():
        yield what, _signed(claims | change, signing, header)
    for missing in ("exp", "sid", "aud", "iss"):
        yield f"without {missing}", _signed({name: claims[name] for name in claims if name != missing}, signing, header)


def _key_in(data_dir: Path, good: str) -> bytes | None:
    """The key that signed the good one."""
    keys = SecretKeys.of(Settings(data_dir=data_dir))
    return keys.jwt.get(jwt.get_unverified_header(good)["kid"])


def _signed(claims: dict[str, Any], key: str | bytes, header: dict[str, Any]) -> str:
    """By hand: the library refuses to write some of these."""
    head, body = _write(header | {"alg": "HS256"}), _write(claims)
    secret = key.encode() if isinstance(key, str) else key
    return f"{head}.{body}.{_packed(hmac.digest(secret, f'{head}.{body}'.encode(), hashlib.sha256))}"


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _read(part: str) -> dict[str, Any]:
    return dict(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))


def _write(value: dict[str, Any]) -> str:
    return _packed(json.dumps(value).encode())


def _packed(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
