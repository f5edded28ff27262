"""What is attacked: a running service, somebody in it who attacks, and somebody else in it who must not notice."""

import asyncio
import json
import os
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from arqueduct.embedded import remove
from tests.acceptance.processes import arqueduct, up
from tests.attack.names import Names

__all__ = ["PREFIX", "Person", "Target", "given", "own"]

PREFIX = "/api/v1"
PATIENCE = 30.0
ENVIRONMENT = {
    # Only what is limited on purpose may answer 429 here; each attack on a limit brings a key with its own.
    "ARQUEDUCT_REQUESTS_PER_MINUTE": "1000000",
    "ARQUEDUCT_UPLOADS_PER_MINUTE": "1000000",
    "ARQUEDUCT_SEARCHES_PER_MINUTE": "1000000",
    "ARQUEDUCT_EXPENSIVE_PER_HOUR": "1000000",
    "ARQUEDUCT_STRANGERS_PER_MINUTE": "1000000",
    "ARQUEDUCT_SIGN_INS_PER_ADDRESS": "1000000",
    "ARQUEDUCT_SIGN_INS_PER_ACCOUNT": "1000000",
    # Small enough to be reached, and times that end while somebody waits.
    "ARQUEDUCT_MAX_SOCKETS_PER_USER": "20",
    "ARQUEDUCT_BODY_IDLE_SECONDS": "2",
    "ARQUEDUCT_MAX_UPLOAD_BYTES": str(4 * 2**20),
    # One address inside is a receiver, so that it can be seen whether it leads to the others.
    "ARQUEDUCT_WEBHOOK_PRIVATE_HOSTS": "127.0.0.1",
}


@dataclass(frozen=True, kw_only=True)
class Person:
    """An owner of a tenant. Without a password where only a key was given."""

    api_key: str
    email: str | None = None
    password: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.api_key}"}


@dataclass(kw_only=True)
class Target:
    """Where it answers."""

    url: str
    me: Person
    they: Person
    """Of another tenant."""
    is_short: bool
    """A few of each kind of attack."""
    data_dir: Path | None = None
    """Where it keeps its data, if that is on this machine and ours."""
    names: Names | None = None
    """What its resolver believes, if it is ours."""
    description: dict[str, Any] = field(default_factory=dict)

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 80

    @asynccontextmanager
    async def client(self, who: Person | None = None, **options: Any) -> AsyncIterator[httpx.AsyncClient]:
        async with httpx.AsyncClient(
            base_url=self.url, headers=who.headers if who else {}, timeout=PATIENCE, trust_env=False, **options
        ) as client:
            yield client

    def has(self, path: str, method: str = "post") -> bool:
        """Whether the service describes such an operation."""
        return method in self.description["paths"].get(f"{PREFIX}{path}", {})

    def operations(self) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
        """Method, path and description of each."""
        for path, of_path in self.description["paths"].items():
            for method, operation in of_path.items():
                yield method.upper(), path, operation

    async def is_alive(self, within: float = 2.0) -> bool:
        """Whether others are still served."""
        with suppress(httpx.TransportError, TimeoutError):
            async with asyncio.timeout(within), self.client(self.they) as client:
                return (await client.get(f"{PREFIX}/documents")).status_code == 200
        return False

    async def say(self, raw: bytes, *, within: float = 5.0, answers: int | None = None) -> bytes:
        """Sends bytes as they are; what comes back until the server closes, the time is up, or so many answers came."""
        reader, writer = await asyncio.open_connection(self.host, self.port)
        heard = b""
        try:
            writer.write(raw)
            with suppress(ConnectionError):
                await writer.drain()
            with suppress(TimeoutError, ConnectionError):
                async with asyncio.timeout(within):
                    while (answers is None or heard.count(b"HTTP/1.1 ") < answers) and (
                        part := await reader.read(65536)
                    ):
                        heard += part
        finally:
            writer.close()
            with suppress(ConnectionError, TimeoutError):
                await writer.wait_closed()
        return heard


def given(url: str, key: str, other_key: str, *, is_short: bool) -> Target:
    """A service that somebody else runs, and keys of two tenants."""
    target = Target(url=url.rstrip("/"), me=Person(api_key=key), they=Person(api_key=other_key), is_short=is_short)
    target.description = httpx.get(f"{target.url}/openapi.json", trust_env=False).raise_for_status().json()
    return target


@contextmanager
def own(*, is_short: bool) -> Iterator[Target]:
    """`arqueduct up` in a folder of its own, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="attack-") as folder:
        data_dir = Path(folder) / "data"
        names = Names(Path(folder) / "names")
        names.folder.mkdir()
        try:
            with up(data_dir, environment=ENVIRONMENT | names.environment | _model()) as started:
                target = _of(started.credentials(), data_dir, is_short=is_short)
                target.names = names
                yield target
        finally:
            for server in ("postgres", "valkey"):
                remove(data_dir / server)


def _of(known: Mapping[str, str], data_dir: Path, *, is_short: bool) -> Target:
    made = arqueduct("tenants", "create", "neighbours", "--json", "--data-dir", data_dir)
    neighbour = json.loads(made.stdout)
    target = Target(
        url=known["url"],
        me=Person(api_key=known["api_key"], email=known["email"], password=known["password"]),
        they=Person(api_key=neighbour["api_key"], email=neighbour["email"], password=neighbour["password"]),
        is_short=is_short,
        data_dir=data_dir,
    )
    target.description = httpx.get(f"{target.url}/openapi.json", trust_env=False).raise_for_status().json()
    return target


def _model() -> dict[str, str]:
    return {name: os.environ[name] for name in ("ARQUEDUCT_EMBEDDER",) if name in os.environ}
