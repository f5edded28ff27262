"""The Python client against a running server: calls, problems, files, and a socket that is cut."""

import asyncio
import io
import logging
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from arqueduct.client import (
    APIError,
    AsyncClient,
    BadURLError,
    Client,
    ClientError,
    Live,
    SignIn,
    UnreachableError,
    models,
)
from arqueduct.client.calls import Call, pause_before_next, request_of
from arqueduct.identity import NewIdentity
from arqueduct.settings import Settings
from tests.integration.cutting_proxy import cutting_proxy
from tests.integration.live_server import LiveServer, serving, until

TEXT = b"# Water\n\nIt flows downhill.\n"


@pytest.fixture
async def server(settings: Settings) -> AsyncIterator[LiveServer]:
    async with serving(settings) as running:
        yield running


def url_of(server: LiveServer) -> str:
    return f"http://127.0.0.1:{server.port}/"


async def test_a_document_goes_in_and_is_found_again(server: LiveServer, me: NewIdentity, tmp_path: Path) -> None:
    path = tmp_path / "water.md"
    path.write_bytes(TEXT)
    async with AsyncClient(url_of(server), me.api_key) as api:
        accepted = await api.create_document(path, priority="interactive")
        assert accepted.job.state is models.JobState.QUEUED
        document = await api.get_document(accepted.document.id)
        assert (document.name, document.size) == ("water.md", len(TEXT))
        assert await api.get_document_content(document.id) == TEXT
        page = await api.list_documents(limit=1)
        assert [item.id for item in page.items] == [document.id]
        steered = await api.pause_jobs(models.JobSelection(ids=[accepted.job.id]))
        assert steered.changed == 1
        await api.delete_document(document.id)
        assert (await api.list_documents()).items == []


async def test_many_files_go_in_with_an_answer_for_each(server: LiveServer, me: NewIdentity, tmp_path: Path) -> None:
    """By path, under a path in the set, and as bytes; one is refused, and hinders no other."""
    (tmp_path / "water.md").write_bytes(TEXT)
    files = [tmp_path / "water.md", ("a/b/lease.md", tmp_path / "water.md"), ("a/stone.md", b"# Stone\n\nIt lies.\n")]
    async with AsyncClient(url_of(server), me.api_key) as api:
        made = await api.create_file_set(files, name="Rivers", metadata={"depth": [1, 2]})
        assert (made.name, made.description, made.metadata) == ("Rivers", None, {"depth": [1, 2]})
        assert [(file.path, file.accepted) for file in made.files] == [
            ("water.md", True),
            ("a/b/lease.md", False),
            ("a/stone.md", True),
        ]
        refused = made.files[1].error
        assert refused is not None
        assert (refused.code, bool(refused.advice)) == ("duplicate_file", True)
        assert (await api.create_file_set(name="empty")).files == []
        more = await api.upload_to_file_set(made.id, [("c.md", io.BytesIO(b"# C\n\nIt is.\n"))])
        assert [file.path for file in more.files] == ["c.md"]
        page = await api.list_file_set_files(made.id)
        assert [item.path for item in page.items] == ["water.md", "a/stone.md", "c.md"]
        assert {item.document.status for item in page.items} == {"uploaded"}


async def test_a_set_whose_answer_is_lost_is_made_once(server: LiveServer, me: NewIdentity, tmp_path: Path) -> None:
    """The second try sends the files again, from their start, under the same idempotency key."""
    (tmp_path / "water.md").write_bytes(TEXT)
    files = [tmp_path / "water.md", ("stone.md", io.BytesIO(b"# Stone\n\nIt lies.\n"))]
    bytes_until_cut = iter([10])
    async with (
        cutting_proxy(server.port, lambda: next(bytes_until_cut, None), lambda: True) as proxy,
        AsyncClient(f"http://127.0.0.1:{proxy.port}", me.api_key) as api,
    ):
        made = await api.create_file_set(files, name="Rivers")
        assert [file.accepted for file in made.files] == [True, True]
        assert [item.id for item in (await api.list_file_sets()).items] == [made.id]
        assert proxy.cuts == 1


async def test_what_failed_is_told_as_values_and_as_a_file(server: LiveServer, me: NewIdentity) -> None:
    async with AsyncClient(url_of(server), me.api_key) as api:
        assert (await api.list_errors()).by_code == {}
        assert (await api.list_errors_csv()).startswith('"job_id","kind",')
        since = datetime(2026, 1, 1, tzinfo=UTC)
        assert (await api.get_processing(from_=since, to=since + timedelta(days=1))).from_ == since


def test_a_stream_that_cannot_go_back_is_sent_once() -> None:
    read, write = os.pipe()
    with os.fdopen(read, "rb") as pipe, os.fdopen(write, "wb") as other:
        other.write(TEXT)
        other.close()
        key = {"Idempotency-Key": "k"}
        call = Call(method="POST", path="/", answers=str, headers=key, files={"file": [("a.md", pipe)]})
        assert pause_before_next(call, 1, httpx.Response(503)) is None
        assert pause_before_next(call, 1, httpx.ConnectError("refused")) is not None
        with httpx.Client(base_url="http://h") as client, request_of(client, call) as request:
            assert isinstance(request.stream, httpx.SyncByteStream)
            assert TEXT in b"".join(request.stream)
            with pytest.raises(ClientError, match="sent already"):
                b"".join(request.stream)


async def test_it_works_without_asyncio_too(server: LiveServer, me: NewIdentity) -> None:
    def story() -> models.PageJob:
        with Client(url_of(server), me.api_key) as api:
            api.create_document(("water.md", TEXT))
            return api.list_jobs(state=models.JobState.QUEUED)

    jobs = await asyncio.to_thread(story)
    assert [job.document_name for job in jobs.items] == ["water.md"]


async def test_a_problem_is_an_error_with_its_code(server: LiveServer, me: NewIdentity) -> None:
    async with AsyncClient(url_of(server), me.api_key) as api:
        with pytest.raises(APIError, match="404 not_found") as caught:
            await api.get_document(uuid4())
    assert caught.value.advice
    assert caught.value.request_id
    async with AsyncClient(url_of(server), "aq_wrong") as api:
        with pytest.raises(APIError, match="not_authenticated"):
            await api.list_jobs()


async def test_a_person_signs_in_and_stays_signed_in(server: LiveServer, me: NewIdentity) -> None:
    """Ten requests at once share one renewal: a refresh token that is sent twice would end the session."""
    sign_in = SignIn(url_of(server), me.email, me.password)
    async with AsyncClient(url_of(server), sign_in) as api:
        account = await api.get_me()
        assert account.signed_in_by.method == "password"
        session = account.signed_in_by.session_id
        sign_in._good_until = 0.0
        told = await asyncio.gather(*(api.get_me() for _ in range(10)))
        assert {answer.signed_in_by.session_id for answer in told} == {session}
        await api.logout_everywhere()
        assert (await api.get_me()).signed_in_by.session_id not in (None, session)
    with (
        Client(url_of(server), SignIn(url_of(server), me.email, "wrong-wrong-wrong")) as api,
        pytest.raises(APIError, match="401 wrong_credentials"),
    ):
        await asyncio.to_thread(api.get_me)


async def test_who_may_not_listen_hears_so(server: LiveServer) -> None:
    with pytest.raises(APIError, match="not_authenticated"):
        await anext(aiter(Live(url_of(server), "aq_wrong")))


async def test_who_signed_in_listens_too(server: LiveServer, me: NewIdentity) -> None:
    sign_in = SignIn(url_of(server), me.email, me.password)
    async with AsyncClient(url_of(server), sign_in) as api:
        accepted = await api.create_document(("water.md", TEXT))
        heard = await anext(aiter(Live(url_of(server), sign_in)))
    assert heard.job_id == accepted.job.id
    assert heard.message_id == f"{heard.job_id}:{heard.seq}"
    assert not hasattr(heard, "id")


async def test_a_socket_that_is_cut_comes_back_and_misses_nothing(server: LiveServer, me: NewIdentity) -> None:
    bytes_until_cut = iter([2_000, 3_000, None])
    async with (
        cutting_proxy(server.port, lambda: next(bytes_until_cut), lambda: True) as proxy,
        AsyncClient(url_of(server), me.api_key) as api,
    ):
        live = Live(f"http://127.0.0.1:{proxy.port}", me.api_key)
        heard: dict[str | None, int] = {}
        for number in range(6):
            await api.create_document((f"{number}.md", TEXT + str(number).encode()))
        async for job in live:
            assert job.seq > heard.get(job.document_name, -1)
            heard[job.document_name] = job.seq
            if len(heard) == 6 and live.reconnects >= 2:
                break
            if len(heard) == 6:
                await api.create_document((f"{live.reconnects}.md", TEXT))
        assert proxy.cuts == 2


OWN = "ada:secret"
WRONG = ["nonsense", "localhost:8000", "http://", "http://[x", "ftp://127.0.0.1", ""]


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_no_url_is_told_at_once(wrong: str) -> None:
    for make in (Client, AsyncClient, Live):
        with pytest.raises(BadURLError, match="has to begin with http:// or https://"):
            make(wrong, "aq_key")
    with pytest.raises(BadURLError):
        SignIn(wrong, "ada@example.org", "a password")


def test_nothing_secret_stands_in_an_error() -> None:
    for url, key in (("aq_secret", "http://h"), ("ada:secret@h", "aq_1"), ("http://h", "aq_secret\n")):
        with pytest.raises(ClientError) as caught:
            Client(url, key)
        assert "secret" not in str(caught.value)


async def test_a_server_that_is_away_is_told_by_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("arqueduct.client.calls.FIRST_PAUSE", 0.001)
    told = r"No answer from GET http://127\.0\.0\.1:1/api/v1/jobs: .+"
    async with AsyncClient(f"http://{OWN}@127.0.0.1:1", "aq_key") as api:
        with pytest.raises(UnreachableError, match=told) as caught:
            await api.list_jobs(limit=1)
    assert isinstance(caught.value.__cause__, httpx.ConnectError)
    with Client("http://127.0.0.1:1", "aq_key") as blocking, pytest.raises(UnreachableError, match=told):
        await asyncio.to_thread(blocking.list_jobs)
    with (
        Client("http://127.0.0.1:1", SignIn("http://127.0.0.1:1", "ada@example.org", "secret")) as person,
        pytest.raises(UnreachableError, match=r"POST http://127\.0\.0\.1:1/api/v1/auth/login"),
    ):
        await asyncio.to_thread(person.list_jobs)


async def test_an_answer_of_something_else_is_an_error_of_the_client(server: LiveServer, me: NewIdentity) -> None:
    call = Call(method="GET", path="/openapi.json", answers=models.Job)
    async with AsyncClient(url_of(server), me.api_key) as api:
        with pytest.raises(ClientError, match=r"/openapi\.json answered 200 with something"):
            await api.call(call)


async def test_live_says_once_that_the_server_is_away(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("arqueduct.client.live.LONGEST_PAUSE", 0.001)
    live = Live("http://127.0.0.1:1", "aq_key")
    with caplog.at_level(logging.WARNING, "arqueduct.client.live"):
        listens = asyncio.ensure_future(anext(aiter(live)))
        await until(lambda: live.reconnects >= 3)
        listens.cancel()
        await asyncio.gather(listens, return_exceptions=True)
    assert [record.levelname for record in caplog.records if record.name == "arqueduct.client.live"] == ["WARNING"]


@pytest.mark.parametrize(
    ("call", "outcome", "is_tried_again"),
    [
        (Call(method="GET", path="/", answers=str), httpx.Response(503), True),
        (Call(method="GET", path="/", answers=str), httpx.Response(404), False),
        (Call(method="POST", path="/", answers=str), httpx.Response(503), False),
        (Call(method="POST", path="/", answers=str), httpx.Response(429), True),
        (Call(method="POST", path="/", answers=str, headers={"Idempotency-Key": "k"}), httpx.Response(503), True),
        (Call(method="POST", path="/", answers=str), httpx.ConnectError("refused"), True),
        (Call(method="POST", path="/", answers=str), httpx.ReadError("cut"), False),
        (Call(method="GET", path="/", answers=str), httpx.Response(429, headers={"Retry-After": "3600"}), False),
    ],
    ids=["read", "wrong", "act", "limited", "key", "refused", "cut", "too-long"],
)
def test_what_is_tried_again(
    call: "Call[str]", outcome: "httpx.Response | httpx.TransportError", is_tried_again: bool
) -> None:
    assert (pause_before_next(call, 1, outcome) is not None) == is_tried_again
    assert pause_before_next(call, 5, outcome) is None
