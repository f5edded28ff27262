"""The operations of the API. Written by clients/python.py; do not edit."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from arqueduct.client import models
from arqueduct.client.calls import Call, new_idempotency_key
from arqueduct.client.transport import AsyncTransport, Transport
from arqueduct.client.uploads import Upload

__all__ = ["AsyncOperations", "Operations"]


class Operations(Transport):
    """Every operation of the API, by its id."""

    def create_document(
        self,
        file: Upload,
        *,
        priority: Literal["interactive", "normal", "bulk"] | None = None,
        idempotency_key: str | None = None,
    ) -> models.Accepted:
        """Takes a file in (multipart/form-data, field `file`) and queues the job that processes it.

        `priority` says which of the tenant's own jobs goes first; it takes nothing from other tenants.

        The answer comes as soon as the file is stored; follow the job at `Location` or over the WebSocket."""
        call: Call[models.Accepted] = Call(
            method="POST",
            path="/api/v1/documents",
            answers=models.Accepted,
            query={"priority": priority},
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
            files={"file": [file]},
        )
        return self.call(call)

    def list_documents(
        self,
        *,
        archived: bool | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        sort: Literal["-created_at"] | None = None,
    ) -> models.PageDocument:
        """The newest first."""
        call: Call[models.PageDocument] = Call(
            method="GET",
            path="/api/v1/documents",
            answers=models.PageDocument,
            query={"archived": archived, "limit": limit, "cursor": cursor, "sort": sort},
        )
        return self.call(call)

    def get_document(self, document_id: UUID, *, if_none_match: str | None = None) -> models.Document:
        """One document; `status` is the state of its job."""
        call: Call[models.Document] = Call(
            method="GET",
            path="/api/v1/documents/{document_id}",
            answers=models.Document,
            ids={"document_id": document_id},
            headers={"If-None-Match": if_none_match},
        )
        return self.call(call)

    def update_document(
        self, document_id: UUID, body: models.DocumentPatch, *, if_match: str | None = None
    ) -> models.Document:
        """Changes name, title or metadata. What is read out of the document later does not undo it."""
        call: Call[models.Document] = Call(
            method="PATCH",
            path="/api/v1/documents/{document_id}",
            answers=models.Document,
            body=body,
            ids={"document_id": document_id},
            headers={"If-Match": if_match},
        )
        return self.call(call)

    def delete_document(self, document_id: UUID, *, if_match: str | None = None) -> None:
        """Cancels what is still being done, and removes the document with its passages, vectors, text and bytes."""
        call: Call[None] = Call(
            method="DELETE",
            path="/api/v1/documents/{document_id}",
            answers=type(None),
            ids={"document_id": document_id},
            headers={"If-Match": if_match},
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

    def archive_document(self, document_id: UUID, *, idempotency_key: str | None = None) -> models.Job:
        """Puts a document away: out of search at once; then a job compresses its file and moves it to a cold place.

        Text, passages and vectors stay, so that restoring it takes no model."""
        call: Call[models.Job] = Call(
            method="POST",
            path="/api/v1/documents/{document_id}/archive",
            answers=models.Job,
            ids={"document_id": document_id},
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return self.call(call)

    def restore_document(self, document_id: UUID, *, idempotency_key: str | None = None) -> models.Job:
        """Queues the job that brings an archived document back: its file, checked by its checksum, and into search."""
        call: Call[models.Job] = Call(
            method="POST",
            path="/api/v1/documents/{document_id}/restore",
            answers=models.Job,
            ids={"document_id": document_id},
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return self.call(call)

    def create_file_set(
        self,
        files: Sequence[Upload] = (),
        *,
        name: str,
        idempotency_key: str | None = None,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> models.FileSetFilled:
        """Makes a set out of a form (multipart/form-data): `name`, `description`, `metadata` (a JSON object), and
        any number of parts `files`, none too.

        The file name of a part may be a path such as `2026/march/lease.pdf`: it is kept as the file's path in
        the set, and its last step is the name of the document. Every file gets an answer of its own, and one
        that is refused (too large, empty, of no known type, or there already) hinders no other. Nothing is
        processed yet: documents are `uploaded`."""
        call: Call[models.FileSetFilled] = Call(
            method="POST",
            path="/api/v1/file-sets",
            answers=models.FileSetFilled,
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
            form={"name": name, "description": description, "metadata": metadata},
            files={"files": files},
        )
        return self.call(call)

    def list_file_sets(self, *, limit: int | None = None, cursor: str | None = None) -> models.PageFileSet:
        """The newest first."""
        call: Call[models.PageFileSet] = Call(
            method="GET", path="/api/v1/file-sets", answers=models.PageFileSet, query={"limit": limit, "cursor": cursor}
        )
        return self.call(call)

    def get_file_set(self, file_set_id: UUID, *, if_none_match: str | None = None) -> models.FileSet:
        """The set itself; its files and its statistics have addresses of their own."""
        call: Call[models.FileSet] = Call(
            method="GET",
            path="/api/v1/file-sets/{file_set_id}",
            answers=models.FileSet,
            ids={"file_set_id": file_set_id},
            headers={"If-None-Match": if_none_match},
        )
        return self.call(call)

    def change_file_set(
        self, file_set_id: UUID, body: models.FileSetChange, *, if_match: str | None = None
    ) -> models.FileSet:
        """Changes name, description or metadata."""
        call: Call[models.FileSet] = Call(
            method="PATCH",
            path="/api/v1/file-sets/{file_set_id}",
            answers=models.FileSet,
            body=body,
            ids={"file_set_id": file_set_id},
            headers={"If-Match": if_match},
        )
        return self.call(call)

    def delete_file_set(self, file_set_id: UUID, *, documents: bool | None = None) -> None:
        """Removes the set. Should it fail half-way with `documents=true`, send it again: the set goes last."""
        call: Call[None] = Call(
            method="DELETE",
            path="/api/v1/file-sets/{file_set_id}",
            answers=type(None),
            ids={"file_set_id": file_set_id},
            query={"documents": documents},
        )
        return self.call(call)

    def upload_to_file_set(
        self, file_set_id: UUID, files: Sequence[Upload], *, idempotency_key: str | None = None
    ) -> models.FileSetFilled:
        """Takes more files into a set, as with making one (multipart/form-data, fields `files`)."""
        call: Call[models.FileSetFilled] = Call(
            method="POST",
            path="/api/v1/file-sets/{file_set_id}/files",
            answers=models.FileSetFilled,
            ids={"file_set_id": file_set_id},
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
            files={"files": files},
        )
        return self.call(call)

    def list_file_set_files(
        self,
        file_set_id: UUID,
        *,
        status: models.JobState | Literal["uploaded"] | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> models.PageFileSetFile:
        """In the order in which the documents were uploaded."""
        call: Call[models.PageFileSetFile] = Call(
            method="GET",
            path="/api/v1/file-sets/{file_set_id}/files",
            answers=models.PageFileSetFile,
            ids={"file_set_id": file_set_id},
            query={"status": status, "limit": limit, "cursor": cursor},
        )
        return self.call(call)

    def change_file_set_file(
        self, file_set_id: UUID, document_id: UUID, body: models.FileSetFileChange
    ) -> models.FileSetFile:
        """Moves a file within its set. The document keeps its name."""
        call: Call[models.FileSetFile] = Call(
            method="PATCH",
            path="/api/v1/file-sets/{file_set_id}/files/{document_id}",
            answers=models.FileSetFile,
            body=body,
            ids={"file_set_id": file_set_id, "document_id": document_id},
        )
        return self.call(call)

    def remove_file_set_file(self, file_set_id: UUID, document_id: UUID) -> None:
        """Takes a document out of the set. The document stays."""
        call: Call[None] = Call(
            method="DELETE",
            path="/api/v1/file-sets/{file_set_id}/files/{document_id}",
            answers=type(None),
            ids={"file_set_id": file_set_id, "document_id": document_id},
        )
        return self.call(call)

    def add_documents_to_file_set(
        self, file_set_id: UUID, body: models.DocumentsNamed, *, idempotency_key: str | None = None
    ) -> models.DocumentsAdded:
        """Puts documents that are there already into the set, each under its name; an answer for each."""
        call: Call[models.DocumentsAdded] = Call(
            method="POST",
            path="/api/v1/file-sets/{file_set_id}/documents",
            answers=models.DocumentsAdded,
            body=body,
            ids={"file_set_id": file_set_id},
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return self.call(call)

    def archive_file_set(self, file_set_id: UUID, *, idempotency_key: str | None = None) -> models.BatchAccepted:
        """Puts it away with its documents, by a batch; those that are in another set that is not archived stay."""
        call: Call[models.BatchAccepted] = Call(
            method="POST",
            path="/api/v1/file-sets/{file_set_id}/archive",
            answers=models.BatchAccepted,
            ids={"file_set_id": file_set_id},
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return self.call(call)

    def restore_file_set(self, file_set_id: UUID, *, idempotency_key: str | None = None) -> models.BatchAccepted:
        """Brings it back with all its documents, by a batch."""
        call: Call[models.BatchAccepted] = Call(
            method="POST",
            path="/api/v1/file-sets/{file_set_id}/restore",
            answers=models.BatchAccepted,
            ids={"file_set_id": file_set_id},
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return self.call(call)

    def get_file_set_statistics(self, file_set_id: UUID) -> models.FileSetStatistics:
        """Files, bytes, pages, chunks and tokens: in all, by type and by status.

        Files that come or go are counted at once; what jobs do meanwhile, after two seconds at most."""
        call: Call[models.FileSetStatistics] = Call(
            method="GET",
            path="/api/v1/file-sets/{file_set_id}/statistics",
            answers=models.FileSetStatistics,
            ids={"file_set_id": file_set_id},
        )
        return self.call(call)

    def create_project(
        self, body: models.ProjectAsked, *, idempotency_key: str | None = None
    ) -> models.ProjectAccepted:
        """Looks whether the set can be processed, makes a job for each of its files, and starts them: all or
        nothing."""
        call: Call[models.ProjectAccepted] = Call(
            method="POST",
            path="/api/v1/projects",
            answers=models.ProjectAccepted,
            body=body,
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return self.call(call)

    def list_projects(self, *, limit: int | None = None, cursor: str | None = None) -> models.PageProject:
        """The newest first."""
        call: Call[models.PageProject] = Call(
            method="GET", path="/api/v1/projects", answers=models.PageProject, query={"limit": limit, "cursor": cursor}
        )
        return self.call(call)

    def get_project(self, project_id: UUID, *, if_none_match: str | None = None) -> models.Project:
        """One project; its status, files and runs have addresses of their own."""
        call: Call[models.Project] = Call(
            method="GET",
            path="/api/v1/projects/{project_id}",
            answers=models.Project,
            ids={"project_id": project_id},
            headers={"If-None-Match": if_none_match},
        )
        return self.call(call)

    def change_project(
        self, project_id: UUID, body: models.ProjectChange, *, if_match: str | None = None
    ) -> models.Project:
        """Changes name or description. `If-Match` takes no notice of how far its newest run is."""
        call: Call[models.Project] = Call(
            method="PATCH",
            path="/api/v1/projects/{project_id}",
            answers=models.Project,
            body=body,
            ids={"project_id": project_id},
            headers={"If-Match": if_match},
        )
        return self.call(call)

    def delete_project(self, project_id: UUID) -> None:
        """Removes the project and the list of its runs. Its file set, documents and jobs stay."""
        call: Call[None] = Call(
            method="DELETE", path="/api/v1/projects/{project_id}", answers=type(None), ids={"project_id": project_id}
        )
        return self.call(call)

    def get_project_status(
        self, project_id: UUID, *, state: models.JobState | None = None, limit: int | None = None
    ) -> models.FamilyStatus:
        """How its newest run stands: counters, throughput, time left, errors, cost, and the first of its files."""
        call: Call[models.FamilyStatus] = Call(
            method="GET",
            path="/api/v1/projects/{project_id}/status",
            answers=models.FamilyStatus,
            ids={"project_id": project_id},
            query={"state": state, "limit": limit},
        )
        return self.call(call)

    def list_project_files(
        self,
        project_id: UUID,
        *,
        state: models.JobState | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> models.PageChildJob:
        """Every file of its newest run with its progress, in the order in which the jobs were made."""
        call: Call[models.PageChildJob] = Call(
            method="GET",
            path="/api/v1/projects/{project_id}/files",
            answers=models.PageChildJob,
            ids={"project_id": project_id},
            query={"state": state, "limit": limit, "cursor": cursor},
        )
        return self.call(call)

    def list_project_runs(
        self, project_id: UUID, *, limit: int | None = None, cursor: str | None = None
    ) -> models.PageProjectRun:
        """Each time it was processed, the newest first."""
        call: Call[models.PageProjectRun] = Call(
            method="GET",
            path="/api/v1/projects/{project_id}/runs",
            answers=models.PageProjectRun,
            ids={"project_id": project_id},
            query={"limit": limit, "cursor": cursor},
        )
        return self.call(call)

    def run_project(
        self, project_id: UUID, body: models.ProjectRunAsked, *, idempotency_key: str | None = None
    ) -> models.ProjectAccepted:
        """Processes the files of the set once more, as they are now, under this or another profile."""
        call: Call[models.ProjectAccepted] = Call(
            method="POST",
            path="/api/v1/projects/{project_id}/runs",
            answers=models.ProjectAccepted,
            body=body,
            ids={"project_id": project_id},
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return self.call(call)

    def get_project_errors(
        self, project_id: UUID, *, error_code: str | None = None, limit: int | None = None, cursor: str | None = None
    ) -> models.ErrorReport:
        """What failed in its newest run, where, why, and what to do; as CSV all of it at once.

        To try some of it again, send the jobs' ids, or a code, to `retry`."""
        call: Call[models.ErrorReport] = Call(
            method="GET",
            path="/api/v1/projects/{project_id}/errors",
            answers=models.ErrorReport,
            ids={"project_id": project_id},
            query={"error_code": error_code, "limit": limit, "cursor": cursor},
        )
        return self.call(call)

    def get_project_errors_csv(self, project_id: UUID, *, error_code: str | None = None) -> str:
        """What `get_project_errors` tells, all of it as text/csv."""
        call: Call[str] = Call(
            method="GET",
            path="/api/v1/projects/{project_id}/errors",
            answers=str,
            ids={"project_id": project_id},
            query={"error_code": error_code, "format": "csv"},
        )
        return self.call(call)

    def archive_project(self, project_id: UUID, *, idempotency_key: str | None = None) -> models.BatchAccepted:
        """Puts it away with its set and documents, by a batch; a set that another project uses stays, and its
        documents."""
        call: Call[models.BatchAccepted] = Call(
            method="POST",
            path="/api/v1/projects/{project_id}/archive",
            answers=models.BatchAccepted,
            ids={"project_id": project_id},
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return self.call(call)

    def restore_project(self, project_id: UUID, *, idempotency_key: str | None = None) -> models.BatchAccepted:
        """Brings it back with its set and all documents of that, by a batch."""
        call: Call[models.BatchAccepted] = Call(
            method="POST",
            path="/api/v1/projects/{project_id}/restore",
            answers=models.BatchAccepted,
            ids={"project_id": project_id},
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return self.call(call)

    def cancel_project(self, project_id: UUID, *, idempotency_key: str | None = None) -> models.FamilyStatus:
        """Ends waiting files at once and asks the workers of running ones to stop; what is completed stays."""
        call: Call[models.FamilyStatus] = Call(
            method="POST",
            path="/api/v1/projects/{project_id}/cancel",
            answers=models.FamilyStatus,
            ids={"project_id": project_id},
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return self.call(call)

    def pause_project(self, project_id: UUID, *, idempotency_key: str | None = None) -> models.FamilyStatus:
        """Puts waiting files aside and asks the workers of running ones to stop; what is done is kept."""
        call: Call[models.FamilyStatus] = Call(
            method="POST",
            path="/api/v1/projects/{project_id}/pause",
            answers=models.FamilyStatus,
            ids={"project_id": project_id},
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return self.call(call)

    def resume_project(self, project_id: UUID, *, idempotency_key: str | None = None) -> models.FamilyStatus:
        """Puts paused files back into the queue."""
        call: Call[models.FamilyStatus] = Call(
            method="POST",
            path="/api/v1/projects/{project_id}/resume",
            answers=models.FamilyStatus,
            ids={"project_id": project_id},
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return self.call(call)

    def retry_project(
        self, project_id: UUID, body: models.ChildChoice | None = None, *, idempotency_key: str | None = None
    ) -> models.FamilyStatus:
        """Puts the files that failed back into the queue, all or those of a choice, and no others."""
        call: Call[models.FamilyStatus] = Call(
            method="POST",
            path="/api/v1/projects/{project_id}/retry",
            answers=models.FamilyStatus,
            body=body,
            ids={"project_id": project_id},
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return self.call(call)

    def create_batch(self, body: models.BatchAsked, *, idempotency_key: str | None = None) -> models.BatchAccepted:
        """Makes a job for each document that is named, or that fits the filter now, and starts them: all or
        nothing.

        `document.ingest` leaves out what fits the filter and is being processed already; named, it is refused."""
        call: Call[models.BatchAccepted] = Call(
            method="POST",
            path="/api/v1/batches",
            answers=models.BatchAccepted,
            body=body,
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return self.call(call)

    def list_batches(self, *, limit: int | None = None, cursor: str | None = None) -> models.PageBatch:
        """The newest first."""
        call: Call[models.PageBatch] = Call(
            method="GET", path="/api/v1/batches", answers=models.PageBatch, query={"limit": limit, "cursor": cursor}
        )
        return self.call(call)

    def get_batch(
        self, batch_id: UUID, *, state: models.JobState | None = None, limit: int | None = None
    ) -> models.FamilyStatus:
        """How it stands: counters, throughput, time left, errors, cost, and the first of its documents."""
        call: Call[models.FamilyStatus] = Call(
            method="GET",
            path="/api/v1/batches/{batch_id}",
            answers=models.FamilyStatus,
            ids={"batch_id": batch_id},
            query={"state": state, "limit": limit},
        )
        return self.call(call)

    def list_batch_files(
        self,
        batch_id: UUID,
        *,
        state: models.JobState | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> models.PageChildJob:
        """Every document with the progress of its job."""
        call: Call[models.PageChildJob] = Call(
            method="GET",
            path="/api/v1/batches/{batch_id}/files",
            answers=models.PageChildJob,
            ids={"batch_id": batch_id},
            query={"state": state, "limit": limit, "cursor": cursor},
        )
        return self.call(call)

    def get_batch_errors(
        self, batch_id: UUID, *, error_code: str | None = None, limit: int | None = None, cursor: str | None = None
    ) -> models.ErrorReport:
        """What failed, where, why, and what to do; as CSV all of it at once."""
        call: Call[models.ErrorReport] = Call(
            method="GET",
            path="/api/v1/batches/{batch_id}/errors",
            answers=models.ErrorReport,
            ids={"batch_id": batch_id},
            query={"error_code": error_code, "limit": limit, "cursor": cursor},
        )
        return self.call(call)

    def get_batch_errors_csv(self, batch_id: UUID, *, error_code: str | None = None) -> str:
        """What `get_batch_errors` tells, all of it as text/csv."""
        call: Call[str] = Call(
            method="GET",
            path="/api/v1/batches/{batch_id}/errors",
            answers=str,
            ids={"batch_id": batch_id},
            query={"error_code": error_code, "format": "csv"},
        )
        return self.call(call)

    def cancel_batch(self, batch_id: UUID, *, idempotency_key: str | None = None) -> models.FamilyStatus:
        """Ends waiting jobs at once and asks the workers of running ones to stop."""
        call: Call[models.FamilyStatus] = Call(
            method="POST",
            path="/api/v1/batches/{batch_id}/cancel",
            answers=models.FamilyStatus,
            ids={"batch_id": batch_id},
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return self.call(call)

    def pause_batch(self, batch_id: UUID, *, idempotency_key: str | None = None) -> models.FamilyStatus:
        """Puts waiting jobs aside and asks the workers of running ones to stop; what is done is kept."""
        call: Call[models.FamilyStatus] = Call(
            method="POST",
            path="/api/v1/batches/{batch_id}/pause",
            answers=models.FamilyStatus,
            ids={"batch_id": batch_id},
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return self.call(call)

    def resume_batch(self, batch_id: UUID, *, idempotency_key: str | None = None) -> models.FamilyStatus:
        """Puts paused jobs back into the queue."""
        call: Call[models.FamilyStatus] = Call(
            method="POST",
            path="/api/v1/batches/{batch_id}/resume",
            answers=models.FamilyStatus,
            ids={"batch_id": batch_id},
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return self.call(call)

    def retry_batch(
        self, batch_id: UUID, body: models.ChildChoice | None = None, *, idempotency_key: str | None = None
    ) -> models.FamilyStatus:
        """Puts the jobs that failed back into the queue, all or those of a choice, and no others."""
        call: Call[models.FamilyStatus] = Call(
            method="POST",
            path="/api/v1/batches/{batch_id}/retry",
            answers=models.FamilyStatus,
            body=body,
            ids={"batch_id": batch_id},
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return self.call(call)

    def list_profiles(self, *, limit: int | None = None, cursor: str | None = None) -> models.PageProfile:
        """Each as it is now, the newest first. Archived ones are left out, and so is `default`, which is built in."""
        call: Call[models.PageProfile] = Call(
            method="GET", path="/api/v1/profiles", answers=models.PageProfile, query={"limit": limit, "cursor": cursor}
        )
        return self.call(call)

    def create_profile(self, body: models.ProfileAsked, *, idempotency_key: str | None = None) -> models.Profile:
        """Its first version. The settings are checked against what the workers have installed."""
        call: Call[models.Profile] = Call(
            method="POST",
            path="/api/v1/profiles",
            answers=models.Profile,
            body=body,
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return self.call(call)

    def validate_profile(self, body: models.ProfileTried) -> models.Verdict:
        """Says what is wrong with settings, and keeps nothing."""
        call: Call[models.Verdict] = Call(
            method="POST", path="/api/v1/profiles/validate", answers=models.Verdict, body=body
        )
        return self.call(call)

    def get_default_profile(self) -> models.DefaultProfile:
        """The profile that every tenant has by itself; what names no profile is processed by it."""
        call: Call[models.DefaultProfile] = Call(
            method="GET", path="/api/v1/profiles/default", answers=models.DefaultProfile
        )
        return self.call(call)

    def get_profile(self, profile_id: UUID, *, if_none_match: str | None = None) -> models.Profile:
        """One as it is now, be it archived."""
        call: Call[models.Profile] = Call(
            method="GET",
            path="/api/v1/profiles/{profile_id}",
            answers=models.Profile,
            ids={"profile_id": profile_id},
            headers={"If-None-Match": if_none_match},
        )
        return self.call(call)

    def change_profile(
        self, profile_id: UUID, body: models.ProfileAsked, *, if_match: str | None = None
    ) -> models.Profile:
        """Other settings are a new version, for what is begun from now on; the old one stays for what was begun
        with it.

        The same settings are no new version, so that this may be sent twice. An archived profile is 404."""
        call: Call[models.Profile] = Call(
            method="PUT",
            path="/api/v1/profiles/{profile_id}",
            answers=models.Profile,
            body=body,
            ids={"profile_id": profile_id},
            headers={"If-Match": if_match},
        )
        return self.call(call)

    def archive_profile(self, profile_id: UUID, *, if_match: str | None = None) -> None:
        """Nothing new begins with it, and its name is free again. Its versions stay for what was begun with them."""
        call: Call[None] = Call(
            method="DELETE",
            path="/api/v1/profiles/{profile_id}",
            answers=type(None),
            ids={"profile_id": profile_id},
            headers={"If-Match": if_match},
        )
        return self.call(call)

    def list_profile_versions(
        self, profile_id: UUID, *, limit: int | None = None, cursor: str | None = None
    ) -> models.PageProfileVersion:
        """What it said, the newest first."""
        call: Call[models.PageProfileVersion] = Call(
            method="GET",
            path="/api/v1/profiles/{profile_id}/versions",
            answers=models.PageProfileVersion,
            ids={"profile_id": profile_id},
            query={"limit": limit, "cursor": cursor},
        )
        return self.call(call)

    def get_profile_version(self, profile_id: UUID, version: int) -> models.ProfileVersion:
        """What it said then."""
        call: Call[models.ProfileVersion] = Call(
            method="GET",
            path="/api/v1/profiles/{profile_id}/versions/{version}",
            answers=models.ProfileVersion,
            ids={"profile_id": profile_id, "version": version},
        )
        return self.call(call)

    def list_pipelines(self) -> models.Pipelines:
        """Pipelines that a profile can name, the stages of each, and the options of each stage as a JSON schema."""
        call: Call[models.Pipelines] = Call(method="GET", path="/api/v1/pipelines", answers=models.Pipelines)
        return self.call(call)

    def cancel_jobs(self, body: models.JobSelection, *, idempotency_key: str | None = None) -> models.Steered:
        """Ends waiting jobs at once and asks the workers of running ones to stop; 10,000 a request."""
        call: Call[models.Steered] = Call(
            method="POST",
            path="/api/v1/jobs/cancel",
            answers=models.Steered,
            body=body,
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return self.call(call)

    def pause_jobs(self, body: models.JobSelection, *, idempotency_key: str | None = None) -> models.Steered:
        """Puts waiting jobs aside and asks the workers of running ones to stop; 10,000 a request."""
        call: Call[models.Steered] = Call(
            method="POST",
            path="/api/v1/jobs/pause",
            answers=models.Steered,
            body=body,
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return self.call(call)

    def resume_jobs(self, body: models.JobSelection, *, idempotency_key: str | None = None) -> models.Steered:
        """Puts paused jobs back into the queue; 10,000 a request."""
        call: Call[models.Steered] = Call(
            method="POST",
            path="/api/v1/jobs/resume",
            answers=models.Steered,
            body=body,
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return self.call(call)

    def retry_jobs(self, body: models.JobSelection, *, idempotency_key: str | None = None) -> models.Steered:
        """Puts failed and cancelled jobs back into the queue, where their document is still there; 10,000 a
        request.

        Name the state to leave cancelled ones alone. Passed over are jobs whose document was given a newer one
        since, and runs of retention and of the storage, which are retried one by one."""
        call: Call[models.Steered] = Call(
            method="POST",
            path="/api/v1/jobs/retry",
            answers=models.Steered,
            body=body,
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return self.call(call)

    def list_jobs(
        self,
        *,
        state: models.JobState | None = None,
        kind: str | None = None,
        document_id: UUID | None = None,
        parent_id: UUID | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        sort: Literal["-created_at"] | None = None,
    ) -> models.PageJob:
        """The newest first; of a project or a batch with `parent_id`. The kind `webhook.deliver` needs
        `webhooks:read`."""
        call: Call[models.PageJob] = Call(
            method="GET",
            path="/api/v1/jobs",
            answers=models.PageJob,
            query={
                "state": state,
                "kind": kind,
                "document_id": document_id,
                "parent_id": parent_id,
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

    def cancel_job(self, job_id: UUID, *, idempotency_key: str | None = None) -> models.Job:
        """Ends a waiting job at once (200). A running one is asked to stop, which takes moments (202)."""
        call: Call[models.Job] = Call(
            method="POST",
            path="/api/v1/jobs/{job_id}/cancel",
            answers=models.Job,
            ids={"job_id": job_id},
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return self.call(call)

    def pause_job(self, job_id: UUID, *, idempotency_key: str | None = None) -> models.Job:
        """Puts a waiting job aside at once (200). A running one is asked to stop (202); what it has done is kept."""
        call: Call[models.Job] = Call(
            method="POST",
            path="/api/v1/jobs/{job_id}/pause",
            answers=models.Job,
            ids={"job_id": job_id},
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return self.call(call)

    def resume_job(self, job_id: UUID, *, idempotency_key: str | None = None) -> models.Job:
        """Puts a paused job back into the queue; it goes on from what is kept."""
        call: Call[models.Job] = Call(
            method="POST",
            path="/api/v1/jobs/{job_id}/resume",
            answers=models.Job,
            ids={"job_id": job_id},
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return self.call(call)

    def retry_job(self, job_id: UUID, *, idempotency_key: str | None = None) -> models.Job:
        """Puts a failed or cancelled job back into the queue; what it has paid for already is kept and used.

        Not one whose document was given a newer job since. A run of retention or of the storage needs
        `upkeep:write`."""
        call: Call[models.Job] = Call(
            method="POST",
            path="/api/v1/jobs/{job_id}/retry",
            answers=models.Job,
            ids={"job_id": job_id},
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return self.call(call)

    def list_errors(
        self,
        *,
        error_code: str | None = None,
        kind: str | None = None,
        user_id: UUID | None = None,
        after: datetime | None = None,
        before: datetime | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> models.ErrorReport:
        """What failed, where, why, and what to do, the last first: of the last 30 days, or from `after` on; as CSV
        all of it at once.

        To try some of it again, send the jobs' ids, or a code, to POST /api/v1/jobs/retry."""
        call: Call[models.ErrorReport] = Call(
            method="GET",
            path="/api/v1/errors",
            answers=models.ErrorReport,
            query={
                "error_code": error_code,
                "kind": kind,
                "user_id": user_id,
                "after": after,
                "before": before,
                "limit": limit,
                "cursor": cursor,
            },
        )
        return self.call(call)

    def list_errors_csv(
        self,
        *,
        error_code: str | None = None,
        kind: str | None = None,
        user_id: UUID | None = None,
        after: datetime | None = None,
        before: datetime | None = None,
    ) -> str:
        """What `list_errors` tells, all of it as text/csv."""
        call: Call[str] = Call(
            method="GET",
            path="/api/v1/errors",
            answers=str,
            query={
                "error_code": error_code,
                "kind": kind,
                "user_id": user_id,
                "after": after,
                "before": before,
                "format": "csv",
            },
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

    def get_processing(
        self,
        *,
        from_: datetime | None = None,
        to: datetime | None = None,
        user: str | None = None,
        kind: str | None = None,
        group: Literal["hour", "day"] | None = None,
    ) -> models.Processing:
        """Per stage how often, how long and with which errors; waits; what was done by the hour or the day.

        Numbers are of runs that ended within the range, which is rounded to whole hours; they follow within
        seconds."""
        call: Call[models.Processing] = Call(
            method="GET",
            path="/api/v1/analytics/processing",
            answers=models.Processing,
            query={"from": from_, "to": to, "user": user, "kind": kind, "group": group},
        )
        return self.call(call)

    def get_tenant(self, *, if_none_match: str | None = None) -> models.TenantShown:
        """The tenant of the caller."""
        call: Call[models.TenantShown] = Call(
            method="GET", path="/api/v1/tenant", answers=models.TenantShown, headers={"If-None-Match": if_none_match}
        )
        return self.call(call)

    def change_tenant(self, body: models.TenantChange, *, if_match: str | None = None) -> models.TenantShown:
        """Gives it another name."""
        call: Call[models.TenantShown] = Call(
            method="PATCH", path="/api/v1/tenant", answers=models.TenantShown, body=body, headers={"If-Match": if_match}
        )
        return self.call(call)

    def list_members(self, *, limit: int | None = None, cursor: str | None = None) -> models.PageMember:
        """People and service accounts, those whose account is the newest first."""
        call: Call[models.PageMember] = Call(
            method="GET", path="/api/v1/members", answers=models.PageMember, query={"limit": limit, "cursor": cursor}
        )
        return self.call(call)

    def change_member(self, user_id: UUID, body: models.RoleChange) -> models.Member:
        """Gives a member another role, from his next request on. Nobody gives what he may not do himself.

        Invitations that he sent and could not send any more are revoked."""
        call: Call[models.Member] = Call(
            method="PATCH", path="/api/v1/members/{user_id}", answers=models.Member, body=body, ids={"user_id": user_id}
        )
        return self.call(call)

    def remove_member(self, user_id: UUID) -> None:
        """Ends the membership with its sessions, its keys and the invitations it sent. What the member made stays."""
        call: Call[None] = Call(
            method="DELETE", path="/api/v1/members/{user_id}", answers=type(None), ids={"user_id": user_id}
        )
        return self.call(call)

    def offer_password_reset(self, user_id: UUID, *, idempotency_key: str | None = None) -> models.PasswordResetMade:
        """Makes a token with which a member chooses a new password, once; hand it to him and to nobody else.

        Refused for members who may do what the caller may not: whoever has the token can become the member."""
        call: Call[models.PasswordResetMade] = Call(
            method="POST",
            path="/api/v1/members/{user_id}/password-reset",
            answers=models.PasswordResetMade,
            ids={"user_id": user_id},
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return self.call(call)

    def create_service_account(
        self, body: models.ServiceAccountAsked, *, idempotency_key: str | None = None
    ) -> models.ServiceAccountMade:
        """Makes a member for a program: it cannot sign in, and works with the keys that `POST /keys` makes for it."""
        call: Call[models.ServiceAccountMade] = Call(
            method="POST",
            path="/api/v1/service-accounts",
            answers=models.ServiceAccountMade,
            body=body,
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return self.call(call)

    def create_invitation(
        self, body: models.InvitationAsked, *, idempotency_key: str | None = None
    ) -> models.InvitationMade:
        """Makes a token that makes whoever has it a member; hand it to whom it is for.

        One that is open for the same address is revoked. Nobody invites to a role that may do what he may not."""
        call: Call[models.InvitationMade] = Call(
            method="POST",
            path="/api/v1/invitations",
            answers=models.InvitationMade,
            body=body,
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return self.call(call)

    def list_invitations(self, *, limit: int | None = None, cursor: str | None = None) -> models.PageInvitationShown:
        """The newest first; also those that are open no more."""
        call: Call[models.PageInvitationShown] = Call(
            method="GET",
            path="/api/v1/invitations",
            answers=models.PageInvitationShown,
            query={"limit": limit, "cursor": cursor},
        )
        return self.call(call)

    def revoke_invitation(self, invitation_id: UUID) -> None:
        """Voids its token. One that was accepted or revoked before is not found."""
        call: Call[None] = Call(
            method="DELETE",
            path="/api/v1/invitations/{invitation_id}",
            answers=type(None),
            ids={"invitation_id": invitation_id},
        )
        return self.call(call)

    def accept_invitation(self, body: models.Acceptance) -> models.InvitationAccepted:
        """Makes whoever has the token a member; then he signs in. Needs no key.

        For an address that nobody has yet the password becomes that of a new user. A user who is there already
        proves with his password that the invitation is his; one that is too weak by now he changes first."""
        call: Call[models.InvitationAccepted] = Call(
            method="POST", path="/api/v1/auth/invitations/accept", answers=models.InvitationAccepted, body=body
        )
        return self.call(call)

    def list_keys(
        self, *, all: bool | None = None, limit: int | None = None, cursor: str | None = None
    ) -> models.PageKeyShown:
        """The caller's own, the newest first; revoked ones too."""
        call: Call[models.PageKeyShown] = Call(
            method="GET",
            path="/api/v1/keys",
            answers=models.PageKeyShown,
            query={"all": all, "limit": limit, "cursor": cursor},
        )
        return self.call(call)

    def create_key(self, body: models.KeyAsked, *, idempotency_key: str | None = None) -> models.KeyMade:
        """Makes a key, which is shown here and never again. It may do no more than the caller, and lasts no longer
        than the key it is made with.

        A key for somebody else needs `keys:all`, and all that this member may do; a rate of its own needs
        `keys:all`."""
        call: Call[models.KeyMade] = Call(
            method="POST",
            path="/api/v1/keys",
            answers=models.KeyMade,
            body=body,
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return self.call(call)

    def change_key(self, key_id: UUID, body: models.KeyChange) -> models.KeyShown:
        """Gives a key another name or, with `keys:all`, another rate."""
        call: Call[models.KeyShown] = Call(
            method="PATCH", path="/api/v1/keys/{key_id}", answers=models.KeyShown, body=body, ids={"key_id": key_id}
        )
        return self.call(call)

    def revoke_key(self, key_id: UUID) -> None:
        """Ends a key at once, and the live connections that were opened with it."""
        call: Call[None] = Call(
            method="DELETE", path="/api/v1/keys/{key_id}", answers=type(None), ids={"key_id": key_id}
        )
        return self.call(call)

    def list_audit(
        self,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        action: str | None = None,
        user_id: UUID | None = None,
        outcome: Literal["done", "denied", "failed"] | None = None,
        target: str | None = None,
        after: datetime | None = None,
        before: datetime | None = None,
    ) -> models.PageAuditLine:
        """Every change, every refusal and every failed change, the newest first."""
        call: Call[models.PageAuditLine] = Call(
            method="GET",
            path="/api/v1/audit",
            answers=models.PageAuditLine,
            query={
                "limit": limit,
                "cursor": cursor,
                "action": action,
                "user_id": user_id,
                "outcome": outcome,
                "target": target,
                "after": after,
                "before": before,
            },
        )
        return self.call(call)

    def export_audit(
        self,
        *,
        format: Literal["csv", "jsonl"] | None = None,
        action: str | None = None,
        user_id: UUID | None = None,
        outcome: Literal["done", "denied", "failed"] | None = None,
        target: str | None = None,
        after: datetime | None = None,
        before: datetime | None = None,
    ) -> str:
        """All lines that fit, the newest first, as a file. Is a line of the log itself.

        A file that ends without the empty chunk of HTTP, as it does where Postgres went away, is not whole."""
        call: Call[str] = Call(
            method="GET",
            path="/api/v1/audit/export",
            answers=str,
            query={
                "format": format,
                "action": action,
                "user_id": user_id,
                "outcome": outcome,
                "target": target,
                "after": after,
                "before": before,
            },
        )
        return self.call(call)

    def login(self, body: models.Login) -> models.SignedIn:
        """Starts a session. An unknown address and a wrong password get the same answer, after the same time."""
        call: Call[models.SignedIn] = Call(method="POST", path="/api/v1/auth/login", answers=models.SignedIn, body=body)
        return self.call(call)

    def refresh(self, body: models.RefreshRequest) -> models.Tokens:
        """Trades a refresh token for new tokens. One that was traded before was stolen: its session ends."""
        call: Call[models.Tokens] = Call(method="POST", path="/api/v1/auth/refresh", answers=models.Tokens, body=body)
        return self.call(call)

    def logout(self) -> None:
        """Ends the session that this access token belongs to, with its refresh tokens and live connections."""
        call: Call[None] = Call(method="POST", path="/api/v1/auth/logout", answers=type(None))
        return self.call(call)

    def logout_everywhere(self) -> models.Ended:
        """Ends all sessions of the caller, in every tenant, this one too. API keys stay."""
        call: Call[models.Ended] = Call(method="POST", path="/api/v1/auth/logout-everywhere", answers=models.Ended)
        return self.call(call)

    def get_me(self) -> models.Account:
        """Who is calling, where, as what, and by which proof."""
        call: Call[models.Account] = Call(method="GET", path="/api/v1/auth/me", answers=models.Account)
        return self.call(call)

    def change_password(self, body: models.PasswordRequest) -> None:
        """Chooses a new password. All other sessions of the caller end."""
        call: Call[None] = Call(method="POST", path="/api/v1/auth/password", answers=type(None), body=body)
        return self.call(call)

    def reset_password(self, body: models.ResetRequest) -> None:
        """Chooses a new password by a token that an administrator handed out. All sessions of its owner end."""
        call: Call[None] = Call(method="POST", path="/api/v1/auth/password/reset", answers=type(None), body=body)
        return self.call(call)

    def list_sessions(self, *, limit: int | None = None, cursor: str | None = None) -> models.PageSessionShown:
        """Where the caller is signed in to this tenant, the newest first."""
        call: Call[models.PageSessionShown] = Call(
            method="GET",
            path="/api/v1/auth/sessions",
            answers=models.PageSessionShown,
            query={"limit": limit, "cursor": cursor},
        )
        return self.call(call)

    def end_session(self, session_id: UUID) -> None:
        """Ends a session of one's own in this tenant, with its refresh tokens and live connections."""
        call: Call[None] = Call(
            method="DELETE",
            path="/api/v1/auth/sessions/{session_id}",
            answers=type(None),
            ids={"session_id": session_id},
        )
        return self.call(call)

    def start_oidc(self) -> models.ProviderPage:
        """Where to send the browser. 404 if this installation has no provider."""
        call: Call[models.ProviderPage] = Call(
            method="GET", path="/api/v1/auth/oidc/start", answers=models.ProviderPage
        )
        return self.call(call)

    def finish_oidc(self, body: models.ProviderAnswer) -> models.SignedIn:
        """Starts a session for somebody the provider knows: linked to an account already, or invited.

        With the `tenant_id` of a tenant that has invited his verified address he accepts its invitation."""
        call: Call[models.SignedIn] = Call(
            method="POST", path="/api/v1/auth/oidc/finish", answers=models.SignedIn, body=body
        )
        return self.call(call)

    def list_webhooks(self, *, limit: int | None = None, cursor: str | None = None) -> models.PageWebhook:
        """The newest first."""
        call: Call[models.PageWebhook] = Call(
            method="GET", path="/api/v1/webhooks", answers=models.PageWebhook, query={"limit": limit, "cursor": cursor}
        )
        return self.call(call)

    def create_webhook(self, body: models.WebhookAsked, *, idempotency_key: str | None = None) -> models.WebhookMade:
        """Tells a URL of events from now on; at most 20 a tenant. The secret that signs is shown here and never
        again."""
        call: Call[models.WebhookMade] = Call(
            method="POST",
            path="/api/v1/webhooks",
            answers=models.WebhookMade,
            body=body,
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return self.call(call)

    def get_webhook(self, webhook_id: UUID) -> models.Webhook:
        """One endpoint, and whether it is well."""
        call: Call[models.Webhook] = Call(
            method="GET", path="/api/v1/webhooks/{webhook_id}", answers=models.Webhook, ids={"webhook_id": webhook_id}
        )
        return self.call(call)

    def change_webhook(self, webhook_id: UUID, body: models.WebhookChange) -> models.Webhook:
        """What is pending is sent to the new address soon, and given up if the endpoint is disabled."""
        call: Call[models.Webhook] = Call(
            method="PATCH",
            path="/api/v1/webhooks/{webhook_id}",
            answers=models.Webhook,
            body=body,
            ids={"webhook_id": webhook_id},
        )
        return self.call(call)

    def delete_webhook(self, webhook_id: UUID) -> None:
        """With its log. What is pending is not sent."""
        call: Call[None] = Call(
            method="DELETE", path="/api/v1/webhooks/{webhook_id}", answers=type(None), ids={"webhook_id": webhook_id}
        )
        return self.call(call)

    def rotate_webhook_secret(self, webhook_id: UUID, *, idempotency_key: str | None = None) -> models.WebhookMade:
        """Makes a new secret, shown here and never again. For 24 hours both sign, so that no message is refused."""
        call: Call[models.WebhookMade] = Call(
            method="POST",
            path="/api/v1/webhooks/{webhook_id}/rotate",
            answers=models.WebhookMade,
            ids={"webhook_id": webhook_id},
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return self.call(call)

    def ping_webhook(self, webhook_id: UUID, *, idempotency_key: str | None = None) -> models.Delivery:
        """Sends the event `ping` to this endpoint, whatever its filter; the delivery tells what came back."""
        call: Call[models.Delivery] = Call(
            method="POST",
            path="/api/v1/webhooks/{webhook_id}/ping",
            answers=models.Delivery,
            ids={"webhook_id": webhook_id},
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return self.call(call)

    def list_webhook_deliveries(
        self,
        webhook_id: UUID,
        *,
        state: Literal["pending", "delivered", "failed", "cancelled"] | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> models.PageDelivery:
        """What was told, or is to be, the newest first; kept for 30 days unless the installation says otherwise."""
        call: Call[models.PageDelivery] = Call(
            method="GET",
            path="/api/v1/webhooks/{webhook_id}/deliveries",
            answers=models.PageDelivery,
            ids={"webhook_id": webhook_id},
            query={"state": state, "limit": limit, "cursor": cursor},
        )
        return self.call(call)

    def get_webhook_delivery(self, webhook_id: UUID, delivery_id: UUID) -> models.DeliveryDetails:
        """One delivery with its message and every attempt."""
        call: Call[models.DeliveryDetails] = Call(
            method="GET",
            path="/api/v1/webhooks/{webhook_id}/deliveries/{delivery_id}",
            answers=models.DeliveryDetails,
            ids={"webhook_id": webhook_id, "delivery_id": delivery_id},
        )
        return self.call(call)

    def redeliver_webhook(
        self, webhook_id: UUID, delivery_id: UUID, *, idempotency_key: str | None = None
    ) -> models.Delivery:
        """Sends a message again, under the same `webhook-id`; one that waits for its next attempt is sent now."""
        call: Call[models.Delivery] = Call(
            method="POST",
            path="/api/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver",
            answers=models.Delivery,
            ids={"webhook_id": webhook_id, "delivery_id": delivery_id},
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return self.call(call)

    def get_usage(self) -> models.UsageShown:
        """What the tenant and the caller have, and may have."""
        call: Call[models.UsageShown] = Call(method="GET", path="/api/v1/usage", answers=models.UsageShown)
        return self.call(call)

    def get_quotas(self) -> models.QuotasShown:
        """The tenant's, which who runs the installation sets; the default of its users; and those of single users."""
        call: Call[models.QuotasShown] = Call(method="GET", path="/api/v1/quotas", answers=models.QuotasShown)
        return self.call(call)

    def set_default_quota(self, body: models.UserQuotaAsked) -> models.QuotasShown:
        """What each user may have that has no quota of its own. Nothing that is there already is taken away."""
        call: Call[models.QuotasShown] = Call(
            method="PUT", path="/api/v1/quotas/users", answers=models.QuotasShown, body=body
        )
        return self.call(call)

    def set_user_quota(self, user_id: UUID, body: models.UserQuotaAsked) -> models.QuotasShown:
        """What one user may have, in place of the whole default."""
        call: Call[models.QuotasShown] = Call(
            method="PUT",
            path="/api/v1/quotas/users/{user_id}",
            answers=models.QuotasShown,
            body=body,
            ids={"user_id": user_id},
        )
        return self.call(call)

    def remove_user_quota(self, user_id: UUID) -> models.QuotasShown:
        """The default counts again for this user."""
        call: Call[models.QuotasShown] = Call(
            method="DELETE", path="/api/v1/quotas/users/{user_id}", answers=models.QuotasShown, ids={"user_id": user_id}
        )
        return self.call(call)

    def get_retention(self) -> models.Retention:
        """The policies of the tenant; none: everything stays, but what the operator's settings say of finished
        jobs."""
        call: Call[models.Retention] = Call(method="GET", path="/api/v1/retention", answers=models.Retention)
        return self.call(call)

    def set_retention(self, body: models.RetentionAsked) -> models.Retention:
        """Replaces all policies. Nothing leaves before the next daily run: try them with a dry run first."""
        call: Call[models.Retention] = Call(method="PUT", path="/api/v1/retention", answers=models.Retention, body=body)
        return self.call(call)

    def run_retention(self, body: models.RunAsked, *, idempotency_key: str | None = None) -> models.Job:
        """Queues a run; a dry one unless `dry_run` is false. Its report is at `/upkeep/runs/{job_id}`."""
        call: Call[models.Job] = Call(
            method="POST",
            path="/api/v1/retention/run",
            answers=models.Job,
            body=body,
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return self.call(call)

    def get_storage(self) -> models.StorageShown:
        """What the tenant's documents are, and what their files take."""
        call: Call[models.StorageShown] = Call(method="GET", path="/api/v1/storage", answers=models.StorageShown)
        return self.call(call)

    def optimise_storage(self, *, idempotency_key: str | None = None) -> models.Job:
        """Queues a run that frees what nobody can ask for any more. Its report is at `/upkeep/runs/{job_id}`."""
        call: Call[models.Job] = Call(
            method="POST",
            path="/api/v1/storage/optimise",
            answers=models.Job,
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return self.call(call)

    def get_upkeep_run(self, run_id: UUID) -> models.UpkeepRunShown:
        """What a run did so far, or would do: per target how many, how many bytes, and some ids. `run_id` is its
        job's."""
        call: Call[models.UpkeepRunShown] = Call(
            method="GET", path="/api/v1/upkeep/runs/{run_id}", answers=models.UpkeepRunShown, ids={"run_id": run_id}
        )
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
        self,
        file: Upload,
        *,
        priority: Literal["interactive", "normal", "bulk"] | None = None,
        idempotency_key: str | None = None,
    ) -> models.Accepted:
        """Takes a file in (multipart/form-data, field `file`) and queues the job that processes it.

        `priority` says which of the tenant's own jobs goes first; it takes nothing from other tenants.

        The answer comes as soon as the file is stored; follow the job at `Location` or over the WebSocket."""
        call: Call[models.Accepted] = Call(
            method="POST",
            path="/api/v1/documents",
            answers=models.Accepted,
            query={"priority": priority},
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
            files={"file": [file]},
        )
        return await self.call(call)

    async def list_documents(
        self,
        *,
        archived: bool | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        sort: Literal["-created_at"] | None = None,
    ) -> models.PageDocument:
        """The newest first."""
        call: Call[models.PageDocument] = Call(
            method="GET",
            path="/api/v1/documents",
            answers=models.PageDocument,
            query={"archived": archived, "limit": limit, "cursor": cursor, "sort": sort},
        )
        return await self.call(call)

    async def get_document(self, document_id: UUID, *, if_none_match: str | None = None) -> models.Document:
        """One document; `status` is the state of its job."""
        call: Call[models.Document] = Call(
            method="GET",
            path="/api/v1/documents/{document_id}",
            answers=models.Document,
            ids={"document_id": document_id},
            headers={"If-None-Match": if_none_match},
        )
        return await self.call(call)

    async def update_document(
        self, document_id: UUID, body: models.DocumentPatch, *, if_match: str | None = None
    ) -> models.Document:
        """Changes name, title or metadata. What is read out of the document later does not undo it."""
        call: Call[models.Document] = Call(
            method="PATCH",
            path="/api/v1/documents/{document_id}",
            answers=models.Document,
            body=body,
            ids={"document_id": document_id},
            headers={"If-Match": if_match},
        )
        return await self.call(call)

    async def delete_document(self, document_id: UUID, *, if_match: str | None = None) -> None:
        """Cancels what is still being done, and removes the document with its passages, vectors, text and bytes."""
        call: Call[None] = Call(
            method="DELETE",
            path="/api/v1/documents/{document_id}",
            answers=type(None),
            ids={"document_id": document_id},
            headers={"If-Match": if_match},
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

    async def archive_document(self, document_id: UUID, *, idempotency_key: str | None = None) -> models.Job:
        """Puts a document away: out of search at once; then a job compresses its file and moves it to a cold place.

        Text, passages and vectors stay, so that restoring it takes no model."""
        call: Call[models.Job] = Call(
            method="POST",
            path="/api/v1/documents/{document_id}/archive",
            answers=models.Job,
            ids={"document_id": document_id},
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return await self.call(call)

    async def restore_document(self, document_id: UUID, *, idempotency_key: str | None = None) -> models.Job:
        """Queues the job that brings an archived document back: its file, checked by its checksum, and into search."""
        call: Call[models.Job] = Call(
            method="POST",
            path="/api/v1/documents/{document_id}/restore",
            answers=models.Job,
            ids={"document_id": document_id},
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return await self.call(call)

    async def create_file_set(
        self,
        files: Sequence[Upload] = (),
        *,
        name: str,
        idempotency_key: str | None = None,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> models.FileSetFilled:
        """Makes a set out of a form (multipart/form-data): `name`, `description`, `metadata` (a JSON object), and
        any number of parts `files`, none too.

        The file name of a part may be a path such as `2026/march/lease.pdf`: it is kept as the file's path in
        the set, and its last step is the name of the document. Every file gets an answer of its own, and one
        that is refused (too large, empty, of no known type, or there already) hinders no other. Nothing is
        processed yet: documents are `uploaded`."""
        call: Call[models.FileSetFilled] = Call(
            method="POST",
            path="/api/v1/file-sets",
            answers=models.FileSetFilled,
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
            form={"name": name, "description": description, "metadata": metadata},
            files={"files": files},
        )
        return await self.call(call)

    async def list_file_sets(self, *, limit: int | None = None, cursor: str | None = None) -> models.PageFileSet:
        """The newest first."""
        call: Call[models.PageFileSet] = Call(
            method="GET", path="/api/v1/file-sets", answers=models.PageFileSet, query={"limit": limit, "cursor": cursor}
        )
        return await self.call(call)

    async def get_file_set(self, file_set_id: UUID, *, if_none_match: str | None = None) -> models.FileSet:
        """The set itself; its files and its statistics have addresses of their own."""
        call: Call[models.FileSet] = Call(
            method="GET",
            path="/api/v1/file-sets/{file_set_id}",
            answers=models.FileSet,
            ids={"file_set_id": file_set_id},
            headers={"If-None-Match": if_none_match},
        )
        return await self.call(call)

    async def change_file_set(
        self, file_set_id: UUID, body: models.FileSetChange, *, if_match: str | None = None
    ) -> models.FileSet:
        """Changes name, description or metadata."""
        call: Call[models.FileSet] = Call(
            method="PATCH",
            path="/api/v1/file-sets/{file_set_id}",
            answers=models.FileSet,
            body=body,
            ids={"file_set_id": file_set_id},
            headers={"If-Match": if_match},
        )
        return await self.call(call)

    async def delete_file_set(self, file_set_id: UUID, *, documents: bool | None = None) -> None:
        """Removes the set. Should it fail half-way with `documents=true`, send it again: the set goes last."""
        call: Call[None] = Call(
            method="DELETE",
            path="/api/v1/file-sets/{file_set_id}",
            answers=type(None),
            ids={"file_set_id": file_set_id},
            query={"documents": documents},
        )
        return await self.call(call)

    async def upload_to_file_set(
        self, file_set_id: UUID, files: Sequence[Upload], *, idempotency_key: str | None = None
    ) -> models.FileSetFilled:
        """Takes more files into a set, as with making one (multipart/form-data, fields `files`)."""
        call: Call[models.FileSetFilled] = Call(
            method="POST",
            path="/api/v1/file-sets/{file_set_id}/files",
            answers=models.FileSetFilled,
            ids={"file_set_id": file_set_id},
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
            files={"files": files},
        )
        return await self.call(call)

    async def list_file_set_files(
        self,
        file_set_id: UUID,
        *,
        status: models.JobState | Literal["uploaded"] | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> models.PageFileSetFile:
        """In the order in which the documents were uploaded."""
        call: Call[models.PageFileSetFile] = Call(
            method="GET",
            path="/api/v1/file-sets/{file_set_id}/files",
            answers=models.PageFileSetFile,
            ids={"file_set_id": file_set_id},
            query={"status": status, "limit": limit, "cursor": cursor},
        )
        return await self.call(call)

    async def change_file_set_file(
        self, file_set_id: UUID, document_id: UUID, body: models.FileSetFileChange
    ) -> models.FileSetFile:
        """Moves a file within its set. The document keeps its name."""
        call: Call[models.FileSetFile] = Call(
            method="PATCH",
            path="/api/v1/file-sets/{file_set_id}/files/{document_id}",
            answers=models.FileSetFile,
            body=body,
            ids={"file_set_id": file_set_id, "document_id": document_id},
        )
        return await self.call(call)

    async def remove_file_set_file(self, file_set_id: UUID, document_id: UUID) -> None:
        """Takes a document out of the set. The document stays."""
        call: Call[None] = Call(
            method="DELETE",
            path="/api/v1/file-sets/{file_set_id}/files/{document_id}",
            answers=type(None),
            ids={"file_set_id": file_set_id, "document_id": document_id},
        )
        return await self.call(call)

    async def add_documents_to_file_set(
        self, file_set_id: UUID, body: models.DocumentsNamed, *, idempotency_key: str | None = None
    ) -> models.DocumentsAdded:
        """Puts documents that are there already into the set, each under its name; an answer for each."""
        call: Call[models.DocumentsAdded] = Call(
            method="POST",
            path="/api/v1/file-sets/{file_set_id}/documents",
            answers=models.DocumentsAdded,
            body=body,
            ids={"file_set_id": file_set_id},
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return await self.call(call)

    async def archive_file_set(self, file_set_id: UUID, *, idempotency_key: str | None = None) -> models.BatchAccepted:
        """Puts it away with its documents, by a batch; those that are in another set that is not archived stay."""
        call: Call[models.BatchAccepted] = Call(
            method="POST",
            path="/api/v1/file-sets/{file_set_id}/archive",
            answers=models.BatchAccepted,
            ids={"file_set_id": file_set_id},
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return await self.call(call)

    async def restore_file_set(self, file_set_id: UUID, *, idempotency_key: str | None = None) -> models.BatchAccepted:
        """Brings it back with all its documents, by a batch."""
        call: Call[models.BatchAccepted] = Call(
            method="POST",
            path="/api/v1/file-sets/{file_set_id}/restore",
            answers=models.BatchAccepted,
            ids={"file_set_id": file_set_id},
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return await self.call(call)

    async def get_file_set_statistics(self, file_set_id: UUID) -> models.FileSetStatistics:
        """Files, bytes, pages, chunks and tokens: in all, by type and by status.

        Files that come or go are counted at once; what jobs do meanwhile, after two seconds at most."""
        call: Call[models.FileSetStatistics] = Call(
            method="GET",
            path="/api/v1/file-sets/{file_set_id}/statistics",
            answers=models.FileSetStatistics,
            ids={"file_set_id": file_set_id},
        )
        return await self.call(call)

    async def create_project(
        self, body: models.ProjectAsked, *, idempotency_key: str | None = None
    ) -> models.ProjectAccepted:
        """Looks whether the set can be processed, makes a job for each of its files, and starts them: all or
        nothing."""
        call: Call[models.ProjectAccepted] = Call(
            method="POST",
            path="/api/v1/projects",
            answers=models.ProjectAccepted,
            body=body,
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return await self.call(call)

    async def list_projects(self, *, limit: int | None = None, cursor: str | None = None) -> models.PageProject:
        """The newest first."""
        call: Call[models.PageProject] = Call(
            method="GET", path="/api/v1/projects", answers=models.PageProject, query={"limit": limit, "cursor": cursor}
        )
        return await self.call(call)

    async def get_project(self, project_id: UUID, *, if_none_match: str | None = None) -> models.Project:
        """One project; its status, files and runs have addresses of their own."""
        call: Call[models.Project] = Call(
            method="GET",
            path="/api/v1/projects/{project_id}",
            answers=models.Project,
            ids={"project_id": project_id},
            headers={"If-None-Match": if_none_match},
        )
        return await self.call(call)

    async def change_project(
        self, project_id: UUID, body: models.ProjectChange, *, if_match: str | None = None
    ) -> models.Project:
        """Changes name or description. `If-Match` takes no notice of how far its newest run is."""
        call: Call[models.Project] = Call(
            method="PATCH",
            path="/api/v1/projects/{project_id}",
            answers=models.Project,
            body=body,
            ids={"project_id": project_id},
            headers={"If-Match": if_match},
        )
        return await self.call(call)

    async def delete_project(self, project_id: UUID) -> None:
        """Removes the project and the list of its runs. Its file set, documents and jobs stay."""
        call: Call[None] = Call(
            method="DELETE", path="/api/v1/projects/{project_id}", answers=type(None), ids={"project_id": project_id}
        )
        return await self.call(call)

    async def get_project_status(
        self, project_id: UUID, *, state: models.JobState | None = None, limit: int | None = None
    ) -> models.FamilyStatus:
        """How its newest run stands: counters, throughput, time left, errors, cost, and the first of its files."""
        call: Call[models.FamilyStatus] = Call(
            method="GET",
            path="/api/v1/projects/{project_id}/status",
            answers=models.FamilyStatus,
            ids={"project_id": project_id},
            query={"state": state, "limit": limit},
        )
        return await self.call(call)

    async def list_project_files(
        self,
        project_id: UUID,
        *,
        state: models.JobState | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> models.PageChildJob:
        """Every file of its newest run with its progress, in the order in which the jobs were made."""
        call: Call[models.PageChildJob] = Call(
            method="GET",
            path="/api/v1/projects/{project_id}/files",
            answers=models.PageChildJob,
            ids={"project_id": project_id},
            query={"state": state, "limit": limit, "cursor": cursor},
        )
        return await self.call(call)

    async def list_project_runs(
        self, project_id: UUID, *, limit: int | None = None, cursor: str | None = None
    ) -> models.PageProjectRun:
        """Each time it was processed, the newest first."""
        call: Call[models.PageProjectRun] = Call(
            method="GET",
            path="/api/v1/projects/{project_id}/runs",
            answers=models.PageProjectRun,
            ids={"project_id": project_id},
            query={"limit": limit, "cursor": cursor},
        )
        return await self.call(call)

    async def run_project(
        self, project_id: UUID, body: models.ProjectRunAsked, *, idempotency_key: str | None = None
    ) -> models.ProjectAccepted:
        """Processes the files of the set once more, as they are now, under this or another profile."""
        call: Call[models.ProjectAccepted] = Call(
            method="POST",
            path="/api/v1/projects/{project_id}/runs",
            answers=models.ProjectAccepted,
            body=body,
            ids={"project_id": project_id},
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return await self.call(call)

    async def get_project_errors(
        self, project_id: UUID, *, error_code: str | None = None, limit: int | None = None, cursor: str | None = None
    ) -> models.ErrorReport:
        """What failed in its newest run, where, why, and what to do; as CSV all of it at once.

        To try some of it again, send the jobs' ids, or a code, to `retry`."""
        call: Call[models.ErrorReport] = Call(
            method="GET",
            path="/api/v1/projects/{project_id}/errors",
            answers=models.ErrorReport,
            ids={"project_id": project_id},
            query={"error_code": error_code, "limit": limit, "cursor": cursor},
        )
        return await self.call(call)

    async def get_project_errors_csv(self, project_id: UUID, *, error_code: str | None = None) -> str:
        """What `get_project_errors` tells, all of it as text/csv."""
        call: Call[str] = Call(
            method="GET",
            path="/api/v1/projects/{project_id}/errors",
            answers=str,
            ids={"project_id": project_id},
            query={"error_code": error_code, "format": "csv"},
        )
        return await self.call(call)

    async def archive_project(self, project_id: UUID, *, idempotency_key: str | None = None) -> models.BatchAccepted:
        """Puts it away with its set and documents, by a batch; a set that another project uses stays, and its
        documents."""
        call: Call[models.BatchAccepted] = Call(
            method="POST",
            path="/api/v1/projects/{project_id}/archive",
            answers=models.BatchAccepted,
            ids={"project_id": project_id},
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return await self.call(call)

    async def restore_project(self, project_id: UUID, *, idempotency_key: str | None = None) -> models.BatchAccepted:
        """Brings it back with its set and all documents of that, by a batch."""
        call: Call[models.BatchAccepted] = Call(
            method="POST",
            path="/api/v1/projects/{project_id}/restore",
            answers=models.BatchAccepted,
            ids={"project_id": project_id},
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return await self.call(call)

    async def cancel_project(self, project_id: UUID, *, idempotency_key: str | None = None) -> models.FamilyStatus:
        """Ends waiting files at once and asks the workers of running ones to stop; what is completed stays."""
        call: Call[models.FamilyStatus] = Call(
            method="POST",
            path="/api/v1/projects/{project_id}/cancel",
            answers=models.FamilyStatus,
            ids={"project_id": project_id},
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return await self.call(call)

    async def pause_project(self, project_id: UUID, *, idempotency_key: str | None = None) -> models.FamilyStatus:
        """Puts waiting files aside and asks the workers of running ones to stop; what is done is kept."""
        call: Call[models.FamilyStatus] = Call(
            method="POST",
            path="/api/v1/projects/{project_id}/pause",
            answers=models.FamilyStatus,
            ids={"project_id": project_id},
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return await self.call(call)

    async def resume_project(self, project_id: UUID, *, idempotency_key: str | None = None) -> models.FamilyStatus:
        """Puts paused files back into the queue."""
        call: Call[models.FamilyStatus] = Call(
            method="POST",
            path="/api/v1/projects/{project_id}/resume",
            answers=models.FamilyStatus,
            ids={"project_id": project_id},
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return await self.call(call)

    async def retry_project(
        self, project_id: UUID, body: models.ChildChoice | None = None, *, idempotency_key: str | None = None
    ) -> models.FamilyStatus:
        """Puts the files that failed back into the queue, all or those of a choice, and no others."""
        call: Call[models.FamilyStatus] = Call(
            method="POST",
            path="/api/v1/projects/{project_id}/retry",
            answers=models.FamilyStatus,
            body=body,
            ids={"project_id": project_id},
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return await self.call(call)

    async def create_batch(
        self, body: models.BatchAsked, *, idempotency_key: str | None = None
    ) -> models.BatchAccepted:
        """Makes a job for each document that is named, or that fits the filter now, and starts them: all or
        nothing.

        `document.ingest` leaves out what fits the filter and is being processed already; named, it is refused."""
        call: Call[models.BatchAccepted] = Call(
            method="POST",
            path="/api/v1/batches",
            answers=models.BatchAccepted,
            body=body,
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return await self.call(call)

    async def list_batches(self, *, limit: int | None = None, cursor: str | None = None) -> models.PageBatch:
        """The newest first."""
        call: Call[models.PageBatch] = Call(
            method="GET", path="/api/v1/batches", answers=models.PageBatch, query={"limit": limit, "cursor": cursor}
        )
        return await self.call(call)

    async def get_batch(
        self, batch_id: UUID, *, state: models.JobState | None = None, limit: int | None = None
    ) -> models.FamilyStatus:
        """How it stands: counters, throughput, time left, errors, cost, and the first of its documents."""
        call: Call[models.FamilyStatus] = Call(
            method="GET",
            path="/api/v1/batches/{batch_id}",
            answers=models.FamilyStatus,
            ids={"batch_id": batch_id},
            query={"state": state, "limit": limit},
        )
        return await self.call(call)

    async def list_batch_files(
        self,
        batch_id: UUID,
        *,
        state: models.JobState | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> models.PageChildJob:
        """Every document with the progress of its job."""
        call: Call[models.PageChildJob] = Call(
            method="GET",
            path="/api/v1/batches/{batch_id}/files",
            answers=models.PageChildJob,
            ids={"batch_id": batch_id},
            query={"state": state, "limit": limit, "cursor": cursor},
        )
        return await self.call(call)

    async def get_batch_errors(
        self, batch_id: UUID, *, error_code: str | None = None, limit: int | None = None, cursor: str | None = None
    ) -> models.ErrorReport:
        """What failed, where, why, and what to do; as CSV all of it at once."""
        call: Call[models.ErrorReport] = Call(
            method="GET",
            path="/api/v1/batches/{batch_id}/errors",
            answers=models.ErrorReport,
            ids={"batch_id": batch_id},
            query={"error_code": error_code, "limit": limit, "cursor": cursor},
        )
        return await self.call(call)

    async def get_batch_errors_csv(self, batch_id: UUID, *, error_code: str | None = None) -> str:
        """What `get_batch_errors` tells, all of it as text/csv."""
        call: Call[str] = Call(
            method="GET",
            path="/api/v1/batches/{batch_id}/errors",
            answers=str,
            ids={"batch_id": batch_id},
            query={"error_code": error_code, "format": "csv"},
        )
        return await self.call(call)

    async def cancel_batch(self, batch_id: UUID, *, idempotency_key: str | None = None) -> models.FamilyStatus:
        """Ends waiting jobs at once and asks the workers of running ones to stop."""
        call: Call[models.FamilyStatus] = Call(
            method="POST",
            path="/api/v1/batches/{batch_id}/cancel",
            answers=models.FamilyStatus,
            ids={"batch_id": batch_id},
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return await self.call(call)

    async def pause_batch(self, batch_id: UUID, *, idempotency_key: str | None = None) -> models.FamilyStatus:
        """Puts waiting jobs aside and asks the workers of running ones to stop; what is done is kept."""
        call: Call[models.FamilyStatus] = Call(
            method="POST",
            path="/api/v1/batches/{batch_id}/pause",
            answers=models.FamilyStatus,
            ids={"batch_id": batch_id},
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return await self.call(call)

    async def resume_batch(self, batch_id: UUID, *, idempotency_key: str | None = None) -> models.FamilyStatus:
        """Puts paused jobs back into the queue."""
        call: Call[models.FamilyStatus] = Call(
            method="POST",
            path="/api/v1/batches/{batch_id}/resume",
            answers=models.FamilyStatus,
            ids={"batch_id": batch_id},
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return await self.call(call)

    async def retry_batch(
        self, batch_id: UUID, body: models.ChildChoice | None = None, *, idempotency_key: str | None = None
    ) -> models.FamilyStatus:
        """Puts the jobs that failed back into the queue, all or those of a choice, and no others."""
        call: Call[models.FamilyStatus] = Call(
            method="POST",
            path="/api/v1/batches/{batch_id}/retry",
            answers=models.FamilyStatus,
            body=body,
            ids={"batch_id": batch_id},
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return await self.call(call)

    async def list_profiles(self, *, limit: int | None = None, cursor: str | None = None) -> models.PageProfile:
        """Each as it is now, the newest first. Archived ones are left out, and so is `default`, which is built in."""
        call: Call[models.PageProfile] = Call(
            method="GET", path="/api/v1/profiles", answers=models.PageProfile, query={"limit": limit, "cursor": cursor}
        )
        return await self.call(call)

    async def create_profile(self, body: models.ProfileAsked, *, idempotency_key: str | None = None) -> models.Profile:
        """Its first version. The settings are checked against what the workers have installed."""
        call: Call[models.Profile] = Call(
            method="POST",
            path="/api/v1/profiles",
            answers=models.Profile,
            body=body,
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return await self.call(call)

    async def validate_profile(self, body: models.ProfileTried) -> models.Verdict:
        """Says what is wrong with settings, and keeps nothing."""
        call: Call[models.Verdict] = Call(
            method="POST", path="/api/v1/profiles/validate", answers=models.Verdict, body=body
        )
        return await self.call(call)

    async def get_default_profile(self) -> models.DefaultProfile:
        """The profile that every tenant has by itself; what names no profile is processed by it."""
        call: Call[models.DefaultProfile] = Call(
            method="GET", path="/api/v1/profiles/default", answers=models.DefaultProfile
        )
        return await self.call(call)

    async def get_profile(self, profile_id: UUID, *, if_none_match: str | None = None) -> models.Profile:
        """One as it is now, be it archived."""
        call: Call[models.Profile] = Call(
            method="GET",
            path="/api/v1/profiles/{profile_id}",
            answers=models.Profile,
            ids={"profile_id": profile_id},
            headers={"If-None-Match": if_none_match},
        )
        return await self.call(call)

    async def change_profile(
        self, profile_id: UUID, body: models.ProfileAsked, *, if_match: str | None = None
    ) -> models.Profile:
        """Other settings are a new version, for what is begun from now on; the old one stays for what was begun
        with it.

        The same settings are no new version, so that this may be sent twice. An archived profile is 404."""
        call: Call[models.Profile] = Call(
            method="PUT",
            path="/api/v1/profiles/{profile_id}",
            answers=models.Profile,
            body=body,
            ids={"profile_id": profile_id},
            headers={"If-Match": if_match},
        )
        return await self.call(call)

    async def archive_profile(self, profile_id: UUID, *, if_match: str | None = None) -> None:
        """Nothing new begins with it, and its name is free again. Its versions stay for what was begun with them."""
        call: Call[None] = Call(
            method="DELETE",
            path="/api/v1/profiles/{profile_id}",
            answers=type(None),
            ids={"profile_id": profile_id},
            headers={"If-Match": if_match},
        )
        return await self.call(call)

    async def list_profile_versions(
        self, profile_id: UUID, *, limit: int | None = None, cursor: str | None = None
    ) -> models.PageProfileVersion:
        """What it said, the newest first."""
        call: Call[models.PageProfileVersion] = Call(
            method="GET",
            path="/api/v1/profiles/{profile_id}/versions",
            answers=models.PageProfileVersion,
            ids={"profile_id": profile_id},
            query={"limit": limit, "cursor": cursor},
        )
        return await self.call(call)

    async def get_profile_version(self, profile_id: UUID, version: int) -> models.ProfileVersion:
        """What it said then."""
        call: Call[models.ProfileVersion] = Call(
            method="GET",
            path="/api/v1/profiles/{profile_id}/versions/{version}",
            answers=models.ProfileVersion,
            ids={"profile_id": profile_id, "version": version},
        )
        return await self.call(call)

    async def list_pipelines(self) -> models.Pipelines:
        """Pipelines that a profile can name, the stages of each, and the options of each stage as a JSON schema."""
        call: Call[models.Pipelines] = Call(method="GET", path="/api/v1/pipelines", answers=models.Pipelines)
        return await self.call(call)

    async def cancel_jobs(self, body: models.JobSelection, *, idempotency_key: str | None = None) -> models.Steered:
        """Ends waiting jobs at once and asks the workers of running ones to stop; 10,000 a request."""
        call: Call[models.Steered] = Call(
            method="POST",
            path="/api/v1/jobs/cancel",
            answers=models.Steered,
            body=body,
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return await self.call(call)

    async def pause_jobs(self, body: models.JobSelection, *, idempotency_key: str | None = None) -> models.Steered:
        """Puts waiting jobs aside and asks the workers of running ones to stop; 10,000 a request."""
        call: Call[models.Steered] = Call(
            method="POST",
            path="/api/v1/jobs/pause",
            answers=models.Steered,
            body=body,
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return await self.call(call)

    async def resume_jobs(self, body: models.JobSelection, *, idempotency_key: str | None = None) -> models.Steered:
        """Puts paused jobs back into the queue; 10,000 a request."""
        call: Call[models.Steered] = Call(
            method="POST",
            path="/api/v1/jobs/resume",
            answers=models.Steered,
            body=body,
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return await self.call(call)

    async def retry_jobs(self, body: models.JobSelection, *, idempotency_key: str | None = None) -> models.Steered:
        """Puts failed and cancelled jobs back into the queue, where their document is still there; 10,000 a
        request.

        Name the state to leave cancelled ones alone. Passed over are jobs whose document was given a newer one
        since, and runs of retention and of the storage, which are retried one by one."""
        call: Call[models.Steered] = Call(
            method="POST",
            path="/api/v1/jobs/retry",
            answers=models.Steered,
            body=body,
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return await self.call(call)

    async def list_jobs(
        self,
        *,
        state: models.JobState | None = None,
        kind: str | None = None,
        document_id: UUID | None = None,
        parent_id: UUID | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        sort: Literal["-created_at"] | None = None,
    ) -> models.PageJob:
        """The newest first; of a project or a batch with `parent_id`. The kind `webhook.deliver` needs
        `webhooks:read`."""
        call: Call[models.PageJob] = Call(
            method="GET",
            path="/api/v1/jobs",
            answers=models.PageJob,
            query={
                "state": state,
                "kind": kind,
                "document_id": document_id,
                "parent_id": parent_id,
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

    async def cancel_job(self, job_id: UUID, *, idempotency_key: str | None = None) -> models.Job:
        """Ends a waiting job at once (200). A running one is asked to stop, which takes moments (202)."""
        call: Call[models.Job] = Call(
            method="POST",
            path="/api/v1/jobs/{job_id}/cancel",
            answers=models.Job,
            ids={"job_id": job_id},
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return await self.call(call)

    async def pause_job(self, job_id: UUID, *, idempotency_key: str | None = None) -> models.Job:
        """Puts a waiting job aside at once (200). A running one is asked to stop (202); what it has done is kept."""
        call: Call[models.Job] = Call(
            method="POST",
            path="/api/v1/jobs/{job_id}/pause",
            answers=models.Job,
            ids={"job_id": job_id},
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return await self.call(call)

    async def resume_job(self, job_id: UUID, *, idempotency_key: str | None = None) -> models.Job:
        """Puts a paused job back into the queue; it goes on from what is kept."""
        call: Call[models.Job] = Call(
            method="POST",
            path="/api/v1/jobs/{job_id}/resume",
            answers=models.Job,
            ids={"job_id": job_id},
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return await self.call(call)

    async def retry_job(self, job_id: UUID, *, idempotency_key: str | None = None) -> models.Job:
        """Puts a failed or cancelled job back into the queue; what it has paid for already is kept and used.

        Not one whose document was given a newer job since. A run of retention or of the storage needs
        `upkeep:write`."""
        call: Call[models.Job] = Call(
            method="POST",
            path="/api/v1/jobs/{job_id}/retry",
            answers=models.Job,
            ids={"job_id": job_id},
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return await self.call(call)

    async def list_errors(
        self,
        *,
        error_code: str | None = None,
        kind: str | None = None,
        user_id: UUID | None = None,
        after: datetime | None = None,
        before: datetime | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> models.ErrorReport:
        """What failed, where, why, and what to do, the last first: of the last 30 days, or from `after` on; as CSV
        all of it at once.

        To try some of it again, send the jobs' ids, or a code, to POST /api/v1/jobs/retry."""
        call: Call[models.ErrorReport] = Call(
            method="GET",
            path="/api/v1/errors",
            answers=models.ErrorReport,
            query={
                "error_code": error_code,
                "kind": kind,
                "user_id": user_id,
                "after": after,
                "before": before,
                "limit": limit,
                "cursor": cursor,
            },
        )
        return await self.call(call)

    async def list_errors_csv(
        self,
        *,
        error_code: str | None = None,
        kind: str | None = None,
        user_id: UUID | None = None,
        after: datetime | None = None,
        before: datetime | None = None,
    ) -> str:
        """What `list_errors` tells, all of it as text/csv."""
        call: Call[str] = Call(
            method="GET",
            path="/api/v1/errors",
            answers=str,
            query={
                "error_code": error_code,
                "kind": kind,
                "user_id": user_id,
                "after": after,
                "before": before,
                "format": "csv",
            },
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

    async def get_processing(
        self,
        *,
        from_: datetime | None = None,
        to: datetime | None = None,
        user: str | None = None,
        kind: str | None = None,
        group: Literal["hour", "day"] | None = None,
    ) -> models.Processing:
        """Per stage how often, how long and with which errors; waits; what was done by the hour or the day.

        Numbers are of runs that ended within the range, which is rounded to whole hours; they follow within
        seconds."""
        call: Call[models.Processing] = Call(
            method="GET",
            path="/api/v1/analytics/processing",
            answers=models.Processing,
            query={"from": from_, "to": to, "user": user, "kind": kind, "group": group},
        )
        return await self.call(call)

    async def get_tenant(self, *, if_none_match: str | None = None) -> models.TenantShown:
        """The tenant of the caller."""
        call: Call[models.TenantShown] = Call(
            method="GET", path="/api/v1/tenant", answers=models.TenantShown, headers={"If-None-Match": if_none_match}
        )
        return await self.call(call)

    async def change_tenant(self, body: models.TenantChange, *, if_match: str | None = None) -> models.TenantShown:
        """Gives it another name."""
        call: Call[models.TenantShown] = Call(
            method="PATCH", path="/api/v1/tenant", answers=models.TenantShown, body=body, headers={"If-Match": if_match}
        )
        return await self.call(call)

    async def list_members(self, *, limit: int | None = None, cursor: str | None = None) -> models.PageMember:
        """People and service accounts, those whose account is the newest first."""
        call: Call[models.PageMember] = Call(
            method="GET", path="/api/v1/members", answers=models.PageMember, query={"limit": limit, "cursor": cursor}
        )
        return await self.call(call)

    async def change_member(self, user_id: UUID, body: models.RoleChange) -> models.Member:
        """Gives a member another role, from his next request on. Nobody gives what he may not do himself.

        Invitations that he sent and could not send any more are revoked."""
        call: Call[models.Member] = Call(
            method="PATCH", path="/api/v1/members/{user_id}", answers=models.Member, body=body, ids={"user_id": user_id}
        )
        return await self.call(call)

    async def remove_member(self, user_id: UUID) -> None:
        """Ends the membership with its sessions, its keys and the invitations it sent. What the member made stays."""
        call: Call[None] = Call(
            method="DELETE", path="/api/v1/members/{user_id}", answers=type(None), ids={"user_id": user_id}
        )
        return await self.call(call)

    async def offer_password_reset(
        self, user_id: UUID, *, idempotency_key: str | None = None
    ) -> models.PasswordResetMade:
        """Makes a token with which a member chooses a new password, once; hand it to him and to nobody else.

        Refused for members who may do what the caller may not: whoever has the token can become the member."""
        call: Call[models.PasswordResetMade] = Call(
            method="POST",
            path="/api/v1/members/{user_id}/password-reset",
            answers=models.PasswordResetMade,
            ids={"user_id": user_id},
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return await self.call(call)

    async def create_service_account(
        self, body: models.ServiceAccountAsked, *, idempotency_key: str | None = None
    ) -> models.ServiceAccountMade:
        """Makes a member for a program: it cannot sign in, and works with the keys that `POST /keys` makes for it."""
        call: Call[models.ServiceAccountMade] = Call(
            method="POST",
            path="/api/v1/service-accounts",
            answers=models.ServiceAccountMade,
            body=body,
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return await self.call(call)

    async def create_invitation(
        self, body: models.InvitationAsked, *, idempotency_key: str | None = None
    ) -> models.InvitationMade:
        """Makes a token that makes whoever has it a member; hand it to whom it is for.

        One that is open for the same address is revoked. Nobody invites to a role that may do what he may not."""
        call: Call[models.InvitationMade] = Call(
            method="POST",
            path="/api/v1/invitations",
            answers=models.InvitationMade,
            body=body,
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return await self.call(call)

    async def list_invitations(
        self, *, limit: int | None = None, cursor: str | None = None
    ) -> models.PageInvitationShown:
        """The newest first; also those that are open no more."""
        call: Call[models.PageInvitationShown] = Call(
            method="GET",
            path="/api/v1/invitations",
            answers=models.PageInvitationShown,
            query={"limit": limit, "cursor": cursor},
        )
        return await self.call(call)

    async def revoke_invitation(self, invitation_id: UUID) -> None:
        """Voids its token. One that was accepted or revoked before is not found."""
        call: Call[None] = Call(
            method="DELETE",
            path="/api/v1/invitations/{invitation_id}",
            answers=type(None),
            ids={"invitation_id": invitation_id},
        )
        return await self.call(call)

    async def accept_invitation(self, body: models.Acceptance) -> models.InvitationAccepted:
        """Makes whoever has the token a member; then he signs in. Needs no key.

        For an address that nobody has yet the password becomes that of a new user. A user who is there already
        proves with his password that the invitation is his; one that is too weak by now he changes first."""
        call: Call[models.InvitationAccepted] = Call(
            method="POST", path="/api/v1/auth/invitations/accept", answers=models.InvitationAccepted, body=body
        )
        return await self.call(call)

    async def list_keys(
        self, *, all: bool | None = None, limit: int | None = None, cursor: str | None = None
    ) -> models.PageKeyShown:
        """The caller's own, the newest first; revoked ones too."""
        call: Call[models.PageKeyShown] = Call(
            method="GET",
            path="/api/v1/keys",
            answers=models.PageKeyShown,
            query={"all": all, "limit": limit, "cursor": cursor},
        )
        return await self.call(call)

    async def create_key(self, body: models.KeyAsked, *, idempotency_key: str | None = None) -> models.KeyMade:
        """Makes a key, which is shown here and never again. It may do no more than the caller, and lasts no longer
        than the key it is made with.

        A key for somebody else needs `keys:all`, and all that this member may do; a rate of its own needs
        `keys:all`."""
        call: Call[models.KeyMade] = Call(
            method="POST",
            path="/api/v1/keys",
            answers=models.KeyMade,
            body=body,
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return await self.call(call)

    async def change_key(self, key_id: UUID, body: models.KeyChange) -> models.KeyShown:
        """Gives a key another name or, with `keys:all`, another rate."""
        call: Call[models.KeyShown] = Call(
            method="PATCH", path="/api/v1/keys/{key_id}", answers=models.KeyShown, body=body, ids={"key_id": key_id}
        )
        return await self.call(call)

    async def revoke_key(self, key_id: UUID) -> None:
        """Ends a key at once, and the live connections that were opened with it."""
        call: Call[None] = Call(
            method="DELETE", path="/api/v1/keys/{key_id}", answers=type(None), ids={"key_id": key_id}
        )
        return await self.call(call)

    async def list_audit(
        self,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        action: str | None = None,
        user_id: UUID | None = None,
        outcome: Literal["done", "denied", "failed"] | None = None,
        target: str | None = None,
        after: datetime | None = None,
        before: datetime | None = None,
    ) -> models.PageAuditLine:
        """Every change, every refusal and every failed change, the newest first."""
        call: Call[models.PageAuditLine] = Call(
            method="GET",
            path="/api/v1/audit",
            answers=models.PageAuditLine,
            query={
                "limit": limit,
                "cursor": cursor,
                "action": action,
                "user_id": user_id,
                "outcome": outcome,
                "target": target,
                "after": after,
                "before": before,
            },
        )
        return await self.call(call)

    async def export_audit(
        self,
        *,
        format: Literal["csv", "jsonl"] | None = None,
        action: str | None = None,
        user_id: UUID | None = None,
        outcome: Literal["done", "denied", "failed"] | None = None,
        target: str | None = None,
        after: datetime | None = None,
        before: datetime | None = None,
    ) -> str:
        """All lines that fit, the newest first, as a file. Is a line of the log itself.

        A file that ends without the empty chunk of HTTP, as it does where Postgres went away, is not whole."""
        call: Call[str] = Call(
            method="GET",
            path="/api/v1/audit/export",
            answers=str,
            query={
                "format": format,
                "action": action,
                "user_id": user_id,
                "outcome": outcome,
                "target": target,
                "after": after,
                "before": before,
            },
        )
        return await self.call(call)

    async def login(self, body: models.Login) -> models.SignedIn:
        """Starts a session. An unknown address and a wrong password get the same answer, after the same time."""
        call: Call[models.SignedIn] = Call(method="POST", path="/api/v1/auth/login", answers=models.SignedIn, body=body)
        return await self.call(call)

    async def refresh(self, body: models.RefreshRequest) -> models.Tokens:
        """Trades a refresh token for new tokens. One that was traded before was stolen: its session ends."""
        call: Call[models.Tokens] = Call(method="POST", path="/api/v1/auth/refresh", answers=models.Tokens, body=body)
        return await self.call(call)

    async def logout(self) -> None:
        """Ends the session that this access token belongs to, with its refresh tokens and live connections."""
        call: Call[None] = Call(method="POST", path="/api/v1/auth/logout", answers=type(None))
        return await self.call(call)

    async def logout_everywhere(self) -> models.Ended:
        """Ends all sessions of the caller, in every tenant, this one too. API keys stay."""
        call: Call[models.Ended] = Call(method="POST", path="/api/v1/auth/logout-everywhere", answers=models.Ended)
        return await self.call(call)

    async def get_me(self) -> models.Account:
        """Who is calling, where, as what, and by which proof."""
        call: Call[models.Account] = Call(method="GET", path="/api/v1/auth/me", answers=models.Account)
        return await self.call(call)

    async def change_password(self, body: models.PasswordRequest) -> None:
        """Chooses a new password. All other sessions of the caller end."""
        call: Call[None] = Call(method="POST", path="/api/v1/auth/password", answers=type(None), body=body)
        return await self.call(call)

    async def reset_password(self, body: models.ResetRequest) -> None:
        """Chooses a new password by a token that an administrator handed out. All sessions of its owner end."""
        call: Call[None] = Call(method="POST", path="/api/v1/auth/password/reset", answers=type(None), body=body)
        return await self.call(call)

    async def list_sessions(self, *, limit: int | None = None, cursor: str | None = None) -> models.PageSessionShown:
        """Where the caller is signed in to this tenant, the newest first."""
        call: Call[models.PageSessionShown] = Call(
            method="GET",
            path="/api/v1/auth/sessions",
            answers=models.PageSessionShown,
            query={"limit": limit, "cursor": cursor},
        )
        return await self.call(call)

    async def end_session(self, session_id: UUID) -> None:
        """Ends a session of one's own in this tenant, with its refresh tokens and live connections."""
        call: Call[None] = Call(
            method="DELETE",
            path="/api/v1/auth/sessions/{session_id}",
            answers=type(None),
            ids={"session_id": session_id},
        )
        return await self.call(call)

    async def start_oidc(self) -> models.ProviderPage:
        """Where to send the browser. 404 if this installation has no provider."""
        call: Call[models.ProviderPage] = Call(
            method="GET", path="/api/v1/auth/oidc/start", answers=models.ProviderPage
        )
        return await self.call(call)

    async def finish_oidc(self, body: models.ProviderAnswer) -> models.SignedIn:
        """Starts a session for somebody the provider knows: linked to an account already, or invited.

        With the `tenant_id` of a tenant that has invited his verified address he accepts its invitation."""
        call: Call[models.SignedIn] = Call(
            method="POST", path="/api/v1/auth/oidc/finish", answers=models.SignedIn, body=body
        )
        return await self.call(call)

    async def list_webhooks(self, *, limit: int | None = None, cursor: str | None = None) -> models.PageWebhook:
        """The newest first."""
        call: Call[models.PageWebhook] = Call(
            method="GET", path="/api/v1/webhooks", answers=models.PageWebhook, query={"limit": limit, "cursor": cursor}
        )
        return await self.call(call)

    async def create_webhook(
        self, body: models.WebhookAsked, *, idempotency_key: str | None = None
    ) -> models.WebhookMade:
        """Tells a URL of events from now on; at most 20 a tenant. The secret that signs is shown here and never
        again."""
        call: Call[models.WebhookMade] = Call(
            method="POST",
            path="/api/v1/webhooks",
            answers=models.WebhookMade,
            body=body,
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return await self.call(call)

    async def get_webhook(self, webhook_id: UUID) -> models.Webhook:
        """One endpoint, and whether it is well."""
        call: Call[models.Webhook] = Call(
            method="GET", path="/api/v1/webhooks/{webhook_id}", answers=models.Webhook, ids={"webhook_id": webhook_id}
        )
        return await self.call(call)

    async def change_webhook(self, webhook_id: UUID, body: models.WebhookChange) -> models.Webhook:
        """What is pending is sent to the new address soon, and given up if the endpoint is disabled."""
        call: Call[models.Webhook] = Call(
            method="PATCH",
            path="/api/v1/webhooks/{webhook_id}",
            answers=models.Webhook,
            body=body,
            ids={"webhook_id": webhook_id},
        )
        return await self.call(call)

    async def delete_webhook(self, webhook_id: UUID) -> None:
        """With its log. What is pending is not sent."""
        call: Call[None] = Call(
            method="DELETE", path="/api/v1/webhooks/{webhook_id}", answers=type(None), ids={"webhook_id": webhook_id}
        )
        return await self.call(call)

    async def rotate_webhook_secret(
        self, webhook_id: UUID, *, idempotency_key: str | None = None
    ) -> models.WebhookMade:
        """Makes a new secret, shown here and never again. For 24 hours both sign, so that no message is refused."""
        call: Call[models.WebhookMade] = Call(
            method="POST",
            path="/api/v1/webhooks/{webhook_id}/rotate",
            answers=models.WebhookMade,
            ids={"webhook_id": webhook_id},
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return await self.call(call)

    async def ping_webhook(self, webhook_id: UUID, *, idempotency_key: str | None = None) -> models.Delivery:
        """Sends the event `ping` to this endpoint, whatever its filter; the delivery tells what came back."""
        call: Call[models.Delivery] = Call(
            method="POST",
            path="/api/v1/webhooks/{webhook_id}/ping",
            answers=models.Delivery,
            ids={"webhook_id": webhook_id},
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return await self.call(call)

    async def list_webhook_deliveries(
        self,
        webhook_id: UUID,
        *,
        state: Literal["pending", "delivered", "failed", "cancelled"] | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> models.PageDelivery:
        """What was told, or is to be, the newest first; kept for 30 days unless the installation says otherwise."""
        call: Call[models.PageDelivery] = Call(
            method="GET",
            path="/api/v1/webhooks/{webhook_id}/deliveries",
            answers=models.PageDelivery,
            ids={"webhook_id": webhook_id},
            query={"state": state, "limit": limit, "cursor": cursor},
        )
        return await self.call(call)

    async def get_webhook_delivery(self, webhook_id: UUID, delivery_id: UUID) -> models.DeliveryDetails:
        """One delivery with its message and every attempt."""
        call: Call[models.DeliveryDetails] = Call(
            method="GET",
            path="/api/v1/webhooks/{webhook_id}/deliveries/{delivery_id}",
            answers=models.DeliveryDetails,
            ids={"webhook_id": webhook_id, "delivery_id": delivery_id},
        )
        return await self.call(call)

    async def redeliver_webhook(
        self, webhook_id: UUID, delivery_id: UUID, *, idempotency_key: str | None = None
    ) -> models.Delivery:
        """Sends a message again, under the same `webhook-id`; one that waits for its next attempt is sent now."""
        call: Call[models.Delivery] = Call(
            method="POST",
            path="/api/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver",
            answers=models.Delivery,
            ids={"webhook_id": webhook_id, "delivery_id": delivery_id},
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return await self.call(call)

    async def get_usage(self) -> models.UsageShown:
        """What the tenant and the caller have, and may have."""
        call: Call[models.UsageShown] = Call(method="GET", path="/api/v1/usage", answers=models.UsageShown)
        return await self.call(call)

    async def get_quotas(self) -> models.QuotasShown:
        """The tenant's, which who runs the installation sets; the default of its users; and those of single users."""
        call: Call[models.QuotasShown] = Call(method="GET", path="/api/v1/quotas", answers=models.QuotasShown)
        return await self.call(call)

    async def set_default_quota(self, body: models.UserQuotaAsked) -> models.QuotasShown:
        """What each user may have that has no quota of its own. Nothing that is there already is taken away."""
        call: Call[models.QuotasShown] = Call(
            method="PUT", path="/api/v1/quotas/users", answers=models.QuotasShown, body=body
        )
        return await self.call(call)

    async def set_user_quota(self, user_id: UUID, body: models.UserQuotaAsked) -> models.QuotasShown:
        """What one user may have, in place of the whole default."""
        call: Call[models.QuotasShown] = Call(
            method="PUT",
            path="/api/v1/quotas/users/{user_id}",
            answers=models.QuotasShown,
            body=body,
            ids={"user_id": user_id},
        )
        return await self.call(call)

    async def remove_user_quota(self, user_id: UUID) -> models.QuotasShown:
        """The default counts again for this user."""
        call: Call[models.QuotasShown] = Call(
            method="DELETE", path="/api/v1/quotas/users/{user_id}", answers=models.QuotasShown, ids={"user_id": user_id}
        )
        return await self.call(call)

    async def get_retention(self) -> models.Retention:
        """The policies of the tenant; none: everything stays, but what the operator's settings say of finished
        jobs."""
        call: Call[models.Retention] = Call(method="GET", path="/api/v1/retention", answers=models.Retention)
        return await self.call(call)

    async def set_retention(self, body: models.RetentionAsked) -> models.Retention:
        """Replaces all policies. Nothing leaves before the next daily run: try them with a dry run first."""
        call: Call[models.Retention] = Call(method="PUT", path="/api/v1/retention", answers=models.Retention, body=body)
        return await self.call(call)

    async def run_retention(self, body: models.RunAsked, *, idempotency_key: str | None = None) -> models.Job:
        """Queues a run; a dry one unless `dry_run` is false. Its report is at `/upkeep/runs/{job_id}`."""
        call: Call[models.Job] = Call(
            method="POST",
            path="/api/v1/retention/run",
            answers=models.Job,
            body=body,
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return await self.call(call)

    async def get_storage(self) -> models.StorageShown:
        """What the tenant's documents are, and what their files take."""
        call: Call[models.StorageShown] = Call(method="GET", path="/api/v1/storage", answers=models.StorageShown)
        return await self.call(call)

    async def optimise_storage(self, *, idempotency_key: str | None = None) -> models.Job:
        """Queues a run that frees what nobody can ask for any more. Its report is at `/upkeep/runs/{job_id}`."""
        call: Call[models.Job] = Call(
            method="POST",
            path="/api/v1/storage/optimise",
            answers=models.Job,
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
        )
        return await self.call(call)

    async def get_upkeep_run(self, run_id: UUID) -> models.UpkeepRunShown:
        """What a run did so far, or would do: per target how many, how many bytes, and some ids. `run_id` is its
        job's."""
        call: Call[models.UpkeepRunShown] = Call(
            method="GET", path="/api/v1/upkeep/runs/{run_id}", answers=models.UpkeepRunShown, ids={"run_id": run_id}
        )
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
