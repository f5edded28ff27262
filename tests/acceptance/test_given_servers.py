"""With DATABASE_URL and REDIS_URL nothing embedded starts."""

from pathlib import Path

import pytest

from arqueduct.settings import Settings
from tests.acceptance.processes import arqueduct, told, up


@pytest.fixture
def given(settings: Settings) -> dict[str, str]:
    """A migrated database and a Redis, as an administrator would name them."""
    assert settings.database_url is not None
    assert settings.redis_url is not None
    return {
        "DATABASE_URL": settings.database_url.get_secret_value(),
        "REDIS_URL": settings.redis_url.get_secret_value(),
        "ARQUEDUCT_REDIS_PREFIX": settings.redis_prefix,
    }


def test_servers_that_are_given_are_used(given: dict[str, str], data_dir: Path, tmp_path: Path) -> None:
    document = tmp_path / "aqueduct.txt"
    document.write_text("The Pont du Gard carries water over the river Gardon.")
    with up(data_dir, environment=given) as running:
        assert running.runtime()["pids"]["postgres"] == running.runtime()["pids"]["valkey"] == []
        assert running.runtime()["database_url"] == given["DATABASE_URL"]
        assert told(arqueduct("ingest", document, "--data-dir", data_dir, "--json"))[-1]["completed"] == 1
        checks = told(arqueduct("doctor", "--data-dir", data_dir, "--json", environment=given))[0]["checks"]
    assert {check["verdict"] for check in checks if check["name"] in ("Postgres", "Roles", "Redis", "API")} == {"ok"}
    assert not (data_dir / "postgres").exists()
    assert not (data_dir / "valkey").exists()


def test_a_key_that_the_database_does_not_know_is_replaced(given: dict[str, str], data_dir: Path) -> None:
    with up(data_dir, environment=given) as running:
        first = running.credentials()
    stale = (data_dir / "credentials.json").read_text().replace(first["api_key"], "aq_of-another-database")
    (data_dir / "credentials.json").write_text(stale)
    with up(data_dir, environment=given) as running:
        second = running.credentials()
        told = [said for said in running.events if said["event"] == "identity"]
    assert [said["reason"] for said in told] == ["the database does not know the old key"]
    assert second["api_key"] not in (first["api_key"], "aq_of-another-database")
    assert second["user_id"] == first["user_id"]  # the user is still there, and gets one more key


def test_migrate_goes_down_and_up_again(given: dict[str, str], tmp_path: Path) -> None:
    def migrate(*arguments: str, check: bool = True) -> dict[str, object]:
        done = arqueduct("migrate", *arguments, "--json", "--data-dir", tmp_path, check=check, environment=given)
        return dict(told(done)[0])

    assert migrate("status")["is_current"]
    assert migrate("down", "base", "--yes")["current"] is None
    assert not migrate("status", check=False)["is_current"]
    assert migrate("up")["is_current"]


def test_going_down_needs_a_yes(given: dict[str, str], tmp_path: Path) -> None:
    asked = arqueduct("migrate", "down", "--json", "--data-dir", tmp_path, check=False, environment=given)
    assert asked.returncode == 2
    assert "--yes" in asked.stderr
