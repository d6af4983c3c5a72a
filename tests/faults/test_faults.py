"""Each fault a few times, at instants that are the same in every run. scripts/faults does more."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.faults.faults import FAULTS, Fault

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.quick], ids=str)
def test_no_promise_is_broken(tmp_path: Path, fault: Fault) -> None:
    outcomes = list(fault.trials(tmp_path, fault.quick, Random(fault.name)))
    assert not [text for outcome in outcomes for text in outcome.violations]
    if not outcomes:
        pytest.skip("cannot be tried on this machine")
