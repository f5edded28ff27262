"""The connected clients of one user in one tenant, and what was passed on to them."""

from collections.abc import Sequence
from uuid import UUID

from arqueduct.repositories import live
from arqueduct_backend.live.client import Client, count
from arqueduct_backend.live.slot import Seqs, folded
from arqueduct_backend.live.updates import Update

__all__ = ["Audience"]


class Audience:
    """`known` is only what came as an update: what one client learnt from its snapshot, another may have missed."""

    def __init__(self, tenant_id: UUID, user_id: UUID) -> None:
        self.tenant_id = tenant_id
        self.user_id = user_id
        self.tenant = str(tenant_id)
        self.clients: set[Client] = set()
        self._unfinished = Seqs(live.MOST_UNFINISHED)
        self._finished = Seqs(live.MOST_FINISHED)

    def deliver(self, heard: Sequence[Update]) -> bool:
        """Passes updates on, in the order of each job; never waits. False: everyone knows as much already."""
        updates = folded(heard)
        for update in updates:
            self._note(update)
        frames = b"".join([update.frame for update in updates])
        took, written = False, 0
        for client in self.clients:
            if client.write(updates, frames):
                written += 1
            else:
                for update in updates:
                    took |= client.offer(update)
        if written:
            for update in updates:
                count(update, written)
        return took or written > 0

    def known(self) -> dict[str, int]:
        """The `seq` of each job up to which the clients were told."""
        return dict(self._finished.items() + self._unfinished.items())

    def _note(self, update: Update) -> None:
        job_id = update.job_id
        if update.is_end:
            self._unfinished.forget(job_id)
            self._finished.raise_to(job_id, update.seq)
        elif update.seq > self._finished.get(job_id):
            self._finished.forget(job_id)
            self._unfinished.raise_to(job_id, update.seq)
