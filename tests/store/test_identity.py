"""Recording ids are UUIDv7 and sort in the order they were made, whatever the clock does."""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from recorderd.store.identity import boot_id, new_recording_id


def test_an_id_is_a_uuid_version_7_with_the_time_in_it() -> None:
    before = time.time_ns() // 1_000_000
    made = uuid.UUID(new_recording_id())
    after = time.time_ns() // 1_000_000
    assert made.version == 7
    assert made.variant == uuid.RFC_4122
    assert before <= made.int >> 80 <= after


def test_ids_sort_in_the_order_they_were_made_by_threads_too() -> None:
    with ThreadPoolExecutor(4) as pool:
        batches = list(pool.map(lambda _: [new_recording_id() for _ in range(2000)], range(4)))
    for batch in batches:
        assert batch == sorted(batch)
    assert len({made for batch in batches for made in batch}) == 8000


def test_ids_go_on_when_the_clock_stands_still_or_steps_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = time.time_ns() + 3600 * 10**9
    monkeypatch.setattr(time, "time_ns", lambda: now)
    made = [new_recording_id() for _ in range(100)]
    monkeypatch.setattr(time, "time_ns", lambda: now - 86_400 * 10**9)
    made += [new_recording_id() for _ in range(100)]
    assert made == sorted(set(made))
    assert {uuid.UUID(each).version for each in made} == {7}


def test_the_boot_id_is_the_kernels() -> None:
    assert uuid.UUID(boot_id())
    assert boot_id() == boot_id()
