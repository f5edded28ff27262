"""Making the service speak to addresses inside: by many spellings, by redirects, by names that change their mind."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field

import httpx

from tests.attack.names import Names
from tests.attack.tally import Tally
from tests.attack.target import PREFIX, Target

__all__ = ["ssrf"]

WAIT_SECONDS = 15.0
"""For a worker to take the job of a ping."""
QUIET_SECONDS = 1.0
PATH = f"{PREFIX}/webhooks"
ALLOWED, INSIDE = "127.0.0.1", "127.0.0.2"
"""The one address of this machine that may be told (see `target.ENVIRONMENT`), and one that may not."""
REFUSED = "webhook_address_refused"


@dataclass(kw_only=True)
class Ear:
    """Hears who comes to a port of this machine, and may send them on."""

    port: int
    sends_to: str | None = None
    heard: list[bytes] = field(default_factory=list)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(2):
                self.heard.append(await reader.read(200))
                if self.sends_to:
                    head = f"HTTP/1.1 307 Go\r\nLocation: {self.sends_to}\r\nContent-Length: 0\r\n"
                    writer.write(f"{head}Connection: close\r\n\r\n".encode())
                    await writer.drain()
        writer.close()

    async def has_heard(self, within: float) -> bool:
        return await _holds(lambda: bool(self.heard), within)


async def ssrf(target: Target, tally: Tally) -> None:
    if not target.has("/webhooks"):
        tally.not_tried("the service has no webhooks")
        return
    async with _ear(INSIDE) as inside, target.client(target.me) as client:
        for url in _inside(inside.port, target.port):
            made = await client.post(PATH, json={"url": url, "events": ["*"]})
            said = made.json()
            is_for_the_url = said.get("code") == REFUSED or any("url" in str(item) for item in said.get("errors", ()))
            tally.check(made.is_client_error and is_for_the_url, f"{url}: {made.status_code} {made.text}")
        tally.check(not inside.heard, f"while URLs were looked at somebody inside was spoken to: {inside.heard}")
        if target.data_dir is None:
            tally.not_tried("redirects: this service may tell no receiver of ours")
        else:
            await _redirect(client, tally, inside)
        if target.names is None:
            tally.not_tried("names that lead inside later: this service asks a name server that is not ours")
        else:
            await _rebinding(client, tally, inside, target.names)


async def _redirect(client: httpx.AsyncClient, tally: Tally, inside: Ear) -> None:
    """A receiver that may be told sends the service on to one that may not."""
    for place in (f"http://{INSIDE}:{inside.port}/", f"//{INSIDE}:{inside.port}/", f"http://[::1]:{inside.port}/"):
        async with _ear(ALLOWED) as receiver:
            receiver.sends_to = place
            made = await client.post(PATH, json={"url": f"http://{ALLOWED}:{receiver.port}/", "events": ["*"]})
            if made.is_error:
                tally.not_tried(f"redirects: a receiver that is allowed was refused: {made.text}")
                return
            webhook = made.json()["webhook"]["id"]
            await client.post(f"{PATH}/{webhook}/ping")
            if not await receiver.has_heard(WAIT_SECONDS):
                tally.not_tried("redirects: the receiver was not told, so there is no worker")
                return
            tally.check(not await inside.has_heard(QUIET_SECONDS), f"a redirect to {place} was followed")
            inside.heard.clear()
            await client.delete(f"{PATH}/{webhook}")


async def _rebinding(client: httpx.AsyncClient, tally: Tally, inside: Ear, names: Names) -> None:
    """A name that leads to a receiver that may be told when it is looked at, and inside when it is used."""
    named = await client.post(PATH, json={"url": f"https://{names.add([ALLOWED, INSIDE])}/", "events": ["*"]})
    tally.check(
        named.json().get("code") == REFUSED, f"one of two addresses is inside: {named.status_code} {named.text}"
    )
    for rightly in range(1, 5):
        name = names.add(*[[ALLOWED]] * rightly, [INSIDE])
        made = await client.post(PATH, json={"url": f"https://{name}:{inside.port}/", "events": ["*"]})
        if made.is_error:
            tally.check(made.json().get("code") == REFUSED and names.asked(name) > rightly, made.text)
            continue
        webhook, asked = made.json()["webhook"]["id"], names.asked(name)
        await client.post(f"{PATH}/{webhook}/ping")
        was_tried = await _holds(lambda name=name, asked=asked: names.asked(name) > asked, WAIT_SECONDS)
        tally.check(was_tried, f"{name} was never looked up to be told")
        tally.check(
            not await inside.has_heard(QUIET_SECONDS), f"a name was believed that led inside the {rightly}. time"
        )
        inside.heard.clear()
        await client.delete(f"{PATH}/{webhook}")


async def _holds(condition: Callable[[], bool], within: float) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(within):
            while not condition():
                await asyncio.sleep(0.02)
    return condition()


@asynccontextmanager
async def _ear(address: str) -> AsyncIterator[Ear]:
    """On a free port; where it is `INSIDE`, at the same port of IPv6 too."""
    async with AsyncExitStack() as stack:
        listener = socket.create_server((address, 0))
        ear = Ear(port=listener.getsockname()[1])
        stack.callback((await asyncio.start_server(ear.answer, sock=listener)).close)
        if address == INSIDE:
            with suppress(OSError):  # a machine without IPv6
                stack.callback((await asyncio.start_server(ear.answer, "::1", ear.port)).close)
        yield ear


def _inside(port: int, own: int) -> list[str]:
    hosts = (
        INSIDE,
        "127.2",
        "2130706434",
        "0x7f000002",
        "0177.0.0.2",
        "[::1]",
        "[::ffff:127.0.0.2]",
        "[::ffff:7f00:2]",
        "[64:ff9b::7f00:2]",
        "0.0.0.0",
        "[::]",
        f"user@{INSIDE}",
        f"example.org@{INSIDE}",
        f"{INSIDE}:1@example.org:",
        "①②⑦.0.0.2",
        f"{INSIDE}%00.example.org",
    )
    urls = [f"{scheme}://{host}:{port}/" for host in hosts for scheme in ("http", "https")]
    return [
        *urls,
        f"http://{INSIDE}:{port}#@example.org/",
        f"http://{INSIDE}:{own}{PREFIX}/documents",
        f"http://{INSIDE}:{port}\\@example.org/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[fd00:ec2::254]/latest/meta-data/",
        "https://10.0.0.1/",
        "https://192.168.0.1/",
        "https://100.64.0.1/",
        "file:///etc/passwd",
        f"gopher://{INSIDE}:{port}/_x",
        f"ftp://{INSIDE}:{port}/",
        f"//{INSIDE}/",
        "http:///etc/passwd",
    ]
