"""A third-party stage, installed as its author's users would: a wheel beside the wheel of Arqueduct."""

import json
import os
import signal
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

REPOSITORY = Path(__file__).parents[2]
PLUGIN = REPOSITORY / "examples" / "redact-emails"


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with both wheels; what they depend on is borrowed from the environment of the tests."""
    folder = tmp_path_factory.mktemp("plugin")
    wheels = folder / "wheels"
    for project in (REPOSITORY, PLUGIN):
        pip(sys.executable, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels), str(project))
    venv.create(folder / "env", with_pip=False)
    python = folder / "env" / "bin" / "python"
    site = subprocess.check_output(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True
    ).strip()
    (Path(site) / "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    pip(sys.executable, "--python", str(python), "install", "--no-deps", "--no-index", *map(str, wheels.glob("*.whl")))
    return python


def pip(interpreter: str, *arguments: str) -> None:
    subprocess.run([interpreter, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments], check=True)


@contextmanager
def up(python: Path, data_dir: Path) -> Iterator[dict[str, Any]]:
    """`arqueduct up` of that environment; yields its credentials."""
    command = [python, "-m", "arqueduct.cli", "up", "--port", "0", "--data-dir", data_dir, "--json"]
    environment = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "REDIS_URL"}}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, cwd=data_dir.parent, text=True)
    try:
        assert process.stdout is not None
        assert any(json.loads(line)["event"] == "ready" for line in process.stdout)
        yield json.loads((data_dir / "credentials.json").read_text())
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        assert process.stdout is not None
        process.stdout.close()


def test_an_installed_stage_takes_its_place_and_shows_in_the_events(python: Path, tmp_path: Path) -> None:
    text = tmp_path / "letter.txt"
    text.write_text("Write to ada@example.org about the aqueduct.")
    with up(python, tmp_path / "data") as who:
        ingested = subprocess.run(
            [python, "-m", "arqueduct.cli", "ingest", text, "--data-dir", tmp_path / "data", "--json"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert ingested.returncode == 0, ingested.stdout + ingested.stderr
        with httpx.Client(base_url=f"{who['url']}/api/v1", headers={"X-API-Key": who["api_key"]}) as client:
            (job,) = client.get("/jobs").json()["items"]
            stages = [event["stage"] for event in client.get(f"/jobs/{job['id']}/events").json()["items"]]
            told = client.get(f"/documents/{job['document_id']}/text").text
            found = client.post("/search", json={"query": "aqueduct"}).json()["items"]
    assert stages == [
        "queued",
        "downloading",
        "extracting",
        "redacting",
        "chunking",
        "embedding",
        "storing",
        "completed",
    ]
    assert told == "Write to [e-mail removed] about the aqueduct."
    assert [hit["text"] for hit in found] == [told]


def test_an_installed_stage_can_be_chosen_by_a_profile(python: Path, tmp_path: Path) -> None:
    usual = ["download", "extract", "redact", "chunk", "embed", "store"]
    with (
        up(python, tmp_path / "data") as who,
        httpx.Client(base_url=f"{who['url']}/api/v1", headers={"X-API-Key": who["api_key"]}) as client,
    ):
        ingest, _ = client.get("/pipelines").raise_for_status().json()["pipelines"]
        verdicts = {
            is_right: client.post("/profiles/validate", json={"settings": {"stages": stages}}).json()
            for is_right, stages in {
                True: ["download", "extract", "simulate", "redact", "chunk", "embed", "store"],
                False: ["download", "extract", "chunk", "redact", "embed", "store"],
            }.items()
        }
    assert ingest["stages"] == usual
    (redact,) = [stage for stage in ingest["choice"] if stage["name"] == "redact"]
    assert (redact["before"], redact["options"], redact["needs"]) == ("chunk", None, [])
    assert verdicts[True] == {"is_valid": True, "errors": []}
    (fault,) = verdicts[False]["errors"]
    assert fault == {"detail": "The stage redact must run before chunk.", "pointer": "#/settings/stages/3"}
