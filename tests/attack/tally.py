"""What was tried, and what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["Tally", "lines_of"]

MOST_SHOWN = 10
LONGEST = 300


@dataclass(kw_only=True)
class Tally:
    """Of one kind of attack."""

    name: str
    tried: int = 0
    gave_way: list[str] = field(default_factory=list)
    """Each with what shows it."""
    untried: list[str] = field(default_factory=list)
    """What could not be tried, and why. It counts as nothing, least of all as held."""
    seconds: float = 0

    def check(self, holds: object, what: str) -> None:
        """One attack: it held, or `what` says how it did not."""
        self.tried += 1
        if not holds:
            self.gave_way.append(what[:LONGEST])

    def not_tried(self, why: str) -> None:
        self.untried.append(why)

    @property
    def verdict(self) -> str:
        if self.gave_way:
            return "GAVE WAY"
        return "held" if self.tried else "not tried"


def lines_of(tallies: Sequence[Tally]) -> list[str]:
    """A table, then what gave way and what was not tried, in full."""
    width = max(len(tally.name) for tally in tallies)
    said = [f"{'attack':<{width}}  {'tried':>6}  {'held':>6}  {'took':>7}"]
    for tally in tallies:
        held = tally.tried - len(tally.gave_way)
        said.append(f"{tally.name:<{width}}  {tally.tried:>6}  {held:>6}  {tally.seconds:>5.1f} s  {tally.verdict}")
    tried, gave = sum(tally.tried for tally in tallies), sum(len(tally.gave_way) for tally in tallies)
    said.append(f"{'all':<{width}}  {tried:>6}  {tried - gave:>6}  {sum(tally.seconds for tally in tallies):>5.1f} s")
    for tally in tallies:
        said += [f"GAVE WAY   {tally.name}: {what}" for what in tally.gave_way[:MOST_SHOWN]]
        if len(tally.gave_way) > MOST_SHOWN:
            said.append(f"GAVE WAY   {tally.name}: and {len(tally.gave_way) - MOST_SHOWN} more")
        said += [f"NOT TRIED  {tally.name}: {why}" for why in tally.untried]
    return said
