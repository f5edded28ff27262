"""Whether the time of an answer, or its words, tell which addresses have an account."""

import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import httpx

from tests.attack.tally import Tally
from tests.attack.target import PREFIX, Target

__all__ = ["enumeration"]

LEAST_SHARE = 0.15
"""Of the median: less is not to be told from noise over a network."""
SHUFFLES = 2000
LEAST_CHANCE = 0.001
"""That chance alone makes such a difference: one wrong alarm in a thousand runs, less with `LEAST_SHARE`."""


async def enumeration(target: Target, tally: Tally) -> None:
    if not target.has("/auth/login"):
        tally.not_tried("the service has no login")
        return
    if target.they.email is None:
        tally.not_tried("no address with an account is known: only keys were given")
        return
    samples = 12 if target.is_short else 120
    async with target.client() as client:
        known, unknown = await _measure(client, target.they.email, samples)
    if not known or not unknown:
        tally.not_tried("the login is limited just now")
        return
    tally.check({word for _, word in known} == {word for _, word in unknown}, "the words differ")
    found = compare([took for took, _ in known], [took for took, _ in unknown])
    tally.check(not found.is_leak, f"known and unknown addresses: {found}")


async def _measure(
    client: httpx.AsyncClient, address: str, samples: int
) -> tuple[list[tuple[float, str]], list[tuple[float, str]]]:
    """In turn, in random order within a pair, so that whatever else the machine does meets both alike."""
    known: list[tuple[float, str]] = []
    unknown: list[tuple[float, str]] = []
    for number in range(samples):
        tries = [(known, address), (unknown, f"nobody{number}-{random.getrandbits(40):x}@localhost")]
        random.shuffle(tries)
        for found, email in tries:
            began = time.perf_counter()
            answer = await client.post(
                f"{PREFIX}/auth/login", json={"email": email, "password": f"a wrong one {number}"}
            )
            took = time.perf_counter() - began
            if answer.status_code == 429:
                return [], []
            body = answer.json()
            found.append((took, f"{answer.status_code} {body.get('code')} {body.get('detail')}"))
    return known, unknown


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Medians in seconds."""

    first: float
    second: float
    chance: float
    """How often a random split of all times differs as much."""

    @property
    def is_leak(self) -> bool:
        return self.chance < LEAST_CHANCE and abs(self.first - self.second) > LEAST_SHARE * min(self.first, self.second)

    def __str__(self) -> str:
        return f"{self.first * 1000:.1f} and {self.second * 1000:.1f} ms in the median, by chance {self.chance:.2%}"


def compare(first: Sequence[float], second: Sequence[float]) -> Comparison:
    """A permutation test of the difference of medians: nothing is assumed of how times are spread."""
    difference = abs(statistics.median(first) - statistics.median(second))
    together = [*first, *second]
    chooser = random.Random(4)
    as_much = 0
    for _ in range(SHUFFLES):
        chooser.shuffle(together)
        apart = abs(statistics.median(together[: len(first)]) - statistics.median(together[len(first) :]))
        as_much += apart >= difference
    return Comparison(first=statistics.median(first), second=statistics.median(second), chance=as_much / SHUFFLES)
