"""Which server a command talks to, and with which key."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from arqueduct import settings
from arqueduct.errors import SetupError
from arqueduct.supervisor.folder import DataFolder

__all__ = ["Server", "find"]


@dataclass(frozen=True, kw_only=True)
class Server:
    url: str
    api_key: str

    @property
    def is_local(self) -> bool:
        """Then no proxy of the environment stands between."""
        host = urlsplit(self.url).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"

    @property
    def socket_url(self) -> str:
        return f"ws{self.url.removeprefix('http')}/api/v1/ws"


def find(url: str | None, api_key: str | None, data_dir: Path | None) -> Server:
    """As given, completed from credentials.json of the data folder. Raises `SetupError` if that is not enough."""
    folder = DataFolder.at(settings.load(data_dir=data_dir).data_dir)
    if url is not None and not url.startswith(("http://", "https://")):
        raise SetupError(f"{url} is no address of an API.", advice="Give one that begins with http:// or https://.")
    url = url.rstrip("/") if url else None
    known = None if url and api_key else folder.known_credentials()
    if known is None and url is None:
        raise SetupError(
            f"No server is known: there is no {folder.credentials}.",
            advice="Start one with `arqueduct up`, or name one with --data-dir, or with --url and --api-key.",
        )
    if api_key is None and (known is None or url not in (None, known.url)):
        # a key never travels to another server than the one it was made by
        raise SetupError(f"No API key for {url}.", advice="Give it with --api-key or ARQUEDUCT_API_KEY.")
    return Server(
        url=url or (known.url if known else ""),
        api_key=api_key or (known.api_key if known else ""),
    )
