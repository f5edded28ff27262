"""Processing profiles over the API: made, checked against what workers have installed, versioned, archived."""

from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

from arqueduct.database import Database
from arqueduct.errors import ProfileUnknown
from arqueduct.identity import NewIdentity
from arqueduct.installed import of_registry
from arqueduct.profiles import DEFAULT
from arqueduct.repositories import installations, profiles, sweeps
from arqueduct_worker.sweeper import Sweeper
from tests.integration.backend import beat, client_of, problem, services_of
from tests.integration.many_jobs import owning
from tests.integration.people import join
from tests.integration.worker import TestWorker, until

PROFILES = "/api/v1/profiles"
LONG = {"options": {"chunk": {"size": 1500, "overlap": 200}}}
SHORT = {"options": {"chunk": {"size": 200, "overlap": 0}}, "priority": "bulk", "llm": {"model": "small"}}


@pytest.fixture(autouse=True)
async def told(api_worker: TestWorker) -> None:
    await beat(api_worker)


async def made(api: httpx.AsyncClient, name: str = "long", settings: dict[str, Any] = LONG) -> Any:
    answer = await api.post(PROFILES, json={"name": name, "settings": settings})
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"{PROFILES}/{answer.json()['id']}"
    return answer.json()


async def test_a_profile_is_made_and_read(api: httpx.AsyncClient, me: NewIdentity) -> None:
    profile = await made(api)
    assert (profile["version"], profile["created_by"], profile["archived_at"]) == (1, str(me.user_id), None)
    assert profile["settings"]["options"] == LONG["options"]
    assert profile["settings"]["pipeline"] == "document.ingest"
    answer = await api.get(f"{PROFILES}/{profile['id']}")
    assert answer.json() == profile
    again = await api.get(f"{PROFILES}/{profile['id']}", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304
    assert [item["name"] for item in (await api.get(PROFILES)).json()["items"]] == ["long"]


async def test_other_settings_are_a_new_version_and_the_old_one_stays(api: httpx.AsyncClient) -> None:
    profile = await made(api)
    address = f"{PROFILES}/{profile['id']}"
    first = (await api.get(address)).headers["etag"]
    changed = await api.put(address, json={"name": "long", "settings": SHORT}, headers={"If-Match": first})
    assert (changed.status_code, changed.json()["version"]) == (200, 2)
    stale = await api.put(address, json={"name": "long", "settings": LONG}, headers={"If-Match": first})
    problem(stale, 412, "precondition_failed")
    same = await api.put(address, json={"name": "renamed", "settings": SHORT})
    assert (same.json()["version"], same.json()["name"]) == (2, "renamed")
    versions = (await api.get(f"{address}/versions")).json()["items"]
    assert [version["version"] for version in versions] == [2, 1]
    assert (await api.get(f"{address}/versions/1")).json()["settings"]["options"] == LONG["options"]
    problem(await api.get(f"{address}/versions/3"), 404, "not_found")


async def test_versions_come_in_pages(api: httpx.AsyncClient) -> None:
    profile = await made(api)
    for size in (300, 400):
        settings = {"options": {"chunk": {"size": size}}}
        await api.put(f"{PROFILES}/{profile['id']}", json={"name": "long", "settings": settings})
    first = (await api.get(f"{PROFILES}/{profile['id']}/versions", params={"limit": 2})).json()
    rest = await api.get(f"{PROFILES}/{profile['id']}/versions", params={"cursor": first["next_cursor"]})
    assert [version["version"] for version in rest.json()["items"]] == [1]


async def test_what_is_pinned_outlives_the_archive(api: httpx.AsyncClient, app: FastAPI, me: NewIdentity) -> None:
    profile = await made(api)
    await api.put(f"{PROFILES}/{profile['id']}", json={"name": "long", "settings": SHORT})
    assert (await api.delete(f"{PROFILES}/{profile['id']}")).status_code == 204
    assert (await api.delete(f"{PROFILES}/{profile['id']}")).status_code == 204, "it may be sent twice"
    assert (await api.get(PROFILES)).json()["items"] == []
    assert (await api.get(f"{PROFILES}/{profile['id']}")).json()["archived_at"]
    problem(
        await api.put(f"{PROFILES}/{profile['id']}", json={"name": "long", "settings": LONG}), 404, "profile_unknown"
    )
    async with services_of(app).database.transaction(me.tenant_id) as transaction:
        pinned = [await profiles.resolve(transaction, profile["id"], version=number) for number in (1, 2)]
        for ref in (profile["id"], "long"):
            with pytest.raises(ProfileUnknown):
                await profiles.resolve(transaction, ref)
    assert [found.settings.options for found in pinned] == [LONG["options"], SHORT["options"]]
    await made(api)  # the name is free again


async def test_a_profile_is_found_by_id_by_name_or_by_saying_nothing(
    api: httpx.AsyncClient, app: FastAPI, me: NewIdentity
) -> None:
    profile = await made(api)
    async with services_of(app).database.transaction(me.tenant_id) as transaction:
        by_id = await profiles.resolve(transaction, profile["id"])
        assert by_id == await profiles.resolve(transaction, "long")
        assert (by_id.id, by_id.version) == (UUID(profile["id"]), 1)
        assert await profiles.resolve(transaction, None) is await profiles.resolve(transaction, "default") is DEFAULT
        for ref in ("longer", "LONG", "\0", "01890000-0000-7000-8000-000000000000"):
            with pytest.raises(ProfileUnknown):
                await profiles.resolve(transaction, ref)
        with pytest.raises(ProfileUnknown):
            await profiles.resolve(transaction, profile["id"], version=2)


async def test_the_default_is_everybodys_and_nobodys(api: httpx.AsyncClient) -> None:
    found = (await api.get(f"{PROFILES}/default")).json()
    assert ("id" in found, found["name"], found["settings"]["pipeline"]) == (False, "default", "document.ingest")
    problem(await api.post(PROFILES, json={"name": "default"}), 409, "profile_name_taken")


async def test_a_name_is_one_profiles(api: httpx.AsyncClient) -> None:
    await made(api)
    other = await made(api, "short", SHORT)
    problem(await api.post(PROFILES, json={"name": "long"}), 409, "profile_name_taken")
    problem(await api.put(f"{PROFILES}/{other['id']}", json={"name": "long"}), 409, "profile_name_taken")
    problem(await api.post(PROFILES, json={"name": other["id"]}), 422, "invalid_request")


async def test_what_no_worker_can_carry_out_is_refused_field_by_field(api: httpx.AsyncClient) -> None:
    settings = {"embedder": "huge", "stages": ["store"], "options": {"store": {"size": 1}}}
    body = problem(await api.post(PROFILES, json={"name": "no", "settings": settings}), 422, "profile_invalid")
    pointers = [error["pointer"] for error in body["errors"]]
    assert pointers == ["#/settings/embedder", "#/settings/stages/0", "#/settings/options/store"]
    assert "testing/hashing-64" in body["errors"][0]["detail"]
    profile = await made(api)
    refused = await api.put(f"{PROFILES}/{profile['id']}", json={"name": "long", "settings": settings})
    problem(refused, 422, "profile_invalid")
    assert (await api.get(f"{PROFILES}/{profile['id']}")).json() == profile


async def test_settings_can_be_tried_without_keeping_them(api: httpx.AsyncClient) -> None:
    right = await api.post(f"{PROFILES}/validate", json={"settings": LONG})
    assert (right.status_code, right.json()) == (200, {"is_valid": True, "errors": []})
    wrong = await api.post(f"{PROFILES}/validate", json={"settings": {"options": {"chunk": {"size": 1}}}})
    (fault,) = wrong.json()["errors"]
    assert (wrong.json()["is_valid"], fault["pointer"]) == (False, "#/settings/options/chunk/size")
    problem(await api.post(f"{PROFILES}/validate", json={"settings": {"colour": "red"}}), 422, "invalid_request")
    assert (await api.get(PROFILES)).json()["items"] == []


async def test_another_tenants_profile_is_not_there(api: httpx.AsyncClient, stranger: httpx.AsyncClient) -> None:
    address = f"{PROFILES}/{(await made(api))['id']}"
    for method, path, body in (
        ("GET", "", None),
        ("GET", "/versions", None),
        ("GET", "/versions/1", None),
        ("PUT", "", {"name": "mine"}),
        ("DELETE", "", None),
    ):
        problem(await stranger.request(method, address + path, json=body), 404, "not_found")
    assert (await stranger.get(PROFILES)).json()["items"] == []
    await made(stranger)  # the same name is free there


async def test_who_reads_documents_reads_profiles_and_editors_write_them(
    api: httpx.AsyncClient, app: FastAPI, me: NewIdentity
) -> None:
    profile = await made(api)
    async with owning(services_of(app).settings) as owner:
        for role, status in {"viewer": 403, "service": 403, "editor": 201}.items():
            async with client_of(app, await join(owner, me.tenant_id, role)) as client:
                assert (await client.get(f"{PROFILES}/{profile['id']}")).status_code == 200
                assert (await client.post(PROFILES, json={"name": role})).status_code == status


async def test_pipelines_tell_what_a_form_needs(api: httpx.AsyncClient) -> None:
    found = (await api.get("/api/v1/pipelines")).json()
    assert found["embedder"] == "testing/hashing-64"
    ingest, simulate = found["pipelines"]
    assert ingest["stages"] == ["download", "extract", "chunk", "embed", "store"]
    assert simulate["stages"] == ["simulate"]
    by_name = {stage["name"]: stage for stage in ingest["choice"]}
    assert by_name["chunk"]["needs"] == ["extract"]
    size = by_name["chunk"]["options"]["properties"]["size"]
    assert size["description"].startswith("Longest passage")
    assert (by_name["store"]["options"], by_name["chunk"]["version"]) == (None, "1")


async def test_before_any_worker_ran_somebody_is_told_to_start_one(
    api: httpx.AsyncClient, app: FastAPI, api_worker: TestWorker
) -> None:
    async with api_worker.services.database.transaction() as transaction:
        await transaction.driver.execute("DELETE FROM workers")
    for answer in (
        await api.get("/api/v1/pipelines"),
        await api.post(PROFILES, json={"name": "long"}),
        await api.post(f"{PROFILES}/validate", json={}),
    ):
        assert "arqueduct worker" in problem(answer, 409, "no_worker_yet")["advice"]
    assert (await api.get(f"{PROFILES}/default")).status_code == 200


async def test_a_worker_tells_with_its_signs_of_life_and_is_forgotten_with_them(
    api_worker: TestWorker, app_database: Database
) -> None:
    services = api_worker.services
    async with services.database.transaction() as transaction:
        await transaction.driver.execute("DELETE FROM workers")
    await Sweeper(services)._sign_of_life()
    await Sweeper(services)._sign_of_life()  # told once
    alive = services.settings.alive_time
    async with app_database.transaction() as transaction:
        assert await installations.installed(transaction.driver, alive=alive) == of_registry(services.registry)
    async with services.database.transaction() as transaction:
        await transaction.driver.execute("UPDATE workers SET beat_at = now() - interval '1 hour'")
    async with app_database.transaction() as transaction:
        await installations.installed(transaction.driver, alive=alive)  # the last that was known
    async with services.database.transaction() as transaction:
        await sweeps.forget_workers(transaction.driver, older=alive)
        assert await transaction.driver.fetchval("SELECT count(*) FROM installations") == 0


async def test_what_a_dead_worker_had_does_not_count_beside_a_live_one(
    api: httpx.AsyncClient, api_worker: TestWorker
) -> None:
    services = api_worker.services
    async with services.database.transaction() as transaction:
        driver = transaction.driver
        await driver.execute("DELETE FROM workers")
        for worker, without in {"dead": frozenset[str](), "live": frozenset({"simulate"})}.items():
            await sweeps.beat(driver, worker, version="0", concurrency=1, running=0)
            await installations.tell(driver, worker, of_registry(services.registry, without=without))
        await driver.execute("UPDATE workers SET beat_at = now() - interval '1 hour' WHERE id = 'dead'")

    async def only_ingest() -> bool:
        found = (await api.get("/api/v1/pipelines")).json()["pipelines"]
        return [pipeline["kind"] for pipeline in found] == ["document.ingest"]

    await until(only_ingest)
