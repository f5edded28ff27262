"""docs/data-life.md does what it says: its snippets run one after the other."""

import ast
import inspect
import re
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from arqueduct.lifecycle import JobState
from tests.integration.backend import ingest
from tests.integration.worker import TestWorker, row

PAGE = Path(__file__).parents[2] / "docs" / "data-life.md"


async def test_its_snippets_run(
    api: httpx.AsyncClient, api_worker: TestWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ingest(api, api_worker, b"# Water\n\nIt flows.\n", "water.md")

    async def finished(job: dict[str, Any]) -> None:
        await api_worker.run(UUID(job["id"]))
        ended = await row(api_worker.services.database, UUID(job["id"]))
        assert ended["state"] == JobState.COMPLETED, ended["error"]

    beginning, *snippets = re.findall(
        r"^```python data-life(?:-begins)?\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL
    )
    assert len(snippets) == 4
    monkeypatch.setenv("ARQUEDUCT_URL", "http://testserver")
    monkeypatch.setenv("ARQUEDUCT_API_KEY", "aq_")
    names: dict[str, Any] = {}
    exec(compile(beginning, str(PAGE), "exec"), names)
    await names["api"].aclose()
    assert callable(names["finished"])
    names |= {"api": api, "finished": finished}  # without a port, and with a worker of the test's own
    for snippet in snippets:
        code = compile(snippet, str(PAGE), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        running = eval(code, names)
        if inspect.isawaitable(running):
            await running
