"""Each fault, at instants that are the same in every run. scripts/faults does more."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.faults.faults import FAULTS, Fault

# All of them run side by side while the first test waits.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def found(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, Any]]:
    """What came of each fault that is asked for, by its name."""
    asked = {item.name for item in request.session.items if item.path == request.path}
    names = [fault.name for fault in FAULTS if f"{_test}[{fault}]" in asked]
    numbers = tmp_path_factory.mktemp("faults") / "numbers.json"
    command = [sys.executable, "-m", "tests.faults.run", "--quick", "--json", str(numbers), *names]
    subprocess.run(command, cwd=Path(__file__).parents[2], check=False)
    document: dict[str, dict[str, Any]] = json.loads(numbers.read_text())
    return document


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_no_promise_is_broken(found: dict[str, dict[str, Any]], fault: Fault) -> None:
    assert not found[fault.name]["violations"]
    if not found[fault.name]["trials"]:
        pytest.skip("cannot be tried on this machine")


_test = test_no_promise_is_broken.__name__
