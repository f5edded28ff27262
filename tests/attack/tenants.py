"""Ids of another tenant, wherever an id is taken; and fields that nobody may set."""

from collections.abc import Mapping
from typing import Any

import httpx

from tests.attack.people import Limited, Member, join, sign_in
from tests.attack.tally import Tally
from tests.attack.target import PREFIX, Target
from tests.integration.trespasses import IN_SESSION, OF_PATHS, TRESPASSES, Their

__all__ = ["cross_tenant", "mass_assignment"]

LISTS = {
    "documents": ("/documents", "id"),
    "file_sets": ("/file-sets", "id"),
    "jobs": ("/jobs", "id"),
    "api_keys": ("/keys?all=true", "id"),
    "users": ("/members", "user_id"),
    "invitations": ("/invitations", "id"),
    "sessions": ("/auth/sessions", "id"),
    "webhook_endpoints": ("/webhooks", "id"),
    "profiles": ("/profiles", "id"),
    "projects": ("/projects", "id"),
    "jobs.batch": ("/batches", "id"),
}
"""Where who owns them reads ids of these, and the field that has them."""
WORDS = b"The nightjar sings behind the wall."
MARK = "nightjar"


BY_ITSELF = frozenset({"status", "updated_at", "title", "pages", "characters", "chunks"})
"""What a worker changes of a document meanwhile."""


async def cross_tenant(target: Target, tally: Tally) -> None:
    """The table of the isolation test, over the network."""
    try:
        mine, their = await join(target, "owner"), await join(target, "owner", by=target.they)
    except Limited:
        tally.not_tried("the login is limited just now")
        return
    async with target.client(target.they) as they:
        theirs = await _ids_of(they, their, target)
    marks = {str(found) for found in theirs.values()} | {MARK}
    ids = theirs | {"my.email": mine.email, "my.password": mine.password, "profile_versions.version": "1"}
    ever_sent: set[str] = set()  # my own audit log tells me what I tried
    async with target.client(target.me) as me:
        for method, path, operation in target.operations():
            name = operation["operationId"]
            if name in IN_SESSION:  # some of them end it
                await sign_in(me, mine)
            headers = mine.headers if name in IN_SESSION else {}
            for trespass in TRESPASSES.get(name, ()):
                missing: set[str] = set()
                sent: set[str] = set()
                url = _path(path, ids, missing, sent)
                body, query = (_put(part, ids, missing, sent) for part in (trespass.body, trespass.query))
                if missing:
                    tally.not_tried(f"{name}: no id of theirs is known for {', '.join(sorted(missing))}")
                    continue
                files = dict(trespass.files) or None
                answer = await me.request(method, url, params=query, json=body, files=files, headers=headers)
                ever_sent |= sent
                known = ever_sent if answer.is_error or "audit" in name or "invitation" in name else set()
                told = [mark for mark in marks - known if mark in answer.text]
                fits = answer.status_code in trespass.answers
                tally.check(fits and not told, f"{method} {path}: {answer.status_code}, {told} {answer.text[:100]}")


async def _ids_of(they: httpx.AsyncClient, their: Member, target: Target) -> dict[str, str]:
    await they.post(f"{PREFIX}/documents", files={"file": (f"{MARK}.txt", WORDS)})
    if target.has("/file-sets"):
        form = {"name": (None, MARK), "files": (f"{MARK} in a set.txt", WORDS + b" Again.")}
        made = await they.post(f"{PREFIX}/file-sets", files=form)
        if target.has("/projects") and made.is_success:
            await they.post(f"{PREFIX}/projects", json={"name": MARK, "file_set_id": made.json()["id"]})
    if target.has("/batches") and target.has("/file-sets"):
        # A document that no job is at: of any other one it would depend on how far that is.
        form = {"name": (None, f"{MARK} once more"), "files": (f"{MARK} in a batch.txt", WORDS + b" Once more.")}
        made = await they.post(f"{PREFIX}/file-sets", files=form)
        if made.is_success:
            body = {"document_ids": [made.json()["files"][0]["document_id"]]}
            await they.post(f"{PREFIX}/batches", json=body)
    if target.has("/invitations"):
        await they.post(f"{PREFIX}/invitations", json={"email": f"{MARK}@example.org", "role": "viewer"})
    if target.has("/webhooks"):
        made = await they.post(f"{PREFIX}/webhooks", json={"url": "http://127.0.0.1:65500/", "events": ["*"]})
        if made.is_success:
            await they.post(f"{PREFIX}/webhooks/{made.json()['webhook']['id']}/ping")
    if target.has("/profiles"):
        await they.post(f"{PREFIX}/profiles", json={"name": MARK})
    found = {"users.email": their.email}
    if target.has("/retention/run"):
        run = await they.post(f"{PREFIX}/retention/run", json={})
        found |= {"upkeep_runs": run.json()["id"]} if run.is_success else {}
    for table, (path, field) in LISTS.items():
        answer = await they.get(f"{PREFIX}{path}", headers=their.headers)
        items = answer.json().get("items", []) if answer.is_success else []
        if items:
            found[table] = items[0].get(field) or items[0]["id"]
    for table, path, parent in (
        ("jobs.of_batch", "batches", found.get("jobs.batch")),
        ("jobs.of_project", "projects", found.get("projects")),
    ):
        answer = await they.get(f"{PREFIX}/{path}/{parent}/files")
        items = answer.json().get("items", []) if answer.is_success else []
        found |= {table: items[0]["job_id"]} if items else {}
    if "webhook_endpoints" in found:
        told = (await they.get(f"{PREFIX}/webhooks/{found['webhook_endpoints']}/deliveries")).json()["items"]
        found |= {"webhook_deliveries": told[0]["id"]} if told else {}
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
    """Fields that the description does not name: whatever is answered to them, nothing may come of them."""
    async with target.client(target.they) as they, target.client(target.me) as me:
        account = (await they.get(f"{PREFIX}/auth/me")).raise_for_status().json()
        tenant = account["tenant"]["id"]
        extra = {
            "tenant_id": tenant,
            "id": tenant,
            "user_id": account["user"]["id"],
            "role": "owner",
            "is_admin": True,
            "state": "completed",
            "status": "completed",
            "created_at": "2020-01-01T00:00:00Z",
            "key_hash": "x",
        }
        await _of_uploads(they, me, tally, extra)
        if not target.has("/keys"):
            tally.not_tried("keys, members and tenants: the service has no such routes")
            return
        await _of_changes(me, tally, extra)
        await _of_new_ones(they, me, tally, extra)


async def _of_uploads(they: httpx.AsyncClient, me: httpx.AsyncClient, tally: Tally, extra: Mapping[str, Any]) -> None:
    sent = await me.post(f"{PREFIX}/documents", files={"file": ("mine.txt", b"Mine.")}, data=dict(extra))
    accepted = sent.raise_for_status().json()
    document = f"{PREFIX}/documents/{accepted['document']['id']}"
    tally.check(accepted["job"]["state"] != "completed", "the state of a job was set by its uploader")
    tally.check(accepted["document"]["status"] != "completed", "the status of a document was set by its uploader")
    tally.check((await they.get(document)).status_code == 404, "a document was given away")
    for name, value in extra.items():
        before = (await me.get(document)).json()
        answer = await me.patch(document, json={"name": "x.txt", name: value})
        after = (await me.get(document)).json()
        moved = {field for field in before if before[field] != after.get(field)} - BY_ITSELF
        held = answer.status_code == 422 and not moved
        tally.check(held, f"{name} of a document: {answer.status_code}, {moved} changed")
    renamed = await me.patch(document, json={"name": "mine too.txt"})
    tally.check(renamed.json()["name"] == "mine too.txt", f"a document cannot be changed at all: {renamed.text}")
    tally.check((await they.get(document)).status_code == 404, "a document was given away")


async def _of_changes(me: httpx.AsyncClient, tally: Tally, extra: Mapping[str, Any]) -> None:
    key = (await me.post(f"{PREFIX}/keys", json={"name": "mine"})).raise_for_status().json()["key"]["id"]
    mine = (await me.get(f"{PREFIX}/auth/me")).json()["user"]["id"]

    async def shown(path: str, own: str) -> Any:
        answer = (await me.get(f"{PREFIX}{path}")).json()
        return [one for one in answer.get("items", [answer]) if one.get("id", one.get("user_id")) == own]

    tenant = (await me.get(f"{PREFIX}/tenant")).json()["id"]
    for listed, path, own, valid in (
        ("/tenant", "/tenant", tenant, {"name": "mine"}),
        ("/keys", f"/keys/{key}", key, {"name": "other"}),
        ("/members?limit=100", f"/members/{mine}", mine, {"role": "owner"}),
    ):
        for name in sorted(extra.keys() - valid.keys()):
            before = await shown(listed, own)
            answer = await me.patch(f"{PREFIX}{path}", json={**valid, name: extra[name]})
            held = answer.status_code == 422 and before and before == await shown(listed, own)
            tally.check(held, f"{name} at PATCH {path}: {answer.status_code} {answer.text[:100]}")


async def _of_new_ones(they: httpx.AsyncClient, me: httpx.AsyncClient, tally: Tally, extra: Mapping[str, Any]) -> None:
    for path, valid, allowed in (
        ("/keys", {"name": "x"}, {"user_id"}),
        ("/service-accounts", {"name": "x"}, set()),
        ("/invitations", {"email": "guest@example.org", "role": "viewer"}, {"role"}),
    ):
        for name in sorted(extra.keys() - allowed):
            before = [(await one.get(f"{PREFIX}/members")).text for one in (they, me)]
            answer = await me.post(f"{PREFIX}{path}", json={**valid, name: extra[name]})
            held = answer.status_code == 422 and before == [
                (await one.get(f"{PREFIX}/members")).text for one in (they, me)
            ]
            tally.check(held, f"{name} at POST {path}: {answer.status_code} {answer.text[:100]}")
