"""One run of everything: rounds in which the sides take turns, and what is measured within one start of ours."""

import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks import busy_api, crowd, fan_out, growth, local_model
from benchmarks.backing import Backing, running_backing
from benchmarks.corpus import Corpus, Scale, choose
from benchmarks.figures import Figure, figures_of
from benchmarks.peers import OURS, PEERS, Side, left_out
from benchmarks.running import Row, run

__all__ = ["Found", "Plan", "compare"]

BESIDE = {"pdfs": tuple(PEERS), "texts": ("bare_loop",), "big_pdf": ("bare_loop",)}
"""Which peers carry which workload: those that a target names."""
OTHERS = ("local", "api", "sockets", "crowd", "library")
LOG_LINES = 8


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much to measure."""

    scale: Scale
    workloads: Sequence[str] = (*OTHERS, *BESIDE)
    peers: Sequence[str] = tuple(PEERS)
    rounds: int = 3
    local_documents: int = 20
    """Of a round."""
    api_texts: int = 2000
    """With which the worker is kept busy while the API is asked."""
    library: tuple[int, int] = (1_000, 100_000)
    """Documents stored, of ten passages each."""
    library_texts: int = 600
    """With which the worker is kept busy while the library is asked, at each size."""
    sockets: int = 500
    messages: int = 200
    crowd: int = 10_000
    """Clients, each of a user of its own."""
    crowd_messages: int = 5_000
    """A second, to all of them together."""
    crowd_seconds: float = 10.0
    limit: float = 600.0
    """Seconds of one run of one side."""
    seconds: float | None = None
    """No further round of a workload is begun that would end later, if it took as long as the longest."""


@dataclass(kw_only=True)
class Found:
    """What a comparison has found so far."""

    corpus: Corpus
    rows: list[Row] = field(default_factory=list)
    extra: dict[str, list[float]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    """Why something is not there, by what it is."""
    failures: list[str] = field(default_factory=list)

    def figures(self) -> list[Figure]:
        return figures_of(self.rows, self.extra)

    def save(self, path: Path) -> None:
        """Every run and every ratio, for whoever wants to reckon again."""
        content = {"rows": self.rows, "extra": self.extra, "left_out": self.missing, "failures": self.failures}
        path.write_text(json.dumps(content, indent=1) + "\n")


async def compare(documents: Path, plan: Plan) -> Found:
    """Raises `SetupError` where a server is missing, `ValueError` where the folder has too little text."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="arqueduct-benchmarks-") as name:
        folder = Path(name)
        folder.chmod(0o711)  # where root starts Postgres, another user runs it
        say(f"Choosing documents from {documents} …")
        scale = replace(plan.scale, with_big="big_pdf" in plan.workloads)
        found = Found(corpus=choose(documents, folder, scale))
        found.missing |= left_out(PEERS[peer] for peer in plan.peers)
        with running_backing(folder / "servers") as backing:
            await _others(found, plan, backing)
            await _rounds(found, plan, backing, folder / "log", began)
    return found


def say(words: str) -> None:
    """To standard error: standard output is for the result."""
    print(words, file=sys.stderr, flush=True)


async def _rounds(found: Found, plan: Plan, backing: Backing, log: Path, began: float) -> None:
    wanted = [workload for workload in BESIDE if workload in plan.workloads]
    longest = dict.fromkeys(wanted, 0.0)
    for number in range(1, plan.rounds + 1):
        for workload in wanted:
            start = time.monotonic()
            if number > 1 and plan.seconds is not None and start - began + longest[workload] > plan.seconds:
                reason = f"{workload} has fewer than {plan.rounds} rounds: the time was up."
                found.missing[f"rounds of {workload}"] = reason
                continue
            for side in _turn(_sides(found, plan, workload), number):
                row = await run(side, found.corpus.lists[workload], backing, log, plan.limit)
                found.rows.append({"workload": workload, "round": number, **row})
                _tell(found, log)
            longest[workload] = max(longest[workload], time.monotonic() - start)


def _sides(found: Found, plan: Plan, workload: str) -> list[Side]:
    peers = [PEERS[name] for name in BESIDE[workload] if name in plan.peers and name not in found.missing]
    return [*peers, OURS]


def _turn(sides: Sequence[Side], number: int) -> list[Side]:
    """Another begins each round, so that none always runs after the same one."""
    first = (number - 1) % len(sides)
    return [*sides[first:], *sides[:first]]


def _tell(found: Found, log: Path) -> None:
    row = found.rows[-1]
    seconds = f"{row['seconds']:.1f} s" if "seconds" in row else ""
    say(f"Round {row['round']}, {row['workload']}, {row['side']}: {row['outcome']} {seconds}")
    if row["outcome"] != "ok":
        found.failures.append(f"{row['workload']}, {row['side']}, round {row['round']}: {row['outcome']}")
        say("\n".join(log.read_text(errors="replace").splitlines()[-LOG_LINES:]))


async def _others(found: Found, plan: Plan, backing: Backing) -> None:
    measures: dict[str, Callable[..., Any]] = {
        "local": _local,
        "api": _api,
        "sockets": _sockets,
        "crowd": _crowd,
        "library": _library,
    }
    for name in OTHERS:
        if name not in plan.workloads:
            found.missing[name] = f"{name} was not asked for."
            continue
        say(f"Measuring {name} …")
        try:
            found.extra |= await measures[name](found.corpus, plan, backing)
        except (RuntimeError, ValueError, TimeoutError) as error:
            found.failures.append(f"{name}: {error!r}")
            say(found.failures[-1])


async def _local(corpus: Corpus, plan: Plan, backing: Backing) -> dict[str, list[float]]:
    ratios = await local_model.measure(backing, corpus.lists["texts"], plan.rounds, plan.local_documents)
    return {"local_embedding_vs_model": ratios}


async def _api(corpus: Corpus, plan: Plan, backing: Backing) -> dict[str, list[float]]:
    waits = await busy_api.measure(backing, corpus.lists["texts"][: plan.api_texts])
    say(f"95 % of {waits.answers} answers: reads {waits.reads:.0f} ms, job creation {waits.creations:.0f} ms")
    return {name: [ratio] for name, ratio in waits.ratios().items()}


async def _sockets(_: Corpus, plan: Plan, backing: Backing) -> dict[str, list[float]]:
    rounds = await fan_out.measure(backing, plan.rounds, plan.sockets, plan.messages)
    say(f"Deliveries a second, ours and raw: {'; '.join(f'{a.ours:,.0f} and {a.raw:,.0f}' for a in rounds)}")
    return {"sockets_vs_raw_fan_out": [one.ours / one.raw for one in rounds]}


async def _crowd(_: Corpus, plan: Plan, backing: Backing) -> dict[str, list[float]]:
    waits = await crowd.measure(backing, plan.crowd, plan.crowd_messages, plan.crowd_seconds)
    say(crowd.told(waits))
    return {"crowd_p95": [waits.ratio]}


async def _library(corpus: Corpus, plan: Plan, backing: Backing) -> dict[str, list[float]]:
    few, many = await growth.measure(backing, corpus.lists["texts"], plan.library, plan.library_texts)
    for at in (few, many):
        say(
            f"With {at.documents:,} documents stored: {1000 * at.seconds:.1f} ms a new one; "
            f"95 % of {at.searches} searches {at.search_ms:.0f} ms"
        )
    return growth.ratios(few, many)
