"""What came out, for people."""

from collections import Counter
from dataclasses import dataclass, field

from tests.chaos.invariants import Broken

__all__ = ["Recovery", "Report"]

MOST_IDS = 10


@dataclass(frozen=True, kw_only=True)
class Recovery:
    """Of one job whose worker was hit. Seconds since then."""

    job_id: str
    fault: str
    """What the attempt's end is called: `worker_died`, or `handed_back` after a SIGTERM."""
    queued: float
    """Until the job was back in the queue, or ended."""
    unattended: float
    """Of these, those in which no worker was up: none had started yet, or all were stopped."""
    claimed: float | None
    """Until its next attempt began; none if a user paused it meanwhile."""
    before: int
    """Attempts at other jobs that began while it was in the queue."""

    @property
    def attended(self) -> float:
        return self.queued - self.unattended


@dataclass(frozen=True, kw_only=True)
class Report:
    """One run."""

    seed: int
    phases: dict[str, float]
    """Seconds that each took."""
    faults: Counter[str]
    documents: int
    jobs: int
    states: dict[str, int]
    attempts: dict[str, int]
    """By outcome."""
    asked: dict[str, int]
    repeated: int
    connections: int
    recoveries: list[Recovery] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    survivors: list[str] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    """What processes logged as errors. Nobody loses by them, but somebody will look for their cause."""

    @property
    def lost(self) -> set[str]:
        return {name for broken in self.broken if not broken.doubles for name in broken.ids}

    @property
    def doubled(self) -> set[str]:
        return {name for broken in self.broken if broken.doubles for name in broken.ids}

    @property
    def is_good(self) -> bool:
        return not (self.broken or self.differences or self.survivors)

    def lines(self) -> list[str]:
        """What went well in short, what did not in full."""
        said = [
            f"chaos      seed {self.seed}: {', '.join(f'{name} {took:.0f} s' for name, took in self.phases.items())}",
            f"faults     {sum(self.faults.values())}",
            *(f"           {count:4} {kind}" for kind, count in sorted(self.faults.items())),
            f"jobs       {self.jobs}: {_counts(self.states)}",
            f"documents  {self.documents}",
            f"attempts   {sum(self.attempts.values())}: {_counts(self.attempts)}",
            f"users      {_counts(self.asked)}",
            f"           {self.repeated} uploads made again, {self.connections} live connections",
            *self._recovery_lines(),
            f"lost       = {len(self.lost)}",
            f"doubled    = {len(self.doubled)}",
        ]
        said += [f"logged     {count} x {error}" for error, count in self.errors.most_common(MOST_IDS)]
        for broken in self.broken:
            said.append(f"BROKEN     {broken.rule}: {len(broken.ids)}")
            said += [f"           {name}" for name in broken.ids[:MOST_IDS]]
        said += [f"BROKEN     a live client {line}" for line in self.differences[:MOST_IDS]]
        said += [f"BROKEN     a process outlived its worker: {line}" for line in self.survivors]
        return said

    def _recovery_lines(self) -> list[str]:
        if not self.recoveries:
            return ["recovery   no fault hit a running job"]
        queued = max(self.recoveries, key=lambda recovery: recovery.queued)
        said = [
            f"recovery   {len(self.recoveries)} attempts hit; longest {queued.queued:.1f} s until back in the queue "
            f"({queued.fault}, job {queued.job_id}), {queued.unattended:.1f} s of them without any worker",
            f"           longest {max(recovery.attended for recovery in self.recoveries):.1f} s with a worker there",
        ]
        again = [(recovery.claimed, recovery) for recovery in self.recoveries if recovery.claimed is not None]
        if again:
            longest, claimed = max(again, key=lambda pair: pair[0])
            said.append(
                f"           longest {longest:.1f} s until claimed again, after {claimed.before} attempts at others "
                f"({claimed.fault}, job {claimed.job_id})"
            )
        return said


def _counts(counted: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counted.items())) or "none"
