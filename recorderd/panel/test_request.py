"""Asking the running station to show its lamps and sound its buzzer.

The panel belongs to the station, so a technician's command leaves a file in the run folder. The
station takes it away within a second and decides; its status counts the tests that were played.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

from recorderd.errors import DeviceError

_NAME: Final = "panel-test-wanted"


def ask(run_folder: Path) -> None:
    """Want a test. Raises DeviceError if this user may not ask."""
    try:
        (run_folder / _NAME).touch()
    except OSError as error:
        raise DeviceError(
            f"The station cannot be asked to test its lamps ({error.strerror})",
            f"Use sudo, or an account that may write into {run_folder}",
        ) from error


def taken(run_folder: Path) -> bool:
    """Whether a test was asked for since the last call. For the station; never raises."""
    with suppress(OSError):
        (run_folder / _NAME).unlink()
        return True
    return False
