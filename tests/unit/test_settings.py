from pathlib import Path

import pytest

from arqueduct.errors import SetupError
from arqueduct.settings import load, redact_url


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "REDIS_URL", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def test_plain_aliases_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:dn83hWJk7s0Q@db/x")
    settings = load()
    assert settings.database_url is not None
    assert settings.database_url.get_secret_value() == "postgresql://me:dn83hWJk7s0Q@db/x"
    assert "dn83hWJk7s0Q" not in repr(settings)


def test_a_secret_may_come_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk-from-file\n")
    monkeypatch.setenv("OPENAI_API_KEY_FILE", str(tmp_path / "key"))
    settings = load()
    assert settings.openai_api_key is not None
    assert settings.openai_api_key.get_secret_value() == "sk-from-file"
    assert settings.effective_embedder == "openai"


def test_a_missing_secret_file_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL_FILE", "/nowhere/redis")
    with pytest.raises(SetupError, match="REDIS_URL_FILE names /nowhere/redis"):
        load()


def test_a_wrong_value_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARQUEDUCT_PORT", "seventy")
    with pytest.raises(SetupError, match="port"):
        load()


def test_a_set_is_never_too_large_to_be_processed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load().max_files_per_set <= load().max_family
    monkeypatch.setenv("ARQUEDUCT_MAX_FILES_PER_SET", "20001")
    with pytest.raises(SetupError, match="max_family"):
        load()
    monkeypatch.setenv("ARQUEDUCT_MAX_FAMILY", "20001")
    assert load().max_files_per_set == 20_001


def test_lists_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARQUEDUCT_ALLOWED_ORIGINS", "https://a.example, https://b.example")
    assert load().allowed_origins == {"https://a.example", "https://b.example"}


def test_what_was_said_on_the_command_line_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARQUEDUCT_PORT", "1")
    assert load(port=2, workers=None).port == 2


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:secret@db:5432/x", "postgresql://me:…@db:5432/x"),
        ("redis://:secret@host/0", "redis://:…@host/0"),
        ("redis://host/0", "redis://host/0"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert redact_url(url) == shown


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"redis_url": "redis://cache/0"}, "redis_url has no password"),
        ({"database_url": "postgresql://me:postgres@db/x"}, "the password in database_url is weak"),
        ({"allowed_origins": "*"}, "allowed_origins must name the origins"),
    ],
)
def test_production_refuses_what_is_weak(wrong: dict[str, str], said: str) -> None:
    with pytest.raises(SetupError, match=said):
        load(environment="production", **wrong)
    load(environment="development", **wrong)


def test_a_heartbeat_that_would_lose_its_leases_is_refused() -> None:
    with pytest.raises(SetupError, match="at most a third"):
        load(heartbeat=11, lease=30)


def test_production_takes_what_is_strong() -> None:
    load(environment="production", redis_url="redis://:dn83hWJk7s0Q@cache/0", database_url="postgresql://a@db/x")


def test_kinds_have_time_limits_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARQUEDUCT_TIME_LIMITS", "document.ingest=600/900, mail.send=5/7.5,")
    settings = load(soft_limit=10, hard_limit=20)
    assert settings.limits_of("document.ingest") == (600, 900)
    assert settings.limits_of("mail.send") == (5, 7.5)
    assert settings.limits_of("anything.else") == (10, 20)


def test_without_a_word_jobs_are_told_after_25_minutes_and_ended_after_30() -> None:
    assert load().limits_of("document.ingest") == (25 * 60, 30 * 60)


@pytest.mark.parametrize("limits", ["a=600", "a=600/", "a=/600", "a", "a=x/y", "a=0/5", "a=-1/5"])
def test_time_limits_that_make_no_sense_are_named(monkeypatch: pytest.MonkeyPatch, limits: str) -> None:
    monkeypatch.setenv("ARQUEDUCT_TIME_LIMITS", limits)
    with pytest.raises(SetupError, match="time_limits"):
        load()


@pytest.mark.parametrize(
    "wrong", [{"soft_limit": 30, "hard_limit": 20}, {"time_limits": {"document.ingest": (900, 600)}}]
)
def test_a_job_must_be_told_before_it_is_ended(wrong: dict[str, object]) -> None:
    with pytest.raises(SetupError, match="must not be above its hard limit"):
        load(**wrong)
