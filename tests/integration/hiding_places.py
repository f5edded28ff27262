"""Where a secret could lie: an installation whose secrets are known, and everything that it says and keeps."""

import queue
import re
import secrets
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field

import asyncpg
import httpx
import redis

from tests.acceptance.processes import Up, arqueduct
from tests.openai_server import OpenAIServer

PATIENCE = 30.0
SHOWN = 7
"""Characters of an API key that lists and logs may have."""
ANSWERS_WITH_SECRETS = {"/api/v1/keys", "/api/v1/auth/login", "/api/v1/ws/tickets", "/api/v1/webhooks"}
"""Where a secret is given to whom it is for."""


@dataclass(kw_only=True)
class Installation:
    """One that runs, whose secrets we know, and all that it said to us."""

    up: Up
    provider: OpenAIServer
    environment: dict[str, str]
    known: dict[str, str] = field(default_factory=dict)
    """Secrets by what they are."""
    said: list[str] = field(default_factory=list)
    """Bodies and headers of all answers that must have no secret."""

    @asynccontextmanager
    async def client(self) -> AsyncIterator[httpx.AsyncClient]:
        async def keep(answer: httpx.Response) -> None:
            await answer.aread()
            if answer.is_error or answer.request.url.path not in ANSWERS_WITH_SECRETS:
                self.said.append(f"{answer.request.url.path} {answer.headers} {answer.text}")

        credentials = self.up.credentials()
        async with httpx.AsyncClient(
            base_url=credentials["url"],
            headers={"Authorization": f"Bearer {credentials['api_key']}"},
            event_hooks={"response": [keep]},
            timeout=PATIENCE,
            trust_env=False,
        ) as client:
            yield client

    def secret(self, what: str, start: str = "") -> str:
        """A new one that is looked for afterwards."""
        self.known[what] = f"{start}{secrets.token_hex(16)}"
        return self.known[what]

    def found_in(self, text: str) -> list[str]:
        """What secrets are in it, with what stands before them."""
        ends = {what: secret[SHOWN:] for what, secret in self.known.items()}
        return [f"{what}: {text[max(0, text.index(end) - 150) :][:150]}" for what, end in ends.items() if end in text]


@contextmanager
def watching(url: str) -> Iterator[list[str]]:
    """All that Redis is told, as MONITOR shows it: names and values."""
    heard: list[str] = []
    ready: queue.Queue[None] = queue.Queue()
    client = redis.Redis.from_url(url)

    def listen() -> None:
        with suppress(redis.ConnectionError, ValueError, OSError, AttributeError), client.monitor() as monitor:
            ready.put(None)
            while True:
                heard.append(str(monitor.next_command()))

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    ready.get(timeout=PATIENCE)
    yield heard
    thread.join(PATIENCE)  # the server was killed in the last story, and this connection with it
    client.close()


def logs_of(installation: Installation) -> str:
    files = sorted((installation.up.data_dir / "logs").iterdir())
    assert {"api.log"} <= {file.name for file in files}
    return "\n".join(file.read_text(errors="replace") for file in files)


async def rows_of(installation: Installation) -> str:
    """Every row of every table; bytes in hexadecimal digits and as text."""
    connection = await asyncpg.connect(installation.up.runtime()["database_url"])
    try:
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        rows = [
            str(row[0])
            for table in tables
            for row in await connection.fetch(f"SELECT to_jsonb(t)::text FROM {table['tablename']} t")
        ]
    finally:
        await connection.close()
    bytes_ = [
        bytes.fromhex(found).decode("latin-1") for row in rows for found in re.findall(r"\\x((?:[0-9a-f]{2})+)", row)
    ]
    return "\n".join(rows + bytes_)


def kept_by(url: str) -> str:
    with redis.Redis.from_url(url) as client:
        found = ["(nothing)"]
        for name in client.scan_iter():
            found += [str(name), str(client.dump(name))]
    return "\n".join(found)


async def metrics_of(installation: Installation) -> str:
    async with httpx.AsyncClient(trust_env=False) as client:
        urls = installation.up.runtime()["metrics_urls"]
        return "\n".join([(await client.get(url)).text for url in urls])


def doctor_of(installation: Installation) -> str:
    """With everything that can be given to it."""
    runtime = installation.up.runtime()
    given = {"DATABASE_URL": runtime["database_url"], "REDIS_URL": runtime["redis_url"]}
    said = []
    for options in ([], ["--json"]):
        done = arqueduct(
            "doctor",
            *options,
            "--data-dir",
            installation.up.data_dir,
            check=False,
            environment=installation.environment | given,
        )
        said.append(done.stdout + done.stderr)
    return "\n".join(said)
