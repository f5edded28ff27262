"""Ids of another tenant, wherever an id is taken; and fields that nobody may set."""

from collections.abc import Mapping
from typing import Any

import httpx

from tests.attack.tally import Tally
from tests.attack.target import PREFIX, Target
from tests.integration.trespasses import OF_PATHS, TRESPASSES, Their

__all__ = ["cross_tenant", "mass_assignment"]

LISTS = {
    "documents": ("/documents", "id"),
    "jobs": ("/jobs", "id"),
    "api_keys": ("/keys?all=true", "id"),
    "users": ("/members", "user_id"),
    "invitations": ("/invitations", "id"),
    "sessions": ("/auth/sessions", "id"),
    "webhook_endpoints": ("/webhooks", "id"),
}
"""Where who owns them reads ids of these, and the field that has them."""
WORDS = b"The nightjar sings behind the wall."
MARK = "nightjar"


OF_SESSIONS = ("change_password", "login", "logout_everywhere")
"""Tried with tokens; and the end of one's own sessions here."""


async def cross_tenant(target: Target, tally: Tally) -> None:
    """The table of the isolation test, over the network."""
    async with target.client(target.they) as they:
        theirs = await _ids_of(they, target)
    marks = {str(found) for found in theirs.values()} | {MARK}
    ever_sent: set[str] = set()  # my own audit log tells me what I tried
    async with target.client(target.me) as me:
        for method, path, operation in target.operations():
            name = operation["operationId"]
            for trespass in TRESPASSES.get(name, ()):
                missing: set[str] = set()
                sent: set[str] = set()
                url = _path(path, theirs, missing, sent)
                body, query = (_put(part, theirs, missing, sent) for part in (trespass.body, trespass.query))
                if name in OF_SESSIONS:
                    continue
                if missing:
                    tally.not_tried(f"{name}: no id of theirs is known for {', '.join(sorted(missing))}")
                    continue
                answer = await me.request(method, url, params=query, json=body, files=dict(trespass.files) or None)
                ever_sent |= sent
                known = ever_sent if answer.is_error or "audit" in name or "invitation" in name else set()
                told = [mark for mark in marks - known if mark in answer.text]
                fits = answer.status_code in trespass.answers
                tally.check(fits and not told, f"{method} {path}: {answer.status_code}, {told} {answer.text[:100]}")


async def _ids_of(they: httpx.AsyncClient, target: Target) -> dict[str, str]:
    await they.post(f"{PREFIX}/documents", files={"file": (f"{MARK}.txt", WORDS)})
    if target.has("/invitations"):
        await they.post(f"{PREFIX}/invitations", json={"email": f"{MARK}@example.org", "role": "viewer"})
    if target.they.password is not None and target.has("/auth/login"):
        await they.post(f"{PREFIX}/auth/login", json={"email": target.they.email, "password": target.they.password})
    if target.has("/webhooks"):
        made = await they.post(f"{PREFIX}/webhooks", json={"url": "http://127.0.0.1:65500/", "events": ["*"]})
        if made.is_success:
            await they.post(f"{PREFIX}/webhooks/{made.json()['webhook']['id']}/ping")
    found: dict[str, str] = {}
    for table, (path, field) in LISTS.items():
        answer = await they.get(f"{PREFIX}{path}")
        items = answer.json().get("items", []) if answer.is_success else []
        if items:
            found[table] = items[0].get(field) or items[0]["id"]
    if "webhook_endpoints" in found:
        told = (await they.get(f"{PREFIX}/webhooks/{found['webhook_endpoints']}/deliveries")).json()["items"]
        found |= {"webhook_deliveries": told[0]["id"]} if told else {}
    if target.they.email is not None:
        found["users.email"] = target.they.email
    if target.has("/tenant", "get"):
        found["tenants"] = (await they.get(f"{PREFIX}/tenant")).json()["id"]
    return found


def _path(path: str, theirs: Mapping[str, str], missing: set[str], sent: set[str]) -> str:
    for name, table in OF_PATHS.items():
        if f"{{{name}}}" in path:
            path = path.replace(f"{{{name}}}", str(_put(Their(table), theirs, missing, sent)))
    return path


def _put(value: Any, theirs: Mapping[str, str], missing: set[str], sent: set[str]) -> Any:
    if isinstance(value, Their):
        if value.table not in theirs:
            missing.add(value.table)
            return None
        sent.add(theirs[value.table])
        return theirs[value.table]
    if isinstance(value, Mapping):
        return {name: _put(given, theirs, missing, sent) for name, given in value.items()}
    return [_put(given, theirs, missing, sent) for given in value] if isinstance(value, list) else value


async def mass_assignment(target: Target, tally: Tally) -> None:
    """Fields that the description does not name, and rights that one has not."""
    async with target.client(target.they) as they, target.client(target.me) as me:
        theirs = await _ids_of(they, target)
        tenant = theirs.get("tenants", "01890000-0000-7000-8000-000000000000")
        extra = {
            "tenant_id": tenant,
            "id": tenant,
            "role": "owner",
            "is_admin": True,
            "state": "completed",
            "user": "x",
        }
        accepted = (await me.post(f"{PREFIX}/documents", files={"file": ("mine.txt", b"Mine.")}, data=extra)).json()
        document = accepted["document"]["id"]
        tally.check(accepted["job"]["state"] != "completed", "the state of a job was set by its uploader")
        tally.check((await they.get(f"{PREFIX}/documents/{document}")).status_code == 404, "a document was given away")
        await me.patch(f"{PREFIX}/documents/{document}", json={"name": "a.txt", **extra, "job_id": tenant, "size": 0})
        tally.check(
            (await me.get(f"{PREFIX}/documents/{document}")).json()["id"] == document, "a document's id changed"
        )
        tally.check((await they.get(f"{PREFIX}/documents/{document}")).status_code == 404, "a document was given away")
        if not target.has("/keys"):
            tally.not_tried("rights of keys: the service has no such route")
            return
        await _rise(me, target, tally, extra)


async def _rise(me: httpx.AsyncClient, target: Target, tally: Tally, extra: Mapping[str, Any]) -> None:
    """From a key that may read documents to one that may do everything."""
    made = await me.post(f"{PREFIX}/keys", json={"name": "reader", "scopes": ["documents:read"]})
    reader = {"Authorization": f"Bearer {made.raise_for_status().json()['api_key']}"}
    key = made.json()["key"]["id"]
    async with httpx.AsyncClient(base_url=target.url, headers=reader, trust_env=False) as small:
        tally.check((await small.get(f"{PREFIX}/documents")).status_code == 200, "a key that may read cannot")
        tries: list[tuple[str, str, Any]] = [
            ("POST", "/keys", {"name": "more"}),
            ("POST", "/keys", {"name": "more", "scopes": ["keys:all", "members:write"]}),
            ("PATCH", f"/keys/{key}", {"name": "more", "scopes": []}),
            ("PATCH", f"/keys/{key}", {"requests_per_minute": 1_000_000}),
            ("POST", "/invitations", {"email": "me@example.org", "role": "owner"}),
            ("POST", "/service-accounts", {"name": "more"}),
            ("PATCH", "/tenant", {"name": "mine", **extra}),
            ("POST", "/jobs/cancel", {"all": True}),
            ("GET", "/audit", None),
        ]
        for method, path, body in tries:
            answer = await small.request(method, f"{PREFIX}{path}", json=body)
            tally.check(answer.status_code in (403, 404, 405, 422), f"a reading key: {method} {path} {answer.text}")
    for method, path, body in (
        ("POST", "/keys", {"name": "x", "tenant_id": extra["tenant_id"], "role": "owner", "key_hash": "x"}),
        ("PATCH", "/tenant", {"name": "mine", "id": extra["tenant_id"], "created_at": "2020-01-01T00:00:00Z"}),
    ):
        before = (await me.get(f"{PREFIX}/tenant")).json()
        answer = await me.request(method, f"{PREFIX}{path}", json=body)
        after = (await me.get(f"{PREFIX}/tenant")).json()
        tally.check(
            {**before, "name": None} == {**after, "name": None} and answer.status_code < 500,
            f"{method} {path}: {after}",
        )
