"""The commands, as a user types them, against a running installation."""

import json
from pathlib import Path
from uuid import uuid4

import pytest

from tests.acceptance.conftest import Running
from tests.acceptance.processes import arqueduct, read_json, told


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    """Three that can be read, one that cannot, and one that nobody asked for."""
    folder = tmp_path / "documents"
    (folder / "more").mkdir(parents=True)
    mark = uuid4()
    (folder / "gard.md").write_text(f"# Pont du Gard\n\nIt carries water over the river Gardon. {mark}\n")
    (folder / "segovia.txt").write_text(f"The aqueduct of Segovia has 167 arches. {mark}\n")
    (folder / "more" / "valens.html").write_text(f"<h1>Valens</h1><p>It stands in Istanbul. {mark}</p>")
    (folder / "broken.pdf").write_bytes(b"\x00\x01\x02 nothing that anybody could read")
    (folder / ".hidden.txt").write_text("Nobody asked for this.")
    return folder


def test_ingest_follows_each_document_and_names_what_was_not_accepted(running: Running, documents: Path) -> None:
    done = arqueduct("ingest", documents, "--data-dir", running.data_dir, "--json", check=False)
    events = told(done)
    assert done.returncode == 1
    assert {said["name"] for said in events if said["event"] == "uploaded"} == {"gard.md", "segovia.txt", "valens.html"}
    assert [(said["name"], said["error"]["code"]) for said in events if said["event"] == "refused"] == [
        ("broken.pdf", "unsupported_format")
    ]
    ends = [said for said in events if said["event"] == "ended"]
    assert {said["state"] for said in ends} == {"completed"}
    assert {said["pages"] for said in ends} == {1}
    summary = events[-1]
    assert (summary["event"], summary["documents"], summary["completed"], summary["refused"]) == ("summary", 4, 3, 1)


def test_progress_of_a_document_never_goes_backwards(running: Running, documents: Path) -> None:
    events = told(arqueduct("ingest", documents / "gard.md", "--data-dir", running.data_dir, "--json"))
    progress = [said["progress"] for said in events if said["event"] == "progress"]
    assert progress == sorted(progress)
    assert "downloading" in {said["stage"] for said in events if said["event"] == "progress"}


def test_ingest_in_a_pipe_prints_a_line_a_document(running: Running, documents: Path) -> None:
    done = arqueduct("ingest", documents, "--data-dir", running.data_dir, check=False)
    lines = done.stdout.splitlines()
    assert any(line.startswith("broken.pdf: not accepted: ") for line in lines)
    assert any(line.startswith("segovia.txt: completed in ") and line.endswith("1 page, 1 passage") for line in lines)
    assert lines[-1].startswith("4 documents: 3 completed, 1 not accepted, ")


def test_quiet_says_only_what_went_wrong(running: Running, documents: Path) -> None:
    done = arqueduct("ingest", documents, "--data-dir", running.data_dir, "--quiet", check=False)
    assert done.stdout == ""
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == ["broken.pdf"]


def test_no_wait_hands_over_and_jobs_watch_takes_it_up(running: Running, documents: Path) -> None:
    handed = told(arqueduct("ingest", documents / "gard.md", "--no-wait", "--data-dir", running.data_dir, "--json"))
    assert handed[-1]["queued"] == 1
    (job_id,) = [said["job_id"] for said in handed if said["event"] == "uploaded"]
    watched = told(arqueduct("jobs", "watch", job_id, "--data-dir", running.data_dir, "--json"))
    assert (watched[-1]["event"], watched[-1]["completed"]) == ("summary", 1)


def test_search_names_document_and_page(running: Running, documents: Path) -> None:
    arqueduct("ingest", documents / "segovia.txt", "--data-dir", running.data_dir)
    answer = told(arqueduct("search", "How many arches?", "--data-dir", running.data_dir, "--json"))[0]
    assert answer["items"][0]["document_name"] == "segovia.txt"
    printed = arqueduct("search", "How many arches?", "--mode", "text", "--data-dir", running.data_dir).stdout
    assert "segovia.txt  page 1" in printed
    assert "167 arches" in printed


def test_jobs_are_listed_shown_and_acted_on(running: Running, documents: Path) -> None:
    arqueduct("ingest", documents / "gard.md", "--data-dir", running.data_dir)
    where = ("--data-dir", running.data_dir)
    (listed,) = told(arqueduct("jobs", "ls", "--limit", "1", "--json", *where))
    job = listed["items"][0]
    assert job["id"] in arqueduct("jobs", "ls", "--state", "completed", *where).stdout
    (shown,) = told(arqueduct("jobs", "get", job["id"], "--json", *where))
    assert [event["stage"] for event in shown["events"]][:2] == ["queued", "downloading"]
    assert "downloading" in arqueduct("jobs", "get", job["id"], *where).stdout
    for action in ("cancel", "retry"):
        refused = arqueduct("jobs", action, job["id"], "--json", *where, check=False)
        assert refused.returncode == 1
        assert json.loads(refused.stderr)["error"]["code"] == "illegal_transition"


def test_doctor_finds_everything_in_order_and_gives_no_secret_away(running: Running) -> None:
    done = arqueduct("doctor", "--data-dir", running.data_dir)
    runtime = read_json(running.data_dir / "runtime.json")
    assert "✗" not in done.stdout
    assert "Roles" in done.stdout
    assert "arqueduct_app, arqueduct_worker" in done.stdout
    for secret in (running.api_key, runtime["database_url"], runtime["redis_url"]):
        assert secret not in done.stdout


def test_migrate_finds_the_database_of_the_running_one(running: Running) -> None:
    assert "which is the newest" in arqueduct("migrate", "status", "--data-dir", running.data_dir).stdout


def test_bench_measures_and_cleans_up(running: Running, documents: Path) -> None:
    (documents / "broken.pdf").unlink()
    with running.client() as client:
        before = client.get("/documents", params={"limit": 200}).json()["items"]
        options = ("--pick-ups", "2", "--rounds", "2", "--json", "--data-dir", running.data_dir)
        (report,) = told(arqueduct("bench", documents, *options))
        assert client.get("/documents", params={"limit": 200}).json()["items"] == before
    assert [done["documents"] for done in report["rounds"]] == [3, 3]
    assert report["documents_per_second"] > 0
    assert set(report["stage_shares"]) == {"download", "extract", "chunk", "embed", "store"}
    assert sum(report["stage_shares"].values()) == pytest.approx(1, abs=0.01)
    assert {"api", "worker", "postgres", "valkey", "worker child"} <= set(report["peak_memory"])
    assert report["pick_up"]["count"] == 2
    assert report["api"]["GET /documents"]["count"] > 0


def test_a_wrong_key_is_said_clearly(running: Running, documents: Path) -> None:
    where = ("--url", running.url, "--api-key", "aq_wrong")
    for command in (["search", "water"], ["ingest", str(documents)], ["jobs", "ls"]):
        refused = arqueduct(*command, *where, check=False)
        assert refused.returncode == 1
        assert refused.stderr.startswith("Error: This API key is not valid.")


def test_a_document_that_cannot_be_read_fails_with_advice_and_can_be_retried(running: Running, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.pdf"
    damaged.write_bytes(b"%PDF-1.7\nThe rest of this file was lost.")
    where = ("--data-dir", running.data_dir)
    done = arqueduct("ingest", damaged, *where, check=False)
    assert done.returncode == 1
    assert "damaged.pdf: failed: " in done.stdout
    job = told(arqueduct("jobs", "ls", "--state", "failed", "--limit", "1", "--json", *where))[0]["items"][0]
    assert job["error"]["message"] in " ".join(arqueduct("jobs", "get", job["id"], *where).stdout.split())
    assert arqueduct("jobs", "retry", job["id"], *where).stdout == f"{job['id']} is queued.\n"
    watched = arqueduct("jobs", "watch", job["id"], "--quiet", *where, check=False)
    assert watched.returncode == 1
    assert watched.stderr.startswith("damaged.pdf: failed: ")
