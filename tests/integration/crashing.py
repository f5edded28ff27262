"""Starts worker and API processes that may die at one point of their work: `python -m tests.integration.crashing`.

Reads orders on standard input, a line of JSON each, and answers on standard output; `tests.integration.launcher` is
the other side. Each process is a fork of this one, which has loaded everything already, so a start takes a tenth of
a second. The product knows nothing of the points: one of its functions is wrapped, and the process kills itself right
before the function is called or right after it returned.
"""

import ctypes
import functools
import importlib
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Any

__all__ = ["EMPTY", "EXTRACTIONS", "POINTS", "Moment", "Point"]

PRELOADED = (
    "arqueduct_backend.main",
    "arqueduct_worker.main",
    "arqueduct.embedding.openai_compatible",
    "arqueduct.embedding.coalesce",
)
PR_SET_PDEATHSIG = 1
EMPTY = "test.empty"
"""A kind of job without stages: it has no results, and ends together with others. `empty` workers know only it."""
EXTRACTIONS = "extractions"
"""File in the data folder: a line for each document that a parser was given."""


class Moment(Enum):
    """When a process dies."""

    BEFORE = auto()
    AFTER = auto()


@dataclass(frozen=True, kw_only=True)
class Point:
    """A place between two steps."""

    function: str
    """`module:name` or `module:Class.name`, looked up where the product looks it up."""
    moment: Moment
    is_it: Callable[[Any], object] = lambda _: True
    """Asked of the arguments before a call, of the answer after it: is this the call that is meant?"""


def before(function: str, is_it: Callable[[Any], object] = lambda _: True) -> Point:
    return Point(function=function, moment=Moment.BEFORE, is_it=is_it)


def after(function: str, is_it: Callable[[Any], object] = lambda _: True) -> Point:
    return Point(function=function, moment=Moment.AFTER, is_it=is_it)


def _second(arguments: Sequence[Any]) -> object:
    """The first argument that is not `self` or the connection: an empty one means an idle round."""
    return arguments[1]


def _steps(arguments: Sequence[Any]) -> object:
    """Messages of the reporter, which come as a list; those of the dispatcher do not."""
    return isinstance(arguments[1], list) and arguments[1]


STAGES = "arqueduct_worker.stages"

POINTS: dict[str, Point] = {
    "before the commit": after("arqueduct.repositories.jobs:note_created"),
    "committed, not dispatched": before("arqueduct.dispatcher:Dispatcher.dispatch", _second),
    "admitted, not sent": before("arqueduct.queue:Queue.send", _second),
    "sent": after("arqueduct.queue:Queue.send"),
    "wake-up taken": before("arqueduct_worker.runner:Runner.run"),
    "claimed": after("arqueduct_worker.runner:Runner._claim", any),
    "stage written, not told": before("arqueduct.bus:Bus.publish", _steps),
    "before download": before(f"{STAGES}.download:Download.run"),
    "after download": after(f"{STAGES}.download:Download.run"),
    "extracted, not kept": before("arqueduct_worker.kept_text:keep"),
    "text kept": after("arqueduct_worker.kept_text:keep"),
    "after extract": after(f"{STAGES}.extract:Extract.run"),
    "after chunk": after(f"{STAGES}.chunk:Chunk.run"),
    "bought, not kept": before(f"{STAGES}.embed:_keep"),
    "first batch kept": after(f"{STAGES}.embed:_keep"),
    "after embed": after(f"{STAGES}.embed:Embed.run"),
    "chunks written": after(f"{STAGES}.store:_insert"),
    "completion written": after("arqueduct.repositories.jobs:complete_all", bool),
    "ends asked for together": before("arqueduct.repositories.jobs:complete_all", _second),
    "ends written together, not told": after("arqueduct.repositories.jobs:complete_all", bool),
    "completed, not told": before("arqueduct_worker.attempt:Attempt._settle"),
    "end recorded, not told": after("arqueduct_worker.attempt:record"),
    "before a heartbeat": before("arqueduct.repositories.jobs:heartbeat", _second),
    "heartbeat written": after("arqueduct.repositories.jobs:heartbeat", bool),
    "lapsed jobs taken": after("arqueduct.repositories.sweeps:lapsed", bool),
    "lapsed jobs back, not dispatched": before("arqueduct.dispatcher:Dispatcher.dispatch", _second),
    "hidden": after(f"{STAGES}.hide:Hide.run"),
    "cold file there": after("arqueduct_worker.cold:freeze"),
    "row says cold, not committed": after("arqueduct.repositories.originals:chill"),
    "thawed": after("arqueduct_worker.cold:thaw"),
    "revealed, not committed": after("arqueduct.repositories.archive:reveal"),
    "row says hot, not committed": after("arqueduct.repositories.originals:warm"),
    "moved, old file there": before("arqueduct_worker.cold:drop"),
    "old file gone": after("arqueduct_worker.cold:drop"),
    "lost wake-up put back": after("arqueduct.repositories.admission:unadmit"),
}


def main() -> None:
    for name in PRELOADED:
        importlib.import_module(name)
    children: set[int] = set()
    signal.signal(signal.SIGCHLD, lambda *_: _reap(children))
    while line := sys.stdin.readline():
        order = json.loads(line)
        if not (child := os.fork()):
            _live(order)
        children.add(child)
        _say(started=child)
    for child in list(children):
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


def _say(**words: int) -> None:
    """One write, so that an answer from the signal handler is not mixed with another."""
    os.write(1, json.dumps(words).encode() + b"\n")


def _reap(children: set[int]) -> None:
    while children:
        with suppress(ChildProcessError):
            child, status = os.waitpid(-1, os.WNOHANG)
            if child:
                children.discard(child)
                _say(ended=child, status=os.waitstatus_to_exitcode(status))
                continue
        return


def _live(order: dict[str, Any]) -> None:
    """The whole life of a process of the product; never returns."""
    status = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        with suppress(AttributeError, OSError):  # only Linux knows it
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        os.dup2(2, 1)
        os.environ.update(order["environment"])
        _run(order)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _run(order: dict[str, Any]) -> None:
    from arqueduct import logs
    from arqueduct.settings import load

    settings = load()
    if order["point"]:
        _arm(POINTS[order["point"]])
    if order["version"]:
        _rename(order["version"])
    _count_extractions(settings.data_dir / EXTRACTIONS)
    if order["program"] == "api":
        from arqueduct_backend.main import serve

        logs.configure(settings)
        serve(settings)
    else:
        from arqueduct.pipeline import Pipeline, Registry
        from arqueduct_worker.main import run

        run(settings, Registry([Pipeline(kind=EMPTY, stages=())], []) if order["program"] == "empty" else None)


def _arm(point: Point) -> None:
    def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        async def call(*args: Any, **kwargs: Any) -> Any:
            if point.moment is Moment.BEFORE and point.is_it(args):
                os.kill(os.getpid(), signal.SIGKILL)
            answer = await function(*args, **kwargs)
            if point.moment is Moment.AFTER and point.is_it(answer):
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        return call

    _replace(point.function, wrapped)


def _count_extractions(notes: Path) -> None:
    def wrapped(extract: Callable[..., Any]) -> Callable[..., Any]:
        async def call(*args: Any, **kwargs: Any) -> Any:
            with notes.open("a") as out:
                out.write(f"{os.getpid()}\n")
            return await extract(*args, **kwargs)

        return call

    _replace("arqueduct_worker.parsing.pool:ParserPool.extract", wrapped)


def _rename(version: str) -> None:
    """As if the process came from another release."""
    import arqueduct
    from arqueduct.repositories import jobs
    from arqueduct_worker import sweeper

    for module in (arqueduct, jobs, sweeper):
        setattr(module, "__version__", version)  # noqa: B010  # they import it by name
    jobs.claim.__kwdefaults__ = {"version": version}


def _replace(name: str, wrap: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    module, _, path = name.partition(":")
    *owners, last = path.split(".")
    owner = functools.reduce(getattr, owners, importlib.import_module(module))
    setattr(owner, last, wrap(getattr(owner, last)))


if __name__ == "__main__":
    main()
