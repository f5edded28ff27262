"""What one client hears, whatever the order and the number of times in which messages arrive."""

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from arqueduct_backend.live.slot import Seqs, Slot, folded
from arqueduct_backend.live.updates import Update

STAGES = ("downloading", "extracting", "embedding")
ENDS = ("job_completed", "job_failed", "job_cancelled")


def update(job_id: str = "a", seq: int = 1, stage: str = "embedding", kind: str = "job_progress") -> Update:
    return Update(job_id, seq, kind, stage, "tenant", f"{job_id}:{seq}", "{}", b"{}")


def opened(**told: int) -> Slot:
    slot = Slot()
    slot.open(told)
    return slot


def drained(slot: Slot) -> Iterator[Update]:
    while (taken := slot.pop()) is not None:
        yield taken


def heard(slot: Slot) -> list[tuple[str, int]]:
    return [(taken.job_id, taken.seq) for taken in drained(slot)]


def test_progress_within_a_stage_is_replaced_by_the_newest() -> None:
    slot = opened()
    assert all(slot.offer(update(seq=seq)) for seq in (1, 2, 3))
    assert heard(slot) == [("a", 3)]


def test_a_new_stage_does_not_hide_the_last_word_of_the_one_before() -> None:
    slot = opened()
    for seq, stage in enumerate(["downloading", "extracting", "extracting", "embedding"], start=1):
        slot.offer(update(seq=seq, stage=stage))
    assert heard(slot) == [("a", 1), ("a", 3), ("a", 4)]


def test_an_end_survives_the_retry_that_follows_it() -> None:
    slot = opened()
    slot.offer(update(seq=7, stage="failed", kind="job_failed"))
    slot.offer(update(seq=8, stage="queued", kind="job_queued"))
    slot.offer(update(seq=9, stage="failed", kind="job_failed"))
    assert heard(slot) == [("a", 7), ("a", 8), ("a", 9)]


def test_what_is_not_newer_than_what_was_sent_is_dropped() -> None:
    slot = opened()
    slot.offer(update(seq=5))
    assert heard(slot) == [("a", 5)]
    assert not slot.offer(update(seq=5))
    assert not slot.offer(update(seq=4, stage="completed", kind="job_completed"))
    assert heard(slot) == []


def test_messages_that_overtook_each_other_come_out_in_order() -> None:
    slot = opened()
    slot.offer(update(seq=3, stage="completed", kind="job_completed"))
    slot.offer(update(seq=1, stage="downloading"))
    slot.offer(update(seq=2, stage="embedding"))
    assert heard(slot) == [("a", 1), ("a", 2), ("a", 3)]


def test_nothing_comes_out_before_the_snapshot_and_only_what_is_newer_after_it() -> None:
    slot = Slot()
    slot.offer(update("a", seq=4))
    slot.offer(update("b", seq=9))
    assert slot.pop() is None
    slot.open({"a": 4, "b": 8})
    assert heard(slot) == [("b", 9)]


def test_jobs_come_out_in_the_order_in_which_they_first_waited() -> None:
    slot = opened()
    for job_id, seq in [("a", 1), ("b", 1), ("a", 2)]:
        slot.offer(update(job_id, seq))
    assert heard(slot) == [("a", 2), ("b", 1)]


def test_a_slot_says_when_its_client_is_hopelessly_behind() -> None:
    slot = Slot(most_waiting=2)
    for number in range(3):
        assert not slot.is_full
        slot.offer(update(str(number)))
    assert slot.is_full
    slot.open({"0": 1})
    assert not slot.is_full


def test_what_need_not_wait_is_counted_as_sent() -> None:
    slot, held = opened(a=3), Slot()
    assert not held.are_next([update(seq=4)])
    assert not slot.are_next([update(seq=4), update("b", seq=1), update(seq=3)])
    assert slot.are_next([update(seq=4), update("b", seq=1)])
    slot.passed([update(seq=4), update("b", seq=1)])
    assert not slot.offer(update("b", seq=1))
    assert slot.offer(update(seq=5))
    assert not slot.are_next([update("c")])  # one waits


def test_what_comes_at_once_is_heard_as_by_one_who_was_late() -> None:
    alone = [update(seq=9)]
    assert folded(alone) is alone
    found = folded([update(seq=2), update("b"), update(seq=1), update(seq=3), update(seq=3, stage="storing")])
    assert [(one.job_id, one.seq) for one in found] == [("a", 3), ("b", 1)]


def test_the_memory_of_what_was_sent_is_bounded_and_loses_the_oldest() -> None:
    seqs = Seqs(limit=2)
    for job_id in ("a", "b", "a", "c"):
        seqs.raise_to(job_id, 5)
    assert len(seqs) == 2
    assert [seqs.get(job_id) for job_id in ("a", "b", "c")] == [5, 0, 5]


@st.composite
def histories(draw: st.DrawFn) -> list[Update]:
    """What some jobs went through, each in order of `seq`, with gaps."""
    history = []
    for job_id in ("a", "b", "c"):
        seq = 0
        for _ in range(draw(st.integers(1, 8))):
            seq += draw(st.integers(1, 3))
            if draw(st.integers(0, 3)):
                history.append(update(job_id, seq, draw(st.sampled_from(STAGES))))
            else:
                kind = draw(st.sampled_from(ENDS))
                history.append(update(job_id, seq, kind.removeprefix("job_"), kind))
    return history


@given(histories(), st.data())
def test_whatever_is_delivered_a_client_ends_up_with_the_newest_and_never_goes_back(
    history: list[Update], data: st.DataObject
) -> None:
    twice = data.draw(st.lists(st.sampled_from(history)))
    deliveries = data.draw(st.permutations(history + twice))
    told = {one.job_id: one.seq for one in data.draw(st.lists(st.sampled_from(history)))}
    opens_at = data.draw(st.integers(0, len(deliveries)))
    slot = Slot()
    last: dict[str, int] = {}
    owed: set[str] = set()
    seen: list[Update] = []

    def hear(most: int) -> None:
        for _ in range(most):
            if (taken := slot.pop()) is None:
                return
            assert taken.seq > last.get(taken.job_id, 0)
            last[taken.job_id] = taken.seq
            seen.append(taken)

    for number, delivery in enumerate(deliveries):
        if number == opens_at:
            slot.open(told)
            last |= told
        if delivery.is_end and delivery.seq > last.get(delivery.job_id, 0):
            owed.add(delivery.id)
        slot.offer(delivery)
        hear(data.draw(st.integers(0, 2)))
    if opens_at == len(deliveries):
        slot.open(told)
        last |= told
    hear(len(deliveries))

    newest = {job_id: max(one.seq for one in history if one.job_id == job_id) for job_id in ("a", "b", "c")}
    assert last == newest
    in_snapshot = {one.id for one in history if one.seq <= told.get(one.job_id, 0)}
    assert owed - in_snapshot <= {one.id for one in seen}


@given(histories(), st.data())
def test_passed_on_in_batches_nobody_goes_back_and_every_stage_and_end_is_heard(
    history: list[Update], data: st.DataObject
) -> None:
    slot, seen, rest = opened(), list[Update](), history
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        batch, rest = folded(rest[:size]), rest[size:]
        if data.draw(st.booleans()) and slot.are_next(batch):
            slot.passed(batch)
            seen.extend(batch)
        else:
            for one in batch:
                slot.offer(one)
        if data.draw(st.booleans()) and (taken := slot.pop()):
            seen.append(taken)
    seen.extend(drained(slot))
    for job_id in ("a", "b", "c"):
        went, told = ([one for one in ones if one.job_id == job_id] for ones in (history, seen))
        assert _changes([one.stage for one in told]) == _changes([one.stage for one in went])
        assert [one.id for one in told if one.is_end] == [one.id for one in went if one.is_end]
        assert [one.seq for one in told] == sorted({one.seq for one in told})


@given(histories(), st.data())
def test_delivered_in_order_every_stage_and_every_end_is_heard(history: list[Update], data: st.DataObject) -> None:
    slot = opened()
    seen: list[Update] = []
    for delivery in history:
        slot.offer(delivery)
        if data.draw(st.booleans()) and (taken := slot.pop()):
            seen.append(taken)
    seen.extend(drained(slot))
    for job_id in ("a", "b", "c"):
        went = [one.stage for one in history if one.job_id == job_id]
        told = [one.stage for one in seen if one.job_id == job_id]
        assert _changes(told) == _changes(went)
    assert [one.id for one in history if one.is_end] == sorted(
        (one.id for one in seen if one.is_end), key=[one.id for one in history].index
    )


def _changes(stages: list[str]) -> list[str]:
    return [stage for number, stage in enumerate(stages) if number == 0 or stages[number - 1] != stage]
