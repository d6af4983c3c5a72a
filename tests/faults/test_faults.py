"""Each fault, at instants that are the same in every run. scripts/faults does more."""

from __future__ import annotations

import pytest

from tests.faults.faults import FAULTS, Fault
from tests.faults.rounds import Report, Round, prepare, sensible_jobs, side_by_side

# All of them run side by side while the first test waits.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def reports(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Report]:
    """By the fault's name; only of those that are asked for."""
    asked = {item.name for item in request.session.items if item.path == request.path}
    rounds = iter(
        [Round(fault, "quick", fault.quick) for fault in FAULTS if f"{_test}[{fault}]" in asked]
    )
    prepare()
    folder = tmp_path_factory.mktemp("faults")
    made = side_by_side(lambda: next(rounds, None), folder, sensible_jobs())
    return {report.round.fault.name: report for report in made}


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_no_promise_is_broken(reports: dict[str, Report], fault: Fault) -> None:
    report = reports[fault.name]
    assert not report.violations
    if not report.outcomes:
        pytest.skip("cannot be tried on this machine")


_test = test_no_promise_is_broken.__name__
