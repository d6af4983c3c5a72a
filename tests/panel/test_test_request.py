from __future__ import annotations

from pathlib import Path

import pytest

from recorderd.errors import DeviceError
from recorderd.panel import test_request as request


def test_a_request_is_taken_once(tmp_path: Path) -> None:
    assert not request.taken(tmp_path)
    request.ask(tmp_path)
    assert request.taken(tmp_path)
    assert not request.taken(tmp_path)


def test_without_a_run_folder_it_is_said(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="cannot be asked"):
        request.ask(tmp_path / "missing")
