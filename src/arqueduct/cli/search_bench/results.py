"""How good search was, as values and as a table."""

import msgspec
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from arqueduct.cli.measuring import Latency
from arqueduct.cli.search_bench.measures import Quality

__all__ = ["SearchReport", "table_of"]

NEAR = 0.02
"""Text mode means to be within so much of BM25's nDCG@10."""


class SearchReport(msgspec.Struct, frozen=True, kw_only=True):
    """`latencies` are of the search itself, in milliseconds, without the embedding of the query."""

    collection: str
    documents: int
    passages: int
    queries: int
    model: str
    modes: dict[str, Quality]
    latencies: dict[str, Latency]
    bm25: Quality | None
    rival: str
    left_out: str | None
    """Why BM25 is not measured."""
    is_text_near_bm25: bool | None
    is_hybrid_best: bool


def table_of(report: SearchReport) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("", no_wrap=True, style="dim")
    for name in ("nDCG@10", "recall@10", "recall@100", "median", "95 %"):
        table.add_column(name, justify="right", no_wrap=True)
    for mode, quality in report.modes.items():
        latency = report.latencies[mode]
        table.add_row(mode, *_cells(quality), f"{latency.p50:,.1f} ms", f"{latency.p95:,.1f} ms")
    if report.bm25 is not None:
        table.add_row(report.rival, *_cells(report.bm25), "", "")
    size = f"{report.documents:,} documents, {report.passages:,} passages, {report.queries:,} queries, {report.model}"
    parts: list[RenderableType] = [Text(report.collection, "bold"), Text(size, "dim"), "", table, ""]
    if report.left_out is not None:
        parts.append(Text(f"BM25 is left out: {report.left_out}", "yellow"))
    else:
        parts.append(_verdict(f"text is within {NEAR} of BM25's nDCG@10", report.is_text_near_bm25))
    parts.append(_verdict("hybrid beats both of its parts on nDCG@10", report.is_hybrid_best))
    return Group(*parts)


def _cells(quality: Quality) -> list[str]:
    return [f"{value:.3f}" for value in (quality.ndcg_10, quality.recall_10, quality.recall_100)]


def _verdict(aim: str, is_met: bool | None) -> Text:
    return Text.assemble(f"{aim}: ", ("met", "green") if is_met else ("missed", "red"))
