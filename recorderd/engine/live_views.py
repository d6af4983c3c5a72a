"""Makes live views while somebody aims the camera, of pictures that were decoded anyway."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import structlog

from recorderd.aim.live import CodeInView, LiveOutlet, View
from recorderd.core.labels import in_zone, meaning_of
from recorderd.core.model import Code, Nanoseconds, Order, Symbology, nanoseconds
from recorderd.core.rules import LabelRules
from recorderd.engine.locator import Luma, Region
from recorderd.engine.luma import luma_of
from recorderd.engine.module_size import module_pixels
from recorderd.engine.picture_quality import exposure_of, focus_of
from recorderd.engine.scan_feed import ScannedPicture
from recorderd.engine.stills import jpeg_of

VIEW_WIDTH = 960
PAUSE = nanoseconds(0.25)
REST_FOR_WORK = 9
"""After a view the thread rests so many times as long as that view took: at most a tenth of a
processor, however slow it is."""

_LOOK_SECONDS = 0.5
_NICE = 10
_QUANTISERS = (4, 8)

log = structlog.get_logger("engine")


class LiveViews:
    """One thread of low priority. Nobody waits for it: what it has no time for it never sees."""

    def __init__(
        self,
        outlet: LiveOutlet,
        rules: Callable[[], LabelRules],
        *,
        clock: Callable[[], Nanoseconds] = time.monotonic_ns,
    ) -> None:
        """`rules` are asked anew for each view: the zone may be drawn while somebody looks."""
        self._outlet = outlet
        self._rules = rules
        self._clock = clock
        self._newest: ScannedPicture | None = None
        self._wanted = False
        self._due_ns: Nanoseconds = 0
        self._changed = threading.Condition()
        self._closing = False
        self._failing = False
        self._thread = threading.Thread(target=self._run, name="live views")

    def start(self) -> None:
        self._thread.start()

    def close(self, timeout: float) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join(timeout)

    def offer(self, scanned: ScannedPicture) -> None:
        """A picture that was scanned, and what was read. Called by the scan feed; costs nothing
        while nobody looks."""
        if not self._wanted or self._clock() < self._due_ns:
            return
        with self._changed:
            self._newest = scanned
            self._changed.notify_all()

    def _run(self) -> None:
        # Within one process Linux weighs each thread by its own niceness (sched(7)).
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        while not self._closing:
            self.turn(_LOOK_SECONDS)
        self._outlet.withdraw()

    def turn(self, patience_seconds: float) -> None:
        """Wait for a picture, at most so long, and make a view of it if one is wanted."""
        with self._changed:
            self._changed.wait_for(lambda: self._closing or self._newest, patience_seconds)
            scanned, self._newest = self._newest, None
        try:
            self._outlet.open()
            wanted = self._outlet.asked()
            if scanned is not None and wanted:
                self._show(scanned)
            self._failing = False
        except Exception as error:
            # Also a bug: recording is worth more than a look at it.
            wanted = False
            if not self._failing:
                self._failing = True
                log.warning("there is no live view", exc_info=error)
        if self._wanted and not wanted:
            self._outlet.withdraw()
        self._wanted = wanted

    def _show(self, scanned: ScannedPicture) -> None:
        began_ns = self._clock()
        self._outlet.publish(view_of(scanned, self._rules()))
        worked = self._clock() - began_ns
        self._due_ns = began_ns + max(PAUSE, (1 + REST_FOR_WORK) * worked)


def view_of(scanned: ScannedPicture, rules: LabelRules) -> View:
    """Raises DeviceError, av.FFmpegError if the picture cannot be made small.

    Focus and exposure are those of the zone, if there is one: labels are read there.
    """
    frame = scanned.frame
    luma = luma_of(frame)
    looked_at = luma if rules.zone is None else Region(*rules.zone).crop(luma)[0]
    exposure = exposure_of(looked_at, scanned.full_range)
    width = min(VIEW_WIDTH, frame.width) // 2 * 2
    height = max(2, round(frame.height * width / frame.width) // 2 * 2)
    small = frame.reformat(
        width=width,
        height=height,
        format="yuvj420p",
        interpolation="AREA",
        dst_color_range="JPEG",
        threads=1,
    )
    return View(
        monotonic_ns=scanned.captured_ns,
        width=frame.width,
        height=frame.height,
        focus=focus_of(looked_at),
        brightness=exposure.brightness,
        overexposed=exposure.overexposed,
        underexposed=exposure.underexposed,
        codes=tuple(_code_in_view(code, luma, rules) for code in scanned.codes),
        jpeg=jpeg_of(small, "", quantisers=_QUANTISERS),
    )


def _code_in_view(code: Code, luma: Luma, rules: LabelRules) -> CodeInView:
    meaning = meaning_of(code, rules)
    return CodeInView(
        text=code.text,
        corners=code.corners,
        module_pixels=module_pixels(luma, code.corners) if code.symbology is Symbology.QR else None,
        order=meaning.order_id if isinstance(meaning, Order) else None,
        in_zone=in_zone(code, rules),
    )
