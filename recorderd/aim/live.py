"""Live views: asked for by whoever aims the camera, made by the running station's engine.

Both meet in the folder `live` of the run folder, and nowhere else, so that a sandboxed process
needs to be able to write there only. `asked` holds when somebody last asked; `view` is the newest
picture with what was seen in it. Each is replaced as a whole, so a reader never sees half of one,
and nobody waits for anybody.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from recorderd.core.model import Nanoseconds, nanoseconds
from recorderd.errors import DeviceError

FOLDER_NAME: Final = "live"
ASKED_FOR: Final = nanoseconds(3)
"""For so long after `ask` the engine makes views."""

ASK_AGAIN: Final = nanoseconds(1)
"""So often `look` asks: even one that comes late is in time."""

FRESH: Final = nanoseconds(3)
"""An older view shows what was, not what is."""

LARGEST_BYTES: Final = 4_000_000
_FOLDER_MODE: Final = 0o775
_FILE_MODE: Final = 0o644


@dataclass(frozen=True, slots=True)
class CodeInView:
    """A code that was read. `corners` are four (x, y), fractions of the picture, in no order.

    `module_pixels` is the width of one module of a QR code in the camera's own picture; None if
    it could not be measured. `order` is the order id, None for what is no order label.
    `in_zone`: labels are read there.
    """

    text: str
    corners: tuple[tuple[float, float], ...]
    module_pixels: float | None
    order: str | None
    in_zone: bool


@dataclass(frozen=True, slots=True)
class View:
    """One look through the camera.

    `monotonic_ns`: when the picture was taken (CLOCK_MONOTONIC). `width`, `height`: of the
    camera's picture in pixels. `focus`: 0 (nothing sharp) to 1, see `engine.picture_quality`.
    `brightness`: mean luma, 0 black to 1 white. `overexposed`, `underexposed`: share of the
    pixels in which there is nothing but white or black. `jpeg`: the picture made small.
    """

    monotonic_ns: Nanoseconds
    width: int
    height: int
    focus: float
    brightness: float
    overexposed: float
    underexposed: float
    codes: tuple[CodeInView, ...]
    jpeg: bytes


class LiveView:
    """Asks the running station for views and reads them. Any process, any thread.

    Whoever goes on looking calls `look` again and again, as often as they like.
    """

    def __init__(
        self, run_folder: Path, *, clock: Callable[[], Nanoseconds] = time.monotonic_ns
    ) -> None:
        self._folder = run_folder / FOLDER_NAME
        self._clock = clock
        self._asked_ns: Nanoseconds | None = None

    def look(self) -> View | None:
        """The newest view, as `latest`; asks for more once a second. Raises as `ask`."""
        now = self._clock()
        if self._asked_ns is None or now - self._asked_ns >= ASK_AGAIN:
            self.ask()
            self._asked_ns = now
        return self.latest()

    def ask(self) -> None:
        """Want live views for the next three seconds.

        Raises DeviceError if no station has run here, or it may not be asked.
        """
        try:
            _replace(self._folder / "asked", str(self._clock()).encode())
        except FileNotFoundError as error:
            raise DeviceError(
                "The station is not running, so there is no picture",
                "Start it with: sudo systemctl start recorderd (for a try-out: recorderd run)",
            ) from error
        except OSError as error:
            raise DeviceError(
                f"The station cannot be asked for its picture ({error.strerror})",
                f"Use sudo, or an account that may write into {self._folder}",
            ) from error

    def latest(self) -> View | None:
        """The newest view; None while there is none that is younger than three seconds."""
        try:
            with (self._folder / "view").open("rb") as opened:
                view = _decoded(opened.read(LARGEST_BYTES))
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            return None
        return view if 0 <= self._clock() - view.monotonic_ns <= FRESH else None


class LiveOutlet:
    """The engine's end: who has asked, and where views go. Used by one thread."""

    def __init__(
        self, run_folder: Path, *, clock: Callable[[], Nanoseconds] = time.monotonic_ns
    ) -> None:
        self._folder = run_folder / FOLDER_NAME
        self._clock = clock

    def open(self) -> None:
        """Make the folder that others ask in. Raises OSError."""
        self._folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)

    def asked(self) -> bool:
        """Whether somebody wants views now. What is there may be written by anybody."""
        try:
            with (self._folder / "asked").open("rb") as opened:
                since = self._clock() - int(opened.read(32))
        except (OSError, ValueError):
            return False
        return 0 <= since <= ASKED_FOR

    def publish(self, view: View) -> None:
        """Show this view to all who look. Raises OSError."""
        _replace(self._folder / "view", _encoded(view))

    def withdraw(self) -> None:
        """Nobody looks any more: the picture shall not lie about."""
        with suppress(OSError):
            (self._folder / "view").unlink(missing_ok=True)


def _encoded(view: View) -> bytes:
    """A line of JSON, then the JPEG as it is."""
    head: dict[str, Any] = {
        name: getattr(view, name)
        for name in View.__dataclass_fields__
        if name not in {"codes", "jpeg"}
    }
    head["codes"] = [asdict(code) for code in view.codes]
    return json.dumps(head).encode() + b"\n" + view.jpeg


def _decoded(contents: bytes) -> View:
    """Raises ValueError, TypeError, KeyError for what is no view."""
    head, _, jpeg = contents.partition(b"\n")
    document: dict[str, Any] = json.loads(head)
    codes = tuple(
        CodeInView(**{**code, "corners": tuple((x, y) for x, y in code["corners"])})
        for code in document.pop("codes")
    )
    return View(codes=codes, jpeg=jpeg, **document)


def _replace(file: Path, contents: bytes) -> None:
    """Several may write at once, as different users. Raises OSError."""
    descriptor, temporary = tempfile.mkstemp(prefix=file.name + ".", dir=file.parent)
    try:
        with os.fdopen(descriptor, "wb") as opened:
            os.fchmod(descriptor, _FILE_MODE)
            opened.write(contents)
        Path(temporary).replace(file)
    except BaseException:
        with suppress(OSError):
            Path(temporary).unlink()
        raise
