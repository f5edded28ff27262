import pytest

from arqueduct.logs import hide_secrets


@pytest.mark.parametrize(
    ("said", "logged"),
    [
        ("connect to postgresql://me:hunter2@db/x failed", "connect to postgresql://me:…@db/x failed"),
        ("key aq_AbCdEfGhIjKlMnOp was refused", "key aq_AbCd… was refused"),
        ("Incorrect API key provided: sk-proj-abcdefgh12345", "Incorrect API key provided: sk-…"),
        ("nothing to hide", "nothing to hide"),
    ],
)
def test_secrets_never_reach_a_log(said: str, logged: str) -> None:
    assert hide_secrets(None, "info", {"event": said, "count": 3}) == {"event": logged, "count": 3}
