"""What the benchmark of watching makes of its measurements."""

from __future__ import annotations

from recorderd.bench.watch import Watched, shown


def _watched(cores: float, goal: float | None = 0.15) -> Watched:
    return Watched("nobody there", cores, 250.0, 6.0, 0.01, goal)


def test_the_goal_is_for_a_bench_at_which_nobody_is() -> None:
    assert _watched(0.2).missed
    assert not _watched(0.1).missed
    assert not _watched(0.5, goal=None).missed


def test_the_table_tells_it() -> None:
    told = shown([_watched(0.2), _watched(0.3, goal=None)])
    assert "0.200 cores" in told
    assert "0.15 cores or less: missed" in told
    assert "250 MB" in told
