from pathlib import Path
from uuid import UUID

import pytest

from arqueduct.cli.server import Server, find
from arqueduct.errors import SetupError
from arqueduct.supervisor import records
from arqueduct.supervisor.records import Credentials

KNOWN = Credentials(
    url="http://127.0.0.1:8000",
    api_key="aq_known",
    user_id=UUID(int=1),
    tenant_id=UUID(int=2),
    email="admin@localhost",
    password="secret",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    records.write(tmp_path / "credentials.json", KNOWN)
    return tmp_path


def test_the_folder_knows_both(folder: Path) -> None:
    assert find(None, None, folder) == Server(url=KNOWN.url, api_key=KNOWN.api_key)


def test_what_is_said_wins(folder: Path) -> None:
    assert find("https://a.example/", "aq_said", folder) == Server(url="https://a.example", api_key="aq_said")
    assert find(None, "aq_said", folder).url == KNOWN.url


def test_a_key_never_goes_to_another_server(folder: Path) -> None:
    with pytest.raises(SetupError, match="No API key for https://elsewhere"):
        find("https://elsewhere.example", None, folder)


def test_nothing_known_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="No server is known") as raised:
        find(None, None, tmp_path / "nothing")
    assert "Start one with `arqueduct up`" in raised.value.advice


def test_an_address_needs_a_scheme(folder: Path) -> None:
    with pytest.raises(SetupError, match="no address") as raised:
        find("localhost:8000", "aq_said", folder)
    assert "begins with http" in raised.value.advice


@pytest.mark.parametrize(
    ("url", "is_local"),
    [("http://127.0.0.1:1", True), ("http://[::1]:1", True), ("http://localhost", True), ("https://a.example", False)],
)
def test_no_proxy_stands_before_this_machine(url: str, is_local: bool) -> None:
    assert Server(url=url, api_key="k").is_local is is_local


def test_the_socket_is_where_the_api_is() -> None:
    assert Server(url="https://a.example", api_key="k").socket_url == "wss://a.example/api/v1/ws"
