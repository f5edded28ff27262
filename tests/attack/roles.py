"""Rising above one's role: what each lesser role, and a key with few scopes, must not do."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import httpx

from arqueduct.ids import new_id
from tests.attack.people import Limited, Member, join
from tests.attack.samples import request_of
from tests.attack.tally import Tally
from tests.attack.target import PREFIX, Target

__all__ = ["rising"]

OWNER, ADMIN, EDITOR, VIEWER, SERVICE = "owner", "admin", "editor", "viewer", "service"
READING = "reading key"
"""A key of an owner that has the scope `documents:read`."""
LESSER = (ADMIN, EDITOR, VIEWER, SERVICE, READING)

ALL = frozenset({OWNER, *LESSER})
WORKING = frozenset({OWNER, ADMIN, EDITOR, SERVICE})
MEMBERS = frozenset({OWNER, ADMIN, EDITOR, VIEWER, SERVICE})
PEOPLE = MEMBERS - {SERVICE}
ADMINS = frozenset({OWNER, ADMIN})
OWNERS = frozenset({OWNER})

MAY: Mapping[str, frozenset[str]] = {
    # Written here once more, by hand: what the service says of itself may be the hole.
    **dict.fromkeys(
        (
            *("change_password", "end_session", "get_me", "get_tenant", "list_sessions", "logout", "logout_everywhere"),
            *("get_document", "get_document_content", "get_document_text", "list_chunks", "list_documents"),
            *("get_file_set", "get_file_set_statistics", "list_file_set_files", "list_file_sets"),
            *("get_default_profile", "get_profile", "get_profile_version", "list_pipelines", "list_profile_versions"),
            *("get_usage", "list_profiles", "search_passages"),
        ),
        ALL,
    ),
    **dict.fromkeys(
        ("archive_profile", "change_profile", "create_profile", "validate_profile"), frozenset({OWNER, ADMIN, EDITOR})
    ),
    **dict.fromkeys(
        ("archive_document", "create_document", "delete_document", "restore_document", "update_document"), WORKING
    ),
    **dict.fromkeys(
        (
            *("add_documents_to_file_set", "change_file_set", "change_file_set_file", "create_file_set"),
            *("archive_file_set", "delete_file_set", "remove_file_set_file", "restore_file_set", "upload_to_file_set"),
            *("archive_project", "restore_project"),
        ),
        WORKING,
    ),
    **dict.fromkeys(
        (
            *("create_ticket", "get_job", "get_queue", "list_job_attempts", "list_job_events", "list_jobs"),
            *("get_processing", "list_errors"),
            *("get_project", "get_project_errors", "get_project_status", "list_project_files", "list_project_runs"),
            *("list_projects", "get_batch", "get_batch_errors", "list_batch_files", "list_batches"),
        ),
        MEMBERS,
    ),
    **dict.fromkeys(
        (
            *("cancel_job", "cancel_jobs", "pause_job", "pause_jobs"),
            *("change_project", "create_project", "delete_project", "run_project", "create_batch"),
            *("cancel_project", "pause_project", "resume_project", "retry_project"),
            *("cancel_batch", "pause_batch", "resume_batch", "retry_batch"),
            *("resume_job", "resume_jobs", "retry_job", "retry_jobs"),
        ),
        WORKING,
    ),
    **dict.fromkeys(("change_key", "create_key", "list_keys", "revoke_key", "list_members"), PEOPLE),
    **dict.fromkeys(
        (
            *("change_member", "remove_member", "offer_password_reset", "create_service_account"),
            *("create_invitation", "list_invitations", "revoke_invitation"),
            *("list_audit", "export_audit"),
            *("get_webhook", "list_webhooks", "get_webhook_delivery", "list_webhook_deliveries"),
            *("create_webhook", "change_webhook", "delete_webhook", "ping_webhook", "redeliver_webhook"),
            "rotate_webhook_secret",
            *("get_quotas", "remove_user_quota", "set_default_quota", "set_user_quota"),
            *("get_retention", "run_retention", "set_retention", "get_upkeep_run"),
            *("get_storage", "optimise_storage"),
        ),
        ADMINS,
    ),
    "change_tenant": OWNERS,
}
OPEN = frozenset(
    {
        *("accept_invitation", "finish_oidc", "login", "refresh", "reset_password", "start_oidc", "stream_events"),
        *("get_livez", "get_metrics", "get_openapi", "get_readyz", "get_version"),
    }
)
"""What needs no role, or proves for itself who asks."""

DENIED = (403,)
UNSEEN = (403, 404)
"""Of somebody else's key: it need not even be said to be there."""


@dataclass(frozen=True)
class Try:
    """One request that must be refused."""

    method: str
    path: str
    body: Any = None
    answers: Sequence[int] = DENIED


@dataclass(frozen=True, kw_only=True)
class Known:
    """Ids of others that somebody who rises would act on."""

    owner: str
    owner_key: str
    viewer: str


async def rising(target: Target, tally: Tally) -> None:
    if not target.has("/invitations"):
        tally.not_tried("the service has no members to be")
        return
    try:
        people = {role: await join(target, role) for role in (ADMIN, EDITOR, VIEWER, SERVICE)}
        second = await join(target, OWNER)
    except Limited:
        tally.not_tried("the login is limited just now")
        return
    async with AsyncExitStack() as stack:
        clients = {role: await stack.enter_async_context(_client(target, one)) for role, one in people.items()}
        owner = await stack.enter_async_context(_client(target, second))
        _, clients[READING] = await _with_scopes(target, stack, owner, ["documents:read"])
        for role, client in clients.items():
            control = await client.get(f"{PREFIX}/documents")
            tally.check(control.status_code == 200, f"{role} may not even read: {control.text}")
            await _operations(target, tally, role, client)
        made = await owner.post(f"{PREFIX}/keys", json={"name": "an owner's"})
        known = Known(
            owner=second.user_id,
            owner_key=made.raise_for_status().json()["key"]["id"],
            viewer=people[VIEWER].user_id,
        )
        for role in (ADMIN, EDITOR, VIEWER):
            await _refused(tally, role, clients[role], _tries(people[role], known, await _own_key(clients[role])))
        mine = await stack.enter_async_context(target.client(target.me))
        await _by_keys(target, tally, stack, mine, known)
        after = await owner.get(f"{PREFIX}/auth/me")
        tally.check(after.is_success and after.json()["tenant"]["role"] == OWNER, f"an owner is none: {after.text}")


async def _operations(target: Target, tally: Tally, role: str, client: httpx.AsyncClient) -> None:
    """Each that this role may not carry out. The right is asked for before anything else, so it is 403 whatever is
    sent."""
    for method, path, operation in target.operations():
        name = operation["operationId"]
        if name in OPEN:
            continue
        if name not in MAY:
            tally.not_tried(f"{name}: the table of roles does not have it")
        elif role not in MAY[name]:
            sent = request_of(target.description, path, operation)
            files = {"file": ("a.txt", b"A.")} if name == "create_document" else None
            answer = await client.request(method, files=files, **sent)
            tally.check(answer.status_code == 403, f"{role}: {method} {path}: {answer.status_code} {answer.text[:100]}")


def _tries(one: Member, known: Known, own_key: str) -> Iterator[Try]:
    """What the permission alone does not decide."""
    others_key = f"/keys/{known.owner_key}"
    if one.role == ADMIN:
        yield Try("PATCH", f"/members/{one.user_id}", {"role": OWNER})
        yield Try("PATCH", f"/members/{known.viewer}", {"role": OWNER})
        yield Try("PATCH", f"/members/{known.owner}", {"role": VIEWER})
        yield Try("DELETE", f"/members/{known.owner}")
        yield Try("POST", f"/members/{known.owner}/password-reset")
        yield Try("POST", "/invitations", {"email": f"{new_id()}@example.org", "role": OWNER})
        yield Try("PATCH", others_key, {"requests_per_minute": 1})
        yield Try("PATCH", others_key, {"name": "mine"})
        yield Try("DELETE", others_key)
    else:
        yield Try("GET", "/keys?all=true")
        yield Try("PATCH", f"/keys/{own_key}", {"requests_per_minute": 1_000_000})
        yield Try("POST", "/keys", {"name": "x", "requests_per_minute": 1_000_000})
        yield Try("POST", "/keys", {"name": "x", "scopes": ["members:write", "keys:all"]})
        yield Try("PATCH", others_key, {"name": "mine"}, UNSEEN)
        yield Try("DELETE", others_key, None, UNSEEN)
    if one.role == VIEWER:
        yield Try("POST", "/keys", {"name": "x", "scopes": ["documents:write"]})
    for scope in ("owners:write", "tenant:write"):
        yield Try("POST", "/keys", {"name": "x", "scopes": ["documents:read", scope]})
    yield Try("POST", "/keys", {"name": "x", "user_id": known.owner})
    yield Try("POST", "/keys", {"name": "x", "user_id": known.owner, "scopes": ["documents:read"]})


async def _by_keys(target: Target, tally: Tally, stack: AsyncExitStack, owner: httpx.AsyncClient, known: Known) -> None:
    """Keys of an owner that were made to do little."""
    others = f"/members/{known.viewer}"
    for scopes, tries in (
        (
            ["members:write", "owners:write"],
            (
                Try("PATCH", others, {"role": EDITOR}),
                Try("POST", f"{others}/password-reset"),
                Try("POST", "/invitations", {"email": f"{new_id()}@example.org", "role": VIEWER}),
                Try("POST", "/invitations", {"email": f"{new_id()}@example.org", "role": OWNER}),
            ),
        ),
        (
            ["keys:own", "keys:all"],
            (
                Try("POST", "/keys", {"name": "x", "scopes": ["documents:read"]}),
                Try("POST", "/keys", {"name": "x", "user_id": known.viewer}),
                Try("POST", "/keys", {"name": "x", "user_id": known.owner}),
            ),
        ),
    ):
        _, client = await _with_scopes(target, stack, owner, scopes)
        await _refused(tally, f"a key for {scopes}", client, tries)
    await _hand_on(target, tally, stack, owner)


async def _hand_on(target: Target, tally: Tally, stack: AsyncExitStack, owner: httpx.AsyncClient) -> None:
    """A key made with a key has no more than that one has."""
    limits = {"requests_per_minute": 50, "expires_at": "2099-01-01T00:00:00Z"}
    _, client = await _with_scopes(target, stack, owner, ["keys:own"], **limits)
    later = {"name": "x", "expires_at": "2199-01-01T00:00:00Z"}
    await _refused(tally, "a key that ends", client, [Try("POST", "/keys", later)])
    made = await client.post(f"{PREFIX}/keys", json={"name": "x"})
    if made.is_error:
        tally.check(made.status_code == 403, f"a key of a key: {made.text}")
        return
    shown = made.json()["key"]
    told = (shown["requests_per_minute"], shown["expires_at"])
    tally.check(told == (50, "2099-01-01T00:00:00Z"), f"a key of a limited key has rate and end {told}")
    async with target.client() as nobody:
        me = await nobody.get(f"{PREFIX}/auth/me", headers={"X-API-Key": made.json()["api_key"]})
    tally.check(set(me.json()["permissions"]) == {"self", "keys:own"}, f"a key of a limited key may {me.text}")


async def _refused(tally: Tally, who: str, client: httpx.AsyncClient, tries: Iterator[Try] | Sequence[Try]) -> None:
    for one in tries:
        answer = await client.request(one.method, f"{PREFIX}{one.path}", json=one.body)
        held = answer.status_code in one.answers
        tally.check(held, f"{who}: {one.method} {one.path} {one.body}: {answer.status_code} {answer.text[:100]}")


async def _own_key(client: httpx.AsyncClient) -> str:
    made = await client.post(f"{PREFIX}/keys", json={"name": "mine"})
    return str(made.raise_for_status().json()["key"]["id"])


async def _with_scopes(
    target: Target, stack: AsyncExitStack, owner: httpx.AsyncClient, scopes: Sequence[str], **limits: Any
) -> tuple[str, httpx.AsyncClient]:
    """Id of a new key of an owner, and a client that has it."""
    made = (await owner.post(f"{PREFIX}/keys", json={"name": "few", "scopes": scopes, **limits})).raise_for_status()
    key = Member(user_id="", email="", password="", role=READING, access_token=made.json()["api_key"])
    return made.json()["key"]["id"], await stack.enter_async_context(_client(target, key))


def _client(target: Target, one: Member) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=target.url, headers=one.headers, trust_env=False, timeout=30)
