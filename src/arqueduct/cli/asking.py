"""One connection for one command, from what its options say."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from arqueduct.cli import server
from arqueduct.cli.client import Body, Client, connect
from arqueduct.cli.output import print_error
from arqueduct.errors import ArqueductError, NotAuthenticated, SetupError

__all__ = ["ask", "one_by_one"]

T = TypeVar("T")


def ask(url: str | None, api_key: str | None, data_dir: Path | None, act: Callable[[Client], Awaitable[T]]) -> T:
    """What `act` finds. Raises `SetupError` where no server is known."""
    chosen = server.find(url, api_key, data_dir)

    async def run() -> T:
        async with connect(chosen) as client:
            return await act(client)

    return asyncio.run(run())


async def one_by_one(
    client: Client, paths: Iterable[tuple[UUID, str]], show: Callable[[Body], None], *, json: bool
) -> bool:
    """Posts to the paths of several ids, one after the other: what one does not allow is told, and hinders no other.

    Whether all could be done. Raises `SetupError` and `NotAuthenticated`, which would be the same for all.
    """
    posts, is_good = dict(paths), True
    for one, path in posts.items():
        try:
            found = await client.post(path)
        except (SetupError, NotAuthenticated):
            raise
        except ArqueductError as error:
            is_good = False
            print_error(_about(one, error) if len(posts) > 1 else error, json=json)
        else:
            show(found)
    return is_good


def _about(one: UUID, error: ArqueductError) -> ArqueductError:
    """The same error, naming which of several it is about."""
    return type(error)(f"{one}: {error.message}", advice=error.advice)
