"""The TypeScript client, run by Node against a real server; its stories are in clients/typescript/test."""

import asyncio
import os
import shutil
import signal
from pathlib import Path

import pytest

from arqueduct.identity import NewIdentity
from arqueduct.settings import Settings
from tests.integration.cutting_proxy import cutting_proxy
from tests.integration.live_server import serving

CLIENT = Path(__file__).parents[2] / "clients" / "typescript"
SECONDS = 120


@pytest.mark.skipif(
    not shutil.which("node") or not (CLIENT / "node_modules").is_dir(),
    reason="Node.js is not here, or `make clients-install` was not run: the TypeScript client is left out",
)
async def test_the_typescript_client(settings: Settings, me: NewIdentity) -> None:
    bytes_until_cut = iter([900, 1_500])
    async with (
        serving(settings) as server,
        cutting_proxy(server.port, lambda: next(bytes_until_cut, None), lambda: True) as proxy,
    ):
        process = await asyncio.create_subprocess_exec(
            *("npm", "test"),
            cwd=CLIENT,
            env={
                **os.environ,
                "ARQUEDUCT_TEST_URL": f"http://127.0.0.1:{server.port}",
                "ARQUEDUCT_TEST_CUT_URL": f"http://127.0.0.1:{proxy.port}",
                "ARQUEDUCT_TEST_KEY": me.api_key,
            },
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
        assert process.returncode == 0, said.decode()[-5000:]
        assert proxy.cuts == 2
