"""`arqueduct bench search`: how good the answers are, on a collection with judgements."""

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from arqueduct import embedding, logs, settings
from arqueduct.cli.commands.bench_queue import PEERS, installed_peers
from arqueduct.cli.measuring import Latency, latency_of
from arqueduct.cli.options import DataDir, Json, Quiet
from arqueduct.cli.output import err, out, print_json, reporting
from arqueduct.cli.search_bench import collection
from arqueduct.cli.search_bench.collection import Collection
from arqueduct.cli.search_bench.library import open_library
from arqueduct.cli.search_bench.measures import Quality, quality_of
from arqueduct.cli.search_bench.peer import bm25, version_of
from arqueduct.cli.search_bench.results import NEAR, SearchReport, table_of
from arqueduct.search import Mode
from arqueduct.settings import Settings

__all__ = ["search"]

ABSENT = "it is installed apart, by `make .venv-peers/.installed`; another Python that has it is named by --peers."


def search(
    path: Annotated[
        Path,
        typer.Argument(help="Folder of corpus.jsonl, queries.jsonl, qrels/test.tsv.", exists=True, file_okay=False),
    ],
    peers: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help=f"A Python that has bm25s.  [default: {PEERS}]")
    ] = None,
    data_dir: DataDir = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure how good search is on a collection in the layout of BEIR: nDCG@10, recall@10 and recall@100 of each mode,
    beside BM25 over the same documents.

    Starts a Postgres of its own in a temporary folder. Vectors are kept in the data folder, under `bench`: the first
    run makes them, some twenty passages a second.
    """
    with reporting(json=json):
        found = settings.load(data_dir=data_dir)
        logs.configure(found)  # to stderr: the report alone goes to stdout
        wanted = collection.read(path)
        report = asyncio.run(_bench(wanted, found, peers or installed_peers(), _sayer(is_silent=json or quiet)))
        if json:
            print_json(report)
        else:
            out.print(table_of(report))


async def _bench(
    wanted: Collection, settings: Settings, peers: Path | None, say: Callable[[str], None]
) -> SearchReport:
    rival = f"bm25s {await version_of(peers)}" if peers else "bm25s"
    embedder = embedding.open_embedder(settings)
    vectors = settings.data_dir / "bench" / f"{embedder.model.name.replace('/', '-')}.npz"
    modes: dict[str, Quality] = {}
    latencies: dict[str, Latency] = {}
    with tempfile.TemporaryDirectory(prefix="arqueduct-bench-", ignore_cleanup_errors=True) as folder:
        try:
            async with open_library(Path(folder), wanted, settings, embedder) as library:
                await library.fill(settings, vectors, say)
                for mode in Mode:
                    say(f"Asking {len(wanted.queries):,} queries by {mode} …")
                    asked = await library.ask(mode)
                    modes[mode.value] = quality_of(asked.rankings, wanted.judgements)
                    latencies[mode.value] = latency_of(asked.seconds) or Latency(p50=0, p95=0, count=0)
                theirs = quality_of(await bm25(peers, wanted, library), wanted.judgements) if peers else None
                passages = library.passages
        finally:
            await embedder.aclose()
    text, vector, hybrid = (modes[mode].ndcg_10 for mode in (Mode.TEXT, Mode.VECTOR, Mode.HYBRID))
    return SearchReport(
        collection=wanted.name,
        documents=len(wanted.documents),
        passages=passages,
        queries=len(wanted.queries),
        model=embedder.model.name,
        modes=modes,
        latencies=latencies,
        bm25=theirs,
        rival=rival,
        left_out=None if peers else ABSENT,
        is_text_near_bm25=None if theirs is None else text >= theirs.ndcg_10 - NEAR,
        is_hybrid_best=hybrid > max(text, vector),
    )


def _sayer(*, is_silent: bool) -> Callable[[str], None]:
    def say(words: str) -> None:
        if not is_silent:
            err.print(words)

    return say
