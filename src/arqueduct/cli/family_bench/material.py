"""What a project is made of: thousands of small files in one set, and a profile that asks no model."""

from collections.abc import Iterator
from uuid import uuid4

from arqueduct.cli.client import Client
from arqueduct.errors import SetupError

__all__ = ["KIND", "file_set", "profile"]

KIND = "document.simulate"
A_REQUEST = 1000
"""Files of one request."""


async def file_set(client: Client, files: int) -> str:
    """The id of a new set of so many files, no two of which are the same."""
    path, fields, made = "/file-sets", {"name": "bench"}, ""
    for begin in range(0, files, A_REQUEST):
        answer = await client.post_files(path, fields, list(_some(begin, min(begin + A_REQUEST, files))))
        refused = [file["error"] for file in answer["files"] if not file["accepted"]]
        if refused:
            raise SetupError(f"{len(refused)} files were refused: {refused[0]}")
        made = made or str(answer["id"])
        path, fields = f"/file-sets/{made}/files", {}
    return made


async def profile(client: Client) -> str:
    """The id of a profile under which a job does next to nothing: what is measured is the queue and the counting."""
    step = {"label": "extracting", "seconds": 0, "units": 1}
    settings = {"pipeline": KIND, "options": {"simulate": {"steps": [step]}}}
    return str((await client.post("/profiles", {"name": f"bench {uuid4()}", "settings": settings}))["id"])


def _some(begin: int, end: int) -> Iterator[tuple[str, bytes]]:
    for number in range(begin, end):
        yield f"{number // 100:03}/{number:05}.txt", f"The words of file {number} are nobody else's.\n".encode()
