"""What was read is changed only if it is still that, and is not sent again as long as it is."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

from arqueduct.errors import PreconditionFailed
from arqueduct.identity import NewIdentity
from arqueduct.settings import Settings
from arqueduct_backend.etags import check, etag_of, is_known
from tests.integration.backend import problem, upload
from tests.integration.test_api_projects import project, run_all, three_files
from tests.integration.worker import TestWorker

TAG = etag_of("this")
OTHER = etag_of("other")


async def made(api: httpx.AsyncClient) -> str:
    return f"/api/v1/documents/{(await upload(api))['document']['id']}"


async def tag_at(api: httpx.AsyncClient, path: str) -> str:
    return (await api.get(path)).headers["etag"]


@pytest.mark.parametrize("given", [None, "*", " * ", TAG, f"{OTHER}, {TAG}", f"W/{OTHER},{TAG}"])
def test_what_matches(given: str | None) -> None:
    check(TAG, given)


@pytest.mark.parametrize("given", ["", OTHER, f"W/{TAG}", TAG.strip('"'), "nonsense", f"{OTHER}, W/{TAG}"])
def test_what_does_not_match(given: str) -> None:
    with pytest.raises(PreconditionFailed):
        check(TAG, given)


@pytest.mark.parametrize(
    ("given", "known"),
    [
        (None, False),
        ("", False),
        ("*", True),
        (TAG, True),
        (f"W/{TAG}", True),
        (OTHER, False),
        (f"{OTHER}, {TAG}", True),
    ],
)
def test_what_a_client_has_already(given: str | None, known: bool) -> None:
    assert is_known(TAG, given) is known


def test_progress_was_read_but_is_not_asked_for() -> None:
    before, after = etag_of("this", progress=1), etag_of("this", progress=2)
    assert not is_known(after, before)
    check(after, before)
    with pytest.raises(PreconditionFailed):
        check(after, etag_of("other", progress=2))


def test_parts_do_not_run_into_each_other() -> None:
    assert etag_of("a", "b") != etag_of("ab") != etag_of("a", "b", "")


async def test_a_document_that_did_not_change_is_not_sent_again(api: httpx.AsyncClient) -> None:
    path = await made(api)
    tag = await tag_at(api, path)
    assert tag.startswith('"')
    again = await api.get(path, headers={"If-None-Match": tag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert (await api.get(path, headers={"If-None-Match": OTHER})).status_code == 200


async def test_the_tag_tells_that_the_job_ended(api: httpx.AsyncClient, api_worker: TestWorker) -> None:
    accepted = await upload(api)
    path = f"/api/v1/documents/{accepted['document']['id']}"
    queued = await tag_at(api, path)
    await api_worker.run(UUID(accepted["job"]["id"]))
    done = await api.get(path, headers={"If-None-Match": queued})
    assert (done.status_code, done.json()["status"]) == (200, "completed")


async def test_a_change_is_made_on_what_was_read(api: httpx.AsyncClient) -> None:
    path = await made(api)
    before = (await api.get(path)).json()
    tag = await tag_at(api, path)
    answer = await api.patch(path, json={"name": "new.md", "title": "Rain"}, headers={"If-Match": tag})
    assert answer.status_code == 200, answer.text
    after = answer.json()
    assert (after["name"], after["title"], after["metadata"]) == ("new.md", "Rain", {})
    assert after["updated_at"] > before["updated_at"]
    assert answer.headers["etag"] != tag
    found = await api.get(path)
    assert (found.json(), found.headers["etag"]) == (after, answer.headers["etag"])
    problem(await api.patch(path, json={"name": "late.md"}, headers={"If-Match": tag}), 412, "precondition_failed")
    assert (await api.get(path)).json() == after


async def test_of_two_who_read_the_same_one_changes_it(api: httpx.AsyncClient) -> None:
    path = await made(api)
    headers = {"If-Match": await tag_at(api, path)}
    answers = await asyncio.gather(
        *(api.patch(path, json={"title": str(number)}, headers=headers) for number in range(6))
    )
    assert sorted(answer.status_code for answer in answers) == [200, *[412] * 5]
    (won,) = [answer.json()["title"] for answer in answers if answer.status_code == 200]
    assert (await api.get(path)).json()["title"] == won


async def test_every_change_moves_the_tag(api: httpx.AsyncClient) -> None:
    path = await made(api)
    answers = [await api.patch(path, json={"title": "same"}) for _ in range(5)]
    assert len({answer.headers["etag"] for answer in answers}) == 5
    moments = [answer.json()["updated_at"] for answer in answers]
    assert moments == sorted(set(moments))


async def test_what_is_not_named_stays(api: httpx.AsyncClient) -> None:
    path = await made(api)
    await api.patch(path, json={"title": "Rain", "metadata": {"a": 1}})
    changed = (await api.patch(path, json={"metadata": {"b": [1, {"c": None}]}})).json()
    assert (changed["name"], changed["title"], changed["metadata"]) == ("water.md", "Rain", {"b": [1, {"c": None}]})
    assert (await api.patch(path, json={"title": None})).json()["title"] is None


async def test_reading_the_document_does_not_undo_what_a_user_wrote(
    api: httpx.AsyncClient, api_worker: TestWorker
) -> None:
    accepted = await upload(api, b"# Water\n\nIt flows.\n")
    path = f"/api/v1/documents/{accepted['document']['id']}"
    await api.patch(path, json={"title": "Mine", "metadata": {"department": "sales"}})
    await api_worker.run(UUID(accepted["job"]["id"]))
    found = (await api.get(path)).json()
    assert (found["status"], found["title"]) == ("completed", "Mine")
    assert found["metadata"]["department"] == "sales"


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ({"name": "../../etc/passwd"}, {"name": "passwd"}),
        ({"name": "\x00\r\n"}, {"name": "unnamed"}),
        ({"name": "invoice\u202efdp.exe"}, {"name": "invoice fdp.exe"}),
        ({"title": " a\x00b "}, {"title": "ab"}),
        ({"title": ""}, {"title": None}),
        ({"metadata": {"a\x00": "\x00b", "n": 2**70, "f": 1.5}}, {"metadata": {"a": "b", "n": 2**70, "f": 1.5}}),
    ],
    ids=lambda value: str(value)[:20].encode("unicode_escape").decode() if isinstance(value, dict) else None,
)
async def test_what_cannot_be_kept_is_cleaned(api: httpx.AsyncClient, sent: Any, shown: Any) -> None:
    answer = await api.patch(await made(api), json=sent)
    assert answer.status_code == 200, answer.text
    assert shown.items() <= answer.json().items()


def deep(levels: int) -> dict[str, Any]:
    return {"a": deep(levels - 1)} if levels > 1 else {}


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"name": ""},
        {"name": None},
        {"name": "x" * 256},
        {"title": "x" * 501},
        {"metadata": None},
        {"metadata": []},
        {"metadata": {"a": "x" * 16_384}},
        {"metadata": deep(9)},
        {"status": "completed"},
        {"name": "a", "tenant_id": str(uuid4())},
        {"name": "a", "blob_id": str(uuid4()), "sha256": "0" * 64},
    ],
    ids=lambda sent: str(sent)[:25],
)
async def test_what_may_not_be_changed_is_refused(api: httpx.AsyncClient, sent: Any) -> None:
    path = await made(api)
    before = (await api.get(path)).json()
    problem(await api.patch(path, json=sent), 422, "invalid_request")
    assert (await api.get(path)).json() == before


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-1e999"])
async def test_numbers_that_are_none_are_refused(api: httpx.AsyncClient, number: str) -> None:
    body = b'{"metadata": {"a": %b}}' % number.encode()
    answer = await api.patch(await made(api), content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422


async def test_the_largest_metadata_are_kept(api: httpx.AsyncClient) -> None:
    metadata = {"a": "x" * (16_384 - len('{"a":""}'))}
    assert (await api.patch(await made(api), json={"metadata": metadata})).json()["metadata"] == metadata
    assert (await api.patch(await made(api), json={"metadata": deep(8)})).json()["metadata"] == deep(8)


async def test_only_what_was_read_is_deleted(api: httpx.AsyncClient) -> None:
    path = await made(api)
    tag = await tag_at(api, path)
    await api.patch(path, json={"title": "meanwhile"})
    problem(await api.delete(path, headers={"If-Match": tag}), 412, "precondition_failed")
    assert (await api.delete(path, headers={"If-Match": await tag_at(api, path)})).status_code == 204
    problem(await api.delete(path, headers={"If-Match": "*"}), 404, "not_found")


async def test_a_document_of_others_is_not_found_whatever_the_tag(
    api: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    path = await made(api)
    tag = await tag_at(api, path)
    problem(await stranger.patch(path, json={"title": "x"}, headers={"If-Match": tag}), 404, "not_found")
    problem(await stranger.delete(path, headers={"If-Match": OTHER}), 404, "not_found")
    problem(await stranger.get(path, headers={"If-None-Match": tag}), 404, "not_found")


async def test_a_change_is_written_down_without_what_it_says(
    api: httpx.AsyncClient, me: NewIdentity, settings: Settings
) -> None:
    path = await made(api)
    await api.patch(path, json={"title": "a secret", "name": "x.md"})
    assert settings.database_url is not None
    owner = await asyncpg.connect(settings.database_url.get_secret_value())
    line = await owner.fetchrow("SELECT * FROM audit_log WHERE action = 'update_document'")
    await owner.close()
    assert line
    assert (line["user_id"], line["target"]) == (me.user_id, path)
    assert '"changed": ["name", "title"]' in line["after"]
    assert "secret" not in line["after"]


async def test_a_project_is_changed_as_it_was_read_however_far_it_is(
    api: httpx.AsyncClient, api_worker: TestWorker
) -> None:
    files = await three_files(api)
    path = f"/api/v1/projects/{(await project(api, files['id'], description='First.'))['project']['id']}"
    seen = (await api.get(path)).headers["etag"]
    await run_all(api_worker, api, path.rpartition("/")[2])
    shown = await api.get(path, headers={"If-None-Match": seen})
    assert (shown.status_code, shown.json()["progress"]) == (200, 1), "progress is shown, so it is sent again"
    changed = await api.patch(path, json={"description": ""}, headers={"If-Match": seen})
    assert (changed.status_code, changed.json()["description"]) == (200, None), changed.text
    problem(await api.patch(path, json={"name": "late"}, headers={"If-Match": seen}), 412, "precondition_failed")
    now = changed.headers["etag"]
    assert (await api.get(path, headers={"If-None-Match": now})).status_code == 304
    await api.delete(f"/api/v1/file-sets/{files['id']}")
    assert (await api.get(path, headers={"If-None-Match": now})).json()["file_set_id"] is None
