"""What a histogram of durations says: its buckets are those of `duration_bucket` in the schema. Values in, values out.

Buckets grow by a constant factor, as in DDSketch (Masson, Rim and Lee, 2019), so the error of a percentile is relative
and bounded, however long or short the durations are.
"""

import math
from collections import Counter
from dataclasses import dataclass, field

__all__ = ["RELATIVE_ERROR", "Durations", "bucket_of", "seconds_of"]

RELATIVE_ERROR = 0.025
"""Of a percentile, for what takes a millisecond or more."""
SHORTEST = 0.001
"""Seconds; what takes less counts as this in percentiles, not in the mean."""
GROWTH = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)


@dataclass(kw_only=True)
class Durations:
    """Runs by how long they took."""

    microseconds: int = 0
    buckets: Counter[int] = field(default_factory=Counter)

    def add(self, bucket: int, runs: int, microseconds: int) -> None:
        self.buckets[bucket] += runs
        self.microseconds += microseconds

    @property
    def runs(self) -> int:
        return self.buckets.total()

    @property
    def mean(self) -> float | None:
        """Exact, to the microsecond."""
        return self.microseconds / self.runs / 1e6 if self.runs else None

    def percentile(self, share: float) -> float | None:
        """Seconds within which this share (0 … 1) of the runs ended, give or take `RELATIVE_ERROR`."""
        rank, seen = max(math.ceil(share * self.runs), 1), 0
        for bucket in sorted(self.buckets):
            seen += self.buckets[bucket]
            if seen >= rank:
                return seconds_of(bucket)
        return None


def bucket_of(seconds: float) -> int:
    return math.ceil(math.log(max(seconds, SHORTEST)) / math.log(GROWTH))


def seconds_of(bucket: int) -> float:
    """What is within `RELATIVE_ERROR` of everything in the bucket."""
    return 2 * GROWTH**bucket / (GROWTH + 1)
