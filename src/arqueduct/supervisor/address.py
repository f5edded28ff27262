"""Where the API listens, and how a client on this machine reaches it."""

import errno
import socket

from arqueduct.errors import SetupError

__all__ = ["choose_port", "url_of"]

EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - read, not bound


def choose_port(host: str, port: int) -> int:
    """`port` if it is free on that address, a free one for 0. Raises `SetupError` that says why it cannot be had."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the API does
            probe.bind(address)
            return int(probe.getsockname()[1])
    except OSError as error:
        reason, advice = _reason(error)
        raise SetupError(f"Port {port} on {host}: {reason}.", advice=advice) from error


def url_of(host: str, port: int) -> str:
    reachable = EVERYWHERE.get(host, host)
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


def _reason(error: OSError) -> tuple[str, str]:
    """And what to do."""
    if error.errno == errno.EADDRINUSE:
        return "another program listens there", "Stop it, or choose another port with --port (0 picks a free one)."
    if error.errno == errno.EACCES:
        return "only root may listen there", "Choose a port above 1023 with --port."
    return f"{error.strerror or error}", "Give an address of this machine with --host."
