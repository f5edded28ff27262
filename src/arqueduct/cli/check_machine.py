"""Questions about this machine: its programs, its disk, the model."""

import asyncio
import importlib.util
import os
import platform
import shutil
import stat
import sys

from arqueduct import embedding
from arqueduct.cli.checkup import Finding, bad, good, skipped, weak
from arqueduct.embedded.binaries import find_postgres, find_valkey, pgvector_version
from arqueduct.settings import Settings
from arqueduct.storage import Storage
from arqueduct.supervisor.folder import DataFolder

__all__ = [
    "check_data_dir",
    "check_disk",
    "check_model",
    "check_parts",
    "check_programs",
    "check_python",
    "check_storage",
]

LEAST_PYTHON = (3, 11)
LITTLE_DISK = 2 * 2**30
TOO_LITTLE_DISK = 256 * 2**20
"""Postgres stops the whole cluster when it cannot write its log."""

PARTS = {"backend": "fastapi", "worker": "pypdfium2"}
"""A package that each extra brings."""


async def check_python() -> Finding:
    said = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if sys.version_info < LEAST_PYTHON:
        return bad(said, "Install Python 3.11 or newer.")
    if sys.platform not in ("linux", "darwin"):
        return weak(said, "Only Linux and macOS are tried; use a container.")
    return good(said)


async def check_parts() -> Finding:
    missing = [extra for extra, package in PARTS.items() if importlib.util.find_spec(package) is None]
    if missing:
        return weak(f"not installed: {', '.join(missing)}", f"Run `pip install 'arqueduct[{','.join(missing)}]'`.")
    return good(", ".join(PARTS))


async def check_programs(settings: Settings) -> Finding:
    if settings.database_url and settings.redis_url:
        return skipped("servers are given")
    said = []
    if settings.database_url is None:
        found = await asyncio.to_thread(find_postgres)
        vector = ".".join(map(str, pgvector_version(found.vector_control)))
        said.append(f"PostgreSQL {found.version} with pgvector {vector}")
    if settings.redis_url is None:
        found_valkey = await asyncio.to_thread(find_valkey)
        said.append(
            f"{found_valkey.executable.name} of {found_valkey.bundle.label if found_valkey.bundle else 'the system'}"
        )
    return good(", ".join(said))


async def check_data_dir(folder: DataFolder) -> Finding:
    path = folder.path
    if not folder.exists():
        above = next(parent for parent in path.parents if parent.exists())
        if os.access(above, os.W_OK | os.X_OK):
            return skipped(f"{path} does not exist yet; the first start makes it")
        return bad(f"{path} cannot be made: {above} is closed to us", "Choose another folder with --data-dir.")
    if not os.access(path, os.W_OK | os.X_OK):
        return bad(f"{path} is closed to us", "Start as the user who made it, or choose another with --data-dir.")
    for file in (folder.credentials, folder.runtime):
        if file.exists() and stat.S_IMODE(file.stat().st_mode) & 0o077:
            return bad(f"{file} can be read by others", f"Run `chmod 600 {file}`, and make a new key.")
    return good(str(path))


async def check_disk(folder: DataFolder) -> Finding:
    place = next(path for path in (folder.path, *folder.path.parents) if path.exists())
    free = shutil.disk_usage(place).free
    said = f"{free / 2**30:,.1f} GB free at {place}"
    if free < TOO_LITTLE_DISK:
        return bad(said, "Make room: Postgres stops when it cannot write.")
    return good(said) if free > LITTLE_DISK else weak(said, "Make room before ingesting much.")


async def check_storage(settings: Settings, folder: DataFolder) -> Finding:
    url = settings.effective_storage_url
    if settings.storage_url is None and not folder.exists():
        return skipped("<data-dir>/storage, made by the first start")
    await Storage.open(url).check()
    return good(url)


async def check_model(settings: Settings) -> Finding:
    """Loads it and embeds a word: nothing less shows that it works."""
    embedder = embedding.open_embedder(settings)
    try:
        vector = await embedder.embed_query("ready")
    finally:
        await embedder.aclose()
    return good(f"{embedder.model.name}, {len(vector)} dimensions")
