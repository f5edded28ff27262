"""A child's life, with the quickest commands there are."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from arqueduct.errors import SetupError
from arqueduct.supervisor.child import Child
from tests.acceptance.processes import plain_environment


@pytest.fixture
def said() -> list[tuple[str, dict[str, Any]]]:
    return []


@pytest.fixture
def child(tmp_path: Path, said: list[tuple[str, dict[str, Any]]]) -> Callable[..., Child]:
    def make(*command: str) -> Child:
        return Child(
            name="worker-1",
            role="worker",
            command=command,
            environment=plain_environment({"ARQUEDUCT_DATA_DIR": str(tmp_path)}),
            log=tmp_path / "worker-1.log",
            say=lambda event, **fields: said.append((event, fields)),
            on_change=lambda: None,
        )

    return make


async def test_a_death_before_all_is_ready_is_an_error_with_its_last_words(child: Callable[..., Child]) -> None:
    with pytest.raises(SetupError, match=r"(?s)worker-1 ended with status 1 before it was ready.*DATABASE_URL"):
        await child("worker").start()


async def test_a_later_death_is_followed_by_another_life(
    child: Callable[..., Child], said: list[tuple[str, dict[str, Any]]]
) -> None:
    short_lived = child("worker")
    short_lived.must_live = False
    task = short_lived.start()
    while len(said) < 2:
        assert not task.done()
        await asyncio.sleep(0.02)
    await short_lived.stop(grace=5)
    assert [event for event, _ in said[:2]] == ["died", "died"]
    assert said[1][1]["again_in"] > said[0][1]["again_in"]
    assert short_lived.pid is None
