"""Where a request comes from when proxies stand before this server. They are believed, and nobody else is."""

import re
from collections.abc import Collection, Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["ClientAddress", "client_of", "network_of"]

Network: TypeAlias = IPv4Network | IPv6Network
Address: TypeAlias = IPv4Address | IPv6Address

MOST_HOPS = 32
"""Read from the nearest; nobody has more proxies of his own."""
OF_ONE = 64
"""Bits of an IPv6 address: what one household or machine is given, to change addresses in as it likes."""
WITH_PORT = re.compile(r"\[([^\]]+)\](?::\d+)?|(\d+(?:\.\d+){3}):\d+")
PROTO = re.compile(r"proto=([a-z]+)", re.IGNORECASE)
FOR = re.compile(r'for=("[^"]*"|[^;,\s]*)', re.IGNORECASE)


class ClientAddress:
    """Sets the client and the scheme of the ASGI scope, for everything further in: limits, audit, headers."""

    def __init__(self, app: ASGIApp, trusted: Collection[Network], header: str) -> None:
        self._app = app
        self._trusted = tuple(trusted)
        self._header = header

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._trusted and scope["type"] in ("http", "websocket") and scope.get("client"):
            peer, port = scope["client"]
            if _is_in(peer, self._trusted):
                headers = Headers(scope=scope)
                found = client_of(peer, _hops(headers.getlist(self._header), self._header), self._trusted)
                scope["client"] = (found, port if found == peer else 0)
                if _is_secure(headers, self._header):
                    scope["scheme"] = "wss" if scope["type"] == "websocket" else "https"
        await self._app(scope, receive, send)


def client_of(peer: str, hops: Iterable[str], trusted: Collection[Network]) -> str:
    """The right-most address that is no trusted proxy's. `hops` as told, the nearest last.

    Each hop is believed because a trusted one tells it; what cannot be read ends the chain at who told it.
    """
    found = peer
    for hop in reversed(list(hops)[-MOST_HOPS:]):
        if not _is_in(found, trusted):
            break
        told = _address(hop)
        if told is None:
            break
        found = str(told)
    return found


def network_of(host: str) -> str:
    """As whom an address is counted."""
    address = _address(host)
    if isinstance(address, IPv6Address):
        return str(ip_network((address, OF_ONE), strict=False))
    return str(address) if address else "unknown"


def _hops(told: list[str], header: str) -> list[str]:
    if header == "Forwarded":
        return [found.strip('"') for line in told for found in FOR.findall(line)]
    return [hop.strip() for line in told for hop in line.split(",")]


def _is_secure(headers: Headers, header: str) -> bool:
    """What the nearest proxy says of its own client, who in turn may be a proxy."""
    if header == "Forwarded":
        told = PROTO.findall(headers.getlist("Forwarded")[-1]) if "Forwarded" in headers else []
    else:
        told = headers.get("X-Forwarded-Proto", "").split(",")
    return bool(told) and told[-1].strip().lower() == "https"


def _is_in(host: str, networks: Collection[Network]) -> bool:
    address = _address(host)
    return address is not None and any(address in network for network in networks)


def _address(text: str) -> Address | None:
    """Without its port; IPv4 in IPv6 as IPv4."""
    if ported := WITH_PORT.fullmatch(text):
        text = ported[1] or ported[2]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or IPv6Address(int(address))  # without a zone, which anybody can make up
    return address
