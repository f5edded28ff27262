"""One connection for one command, from what its options say."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from arqueduct.cli import server
from arqueduct.cli.client import Client, connect

__all__ = ["ask"]

T = TypeVar("T")


def ask(url: str | None, api_key: str | None, data_dir: Path | None, act: Callable[[Client], Awaitable[T]]) -> T:
    """What `act` finds. Raises `SetupError` where no server is known."""
    chosen = server.find(url, api_key, data_dir)

    async def run() -> T:
        async with connect(chosen) as client:
            return await act(client)

    return asyncio.run(run())
