"""Which addresses may be told anything: those on the internet, and those that the installation names.

A tenant chooses the URL, and the request is sent from inside our network: without a guard it could reach what only we
can. So names are resolved here, every address is looked at, and the connection goes to the very one that was looked
at (`transport`): a name that answers differently the next time gains nothing.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import httpx

from arqueduct.errors import WebhookAddressRefused
from arqueduct.settings import Settings, is_private

__all__ = ["Guard", "is_on_the_internet", "resolve"]

LONGEST = 2048
"""Characters of a URL."""
RESOLVE_SECONDS = 5.0
LOOKUPS = ThreadPoolExecutor(8, thread_name_prefix="look up a receiver")
"""Of its own: name servers of tenants may be as slow as they like, and must not keep threads that others need."""
WELL_KNOWN_PORTS = frozenset({80, 443})
FIRST_FREE_PORT = 1024
"""Below are servers that were never meant to read HTTP: mail, shells, file shares."""

Resolve = Callable[[str, int], Awaitable[Iterable[str]]]
"""From host and port to addresses. Raises `OSError`."""

NOT_PUBLIC = [
    ip_network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",
        "100.64.0.0/10",  # carriers' NAT, and metadata of one cloud
        "127.0.0.0/8",
        "168.63.129.16/32",  # looks public; on Azure it is the host of the machine
        "169.254.0.0/16",  # link-local, and metadata of most clouds
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocols
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/3",  # multicast, reserved, broadcast
        "2001::/23",  # protocols: Teredo, ORCHID, benchmarks
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: carries any IPv4 address
        "3fff::/20",  # documentation
    )
]
GLOBAL_UNICAST = ip_network("2000::/3")
"""All that is routed of IPv6. Outside: loopback, link-local, unique local, multicast, IPv4-mapped, NAT64."""


class Guard:
    """Says which URLs are receivers, and which addresses they may have."""

    def __init__(self, private_hosts: Iterable[str], *, environment: str, look_up: Resolve | None = None) -> None:
        """`private_hosts`: names and networks that are allowed although they are not on the internet."""
        self._environment = environment
        self._look_up = look_up or resolve
        self._names: set[str] = set()
        self._networks = []
        for host in private_hosts:
            try:
                self._networks.append(ip_network(host))
            except ValueError:
                self._names.add(_plain(host))

    @classmethod
    def of(cls, settings: Settings) -> "Guard":
        return cls(settings.webhook_private_hosts, environment=settings.environment)

    async def check(self, url: str) -> None:
        """Raises `WebhookAddressRefused`, for a host that is not found as for one that may not be told."""
        await self.addresses(self.parsed(url))

    def parsed(self, url: str) -> httpx.URL:
        """Without a question to anybody. Raises `WebhookAddressRefused`."""
        try:
            parts = httpx.URL(url)
            host, port = parts.raw_host.decode("ascii"), port_of(parts)
        except (httpx.InvalidURL, ValueError) as error:
            raise WebhookAddressRefused("This is not a URL.") from error
        if len(url) > LONGEST or not url.isascii() or not url.isprintable() or " " in url:
            raise WebhookAddressRefused(f"The URL must have printable ASCII characters only, {LONGEST} at most.")
        if not host or not is_private(str(parts), self._environment):
            raise WebhookAddressRefused("The URL must begin with https:// and name a host.")
        if parts.userinfo or parts.fragment:
            raise WebhookAddressRefused("The URL must have neither credentials nor a fragment.")
        if port not in WELL_KNOWN_PORTS and not FIRST_FREE_PORT <= port <= 65_535:
            raise WebhookAddressRefused("The port must be 80, 443, or 1024 and above.")
        return parts

    async def addresses(self, url: httpx.URL) -> list[str]:
        """Those of the host, all of which may be told. Raises `WebhookAddressRefused`."""
        host, port = url.raw_host.decode("ascii"), port_of(url)
        try:
            async with asyncio.timeout(RESOLVE_SECONDS):
                found = [ip_address(address) for address in await self._look_up(host, port)]
        except (OSError, TimeoutError, UnicodeError, ValueError):  # also a zone, as in fe80::1%eth0
            found = []
        if not found or not all(self._is_allowed(_plain(host), address) for address in found):
            raise WebhookAddressRefused
        return [str(address) for address in dict.fromkeys(found)]

    def _is_allowed(self, host: str, address: IPv4Address | IPv6Address) -> bool:
        is_ours = host in self._names or any(address in network for network in self._networks)
        return is_ours or is_on_the_internet(address)


def is_on_the_internet(address: IPv4Address | IPv6Address) -> bool:
    """Whether it is routed globally and belongs to one machine. What carries another address inside does not."""
    if isinstance(address, IPv6Address) and address not in GLOBAL_UNICAST:
        return False
    return not any(address in network for network in NOT_PUBLIC)


async def resolve(host: str, port: int) -> list[str]:
    """As the machine does it. Raises `OSError`."""
    asking = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    found = await asyncio.get_running_loop().run_in_executor(LOOKUPS, asking)
    return [str(address[0]) for *_, address in found]


def port_of(url: httpx.URL) -> int:
    return url.port if url.port is not None else {"http": 80}.get(url.scheme, 443)


def _plain(host: str) -> str:
    return host.lower().strip("[]").removesuffix(".")
