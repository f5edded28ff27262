"""The operations of the API. Written by clients/python.py; do not edit."""

from typing import Literal
from uuid import UUID

from arqueduct.client import models
from arqueduct.client.calls import Call, Upload
from arqueduct.client.transport import AsyncTransport, Transport

__all__ = ["AsyncOperations", "Operations"]


class Operations(Transport):
    """Every operation of the API, by its id."""

    def create_document(
        self, file: Upload, *, priority: Literal["interactive", "normal", "bulk"] | None = None
    ) -> models.Accepted:
        """Takes a file in (multipart/form-data, field `file`) and queues the job that processes it.

        `priority` says which of the tenant's own jobs goes first; it takes nothing from other tenants.

        The answer comes as soon as the file is stored; follow the job at `Location` or over the WebSocket."""
        call: Call[models.Accepted] = Call(
            method="POST", path="/api/v1/documents", answers=models.Accepted, query={"priority": priority}, file=file
        )
        return self.call(call)

    def list_documents(
        self, *, limit: int | None = None, cursor: str | None = None, sort: Literal["-created_at"] | None = None
    ) -> models.PageDocument:
        """The newest first."""
        call: Call[models.PageDocument] = Call(
            method="GET",
            path="/api/v1/documents",
            answers=models.PageDocument,
            query={"limit": limit, "cursor": cursor, "sort": sort},
        )
        return self.call(call)

    def get_document(self, document_id: UUID) -> models.Document:
        """One document; `status` is the state of its job."""
        call: Call[models.Document] = Call(
            method="GET",
            path="/api/v1/documents/{document_id}",
            answers=models.Document,
            ids={"document_id": document_id},
        )
        return self.call(call)

    def delete_document(self, document_id: UUID) -> None:
        """Cancels what is still being done, and removes the document with its passages, vectors, text and bytes."""
        call: Call[None] = Call(
            method="DELETE",
            path="/api/v1/documents/{document_id}",
            answers=type(None),
            ids={"document_id": document_id},
        )
        return self.call(call)

    def get_document_content(self, document_id: UUID) -> bytes:
        """The file as it was uploaded. `Range` (one), `If-Range` and `If-None-Match` are honoured."""
        call: Call[bytes] = Call(
            method="GET",
            path="/api/v1/documents/{document_id}/content",
            answers=bytes,
            ids={"document_id": document_id},
        )
        return self.call(call)

    def get_document_text(self, document_id: UUID) -> str:
        """The text that was read out of it: pages joined by an empty line. Offsets of chunks count its characters."""
        call: Call[str] = Call(
            method="GET", path="/api/v1/documents/{document_id}/text", answers=str, ids={"document_id": document_id}
        )
        return self.call(call)

    def list_chunks(
        self, document_id: UUID, *, limit: int | None = None, cursor: str | None = None
    ) -> models.PageChunk:
        """The passages in the order of the text; none before the document is stored."""
        call: Call[models.PageChunk] = Call(
            method="GET",
            path="/api/v1/documents/{document_id}/chunks",
            answers=models.PageChunk,
            ids={"document_id": document_id},
            query={"limit": limit, "cursor": cursor},
        )
        return self.call(call)

    def cancel_jobs(self, body: models.JobSelection) -> models.Steered:
        """Ends waiting jobs at once and asks the workers of running ones to stop; 10,000 a request."""
        call: Call[models.Steered] = Call(method="POST", path="/api/v1/jobs/cancel", answers=models.Steered, body=body)
        return self.call(call)

    def pause_jobs(self, body: models.JobSelection) -> models.Steered:
        """Puts waiting jobs aside and asks the workers of running ones to stop; 10,000 a request."""
        call: Call[models.Steered] = Call(method="POST", path="/api/v1/jobs/pause", answers=models.Steered, body=body)
        return self.call(call)

    def resume_jobs(self, body: models.JobSelection) -> models.Steered:
        """Puts paused jobs back into the queue; 10,000 a request."""
        call: Call[models.Steered] = Call(method="POST", path="/api/v1/jobs/resume", answers=models.Steered, body=body)
        return self.call(call)

    def retry_jobs(self, body: models.JobSelection) -> models.Steered:
        """Puts failed and cancelled jobs back into the queue, where their document is still there; 10,000 a request.

        Name the state to leave cancelled ones alone."""
        call: Call[models.Steered] = Call(method="POST", path="/api/v1/jobs/retry", answers=models.Steered, body=body)
        return self.call(call)

    def list_jobs(
        self,
        *,
        state: models.JobState | None = None,
        kind: str | None = None,
        document_id: UUID | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        sort: Literal["-created_at"] | None = None,
    ) -> models.PageJob:
        """The newest first."""
        call: Call[models.PageJob] = Call(
            method="GET",
            path="/api/v1/jobs",
            answers=models.PageJob,
            query={
                "state": state,
                "kind": kind,
                "document_id": document_id,
                "limit": limit,
                "cursor": cursor,
                "sort": sort,
            },
        )
        return self.call(call)

    def get_job(self, job_id: UUID) -> models.Job:
        """One job as it stands; the WebSocket tells every change of it."""
        call: Call[models.Job] = Call(
            method="GET", path="/api/v1/jobs/{job_id}", answers=models.Job, ids={"job_id": job_id}
        )
        return self.call(call)

    def list_job_events(
        self, job_id: UUID, *, limit: int | None = None, cursor: str | None = None
    ) -> models.PageJobEvent:
        """Its history, the oldest first: each change of state or stage."""
        call: Call[models.PageJobEvent] = Call(
            method="GET",
            path="/api/v1/jobs/{job_id}/events",
            answers=models.PageJobEvent,
            ids={"job_id": job_id},
            query={"limit": limit, "cursor": cursor},
        )
        return self.call(call)

    def list_job_attempts(self, job_id: UUID) -> models.JobAttempts:
        """Who ran it and how each attempt ended, the oldest first; of more than a hundred the newest."""
        call: Call[models.JobAttempts] = Call(
            method="GET", path="/api/v1/jobs/{job_id}/attempts", answers=models.JobAttempts, ids={"job_id": job_id}
        )
        return self.call(call)

    def cancel_job(self, job_id: UUID) -> models.Job:
        """Ends a waiting job at once (200). A running one is asked to stop, which takes moments (202)."""
        call: Call[models.Job] = Call(
            method="POST", path="/api/v1/jobs/{job_id}/cancel", answers=models.Job, ids={"job_id": job_id}
        )
        return self.call(call)

    def pause_job(self, job_id: UUID) -> models.Job:
        """Puts a waiting job aside at once (200). A running one is asked to stop (202); what it has done is kept."""
        call: Call[models.Job] = Call(
            method="POST", path="/api/v1/jobs/{job_id}/pause", answers=models.Job, ids={"job_id": job_id}
        )
        return self.call(call)

    def resume_job(self, job_id: UUID) -> models.Job:
        """Puts a paused job back into the queue; it goes on from what is kept."""
        call: Call[models.Job] = Call(
            method="POST", path="/api/v1/jobs/{job_id}/resume", answers=models.Job, ids={"job_id": job_id}
        )
        return self.call(call)

    def retry_job(self, job_id: UUID) -> models.Job:
        """Puts a failed or cancelled job back into the queue; what it has paid for already is kept and used."""
        call: Call[models.Job] = Call(
            method="POST", path="/api/v1/jobs/{job_id}/retry", answers=models.Job, ids={"job_id": job_id}
        )
        return self.call(call)

    def get_queue(self) -> models.Queue:
        """How many jobs of the tenant are not finished, and what decides when they run."""
        call: Call[models.Queue] = Call(method="GET", path="/api/v1/queue", answers=models.Queue)
        return self.call(call)

    def search_passages(self, body: models.SearchRequest) -> models.SearchAnswer:
        """The best passages by meaning (`vector`), by words (`text`), or by both, fused (`hybrid`)."""
        call: Call[models.SearchAnswer] = Call(
            method="POST", path="/api/v1/search", answers=models.SearchAnswer, body=body
        )
        return self.call(call)

    def create_ticket(self) -> models.Ticket:
        """Opens one connection within 30 seconds: `/api/v1/ws?ticket=…` or `/api/v1/events?ticket=…`."""
        call: Call[models.Ticket] = Call(method="POST", path="/api/v1/ws/tickets", answers=models.Ticket)
        return self.call(call)

    def get_livez(self) -> models.Alive:
        """Restart the process if this does not answer."""
        call: Call[models.Alive] = Call(method="GET", path="/livez", answers=models.Alive)
        return self.call(call)

    def get_readyz(self) -> models.ReadinessAnswer:
        """Send requests elsewhere while this answers 503."""
        call: Call[models.ReadinessAnswer] = Call(method="GET", path="/readyz", answers=models.ReadinessAnswer)
        return self.call(call)

    def get_version(self) -> models.Version:
        """Which version runs."""
        call: Call[models.Version] = Call(method="GET", path="/version", answers=models.Version)
        return self.call(call)

    def get_metrics(self) -> str:
        """For Prometheus: what this process does. Workers tell about the queue, which spans tenants."""
        call: Call[str] = Call(method="GET", path="/metrics", answers=str)
        return self.call(call)


class AsyncOperations(AsyncTransport):
    """Every operation of the API, by its id."""

    async def create_document(
        self, file: Upload, *, priority: Literal["interactive", "normal", "bulk"] | None = None
    ) -> models.Accepted:
        """Takes a file in (multipart/form-data, field `file`) and queues the job that processes it.

        `priority` says which of the tenant's own jobs goes first; it takes nothing from other tenants.

        The answer comes as soon as the file is stored; follow the job at `Location` or over the WebSocket."""
        call: Call[models.Accepted] = Call(
            method="POST", path="/api/v1/documents", answers=models.Accepted, query={"priority": priority}, file=file
        )
        return await self.call(call)

    async def list_documents(
        self, *, limit: int | None = None, cursor: str | None = None, sort: Literal["-created_at"] | None = None
    ) -> models.PageDocument:
        """The newest first."""
        call: Call[models.PageDocument] = Call(
            method="GET",
            path="/api/v1/documents",
            answers=models.PageDocument,
            query={"limit": limit, "cursor": cursor, "sort": sort},
        )
        return await self.call(call)

    async def get_document(self, document_id: UUID) -> models.Document:
        """One document; `status` is the state of its job."""
        call: Call[models.Document] = Call(
            method="GET",
            path="/api/v1/documents/{document_id}",
            answers=models.Document,
            ids={"document_id": document_id},
        )
        return await self.call(call)

    async def delete_document(self, document_id: UUID) -> None:
        """Cancels what is still being done, and removes the document with its passages, vectors, text and bytes."""
        call: Call[None] = Call(
            method="DELETE",
            path="/api/v1/documents/{document_id}",
            answers=type(None),
            ids={"document_id": document_id},
        )
        return await self.call(call)

    async def get_document_content(self, document_id: UUID) -> bytes:
        """The file as it was uploaded. `Range` (one), `If-Range` and `If-None-Match` are honoured."""
        call: Call[bytes] = Call(
            method="GET",
            path="/api/v1/documents/{document_id}/content",
            answers=bytes,
            ids={"document_id": document_id},
        )
        return await self.call(call)

    async def get_document_text(self, document_id: UUID) -> str:
        """The text that was read out of it: pages joined by an empty line. Offsets of chunks count its characters."""
        call: Call[str] = Call(
            method="GET", path="/api/v1/documents/{document_id}/text", answers=str, ids={"document_id": document_id}
        )
        return await self.call(call)

    async def list_chunks(
        self, document_id: UUID, *, limit: int | None = None, cursor: str | None = None
    ) -> models.PageChunk:
        """The passages in the order of the text; none before the document is stored."""
        call: Call[models.PageChunk] = Call(
            method="GET",
            path="/api/v1/documents/{document_id}/chunks",
            answers=models.PageChunk,
            ids={"document_id": document_id},
            query={"limit": limit, "cursor": cursor},
        )
        return await self.call(call)

    async def cancel_jobs(self, body: models.JobSelection) -> models.Steered:
        """Ends waiting jobs at once and asks the workers of running ones to stop; 10,000 a request."""
        call: Call[models.Steered] = Call(method="POST", path="/api/v1/jobs/cancel", answers=models.Steered, body=body)
        return await self.call(call)

    async def pause_jobs(self, body: models.JobSelection) -> models.Steered:
        """Puts waiting jobs aside and asks the workers of running ones to stop; 10,000 a request."""
        call: Call[models.Steered] = Call(method="POST", path="/api/v1/jobs/pause", answers=models.Steered, body=body)
        return await self.call(call)

    async def resume_jobs(self, body: models.JobSelection) -> models.Steered:
        """Puts paused jobs back into the queue; 10,000 a request."""
        call: Call[models.Steered] = Call(method="POST", path="/api/v1/jobs/resume", answers=models.Steered, body=body)
        return await self.call(call)

    async def retry_jobs(self, body: models.JobSelection) -> models.Steered:
        """Puts failed and cancelled jobs back into the queue, where their document is still there; 10,000 a request.

        Name the state to leave cancelled ones alone."""
        call: Call[models.Steered] = Call(method="POST", path="/api/v1/jobs/retry", answers=models.Steered, body=body)
        return await self.call(call)

    async def list_jobs(
        self,
        *,
        state: models.JobState | None = None,
        kind: str | None = None,
        document_id: UUID | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        sort: Literal["-created_at"] | None = None,
    ) -> models.PageJob:
        """The newest first."""
        call: Call[models.PageJob] = Call(
            method="GET",
            path="/api/v1/jobs",
            answers=models.PageJob,
            query={
                "state": state,
                "kind": kind,
                "document_id": document_id,
                "limit": limit,
                "cursor": cursor,
                "sort": sort,
            },
        )
        return await self.call(call)

    async def get_job(self, job_id: UUID) -> models.Job:
        """One job as it stands; the WebSocket tells every change of it."""
        call: Call[models.Job] = Call(
            method="GET", path="/api/v1/jobs/{job_id}", answers=models.Job, ids={"job_id": job_id}
        )
        return await self.call(call)

    async def list_job_events(
        self, job_id: UUID, *, limit: int | None = None, cursor: str | None = None
    ) -> models.PageJobEvent:
        """Its history, the oldest first: each change of state or stage."""
        call: Call[models.PageJobEvent] = Call(
            method="GET",
            path="/api/v1/jobs/{job_id}/events",
            answers=models.PageJobEvent,
            ids={"job_id": job_id},
            query={"limit": limit, "cursor": cursor},
        )
        return await self.call(call)

    async def list_job_attempts(self, job_id: UUID) -> models.JobAttempts:
        """Who ran it and how each attempt ended, the oldest first; of more than a hundred the newest."""
        call: Call[models.JobAttempts] = Call(
            method="GET", path="/api/v1/jobs/{job_id}/attempts", answers=models.JobAttempts, ids={"job_id": job_id}
        )
        return await self.call(call)

    async def cancel_job(self, job_id: UUID) -> models.Job:
        """Ends a waiting job at once (200). A running one is asked to stop, which takes moments (202)."""
        call: Call[models.Job] = Call(
            method="POST", path="/api/v1/jobs/{job_id}/cancel", answers=models.Job, ids={"job_id": job_id}
        )
        return await self.call(call)

    async def pause_job(self, job_id: UUID) -> models.Job:
        """Puts a waiting job aside at once (200). A running one is asked to stop (202); what it has done is kept."""
        call: Call[models.Job] = Call(
            method="POST", path="/api/v1/jobs/{job_id}/pause", answers=models.Job, ids={"job_id": job_id}
        )
        return await self.call(call)

    async def resume_job(self, job_id: UUID) -> models.Job:
        """Puts a paused job back into the queue; it goes on from what is kept."""
        call: Call[models.Job] = Call(
            method="POST", path="/api/v1/jobs/{job_id}/resume", answers=models.Job, ids={"job_id": job_id}
        )
        return await self.call(call)

    async def retry_job(self, job_id: UUID) -> models.Job:
        """Puts a failed or cancelled job back into the queue; what it has paid for already is kept and used."""
        call: Call[models.Job] = Call(
            method="POST", path="/api/v1/jobs/{job_id}/retry", answers=models.Job, ids={"job_id": job_id}
        )
        return await self.call(call)

    async def get_queue(self) -> models.Queue:
        """How many jobs of the tenant are not finished, and what decides when they run."""
        call: Call[models.Queue] = Call(method="GET", path="/api/v1/queue", answers=models.Queue)
        return await self.call(call)

    async def search_passages(self, body: models.SearchRequest) -> models.SearchAnswer:
        """The best passages by meaning (`vector`), by words (`text`), or by both, fused (`hybrid`)."""
        call: Call[models.SearchAnswer] = Call(
            method="POST", path="/api/v1/search", answers=models.SearchAnswer, body=body
        )
        return await self.call(call)

    async def create_ticket(self) -> models.Ticket:
        """Opens one connection within 30 seconds: `/api/v1/ws?ticket=…` or `/api/v1/events?ticket=…`."""
        call: Call[models.Ticket] = Call(method="POST", path="/api/v1/ws/tickets", answers=models.Ticket)
        return await self.call(call)

    async def get_livez(self) -> models.Alive:
        """Restart the process if this does not answer."""
        call: Call[models.Alive] = Call(method="GET", path="/livez", answers=models.Alive)
        return await self.call(call)

    async def get_readyz(self) -> models.ReadinessAnswer:
        """Send requests elsewhere while this answers 503."""
        call: Call[models.ReadinessAnswer] = Call(method="GET", path="/readyz", answers=models.ReadinessAnswer)
        return await self.call(call)

    async def get_version(self) -> models.Version:
        """Which version runs."""
        call: Call[models.Version] = Call(method="GET", path="/version", answers=models.Version)
        return await self.call(call)

    async def get_metrics(self) -> str:
        """For Prometheus: what this process does. Workers tell about the queue, which spans tenants."""
        call: Call[str] = Call(method="GET", path="/metrics", answers=str)
        return await self.call(call)
