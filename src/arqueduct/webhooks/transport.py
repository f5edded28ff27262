"""HTTP to addresses that were looked at: no redirects, no cookies, no proxies, no connection that is kept."""

import httpx

from arqueduct.webhooks.addresses import Guard

__all__ = ["Pinned"]

MOST_ADDRESSES = 3
"""Of a host, that are tried one after the other."""


class Pinned(httpx.AsyncBaseTransport):
    """Connects to an address that the guard allowed, speaking for the host by its name.

    Nothing is kept alive: two hosts at one address must not share a connection that was made for one of them, and a
    name is resolved and looked at anew for each message. Used without a client, so there is nobody who could follow
    redirects or remember cookies.
    """

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        # The system's authorities too: those of a private network are there.
        context = httpx.create_ssl_context(trust_env=False)
        context.load_default_certs()
        self._inner = httpx.AsyncHTTPTransport(
            verify=context, trust_env=False, limits=httpx.Limits(max_connections=None, max_keepalive_connections=0)
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raises `WebhookAddressRefused` and `httpx.TransportError`."""
        addresses = await self._guard.addresses(self._guard.parsed(str(request.url)))
        sni = {"sni_hostname": request.url.raw_host.decode("ascii")}  # also the name that the certificate must have
        for address in addresses[:MOST_ADDRESSES]:
            pinned = httpx.Request(
                request.method,
                request.url.copy_with(host=address),
                headers=request.headers,
                stream=request.stream,
                extensions={**request.extensions, **sni},
            )
            try:
                return await self._inner.handle_async_request(pinned)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                unreachable = error
        raise unreachable

    async def aclose(self) -> None:
        await self._inner.aclose()
