"""Files on their way into a set, as a person sees it: a bar, and a line for each that was refused."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from arqueduct.cli.client import Body, Client
from arqueduct.cli.found_files import readable
from arqueduct.cli.output import out
from arqueduct.cli.set_uploads import Batch, Named, send
from arqueduct.cli.words import size
from arqueduct.errors import ArqueductError, InvalidRequest

__all__ = ["refused", "tell_refused", "upload"]


async def upload(client: Client, file_set_id: str, files: Sequence[Named], *, is_silent: bool) -> list[Body]:
    """What became of each. Raises `InvalidRequest` for a file that cannot be read, and what the server refuses; what
    went before it is kept, and the advice says so.
    """
    going_on = f"What was accepted is kept; go on with `sets add {file_set_id} PATH`."
    try:
        with _bar(files, is_silent=is_silent) as sent:
            return await send(client, file_set_id, files, sent)
    except OSError as error:
        raise InvalidRequest(
            f"{readable(error.filename)} cannot be read: {error.strerror}.", advice=going_on
        ) from error
    except ArqueductError as error:
        error.advice = f"{error.advice} {going_on}"
        raise


def refused(files: Sequence[Body]) -> list[Body]:
    return [file for file in files if not file["accepted"]]


def tell_refused(files: Sequence[Body], console: Console) -> None:
    """A line each."""
    for file in refused(files):
        said = f"{file['path'] or file['name']}: not accepted: {file['error']['message']} {file['error']['advice']}"
        console.print(Text(said), soft_wrap=not console.is_terminal)


@contextmanager
def _bar(files: Sequence[Named], *, is_silent: bool) -> Iterator[Callable[[Batch], None]]:
    """Of files and bytes, on a terminal."""
    columns = (TextColumn("Uploading"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[size]}"))
    with Progress(*columns, console=out, disable=is_silent or not out.is_terminal) as progress:
        task, taken = progress.add_task("", total=len(files), size=""), 0

        def sent(batch: Batch) -> None:
            nonlocal taken
            taken += batch.size
            progress.update(task, advance=len(batch.files), size=size(taken))

        yield sent
