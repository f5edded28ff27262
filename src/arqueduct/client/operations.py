"""The operations of the API. Written by clients/python.py; do not edit."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from arqueduct.client import models
from arqueduct.client.calls import Call, Upload, new_idempotency_key
from arqueduct.client.transport import AsyncTransport, Transport

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
            file=file,
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
            ids={"document_id": document_id},
            headers={"If-Match": if_match},
            body=body,
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

    def cancel_jobs(self, body: models.JobSelection, *, idempotency_key: str | None = None) -> models.Steered:
        """Ends waiting jobs at once and asks the workers of running ones to stop; 10,000 a request."""
        call: Call[models.Steered] = Call(
            method="POST",
            path="/api/v1/jobs/cancel",
            answers=models.Steered,
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
            body=body,
        )
        return self.call(call)

    def pause_jobs(self, body: models.JobSelection, *, idempotency_key: str | None = None) -> models.Steered:
        """Puts waiting jobs aside and asks the workers of running ones to stop; 10,000 a request."""
        call: Call[models.Steered] = Call(
            method="POST",
            path="/api/v1/jobs/pause",
            answers=models.Steered,
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
            body=body,
        )
        return self.call(call)

    def resume_jobs(self, body: models.JobSelection, *, idempotency_key: str | None = None) -> models.Steered:
        """Puts paused jobs back into the queue; 10,000 a request."""
        call: Call[models.Steered] = Call(
            method="POST",
            path="/api/v1/jobs/resume",
            answers=models.Steered,
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
            body=body,
        )
        return self.call(call)

    def retry_jobs(self, body: models.JobSelection, *, idempotency_key: str | None = None) -> models.Steered:
        """Puts failed and cancelled jobs back into the queue, where their document is still there; 10,000 a
        request.

        Name the state to leave cancelled ones alone."""
        call: Call[models.Steered] = Call(
            method="POST",
            path="/api/v1/jobs/retry",
            answers=models.Steered,
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
            body=body,
        )
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
        """The newest first. The kind `webhook.deliver` needs `webhooks:read`."""
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
        """Puts a failed or cancelled job back into the queue; what it has paid for already is kept and used."""
        call: Call[models.Job] = Call(
            method="POST",
            path="/api/v1/jobs/{job_id}/retry",
            answers=models.Job,
            ids={"job_id": job_id},
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
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

    def get_tenant(self, *, if_none_match: str | None = None) -> models.TenantShown:
        """The tenant of the caller."""
        call: Call[models.TenantShown] = Call(
            method="GET", path="/api/v1/tenant", answers=models.TenantShown, headers={"If-None-Match": if_none_match}
        )
        return self.call(call)

    def change_tenant(self, body: models.TenantChange, *, if_match: str | None = None) -> models.TenantShown:
        """Gives it another name."""
        call: Call[models.TenantShown] = Call(
            method="PATCH", path="/api/v1/tenant", answers=models.TenantShown, headers={"If-Match": if_match}, body=body
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
            method="PATCH", path="/api/v1/members/{user_id}", answers=models.Member, ids={"user_id": user_id}, body=body
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
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
            body=body,
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
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
            body=body,
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
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
            body=body,
        )
        return self.call(call)

    def change_key(self, key_id: UUID, body: models.KeyChange) -> models.KeyShown:
        """Gives a key another name or, with `keys:all`, another rate."""
        call: Call[models.KeyShown] = Call(
            method="PATCH", path="/api/v1/keys/{key_id}", answers=models.KeyShown, ids={"key_id": key_id}, body=body
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
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
            body=body,
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
            ids={"webhook_id": webhook_id},
            body=body,
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
            file=file,
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
            ids={"document_id": document_id},
            headers={"If-Match": if_match},
            body=body,
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

    async def cancel_jobs(self, body: models.JobSelection, *, idempotency_key: str | None = None) -> models.Steered:
        """Ends waiting jobs at once and asks the workers of running ones to stop; 10,000 a request."""
        call: Call[models.Steered] = Call(
            method="POST",
            path="/api/v1/jobs/cancel",
            answers=models.Steered,
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
            body=body,
        )
        return await self.call(call)

    async def pause_jobs(self, body: models.JobSelection, *, idempotency_key: str | None = None) -> models.Steered:
        """Puts waiting jobs aside and asks the workers of running ones to stop; 10,000 a request."""
        call: Call[models.Steered] = Call(
            method="POST",
            path="/api/v1/jobs/pause",
            answers=models.Steered,
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
            body=body,
        )
        return await self.call(call)

    async def resume_jobs(self, body: models.JobSelection, *, idempotency_key: str | None = None) -> models.Steered:
        """Puts paused jobs back into the queue; 10,000 a request."""
        call: Call[models.Steered] = Call(
            method="POST",
            path="/api/v1/jobs/resume",
            answers=models.Steered,
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
            body=body,
        )
        return await self.call(call)

    async def retry_jobs(self, body: models.JobSelection, *, idempotency_key: str | None = None) -> models.Steered:
        """Puts failed and cancelled jobs back into the queue, where their document is still there; 10,000 a
        request.

        Name the state to leave cancelled ones alone."""
        call: Call[models.Steered] = Call(
            method="POST",
            path="/api/v1/jobs/retry",
            answers=models.Steered,
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
            body=body,
        )
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
        """The newest first. The kind `webhook.deliver` needs `webhooks:read`."""
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
        """Puts a failed or cancelled job back into the queue; what it has paid for already is kept and used."""
        call: Call[models.Job] = Call(
            method="POST",
            path="/api/v1/jobs/{job_id}/retry",
            answers=models.Job,
            ids={"job_id": job_id},
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
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

    async def get_tenant(self, *, if_none_match: str | None = None) -> models.TenantShown:
        """The tenant of the caller."""
        call: Call[models.TenantShown] = Call(
            method="GET", path="/api/v1/tenant", answers=models.TenantShown, headers={"If-None-Match": if_none_match}
        )
        return await self.call(call)

    async def change_tenant(self, body: models.TenantChange, *, if_match: str | None = None) -> models.TenantShown:
        """Gives it another name."""
        call: Call[models.TenantShown] = Call(
            method="PATCH", path="/api/v1/tenant", answers=models.TenantShown, headers={"If-Match": if_match}, body=body
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
            method="PATCH", path="/api/v1/members/{user_id}", answers=models.Member, ids={"user_id": user_id}, body=body
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
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
            body=body,
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
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
            body=body,
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
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
            body=body,
        )
        return await self.call(call)

    async def change_key(self, key_id: UUID, body: models.KeyChange) -> models.KeyShown:
        """Gives a key another name or, with `keys:all`, another rate."""
        call: Call[models.KeyShown] = Call(
            method="PATCH", path="/api/v1/keys/{key_id}", answers=models.KeyShown, ids={"key_id": key_id}, body=body
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
            headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
            body=body,
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
            ids={"webhook_id": webhook_id},
            body=body,
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
