"""What may be deleted: never too much, never the wrong one, always the oldest first."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorderd.core.events import DiskMeasured
from recorderd.core.machine import step
from recorderd.core.model import Fault, RecordingId
from recorderd.core.retention import (
    SECONDS_PER_DAY,
    Awaited,
    Kept,
    Reason,
    RetentionRules,
    Spare,
    free_goal,
    spares_to_delete,
    to_delete,
    urgent_below,
)
from recorderd.core.rules import Rules
from recorderd.core.state import State

PLENTY = 10**15
GB = 1_000_000_000


def kept(
    name: str,
    *,
    days: float | None = 0.0,
    size: int = 10,
    held: bool = False,
    awaited: frozenset[Awaited] = frozenset(),
) -> Kept:
    age = None if days is None else days * SECONDS_PER_DAY
    return Kept(RecordingId(name), size, age, held, awaited)


def named(
    recordings: list[Kept],
    rules: RetentionRules,
    *,
    clock_is_set: bool = True,
    free_bytes: int = PLENTY,
) -> list[tuple[str, Reason]]:
    doomed = to_delete(recordings, rules, clock_is_set=clock_is_set, free_bytes=free_bytes)
    return [(each.id, each.reason) for each in doomed]


recordings_of_any_kind = st.lists(
    st.builds(
        Kept,
        id=st.uuids().map(lambda found: RecordingId(str(found))),
        bytes=st.integers(0, 10**12),
        age_seconds=st.none() | st.floats(-1e9, 1e10),
        held=st.booleans(),
        awaited=st.frozensets(st.sampled_from(Awaited)),
    ),
    max_size=30,
    unique_by=lambda recording: recording.id,
)
any_rules = st.builds(
    RetentionRules,
    days=st.just(0.0) | st.floats(0.001, 40_000),
    maximum_bytes=st.just(0) | st.integers(1, 10**13),
    free_bytes=st.just(0) | st.integers(1, 10**13),
    keep_seconds=st.floats(0, 1e6),
    needed_bytes=st.integers(0, 10**12),
)


class TestLimits:
    def test_nothing_goes_unless_a_limit_is_set(self) -> None:
        everything = [kept("a", days=9999), kept("b", days=None)]
        assert named(everything, RetentionRules(), free_bytes=0) == []

    def test_by_age(self) -> None:
        rules = RetentionRules(days=30)
        recordings = [kept("a", days=31), kept("b", days=30.5), kept("c", days=29.9)]
        assert named(recordings, rules) == [("a", Reason.AGE), ("b", Reason.AGE)]

    def test_by_size_only_as_many_as_must(self) -> None:
        rules = RetentionRules(maximum_bytes=25)
        recordings = [kept("a"), kept("b"), kept("c"), kept("d")]
        assert named(recordings, rules) == [("a", Reason.SIZE), ("b", Reason.SIZE)]

    def test_by_free_space_only_as_many_as_must(self) -> None:
        rules = RetentionRules(free_bytes=100)
        recordings = [kept("a"), kept("b"), kept("c"), kept("d")]
        assert named(recordings, rules, free_bytes=85) == [
            ("a", Reason.SPACE),
            ("b", Reason.SPACE),
        ]

    def test_what_went_for_its_age_makes_room_as_well(self) -> None:
        rules = RetentionRules(days=30, maximum_bytes=20)
        recordings = [kept("a", days=31), kept("b", days=20), kept("c", days=10)]
        assert named(recordings, rules) == [("a", Reason.AGE)]

    def test_young_ones_stay_though_there_is_no_room(self) -> None:
        rules = RetentionRules(maximum_bytes=1, free_bytes=1000, keep_seconds=SECONDS_PER_DAY)
        recordings = [kept("a", days=1.5), kept("b", days=0.9), kept("c", days=0.1)]
        assert named(recordings, rules, free_bytes=0) == [("a", Reason.SIZE)]


class TestTimeIsHonest:
    RULES = RetentionRules(days=30)

    def test_no_age_counts_while_the_clock_is_not_set(self) -> None:
        assert named([kept("a", days=99)], self.RULES, clock_is_set=False) == []

    def test_date_of_1970_is_no_age(self) -> None:
        """Made before the clock was set, a minute ago: nothing after it says that it is old."""
        assert named([kept("a", days=2), kept("b", days=None)], self.RULES) == []

    def test_recording_without_a_date_is_as_old_as_those_after_it(self) -> None:
        recordings = [kept("a", days=None), kept("b", days=31), kept("c", days=None), kept("d")]
        assert named(recordings, self.RULES) == [("a", Reason.AGE), ("b", Reason.AGE)]

    def test_recording_is_not_older_than_one_before_it(self) -> None:
        """A clock that was wrong though it was said to be set."""
        recordings = [kept("a", days=3), kept("b", days=20_000), kept("c", days=1)]
        assert named(recordings, self.RULES) == []

    def test_date_in_the_future_is_no_date(self) -> None:
        recordings = [kept("a", days=-5000), kept("b", days=31), kept("c", days=31)]
        assert [name for name, _ in named(recordings, self.RULES)] == ["a", "b", "c"]

    def test_without_any_clock_room_is_made_in_the_order_of_the_catalogue(self) -> None:
        recordings = [kept("b", days=None), kept("a", days=None), kept("c", days=None)]
        rules = RetentionRules(maximum_bytes=15, keep_seconds=SECONDS_PER_DAY)
        assert [name for name, _ in named(recordings, rules, clock_is_set=False)] == ["b", "a"]


class TestAlways:
    @given(recordings_of_any_kind, any_rules, st.booleans(), st.integers(0, 10**13))
    def test_held_and_unfinished_ones_stay(
        self, recordings: list[Kept], rules: RetentionRules, is_set: bool, free: int
    ) -> None:
        by_id = {recording.id: recording for recording in recordings}
        for each in to_delete(recordings, rules, clock_is_set=is_set, free_bytes=free):
            assert not by_id[each.id].held
            assert by_id[each.id].awaited != {Awaited.FINGERPRINT}

    @given(recordings_of_any_kind, any_rules, st.booleans(), st.integers(0, 10**13))
    def test_oldest_first_and_each_once(
        self, recordings: list[Kept], rules: RetentionRules, is_set: bool, free: int
    ) -> None:
        order = [recording.id for recording in recordings]
        places = [
            order.index(each.id)
            for each in to_delete(recordings, rules, clock_is_set=is_set, free_bytes=free)
        ]
        assert places == sorted(set(places))

    @given(recordings_of_any_kind, any_rules, st.booleans(), st.integers(0, 10**13))
    def test_not_one_more_than_must(
        self, recordings: list[Kept], rules: RetentionRules, is_set: bool, free: int
    ) -> None:
        """Without the last that went for want of room, there was too little of it."""
        doomed = to_delete(recordings, rules, clock_is_set=is_set, free_bytes=free)
        total = sum(recording.bytes for recording in recordings)
        goal = free_goal(recordings, rules)
        for each in doomed:
            if each.reason is Reason.SIZE:
                assert total > rules.maximum_bytes > 0
            if each.reason is Reason.SPACE:
                assert free < goal
            total -= each.bytes
            free += each.bytes

    @given(recordings_of_any_kind, any_rules, st.booleans(), st.integers(0, 10**13))
    def test_enough_goes_if_enough_may_go(
        self, recordings: list[Kept], rules: RetentionRules, is_set: bool, free: int
    ) -> None:
        """Also of a disk that is full of what still waits to be encoded."""
        waits = {Awaited.TRANSCODE, Awaited.FINGERPRINT}
        free_to_go = [
            replace(
                recording,
                held=False,
                awaited=frozenset(waits if Awaited.TRANSCODE in recording.awaited else ()),
            )
            for recording in recordings
        ]
        rules = replace(rules, keep_seconds=0)
        doomed = to_delete(free_to_go, rules, clock_is_set=is_set, free_bytes=free)
        gone = sum(each.bytes for each in doomed)
        total = sum(recording.bytes for recording in recordings)
        assert not rules.maximum_bytes or total - gone <= rules.maximum_bytes
        assert free + gone >= free_goal(recordings, rules) or len(doomed) == len(recordings)

    @given(recordings_of_any_kind, any_rules, st.integers(0, 10**13))
    def test_held_neighbours_make_no_other_go_by_age(
        self, recordings: list[Kept], rules: RetentionRules, free: int
    ) -> None:
        """Age alone never depends on what else is held."""
        rules = replace(rules, maximum_bytes=0, free_bytes=0)
        all_held = [replace(recording, held=True) for recording in recordings[:-1]]
        one = recordings[-1:]
        alone = to_delete([*all_held, *one], rules, clock_is_set=True, free_bytes=free)
        among = to_delete(recordings, rules, clock_is_set=True, free_bytes=free)
        assert [each for each in among if one and each.id == one[0].id] == alone


spares_of_any_kind = st.lists(
    st.builds(
        Spare,
        name=st.uuids().map(str),
        bytes=st.integers(0, 10**12),
        age_seconds=st.none() | st.floats(-1e9, 1e10),
        held=st.booleans(),
    ),
    max_size=10,
    unique_by=lambda spare: spare.name,
)


class TestWhatWasSetAside:
    def test_goes_before_any_video(self) -> None:
        rules = RetentionRules(maximum_bytes=25)
        recordings = [kept("a"), kept("b")]
        spares = [Spare("young", 10, 1.0), Spare("old", 10, 99.0), Spare("held", 10, 999.0, True)]
        doomed = spares_to_delete(spares, recordings, rules, clock_is_set=True, free_bytes=PLENTY)
        assert [(each.name, each.reason) for each in doomed] == [
            ("old", Reason.SIZE),
            ("young", Reason.SIZE),
        ]
        assert named(recordings, rules) == []

    def test_goes_by_age(self) -> None:
        spares = [Spare("old", 10, 31.0 * SECONDS_PER_DAY), Spare("young", 10, 29.0)]
        for is_set, expected in ((True, ["old"]), (False, [])):
            doomed = spares_to_delete(
                spares, [], RetentionRules(days=30), clock_is_set=is_set, free_bytes=PLENTY
            )
            assert [each.name for each in doomed] == expected

    @given(spares_of_any_kind, recordings_of_any_kind, any_rules, st.integers(0, 10**13))
    def test_never_what_is_held_and_only_while_there_is_a_reason(
        self, spares: list[Spare], recordings: list[Kept], rules: RetentionRules, free: int
    ) -> None:
        doomed = spares_to_delete(spares, recordings, rules, clock_is_set=True, free_bytes=free)
        gone = {each.name for each in doomed}
        assert gone <= {spare.name for spare in spares if not spare.held}
        assert not doomed or rules.any
        goal = free_goal(recordings, rules)
        total = sum(each.bytes for each in spares) + sum(each.bytes for each in recordings)
        for each in doomed:
            match each.reason:
                case Reason.SPACE:
                    assert free < goal
                case Reason.SIZE:
                    assert total > rules.maximum_bytes
            free += each.bytes
            total -= each.bytes


@pytest.mark.parametrize("asked_for", [1, 5 * GB, 40 * GB])
@given(sizes=st.lists(st.integers(1_000_000, 8 * GB), min_size=150, max_size=200))
def test_station_does_not_refuse_while_old_footage_can_go(asked_for: int, sizes: list[int]) -> None:
    """Order after order on a disk that is full of footage, the largest ones first."""
    sizes = sorted(sizes, reverse=True)
    rules = RetentionRules(free_bytes=asked_for, needed_bytes=5 * GB)
    state = State(rules=Rules(minimum_free_bytes=5 * GB))
    recordings = [kept(str(number), size=size) for number, size in enumerate(sizes[:100])]
    free = free_goal(recordings, rules)
    for number, size in enumerate(sizes[100:], start=100):
        free -= size  # an order is recorded, and nothing is deleted meanwhile
        recordings.append(kept(str(number), size=size))
        state, _ = step(state, DiskMeasured(free), 0)
        assert Fault.DISK_SPACE not in state.faults
        for doomed in to_delete(recordings, rules, clock_is_set=True, free_bytes=free):
            free += doomed.bytes
            recordings = [each for each in recordings if each.id != doomed.id]
        state, _ = step(state, DiskMeasured(free), 0)


def test_urgent_is_before_the_station_refuses() -> None:
    rules = RetentionRules(free_bytes=1, needed_bytes=100)
    recordings = [kept("a", size=7), kept("b", size=30)]
    assert urgent_below(recordings, rules) == 135
    assert free_goal(recordings, rules) == 165
    assert urgent_below(recordings, replace(rules, free_bytes=0)) == 0
