import socket
from collections.abc import Iterator

import pytest

from arqueduct.errors import SetupError
from arqueduct.supervisor.address import choose_port, url_of


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_free_port_is_found() -> None:
    assert choose_port("127.0.0.1", 0) > 0


def test_a_taken_port_says_what_to_do(taken: int) -> None:
    with pytest.raises(SetupError, match=f"Port {taken} on 127.0.0.1: another program listens there") as raised:
        choose_port("127.0.0.1", taken)
    assert "--port" in raised.value.advice


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(SetupError, match=r"Port 0 on 192\.0\.2\.1") as raised:
        choose_port("192.0.2.1", 0)
    assert "--host" in raised.value.advice


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),
        ("::", "http://[::1]:80"),
        ("localhost", "http://localhost:80"),
    ],
)
def test_a_client_on_this_machine_gets_in(host: str, url: str) -> None:
    assert url_of(host, 80) == url
