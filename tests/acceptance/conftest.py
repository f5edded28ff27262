"""One installation for the tests that do it no harm."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from arqueduct.embedded import remove
from tests.acceptance.processes import lend_model, up


@dataclass(frozen=True, kw_only=True)
class Running:
    """An `arqueduct up` that serves."""

    url: str
    api_key: str
    user_id: str
    data_dir: Path

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=f"{self.url}/api/v1", headers={"Authorization": f"Bearer {self.api_key}"})


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Shared by the session: leave nothing behind that others could stumble over, and kill nothing."""
    data_dir = tmp_path_factory.mktemp("running") / "data"
    with up(data_dir) as started:
        known = started.credentials()
        yield Running(url=known["url"], api_key=known["api_key"], user_id=known["user_id"], data_dir=data_dir)
    for server in ("postgres", "valkey"):
        remove(data_dir / server)


@pytest.fixture
def data_dir(running: Running, tmp_path: Path) -> Iterator[Path]:
    """A folder of one's own for an installation that may come to harm."""
    folder = tmp_path / "data"
    folder.mkdir()
    yield lend_model(running.data_dir, folder)
    for server in ("postgres", "valkey"):
        remove(folder / server)
