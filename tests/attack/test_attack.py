"""The short version of `make attack`, and whether it would notice a service that gives way."""

import random
from collections.abc import Iterator

import pytest

from tests.attack.attacks import ATTACKS, run
from tests.attack.strangers import TRUSTING, strangers
from tests.attack.tally import Tally, lines_of
from tests.attack.target import Target, own
from tests.attack.timing import compare

UNTRIED: dict[str, set[str]] = {}
"""What cannot be tried at a service of our own, and why: nothing, so far. `make attack` with `--url` has more."""


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with own(is_short=True) as started:
        yield started


async def test_the_service_holds_against_a_few_of_each_attack(target: Target) -> None:
    tallies = await run(target)
    print("\n".join(lines_of(tallies)))
    assert [tally.name for tally in tallies] == list(ATTACKS)
    assert {tally.name: tally.gave_way for tally in tallies if tally.gave_way} == {}
    assert {tally.name: set(tally.untried) for tally in tallies if tally.untried} == UNTRIED
    assert [tally.name for tally in tallies if not tally.tried] == []


async def test_a_service_that_believes_every_proxy_gives_way_to_made_up_addresses(target: Target) -> None:
    tally = Tally(name="strangers")
    await strangers(target, tally, TRUSTING)
    said = "\n".join(tally.gave_way)
    for what in ("X-Forwarded-For", "a chain of proxies", "an IPv6 address"):
        assert f"a stranger with {what}: 50 of 50 passed" in said
        assert f"sign-ins with {what}: 25 of 25 passed" in said
    assert "one account" not in said


def test_what_could_not_be_tried_is_not_called_held() -> None:
    absent, weak = Tally(name="absent"), Tally(name="weak")
    absent.not_tried("there is no such thing")
    weak.check(True, "fine")
    weak.check(False, "open")
    assert (absent.verdict, weak.verdict) == ("not tried", "GAVE WAY")
    said = "\n".join(lines_of([absent, weak]))
    assert "NOT TRIED  absent: there is no such thing" in said
    assert "GAVE WAY   weak: open" in said


def test_a_difference_in_time_is_found_and_noise_is_not() -> None:
    chance = random.Random(4)

    def times(base: float) -> list[float]:
        return [base + chance.expovariate(100) for _ in range(60)]

    assert not compare(times(0.05), times(0.05)).is_leak
    assert compare(times(0.05), times(0.002)).is_leak
