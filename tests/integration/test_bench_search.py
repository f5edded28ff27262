"""`arqueduct bench search` over a collection of eight documents, beside BM25 where the peers are installed."""

import asyncio
import json
import sys
from pathlib import Path

import msgspec
from rich.console import Console

from arqueduct.cli.search_bench.results import SearchReport, table_of

PEERS = Path(__file__).parents[2] / ".venv-peers" / "bin" / "python"

DOCUMENTS = {
    "kestrel": ("The kestrel", "A small falcon that hovers over open fields and watches for voles."),
    "owl": ("The barn owl", "It hunts at night by ear, on wings that make no sound."),
    "arch": ("The arch", "Wedge-shaped stones hold each other by their weight, with no mortar between."),
    "aqueduct": ("The aqueduct", "A channel that carries water over a valley, falling by a hand's breadth a mile."),
    "mill": ("The mill", "A wheel turned by a stream grinds corn between two stones."),
    "yeast": ("Yeast", "A fungus that turns sugar into alcohol and lifts the dough of bread."),
    "tide": ("The tide", "The sea rises and falls twice a day, drawn by the moon."),
    "lock": ("The lock", "Gates lift a boat from one level of a canal to the next."),
}
QUERIES = {
    "1": ("falcon that hovers", {"kestrel": 2, "owl": 1}),
    "2": ("how did water cross a valley", {"aqueduct": 1}),
    "3": ("stones without mortar", {"arch": 2, "mill": 0}),
    "4": ("what makes bread rise", {"yeast": 1}),
}


def _write(folder: Path) -> None:
    (folder / "qrels").mkdir(parents=True)
    lines = [json.dumps({"_id": name, "title": title, "text": text}) for name, (title, text) in DOCUMENTS.items()]
    (folder / "corpus.jsonl").write_text("\n".join(lines))
    lines = [json.dumps({"_id": name, "text": text}) for name, (text, _) in QUERIES.items()]
    (folder / "queries.jsonl").write_text("\n".join(lines))
    judged = [f"{name}\t{found}\t{grade}" for name, (_, grades) in QUERIES.items() for found, grade in grades.items()]
    (folder / "qrels" / "test.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *judged]))


async def test_each_mode_is_measured_and_vectors_are_kept(tmp_path: Path) -> None:
    folder, data = tmp_path / "small", tmp_path / "data"
    _write(folder)
    options = [str(folder), "--data-dir", str(data), "--json"]
    if PEERS.exists():
        options += ["--peers", str(PEERS)]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "arqueduct.cli", "bench", "search", *options),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    told, said = await asyncio.wait_for(process.communicate(), 240)
    assert process.returncode == 0, said.decode()
    report = json.loads(told)
    assert (report["collection"], report["documents"], report["passages"], report["queries"]) == ("small", 8, 8, 4)
    assert set(report["modes"]) == set(report["latencies"]) == {"hybrid", "vector", "text"}
    assert report["modes"]["vector"]["recall_100"] == 1, "eight documents are fewer than a hundred"
    assert all(0.5 < quality["ndcg_10"] <= quality["recall_100"] <= 1 for quality in report["modes"].values())
    assert (report["bm25"] is None) == (report["left_out"] is not None) == (not PEERS.exists())
    assert [file.suffix for file in (data / "bench").iterdir()] == [".npz"]
    assert "text is within 0.02" in _shown(report) or not PEERS.exists()
    assert "hybrid beats both of its parts" in _shown(report)


def _shown(report: object) -> str:
    console = Console(width=120)
    with console.capture() as captured:
        console.print(table_of(msgspec.convert(report, SearchReport)))
    return captured.get()
