"""A worker process of the product with one pipeline that has no stages: `python -m … PARENT`.

Its settings come by the environment, as those of any worker do.
"""

import importlib
import signal
import sys

from arqueduct.pipeline import Pipeline, Registry
from arqueduct.settings import load
from arqueduct.supervisor.parent import die_with

__all__ = ["KIND", "main"]

KIND = "bench.noop"


def main(parent: str) -> None:
    """Runs until SIGTERM."""
    die_with(int(parent), signal.SIGKILL)
    worker = importlib.import_module("arqueduct_worker.main")
    worker.run(load(), Registry([Pipeline(kind=KIND, stages=())], []))


if __name__ == "__main__":
    main(*sys.argv[1:])
