"""How many live connections there are on this process, and how many there may be."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from arqueduct import metrics
from arqueduct.errors import TooManyConnections
from arqueduct.settings import Settings
from arqueduct_backend.client_address import network_of
from arqueduct_backend.live.limits import Limits

__all__ = ["Gate"]


class Gate:
    """Counts; nothing here waits, so nobody slips through between a question and its answer."""

    def __init__(self, settings: Settings, limits: Limits) -> None:
        self._settings = settings
        self._limits = limits
        self._tenants: Counter[UUID] = Counter()
        self._waiting: Counter[str] = Counter()

    @contextmanager
    def waiting(self, host: str) -> Iterator[None]:
        """As long as nobody has signed in. Raises `TooManyConnections`."""
        network = network_of(host)
        if self._waiting.total() >= self._limits.waiting or self._waiting[network] >= self._limits.waiting_of_address:
            metrics.sockets_refused.labels("waiting").inc()
            raise TooManyConnections("Too many sockets wait for somebody to sign in.")
        with _counted(self._waiting, network):
            yield

    @contextmanager
    def entered(self, tenant_id: UUID, of_user: int) -> Iterator[None]:
        """As long as somebody is connected whose user has `of_user` other connections. Raises `TooManyConnections`."""
        most = self._settings
        self._check("user", of_user, most.max_sockets_per_user)
        self._check("tenant", self._tenants[tenant_id], most.max_sockets_per_tenant)
        self._check("all", self._tenants.total(), most.max_sockets)
        with _counted(self._tenants, tenant_id):
            yield

    def _check(self, whose: str, there_are: int, most: int) -> None:
        if there_are >= most:
            metrics.sockets_refused.labels(whose).inc()
            raise TooManyConnections(f"{WHOSE[whose]} {most:,} live connections here already; see {SETTING[whose]}.")


WHOSE = {"user": "This user has", "tenant": "This tenant has", "all": "There are"}
SETTING = {
    "user": "ARQUEDUCT_MAX_SOCKETS_PER_USER",
    "tenant": "ARQUEDUCT_MAX_SOCKETS_PER_TENANT",
    "all": "ARQUEDUCT_MAX_SOCKETS",
}


@contextmanager
def _counted(counts: Counter[Any], key: Any) -> Iterator[None]:
    counts[key] += 1
    try:
        yield
    finally:
        counts[key] -= 1
        if not counts[key]:
            del counts[key]
