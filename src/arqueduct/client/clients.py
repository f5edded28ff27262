"""What programs use: every operation of the API, and waiting for a job."""

from uuid import UUID

from arqueduct.client import models
from arqueduct.client.operations import AsyncOperations, Operations
from arqueduct.client.waiting import wait, wait_blocking

__all__ = ["AsyncClient", "Client"]


class Client(Operations):
    """Every operation of the API, by its id; each call blocks the thread."""

    def wait(self, job_id: UUID | str, *, timeout: float | None = None) -> models.Job:
        """The job once it has ended: `completed`, `partially_completed`, `failed` or `cancelled`.

        Told over a socket; where that is not to be had, by asking. While the server is away after a first answer it
        waits on. A job that is paused has not ended. `timeout` is in seconds, None for as long as it takes. Raises
        `WaitTimeoutError`, and `APIError` when there is no such job.
        """
        return wait_blocking(self, job_id, timeout)


class AsyncClient(AsyncOperations):
    """Every operation of the API, by its id, for asyncio."""

    async def wait(self, job_id: UUID | str, *, timeout: float | None = None) -> models.Job:
        """As `Client.wait`."""
        return await wait(self, job_id, timeout)
