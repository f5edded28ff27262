"""procrastinate with its best settings, for the contest of whole jobs: run as a file, by a Python that has it.

It lives apart because its driver is under the LGPL; so this file imports nothing of ours, and nothing imports it.
The address of the database comes by the environment, because it holds a password.

    procrastinate_side.py version
    procrastinate_side.py schema
    procrastinate_side.py work CONCURRENCY     until SIGTERM, or until the standard input ends
    procrastinate_side.py create COUNT AT_ONCE prints the time of the database before the first
"""

import os
import sys
import threading
from importlib.metadata import version

import procrastinate  # type: ignore[import-not-found]  # only the other Python has it
import uvloop

__all__ = ["main"]

URL_VARIABLE = "ARQUEDUCT_BENCH_DATABASE_URL"
CONNECTIONS = 4
"""One listens. Measured with 20 and 100 jobs at a time: 3 and 4 were fastest, 24 took a third off."""

POLL_SECONDS = 0.1
"""Notifications wake it; the default of 5 s would count against it if one passed unheard."""

NICE = 5
"""Our workers make room for the API in this way; on a machine that others use too, both must."""


def main(command: str, *numbers: str) -> None:
    match command, [int(number) for number in numbers]:
        case "version", []:
            print(version("procrastinate"))
        case "schema", []:
            uvloop.run(_make_schema())
        case "work", [concurrency]:
            os.nice(NICE)
            threading.Thread(target=_end_with_input, daemon=True).start()
            uvloop.run(_work(concurrency))
        case "create", [count, at_once]:
            uvloop.run(_create(count, at_once))
        case _:
            sys.exit(__doc__)


def _open(connections: int) -> procrastinate.App:
    connector = procrastinate.PsycopgConnector(
        conninfo=os.environ[URL_VARIABLE], min_size=connections, max_size=connections
    )
    app = procrastinate.App(connector=connector)
    app.task(name="noop")(_noop)
    return app


async def _noop() -> None:
    pass


async def _make_schema() -> None:
    app = _open(1)
    async with app.open_async():
        await app.schema_manager.apply_schema_async()


async def _work(concurrency: int) -> None:
    app = _open(CONNECTIONS)
    async with app.open_async():
        await app.run_worker_async(
            concurrency=concurrency,
            wait=True,
            listen_notify=True,
            fetch_job_polling_interval=POLL_SECONDS,
            delete_jobs="never",
        )


async def _create(count: int, at_once: int) -> None:
    app = _open(1)
    async with app.open_async():
        now = await app.connector.execute_query_one_async("SELECT clock_timestamp()::text AS now")
        for begin in range(0, count, at_once):
            await app.tasks["noop"].batch_defer_async(*({} for _ in range(min(at_once, count - begin))))
    print(now["now"])


def _end_with_input() -> None:
    """Whoever started us holds the other end for as long as it lives."""
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
