"""What `arqueduct up` prints, event by event."""

import pytest

from arqueduct.cli.lifecycle_lines import Lifecycle
from arqueduct.cli.output import out

PIDS = {"up": [1], "postgres": [2], "valkey": [], "api": [3], "worker": [4, 5]}


def _shown(*events: tuple[str, dict[str, object]], quiet: bool = False) -> str:
    with out.capture() as captured, Lifecycle(quiet=quiet) as view:
        for event, fields in events:
            view.say(event, **fields)
    return captured.get()


READY = ("ready", {"url": "http://127.0.0.1:8000", "data_dir": "/srv/arqueduct", "pids": PIDS})
DIED = ("died", {"process": "worker-1", "reason": "was ended by SIGKILL", "again_in": 0.2, "log": "/srv/w.log"})


def test_ready_says_where_everything_is() -> None:
    shown = _shown(("starting", {"what": "servers", "embedded": []}), READY)
    for said in ("http://127.0.0.1:8000", "/srv/arqueduct/credentials.json", "/srv/arqueduct/logs", "API, 2 workers"):
        assert said in shown
    assert "Postgres" in shown
    assert "Valkey" not in shown  # that one was given


def test_deaths_and_new_lives_are_lines() -> None:
    shown = _shown(READY, DIED, ("started", {"process": "Postgres"}))
    assert "worker-1 was ended by SIGKILL; starting it again. Log: /srv/w.log" in shown
    assert "Postgres runs again." in shown


def test_a_stop_before_it_was_ready_is_silent() -> None:
    stop = (("stopping", {"what": "processes", "grace": 25}), ("stopping", {"what": "servers"}), ("stopped", {}))
    assert _shown(*stop) == ""
    assert "Stopped." in _shown(READY, *stop)


def test_a_new_key_is_announced_but_not_the_first() -> None:
    fields = {"email": "admin@localhost", "file": "/srv/credentials.json"}
    assert _shown(("identity", {**fields, "reason": "first start"})) == ""
    said = _shown(("identity", {**fields, "reason": "the database does not know the old key"}))
    assert said.startswith("New API key of admin@localhost in /srv/credentials.json")


@pytest.mark.parametrize("event", ["failed", "killed"])
def test_quiet_still_says_what_goes_wrong(event: str) -> None:
    shown = _shown(READY, (event, {"process": "Postgres", "reason": "it is stuck"}), quiet=True)
    assert "it is stuck" in shown
    assert "http" not in shown
