"""No secret is anywhere but where it must be: not in logs, answers, rows, Redis, metrics, nor among the processes.

Everything runs as it does in earnest, at the level `debug`, through stories in which secrets go wrong.
"""

import asyncio
import json
import os
import secrets
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from arqueduct.embedded import remove
from tests.acceptance.processes import Up, arqueduct, eventually, up
from tests.integration.hiding_places import Installation, doctor_of, kept_by, logs_of, metrics_of, rows_of, watching
from tests.openai_server import openai_server

PATIENCE = 30.0


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    data_dir = tmp_path_factory.mktemp("secrets") / "data"
    given = {
        "key of the provider": secrets.token_hex(16),
        "key of the installation": secrets.token_urlsafe(48),
        "secret of the OpenID client": secrets.token_hex(16),
    }
    with openai_server() as provider:
        environment = {
            "ARQUEDUCT_EMBEDDER": "openai",
            "ARQUEDUCT_OPENAI_API_KEY": given["key of the provider"],
            "ARQUEDUCT_OPENAI_BASE_URL": provider.url,
            "ARQUEDUCT_SECRET_KEYS": given["key of the installation"],
            "ARQUEDUCT_OIDC_CLIENT_SECRET": given["secret of the OpenID client"],
            "ARQUEDUCT_LOG_LEVEL": "debug",
            "ARQUEDUCT_LOG_FORMAT": "json",
            "ARQUEDUCT_MAX_FAILURES": "2",
            "ARQUEDUCT_WEBHOOK_PRIVATE_HOSTS": "127.0.0.1",
        }
        try:
            with up(data_dir, environment=environment) as running:
                found = Installation(up=running, provider=provider, environment=environment, known=given)
                found.known |= _of_servers(running)
                yield found
        finally:
            for server in ("postgres", "valkey"):
                remove(data_dir / server)


def _of_servers(running: Up) -> dict[str, str]:
    runtime, credentials = running.runtime(), running.credentials()
    found = {
        "password of the owner of the tables": urlsplit(runtime["database_url"]).password or "",
        "password of Redis": urlsplit(runtime["redis_url"]).password or "",
        "first API key": credentials["api_key"],
        "first password": credentials["password"],
    }
    for role in ("api", "worker"):
        (pid,) = runtime["pids"][role]
        for variable in Path(f"/proc/{pid}/environ").read_text().split("\0"):
            name, _, value = variable.partition("=")
            if name.endswith("DATABASE_URL") and (password := urlsplit(value).password):
                found[f"password of {name}"] = password
    return found


async def test_no_secret_gets_anywhere(installation: Installation, subtests: pytest.Subtests) -> None:
    with watching(installation.up.runtime()["redis_url"]) as passed_by:
        async with installation.client() as client:
            await wrong_proofs(installation, client)
            await passwords(installation, client)
            await broken_bodies(installation, client)
            await given_secrets(installation, client)
            await sockets(installation, client)
            await failing_provider(installation, client)
            await database_away(installation, client)
    places: dict[str, str] = {
        "answers": "\n".join(installation.said),
        "logs": logs_of(installation),
        "events of `up`": "\n".join(map(json.dumps, installation.up.events)),
        "rows": await rows_of(installation),
        "commands to Redis": "\n".join(passed_by),
        "what Redis keeps": await asyncio.to_thread(kept_by, installation.up.runtime()["redis_url"]),
        "metrics": await metrics_of(installation),
        "`doctor`": doctor_of(installation),
        "command lines": "\n".join(" ".join(process.cmdline()) for process in installation.up.family()),
    }
    assert len(installation.known) > 35
    for place, text in places.items():
        with subtests.test(place=place):
            assert text
            assert installation.found_in(text) == []


async def wrong_proofs(installation: Installation, client: httpx.AsyncClient) -> None:
    wrong = installation.secret("a wrong API key", "aq_")
    token = f"{installation.secret('a wrong token', 'eyJhbGciOiJub25lIn0.eyJ')}.x"
    for headers in (
        {"Authorization": f"Bearer {wrong}"},
        {"Authorization": "", "X-API-Key": wrong},
        {"Authorization": f"Basic {installation.secret('a Basic password', 'Zm9vOmJh')}"},
        {"Authorization": f"Bearer {token}"},
        {"Cookie": f"session={installation.secret('a cookie')}"},
    ):
        await client.get("/api/v1/documents", headers=headers)
    await client.get(f"/api/v1/documents?api_key={installation.secret('a key in an address', 'aq_')}")
    await client.get(f"/api/v1/nothing?token={installation.secret('a token in an address')}")


async def passwords(installation: Installation, client: httpx.AsyncClient) -> None:
    address = installation.up.credentials()["email"]
    long = installation.secret("a password that is too long") * 40
    for body in (
        {"email": address, "password": installation.secret("a wrong password")},
        {"email": address, "password": long},
        {"email": address, "password": {"a": installation.secret("a password in an object")}},
        {"email": [installation.secret("a password in the wrong field")], "password": 1},
        {"email": address, "passwort": installation.secret("a password in an unknown field")},
    ):
        await client.post("/api/v1/auth/login", json=body)
    new = installation.secret("a new password")
    await client.post("/api/v1/auth/password", json={"old_password": "wrong", "new_password": new})
    for path, body in (
        ("refresh", {"refresh_token": installation.secret("a wrong refresh token", "aq_refresh_")}),
        ("password/reset", {"token": installation.secret("a wrong reset token", "aq_"), "new_password": new}),
        ("invitations/accept", {"token": installation.secret("an invitation", "aq_"), "name": "A", "password": new}),
        ("oidc/finish", {"code": installation.secret("a code of a provider"), "state": installation.secret("a state")}),
    ):
        await client.post(f"/api/v1/auth/{path}", json=body)


async def broken_bodies(installation: Installation, client: httpx.AsyncClient) -> None:
    broken = f'{{"email": "a@b.c", "password": "{installation.secret("a password in broken JSON")}'
    await client.post("/api/v1/auth/login", content=broken, headers={"Content-Type": "application/json"})
    text = f"password={installation.secret('a password in a form')}"
    await client.post("/api/v1/auth/login", content=text, headers={"Content-Type": "text/plain"})
    await client.post("/api/v1/documents", content=installation.secret("a body that is no form"))


async def given_secrets(installation: Installation, client: httpx.AsyncClient) -> None:
    """Those that are made for somebody: used, then in nobody's memory but his."""
    made = (await client.post("/api/v1/keys", json={"name": "made"})).json()
    installation.known["a made API key"] = made["api_key"]
    await client.get("/api/v1/documents", headers={"Authorization": f"Bearer {made['api_key']}"})
    credentials = installation.up.credentials()
    session = (
        await client.post(
            "/api/v1/auth/login", json={"email": credentials["email"], "password": credentials["password"]}
        )
    ).json()
    installation.known |= {"an access token": session["access_token"].rpartition(".")[2]}
    installation.known |= {"a refresh token": session["refresh_token"]}
    await client.get("/api/v1/auth/me", headers={"Authorization": f"Bearer {session['access_token']}"})
    hook = await client.post("/api/v1/webhooks", json={"url": "http://127.0.0.1:65500/", "events": ["*"]})
    installation.known["a webhook's secret"] = hook.json()["secret"]
    await client.post(f"/api/v1/webhooks/{hook.json()['webhook']['id']}/ping")


async def sockets(installation: Installation, client: httpx.AsyncClient) -> None:
    ticket = (await client.post("/api/v1/ws/tickets")).json()["ticket"]
    unused = (await client.post("/api/v1/ws/tickets")).json()["ticket"]
    installation.known |= {"a ticket": ticket, "a ticket that is not used": unused}
    url = f"{str(client.base_url).replace('http', 'ws', 1)}/api/v1/ws"
    wrong = installation.secret("a key as a subprotocol", "aq_")
    first = json.dumps({"type": "auth", "token": installation.secret("a key as a first message", "aq_")})
    bearer = f"eyJhbGciOiJub25lIn0.eyJhIjoxfQ.{installation.secret('a wrong token as a subprotocol')}"
    basic = {"Authorization": f"Basic {installation.secret('a Basic password of a socket')}"}
    for target, options, message in (
        (url, {"subprotocols": ["arqueduct.v1", f"bearer.{bearer}"]}, None),
        (
            f"{url}?token={installation.secret('a token in the address of a socket')}",
            {"additional_headers": basic},
            "{",
        ),
        (f"{url}?ticket={ticket}", {}, None),
        (f"{url}?ticket={installation.secret('a wrong ticket', 'tkt_')}", {}, None),
        (url, {"subprotocols": ["arqueduct.v1", f"bearer.{wrong}"]}, None),
        (url, {}, first),
        (url, {}, installation.secret("a key as nonsense", "aq_")),
    ):
        with suppress(ConnectionClosed):
            async with connect(target, **options) as socket:
                if message:
                    await socket.send(message)
                await socket.recv()


async def failing_provider(installation: Installation, client: httpx.AsyncClient) -> None:
    """It says the key again, as some do, in each way that it can fail."""
    key = installation.known["key of the provider"]
    said = {"error": {"message": f"Incorrect API key provided: {key}. Authorization: Bearer {key}"}}
    for status in (401, 400, 500, 429):
        for _ in range(2):
            installation.provider.answer_next(status, said, retry_after="0")
        accepted = (
            await client.post("/api/v1/documents", files={"file": (f"{status}.txt", f"Water {status}.".encode())})
        ).json()
        job = accepted["job"]["id"]
        await _until_over(client, job)
        for path in (f"jobs/{job}", f"jobs/{job}/events", f"jobs/{job}/attempts"):
            await client.get(f"/api/v1/{path}")
        for _ in range(2):
            installation.provider.answer_next(status, said, retry_after="0")
        await client.post("/api/v1/search", json={"query": f"water {status}", "mode": "vector"})


async def _until_over(client: httpx.AsyncClient, job: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while (await client.get(f"/api/v1/jobs/{job}")).json()["state"] in ("queued", "running"):
            await asyncio.sleep(0.1)


async def database_away(installation: Installation, client: httpx.AsyncClient) -> None:
    """Both servers die while requests come, and are started again."""
    for server in ("postgres", "valkey"):
        (pid,) = installation.up.runtime()["pids"][server]
        os.kill(pid, signal.SIGKILL)
        for _ in range(5):
            with suppress(httpx.TransportError):
                await client.post("/api/v1/documents", files={"file": ("away.txt", b"Nobody is there.")})
                await client.post("/api/v1/ws/tickets")
                await client.get("/readyz")
    await asyncio.to_thread(eventually, lambda: _is_ready(str(client.base_url)), within=60)


def _is_ready(url: str) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(f"{url}/readyz", trust_env=False).status_code == 200
    return False


PRODUCTION: dict[str, Any] = {"ARQUEDUCT_ENVIRONMENT": "production"}


@pytest.mark.parametrize("command", ["api", "worker", "up"])
def test_a_weak_secret_is_refused_without_being_said(command: str, tmp_path: Path) -> None:
    weak = {"DATABASE_URL": "postgresql://me:hunter2@127.0.0.1/x", "REDIS_URL": "redis://:hunter2@127.0.0.1/0"}
    environment = PRODUCTION | weak | {"ARQUEDUCT_SECRET_KEYS": "hunter2"}
    done = arqueduct(command, "--data-dir", tmp_path, check=False, environment=environment)
    assert done.returncode == 1
    assert "weak" in done.stderr
    assert "hunter2" not in done.stdout + done.stderr
