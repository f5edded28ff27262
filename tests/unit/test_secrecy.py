import logging
from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from arqueduct import logs, secrecy
from arqueduct.settings import Settings


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    yield
    secrecy.remember(Settings())


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("redis://:hunter2hunter2@127.0.0.1:1/0 is away", "redis://:…@127.0.0.1:1/0 is away"),
        ("aq_refresh_AbCdEfGhIjKl was used", "aq_refr… was used"),
        ("GET /ws?ticket=tkt_AbCdEfGhIjKl", "GET /ws?ticket=tkt_…"),
        ("signed with whsec_AbCdEfGhIjKl+/==", "signed with whsec_…"),
        ("Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-_def", "Bearer eyJ…"),
        ("a task with sk-ill in it", "a task with sk-ill in it"),
    ],
)
def test_what_looks_secret_is_hidden(said: str, shown: str) -> None:
    assert secrecy.hidden(said) == shown


def test_what_was_given_is_hidden_whatever_it_looks_like() -> None:
    secrecy.remember(
        Settings(
            openai_api_key=SecretStr("plain-words"),
            database_url=SecretStr("postgresql://me:p%40ssw0rd!@db/x"),
            secret_keys=SecretStr("the-first-key,the-second-key"),
            redis_url=SecretStr("redis://:short@db"),
        )
    )
    said = "plain-words, p%40ssw0rd!, p@ssw0rd!, first, the-first-key, short"
    assert secrecy.hidden(said) == "…, …, …, first, …, short"


def test_handshakes_are_not_logged() -> None:
    """Their lines have the address, and with it whatever was put there."""
    for message, is_kept in (('%s - "WebSocket %s" [accepted]', False), ("Shutting down", True)):
        record = logging.LogRecord("uvicorn.error", logging.INFO, "", 1, message, ("a", "/ws?x=y"), None)
        assert logs._is_no_handshake(record) is is_kept
