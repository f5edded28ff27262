"""How long work will take: a middle and a range, or unknown where nothing was measured. Values in, values out.

A duration that is not known yet is a `Guess`: the logarithm of its seconds is taken to be normal, which fits stages
well (their times differ by factors, not by seconds) and needs two numbers a stage. Sums follow Fenton (1960) and
Wilkinson: mean and variance of the sum are those of a log-normal again. How well it does: docs/eta.md.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

__all__ = [
    "JOB",
    "NOTHING",
    "WAIT",
    "Estimate",
    "Guess",
    "Part",
    "Rate",
    "Rates",
    "blended",
    "estimate",
    "lately",
    "left_of",
    "left_of_job",
    "of_backlog",
    "pace",
    "size_class",
    "together",
    "wait",
]

WAIT, JOB = "*wait", "*job"
"""What stands for a stage where the time from due to claimed is meant, and a whole attempt that completed."""

NORMAL = NormalDist()
REACH = NORMAL.inv_cdf(0.9)
"""Standard deviations on either side: the range is meant to hold eight times in ten."""
LEAST = 1e-3
"""Seconds; less is nothing."""
MOST = 10 * 365 * 86_400
"""Seconds of the longest estimate told: it fits Postgres' integer, and nobody waits for it."""

PRIOR_VARIANCE, PRIOR_WEIGHT = 0.5, 2.0
"""Of a stage measured once or twice: documents of one size class take up to twice as long as each other, or half."""
CLASS_VARIANCE, OTHER_TYPE_VARIANCE = 0.12, 1.0
"""What each class of size between a measured document and this one adds (by its square), and what another type does."""
SIZE_EXPONENT = 0.8
"""Twice the bytes take less than twice as long: pictures and fonts grow too, and every stage has a beginning."""
FARTHEST = 5
"""Classes of size; what took a thirtieth of the bytes says nothing."""
ALIKE = 0.5
"""Correlation of the stages of one job: a busy machine slows all of them."""
LEAST_SHARE = 0.05
"""Of a stage or a job; an own pace from less of the work would swing wildly."""
WEIGHT_VARIANCE = 1.0
"""Of a stage that was never measured, guessed by its declared weight: wrong by a factor of e is usual."""
CERTAIN = 1e-9
"""Of a variance: less is as good as none, and no number to divide by."""
FAR = 5.0
"""Standard deviations by which a stage is overdue, from where on the tail is computed by its limit."""
LEAST_BASIS = 2.0
"""Seconds for which rates were watched."""
LEAST_RATE = 1e-6
"""Units of work a second; less is standing still."""
STALLED = 8.0
"""The slower of two rates counts for at least this part of the faster one."""
LARGEST_CLASS = 20
"""From half a gigabyte on."""


@dataclass(frozen=True, kw_only=True)
class Guess:
    """Mean and variance of the natural logarithm of seconds."""

    mean: float
    variance: float

    @property
    def expected(self) -> float:
        """Mean seconds; of one that could be anything the median, more or less."""
        return math.exp(self.mean + min(self.variance, 2.0) / 2)


NOTHING = Guess(mean=math.log(LEAST), variance=0.0)


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Seconds; `low` ≤ `middle` ≤ `high`. The middle is as often too long as it is too short."""

    low: float
    middle: float
    high: float

    @property
    def seconds(self) -> int:
        return round(self.middle)

    @property
    def range(self) -> list[int]:
        """Whole seconds, rounded away from the middle."""
        return [math.floor(self.low), math.ceil(self.high)]


@dataclass(frozen=True, kw_only=True)
class Rate:
    """What was measured of a stage, for documents of a type and a size class."""

    kind: str
    stage: str
    content_type: str
    """Empty: jobs without a document."""
    size_class: int
    weight: float
    """How many runs it stands on; those of long ago count less."""
    mean: float
    variance: float
    """Of the logarithm of seconds."""


class Rates:
    """All that was measured. Where nothing was of just such a document, the nearest one stands in, less sure."""

    def __init__(self, rates: Iterable[Rate] = ()) -> None:
        self._of_stage: dict[tuple[str, str], list[Rate]] = defaultdict(list)
        self._known: dict[tuple[str, str, str, int], Guess | None] = {}
        for rate in rates:
            self._of_stage[rate.kind, rate.stage].append(rate)

    def __len__(self) -> int:
        return sum(map(len, self._of_stage.values()))

    def guess(self, kind: str, stage: str, content_type: str | None, size: int | None) -> Guess | None:
        """None: no stage like this was measured."""
        key = kind, stage, content_type or "", size_class(size)
        if key not in self._known:
            self._known[key] = self._nearest(*key)
        return self._known[key]

    def usual(self, kind: str, stage: str) -> Guess | None:
        """Whatever the document: a run picked out of all."""
        found = self._of_stage.get((kind, stage))
        return _mixed(found) if found else None

    def usual_job(self) -> Guess | None:
        """A job of whatever kind."""
        found = [rate for (_, stage), rates in self._of_stage.items() if stage == JOB for rate in rates]
        return _mixed(found) if found else None

    def _nearest(self, kind: str, stage: str, content_type: str, of_size: int) -> Guess | None:
        near = [
            (_doubt(rate, content_type, of_size), -rate.weight, rate)
            for rate in self._of_stage.get((kind, stage), ())
            if abs(rate.size_class - of_size) <= FARTHEST
        ]
        if not near:
            return None
        doubt, _, rate = min(near, key=lambda found: found[:2])
        shift = SIZE_EXPONENT * math.log(2) * (of_size - rate.size_class)
        return Guess(mean=rate.mean + shift, variance=_variance(rate) + doubt)


@dataclass(frozen=True, kw_only=True)
class Part:
    """A stage of a job: what was measured of such stages, and how long it took in this attempt, if it is over."""

    weight: float
    guess: Guess | None
    spent: float | None = None


def size_class(size: int | None) -> int:
    """0: less than a KiB, or no document; then a class for each doubling. The function of the schema is the same."""
    return min((max(size or 0, 0) >> 10).bit_length(), LARGEST_CLASS)


def estimate(guess: Guess) -> Estimate:
    """The range holds eight times in ten, as far as the guess does."""
    reach = REACH * math.sqrt(guess.variance)
    return Estimate(low=_seconds(guess.mean - reach), middle=_seconds(guess.mean), high=_seconds(guess.mean + reach))


def pace(elapsed: float, share: float) -> Guess | None:
    """What is left of work of which `share` (0 … 1) took `elapsed` seconds: none while there is no basis.

    The less is done the less it says: at a twentieth a factor of 8, at a half 1.4, near the end a tenth.
    """
    if share < LEAST_SHARE or elapsed <= 0:
        return None
    left = elapsed * (1 - share) / share
    return Guess(mean=math.log(max(left, LEAST)), variance=(0.5 * (1 - share)) ** 2 / share + 0.01)


def lately(guess: Guess | None, share: float, recent: float | None) -> Guess | None:
    """The own pace, put right by that of the last reports: `recent` is their share of the stage a second.

    Work that shares a machine begins slowly, in line behind others, and ends quickly; neither pace alone is right.
    """
    if guess is None or not recent or recent < LEAST_RATE:
        return guess
    return blended(guess, Guess(mean=math.log(max((1 - share) / recent, LEAST)), variance=guess.variance))


def left_of(guess: Guess, elapsed: float) -> Guess:
    """What is left of something that has taken `elapsed` seconds already and is not over."""
    if elapsed <= LEAST:
        return guess
    if guess.variance <= CERTAIN:
        return Guess(mean=math.log(max(math.exp(guess.mean) - elapsed, LEAST)), variance=guess.variance)
    deviation = math.sqrt(guess.variance)
    late = (math.log(elapsed) - guess.mean) / deviation
    if late > FAR:  # the chance to end in the next moment hardly changes any more: late / (deviation * elapsed)
        return Guess(mean=math.log(max(math.log(2) * deviation * elapsed / late, LEAST)), variance=WEIGHT_VARIANCE)
    surviving = NORMAL.cdf(-late)
    low, middle, high = (
        math.log(max(math.exp(guess.mean - deviation * NORMAL.inv_cdf(surviving * share)) - elapsed, LEAST))
        for share in (0.9, 0.5, 0.1)
    )
    return Guess(mean=middle, variance=((high - low) / (2 * REACH)) ** 2)


def blended(one: Guess, other: Guess) -> Guess:
    """Both together: the surer one counts more, and where they contradict each other neither is sure."""
    if min(one.variance, other.variance) <= CERTAIN:
        return min(one, other, key=lambda guess: guess.variance)
    total = 1 / one.variance + 1 / other.variance
    mine = 1 / one.variance / total
    mean = one.mean * mine + other.mean * (1 - mine)
    return Guess(mean=mean, variance=1 / total + mine * (1 - mine) * (one.mean - other.mean) ** 2)


def together(guesses: Iterable[Guess]) -> Guess:
    """One after the other."""
    total = deviations = variances = 0.0
    for guess in guesses:
        variance = min(guess.variance, 4.0)
        mean = math.exp(guess.mean + variance / 2)
        deviation = mean * math.sqrt(math.expm1(variance))
        total += mean
        deviations += deviation
        variances += deviation**2
    if not total:
        return NOTHING
    variance = math.log1p(((1 - ALIKE) * variances + ALIKE * deviations**2) / total**2)
    return Guess(mean=math.log(total) - variance / 2, variance=variance)


def left_of_job(
    parts: Sequence[Part], at: int, elapsed: float, share: float, recent: float | None = None
) -> Estimate | None:
    """What is left of a job that is in its stage number `at`, `elapsed` seconds in, with `share` (0 … 1) done of it and
    `recent` of it a second of late, if that is known.

    A stage is guessed by what was measured, the one under way by its own pace too. One that was never measured is
    guessed by its weight and the pace of this attempt. None: there is neither.
    """
    now = parts[at]
    own = lately(pace(elapsed, share), share, recent)
    known = left_of(now.guess, elapsed) if now.guess else None
    by_weight = _seconds_per_weight(parts, at, elapsed, share)
    left: list[Guess | None]
    if known and own:
        left = [blended(known, own)]
    elif known or own:
        left = [known or own]
    else:
        left = [left_of(by_weight[now.weight], elapsed) if now.weight in by_weight else None]
    left += [part.guess or by_weight.get(part.weight) for part in parts[at + 1 :]]
    sure = [guess for guess in left if guess is not None]
    return estimate(together(sure)) if len(sure) == len(left) else None


def wait(before: int, slots: int, job: Guess | None) -> Guess | None:
    """Until a worker is free, when `before` jobs must end first and `slots` run at a time. None: nobody can tell."""
    if slots <= 0:
        return None
    if before <= 0:
        return NOTHING
    if job is None:
        return None
    variance = min(job.variance, 2.0)
    return Guess(mean=math.log(max(before * job.expected / slots, LEAST)), variance=math.expm1(variance) / before + 0.1)


def of_backlog(work: float, *, fast: float, slow: float, basis: float) -> Estimate | None:
    """What is left of much work that many do side by side, in units of it.

    `fast` and `slow` are its units a second, of the last moments and of longer; `basis`: seconds for which they were
    watched. The range lies at least between both rates. None: too little was seen, or nothing moves.
    """
    if work <= 0:
        return Estimate(low=0.0, middle=0.0, high=0.0)
    if basis < LEAST_BASIS or max(fast, slow) < LEAST_RATE:
        return None
    # A rate of nothing, of late, is a pause: how long it lasts nobody knows, but it is no reason to say "never".
    least = max(min(fast, slow), max(fast, slow) / STALLED)
    most = max(fast, slow)
    doubt = 1.1 + math.sqrt(LEAST_BASIS / basis)
    return Estimate(
        low=min(work / most / doubt, MOST),
        middle=min(work / math.sqrt(least * most), MOST),
        high=min(work / least * doubt, MOST),
    )


def _seconds_per_weight(parts: Sequence[Part], at: int, elapsed: float, share: float) -> Mapping[float, Guess]:
    """A guess for each weight of the parts, by what this attempt took so far; empty while there is no basis."""
    over = [part for part in parts[:at] if part.spent is not None]
    seconds = sum(part.spent or 0.0 for part in over) + (elapsed if share >= LEAST_SHARE else 0.0)
    done = sum(part.weight for part in over) + (parts[at].weight * share if share >= LEAST_SHARE else 0.0)
    found = {0.0: NOTHING}
    if done > 0 and done >= LEAST_SHARE * sum(part.weight for part in parts):
        for part in parts:
            if part.weight > 0:
                mean = math.log(max(seconds / done * part.weight, LEAST))
                found[part.weight] = Guess(mean=mean, variance=WEIGHT_VARIANCE)
    return found


def _mixed(rates: Sequence[Rate]) -> Guess:
    """One of several, each as likely as it has weight."""
    weight = sum(rate.weight for rate in rates)
    mean = sum(rate.weight * rate.mean for rate in rates) / weight
    spread = sum(rate.weight * (_variance(rate) + (rate.mean - mean) ** 2) for rate in rates) / weight
    return Guess(mean=mean, variance=spread)


def _variance(rate: Rate) -> float:
    """What was seen, and as long as little was, what is usual; the mean itself is not sure either."""
    weight = rate.weight + PRIOR_WEIGHT
    variance = (rate.weight * rate.variance + PRIOR_WEIGHT * PRIOR_VARIANCE) / weight
    return variance * (1 + 1 / weight)


def _doubt(rate: Rate, content_type: str, of_size: int) -> float:
    other = 0.0 if rate.content_type == content_type else OTHER_TYPE_VARIANCE
    return other + CLASS_VARIANCE * (rate.size_class - of_size) ** 2


def _seconds(log: float) -> float:
    return min(math.exp(min(log, 25.0)), float(MOST))
