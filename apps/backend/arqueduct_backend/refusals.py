"""How many lines the audit log takes about callers whom nobody knows: a flood of them must not fill the disk, nor hide
what others try meanwhile. What it does not take is counted, and told a minute later.
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from arqueduct_backend.client_address import network_of

__all__ = ["EACH", "Dropped", "Refusals"]

MINUTE = 60.0
EACH = 60
"""Lines a minute about one address."""
ALL = 500
"""A minute, about all addresses. The first line about an address is written all the same, so that hiding one takes more
than `MOST_ADDRESSES` others."""
MOST_ADDRESSES = 500
"""That are told apart in one minute, some 200 bytes each; further ones count as one."""
MOST_TOLD = 50
"""Lines a minute about what was dropped; the last has all the rest."""


@dataclass(frozen=True, kw_only=True)
class Dropped:
    """Lines that a minute lacks."""

    lines: int
    address: str | None
    """None: of several."""
    tenant_id: UUID | None
    """Whom they were about, where that was known."""


class Refusals:
    """Of one kind, in one process, minute by minute."""

    def __init__(self, *, each: int = EACH, clock: Callable[[], float] = time.monotonic) -> None:
        self._each = each
        self._all = max(ALL, each)
        self._clock = clock
        self._until = 0.0
        self._written: Counter[str] = Counter()
        self._dropped: Counter[tuple[str | None, UUID | None]] = Counter()
        self._over: Counter[tuple[str | None, UUID | None]] = Counter()

    def takes(self, host: str, tenant_id: UUID | None = None) -> bool:
        """Whether there is room for one more line. If not, it counts as dropped. Whether a tenant is known makes no
        difference to that: the time of an answer must not tell.
        """
        self._turn()
        who = network_of(host)
        if who not in self._written and len(self._written) >= MOST_ADDRESSES:
            who = ""
        has_room = self._written[who] < self._each and self._written.total() < self._all
        if has_room or not self._written[who]:
            self._written[who] += 1
            return True
        about = (who or None, tenant_id)
        is_told = about in self._dropped or len(self._dropped) < MOST_TOLD - 1
        self._dropped[about if is_told else (None, None)] += 1
        return False

    def dropped(self, *, is_last: bool = False) -> list[Dropped]:
        """What minutes that are over lack, once; `is_last`: this minute too."""
        self._turn(is_last=is_last)
        over, self._over = self._over, Counter()
        return [Dropped(lines=lines, address=who, tenant_id=of) for (who, of), lines in over.items()]

    def _turn(self, *, is_last: bool = False) -> None:
        now = self._clock()
        if now < self._until and not is_last:
            return
        self._until = now + MINUTE
        self._over += self._dropped
        self._written.clear()
        self._dropped.clear()
