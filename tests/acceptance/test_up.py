import os
import signal
import stat
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest

from tests.acceptance.conftest import Running
from tests.acceptance.processes import Up, arqueduct, eventually, read_json, told, up

ROLES = ["up", "postgres", "valkey", "api", "worker"]


def test_two_private_files_say_how_to_use_what_runs(running: Running) -> None:
    credentials, runtime = running.data_dir / "credentials.json", running.data_dir / "runtime.json"
    assert [stat.S_IMODE(file.stat().st_mode) for file in (credentials, runtime)] == [0o600, 0o600]
    assert list(read_json(credentials)) == ["url", "api_key", "user_id", "tenant_id", "email", "password"]
    told = read_json(runtime)
    assert told["url"] == running.url
    assert list(told["pids"]) == ROLES
    assert all(psutil.pid_exists(pid) for pids in told["pids"].values() for pid in pids)
    assert told["database_url"].startswith("postgresql://arqueduct:")
    assert told["redis_url"].startswith("redis://:")


def test_workers_and_api_serve_metrics_where_the_runtime_file_says(running: Running) -> None:
    urls = read_json(running.data_dir / "runtime.json")["metrics_urls"]
    assert len(urls) == 2
    for url in urls:
        assert "arqueduct_build_info" in httpx.get(url).text


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_no_child_knows_the_owner_of_the_tables(running: Running) -> None:
    runtime = read_json(running.data_dir / "runtime.json")
    for pid in runtime["pids"]["api"] + runtime["pids"]["worker"]:
        environment = Path(f"/proc/{pid}/environ").read_bytes().decode()
        assert runtime["database_url"] not in environment
        assert "postgresql://arqueduct_" in environment


def test_a_second_one_in_the_same_folder_is_refused(running: Running) -> None:
    refused = arqueduct("up", "--port", "0", "--data-dir", running.data_dir, check=False)
    assert refused.returncode == 1
    assert f"is in use by process {read_json(running.data_dir / 'runtime.json')['pids']['up'][0]}" in refused.stderr
    assert f"a server runs there already, at {running.url}." in " ".join(refused.stderr.split())
    assert httpx.get(f"{running.url}/readyz").status_code == 200


def test_a_taken_port_is_said_clearly(running: Running, tmp_path: Path) -> None:
    refused = arqueduct("up", "--port", running.url.rpartition(":")[2], "--data-dir", tmp_path / "other", check=False)
    assert refused.returncode == 1
    assert "another program listens there" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_what_dies_is_started_again(data_dir: Path, tmp_path: Path) -> None:
    document = tmp_path / "aqueduct.txt"
    document.write_text("The Pont du Gard carries water over the river Gardon.")
    with up(data_dir) as running:
        before = running.runtime()
        for role, name in (("worker", "worker-1"), ("postgres", "Postgres"), ("valkey", "Valkey"), ("api", "api")):
            (pid,) = before["pids"][role]
            os.kill(pid, signal.SIGKILL)
            running.wait_for("died", process=name)
            eventually(lambda role=role, pid=pid: _new_pid(running, role, pid))
        eventually(lambda: _is_ready(before["url"]))
        after = running.runtime()
        assert {name: after[name] for name in ("url", "database_url", "redis_url")} == {
            name: before[name] for name in ("url", "database_url", "redis_url")
        }
        assert told(arqueduct("ingest", document, "--data-dir", data_dir, "--json"))[-1]["completed"] == 1
        assert "SIGKILL" in next(said["reason"] for said in running.events if said.get("process") == "worker-1")


def test_kill_9_leaves_no_process_and_the_next_start_keeps_the_data(data_dir: Path, tmp_path: Path) -> None:
    document = tmp_path / "aqueduct.txt"
    document.write_text("The Pont du Gard carries water over the river Gardon.")
    with up(data_dir) as killed:
        arqueduct("ingest", document, "--data-dir", data_dir)
        known, family = killed.credentials(), killed.family()
        assert len(family) >= len(ROLES)
        killed.stop(signal.SIGKILL)
        gone, alive = psutil.wait_procs(family, timeout=15)
        assert not alive
        assert len(gone) == len(family)
    began = time.monotonic()
    with up(data_dir) as again:
        assert time.monotonic() - began < 20  # seconds even on a loaded machine, not a first start
        assert again.credentials()["api_key"] == known["api_key"]
        (answer,) = told(arqueduct("search", "Which river?", "--data-dir", data_dir, "--json"))
        assert [hit["document_name"] for hit in answer["items"]] == ["aqueduct.txt"]


def test_a_signal_stops_everything_soon_and_leaves_no_trace_of_running(data_dir: Path) -> None:
    with up(data_dir) as stopped:
        family = stopped.family()
        began = time.monotonic()
        assert stopped.stop(signal.SIGINT) == 0
        assert time.monotonic() - began < 10
        assert not psutil.wait_procs(family, timeout=1)[1]
        assert not (data_dir / "runtime.json").exists()
        assert (data_dir / "credentials.json").exists()


def test_a_process_that_cannot_start_ends_everything_and_is_quoted(data_dir: Path) -> None:
    started = Up(data_dir, environment={"ARQUEDUCT_STORAGE_URL": "nonsense://nowhere"})
    try:
        assert started.process.wait(60) == 1
        assert "before it was ready" in started.stderr()
    finally:
        started.stop()
    assert not (data_dir / "runtime.json").exists()


def test_without_workers_jobs_wait_and_can_be_cancelled(data_dir: Path, tmp_path: Path) -> None:
    document = tmp_path / "aqueduct.txt"
    document.write_text("The Pont du Gard carries water over the river Gardon.")
    where = ("--data-dir", data_dir)
    with up(data_dir, "--workers", "0") as running:
        assert running.runtime()["pids"]["worker"] == []
        arqueduct("ingest", document, "--no-wait", *where)
        assert "no live worker" in arqueduct("jobs", "ls", *where).stdout
        (job,) = told(arqueduct("jobs", "ls", "--json", *where))[0]["items"]
        assert arqueduct("jobs", "cancel", job["id"], *where).stdout == f"{job['id']} is cancelled.\n"
        doctor = arqueduct("doctor", *where, check=False)
        assert doctor.returncode == 1
        assert "No worker gives a sign of life" in " ".join(doctor.stdout.split())
    assert "which is the newest" in arqueduct("migrate", "status", *where).stdout  # starts Postgres for the moment


def _new_pid(running: Up, role: str, old: int) -> bool:
    pids = running.runtime()["pids"][role]
    return len(pids) == 1 and pids != [old]


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz").status_code == 200
    except httpx.TransportError:
        return False
