"""An `arqueduct up` in a folder of its own, gone afterwards."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from arqueduct.cli.output import err
from arqueduct.cli.own_up import running_up
from arqueduct.supervisor.folder import DataFolder

__all__ = ["temporary_up"]


@asynccontextmanager
async def temporary_up(workers: int) -> AsyncIterator[DataFolder]:
    """Servers, API and so many workers."""
    own = DataFolder(Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="arqueduct-bench-")))
    async with AsyncExitStack() as stack:
        stack.push_async_callback(asyncio.to_thread, _remove, own)
        with err.status("Starting everything in a temporary folder …", spinner="dots"):
            await stack.enter_async_context(running_up(own.path, "--port", "0", "--workers", str(workers)))
        yield own


def _remove(folder: DataFolder) -> None:
    from arqueduct.embedded import remove  # also what lies outside, where root had to put it

    for server in (folder.postgres, folder.valkey):
        remove(server)
    shutil.rmtree(folder.path, ignore_errors=True)
