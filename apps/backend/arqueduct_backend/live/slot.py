"""What one client still has to hear: of each job the newest, but every stage and every end. No I/O."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence

from arqueduct_backend.live.updates import Update

__all__ = ["Seqs", "Slot", "folded"]

REMEMBERED = 4096
"""Jobs whose last sent `seq` is kept; a snapshot and a resync bring 1,200 at most."""

MOST_WAITING = 10_000
"""Updates that may wait for one client: some megabytes. One who is further behind is better served by a snapshot."""


class Seqs:
    """The highest `seq` known of each job, for the jobs touched last."""

    def __init__(self, limit: int = REMEMBERED) -> None:
        self._limit = limit
        self._seqs: OrderedDict[str, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seqs)

    def get(self, job_id: str) -> int:
        """0 for a job that is not known (any more); a real `seq` begins at 1."""
        return self._seqs.get(job_id, 0)

    def raise_to(self, job_id: str, seq: int) -> None:
        self._seqs[job_id] = max(seq, self._seqs.get(job_id, 0))
        self._seqs.move_to_end(job_id)
        if len(self._seqs) > self._limit:
            self._seqs.popitem(last=False)

    def forget(self, job_id: str) -> None:
        self._seqs.pop(job_id, None)

    def items(self) -> list[tuple[str, int]]:
        return list(self._seqs.items())


class Slot:
    """Takes updates in any order, any number of times; gives each job's in order of `seq`, none twice.

    Begins by holding everything back, until `open` says what the snapshot tells already.
    """

    def __init__(self, *, remembered: int = REMEMBERED, most_waiting: int = MOST_WAITING) -> None:
        self._waiting: OrderedDict[str, list[Update]] = OrderedDict()
        self._sent = Seqs(remembered)
        self._most_waiting = most_waiting
        self._count = 0
        self._held = True

    @property
    def is_full(self) -> bool:
        return self._count > self._most_waiting

    def are_next(self, updates: Iterable[Update]) -> bool:
        """Whether the client is to hear all of these next: they are newer than what was sent, and nothing waits."""
        if self._held or self._waiting:
            return False
        for update in updates:  # noqa: SIM110  # a generator costs more than all it looks at, and this is asked of every client
            if update.seq <= self._sent.get(update.job_id):
                return False
        return True

    def passed(self, updates: Iterable[Update]) -> None:
        """Counts updates as sent that did not wait here."""
        for update in updates:
            self._sent.raise_to(update.job_id, update.seq)

    def offer(self, update: Update) -> bool:
        """Takes the update. False: the client knows as much already."""
        if update.seq <= self._sent.get(update.job_id):
            return False
        waiting = self._waiting.setdefault(update.job_id, [])
        place = len(waiting)
        while place and waiting[place - 1].seq > update.seq:
            place -= 1
        if place and waiting[place - 1].seq == update.seq:
            return False
        if place < len(waiting) and waiting[place].replaces(update):
            return False
        if place and update.replaces(waiting[place - 1]):
            waiting[place - 1] = update
        else:
            waiting.insert(place, update)
            self._count += 1
        return True

    def open(self, told: Mapping[str, int]) -> None:
        """From now on updates come out: those newer than what was told, by job, as the snapshot."""
        self._held = False
        for job_id, seq in told.items():
            self._sent.raise_to(job_id, seq)
            if waiting := self._waiting.get(job_id):
                newer = [update for update in waiting if update.seq > seq]
                self._count -= len(waiting) - len(newer)
                if newer:
                    self._waiting[job_id] = newer
                else:
                    del self._waiting[job_id]

    def pop(self) -> Update | None:
        """What the client is to hear next, counted as sent."""
        if self._held or not self._waiting:
            return None
        job_id = next(iter(self._waiting))
        waiting = self._waiting[job_id]
        update = waiting.pop(0)
        if not waiting:
            del self._waiting[job_id]
        self._count -= 1
        self._sent.raise_to(job_id, update.seq)
        return update


def folded(updates: Sequence[Update]) -> Sequence[Update]:
    """What a client who comes late to these still has to hear of them."""
    if len(updates) == 1:
        return updates
    slot = Slot(most_waiting=len(updates))
    for update in updates:
        slot.offer(update)
    slot.open({})
    return list(iter(slot.pop, None))
