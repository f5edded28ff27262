"""What projects and batches have in common on the command line: a job with children, and where the API has it."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from arqueduct.cli.client import Body, Client
from arqueduct.cli.words import counted, duration, size

__all__ = ["BATCH", "PROJECT", "Kin", "children", "cost", "left", "look", "name_of", "pace", "read", "said_of"]


LEAST_SECONDS = 1.0
"""A parent follows its children once a second, so what took less is not known to have taken any time."""


@dataclass(frozen=True, kw_only=True)
class Kin:
    """One of the two."""

    noun: str
    path: str
    status: str
    """What follows the id where its status is asked for."""
    unit: str
    """What a child is about."""

    @property
    def group(self) -> str:
        """Its commands."""
        return self.path.removeprefix("/")


PROJECT = Kin(noun="project", path="/projects", status="/status", unit="file")
BATCH = Kin(noun="batch", path="/batches", status="", unit="document")


async def look(client: Client, kin: Kin, family_id: UUID | str, **parameters: Any) -> Body:
    """Its status as the API tells it, and its name. Raises `NotFound`."""
    found = await client.get(f"{kin.path}/{family_id}{kin.status}", **parameters)
    return {"name": await name_of(client, kin, family_id), **found}


async def name_of(client: Client, kin: Kin, family_id: UUID | str) -> str:
    if kin is PROJECT:
        return str((await client.get(f"/projects/{family_id}"))["name"])
    return str((await client.get(f"/jobs/{family_id}"))["document_name"] or kin.noun)


def said_of(state: str) -> str:
    """`partially completed`."""
    return state.replace("_", " ")


def children(counts: Body, unit: str) -> str:
    """`11 of 20 files completed, 1 failed, 3 running, 5 waiting`: of a status, or of a live message."""
    named = (("failed", "failed"), ("cancelled", "cancelled"), ("running", "running"), ("queued", "waiting"))
    more = [f"{counts[name]:,} {word}" for name, word in (*named, ("paused", "paused")) if counts[name]]
    return ", ".join([f"{counts['completed']:,} of {counted(counts['total'], unit)} completed", *more])


def left(eta: Body | None) -> str:
    """`about 1 min 20 s (50 s to 2 min 10 s)`; nothing where nobody can tell."""
    if eta is None:
        return ""
    low = f"{duration(eta['low'])} to" if eta["low"] else "up to"
    return f"about {duration(eta['seconds'])} ({low} {duration(eta['high'])})"


def read(found: Body) -> str:
    """How much of it was gone through."""
    sizes = f"{size(found['bytes_done'])} of {size(found['bytes_total'])}"
    return f"{sizes}, {counted(found['pages_done'], 'page')}, {counted(found['chunks_done'], 'passage')}"


def pace(throughput: Body | None, unit: str) -> str:
    """Nothing for what has hardly begun: so little time says nothing."""
    if throughput is None or throughput["elapsed_seconds"] < LEAST_SECONDS:
        return ""
    documents, pages = (round(throughput[f"{name}_per_hour"]) for name in ("documents", "pages"))
    speed = f"{counted(documents, unit)}/h, {counted(pages, 'page')}/h, {size(round(throughput['bytes_per_second']))}/s"
    return f"{speed} over {duration(throughput['elapsed_seconds'])}"


def cost(spent: Body) -> str:
    requests = counted(spent["embedding_requests"], "embedding request")
    return f"{counted(spent['tokens'], 'token')}, {requests}, {counted(spent['cache_hits'], 'vector')} from the cache"
