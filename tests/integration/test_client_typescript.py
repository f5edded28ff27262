"""The TypeScript client, run by Node against a real server; its stories are in clients/typescript/test."""

import asyncio
import json
import os
import re
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from arqueduct.identity import NewIdentity
from arqueduct.settings import Settings
from tests.integration.cutting_proxy import cutting_proxy
from tests.integration.labouring import labouring
from tests.integration.live_server import LiveServer, serving
from tests.integration.worker import TestWorker

CLIENT = Path(__file__).parents[2] / "clients" / "typescript"
COPIED = ("src", "test", "package.json", "package-lock.json", "prepare.mjs", "tsconfig.json", ".npmrc")
MANUAL = CLIENT.parents[1] / "examples" / "documents" / "bzip2-manual.pdf"
SECONDS = 120
STRANGER = "aq_wrong"
TYPES = ("--noEmit", "--allowJs", "--checkJs", "--strict", "--module", "nodenext", "--target", "es2022")

pytestmark = pytest.mark.skipif(
    not shutil.which("node") or not (CLIENT / "node_modules").is_dir(),
    reason="Node.js is not here, or `make clients-install` was not run: the TypeScript client is left out",
)


@pytest.fixture
async def server(settings: Settings) -> AsyncIterator[LiveServer]:
    async with serving(settings) as running:
        yield running


@pytest.fixture
async def project(tmp_path: Path) -> Path:
    """A folder of a user, into which the package was installed out of a clone that nobody built."""
    clone, project = tmp_path / "clone", tmp_path / "project"
    clone.mkdir()
    project.mkdir()
    for name in COPIED:
        copy = shutil.copytree if (CLIENT / name).is_dir() else shutil.copy
        copy(CLIENT / name, clone / name)
    (clone / "node_modules").symlink_to(CLIENT / "node_modules")
    await said_by(project, "npm", "install", "--offline", "--no-audit", "../clone")
    return project


async def test_the_typescript_client(server: LiveServer, me: NewIdentity) -> None:
    bytes_until_cut = iter([900, 1_500])
    async with cutting_proxy(server.port, lambda: next(bytes_until_cut, None), lambda: True) as proxy:
        await said_by(
            CLIENT,
            *("npm", "test"),
            ARQUEDUCT_TEST_URL=f"http://127.0.0.1:{server.port}",
            ARQUEDUCT_TEST_CUT_URL=f"http://127.0.0.1:{proxy.port}",
            ARQUEDUCT_TEST_KEY=me.api_key,
        )
        assert proxy.cuts == 2


@pytest.mark.parametrize("options", ["", "--experimental-websocket"], ids=["as-it-is", "with-a-socket-of-its-own"])
async def test_the_example_of_the_manual_runs(
    project: Path, server: LiveServer, api_worker: TestWorker, me: NewIdentity, options: str
) -> None:
    """On this Node, whether it has a `WebSocket` or takes that of `ws`; and its types are right."""
    place_example(project, server)
    async with labouring(api_worker):
        said = await said_by(project, "node", "example.mjs", ARQUEDUCT_API_KEY=me.api_key, NODE_OPTIONS=options)
    assert re.search(r"^[0-9a-f-]{36} handbook.pdf [a-z]+ [0-9.]+$", said, re.MULTILINE)
    assert "completed " in said.splitlines()
    assert "bzip2" in said
    if not options:
        (project / "node_modules" / "@types").symlink_to(CLIENT / "node_modules" / "@types")
        await said_by(project, "node", str(CLIENT / "node_modules/typescript/bin/tsc"), *TYPES, "example.mjs")


async def test_the_example_complains_of_a_bad_key(project: Path, server: LiveServer) -> None:
    place_example(project, server)
    said = await said_by(project, "node", "example.mjs", ends_with=1, ARQUEDUCT_API_KEY=STRANGER)
    assert "ApiError: 401 not_authenticated" in said


def test_the_lock_names_no_registry() -> None:
    """What npm asks is the user's own setting; the hashes hold wherever a package comes from."""
    packages = json.loads((CLIENT / "package-lock.json").read_text())["packages"]
    assert [name for name, package in packages.items() if "resolved" in package] == []
    assert all("integrity" in package for name, package in packages.items() if name)


def place_example(project: Path, server: LiveServer) -> None:
    manual = (CLIENT / "README.md").read_text()
    (program,) = re.findall(r"^```js run\n(.*?)^```$", manual, re.MULTILINE | re.DOTALL)
    (project / "example.mjs").write_text(program.replace(":8000", f":{server.port}"))
    shutil.copy(MANUAL, project / "handbook.pdf")


async def said_by(folder: Path, *command: str, ends_with: int = 0, **variables: str) -> str:
    """All that a program says; it fails the test when it ends in another way, or not in time."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env={**os.environ, **variables},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None
    said = b""
    try:
        async with asyncio.timeout(SECONDS):
            while piece := await process.stdout.read(2**16):
                said += piece
            await process.wait()
    except TimeoutError:
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    assert process.returncode == ends_with, said.decode()[-5000:]
    return said.decode()
