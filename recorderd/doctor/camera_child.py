"""`python -m recorderd.doctor.camera_child DESCRIPTOR`: looks through the camera for the doctor.

Captures and scans with the engine's own parts, so that what works here works there.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection

from recorderd.aim.live import View
from recorderd.core.events import FaultCleared, FaultRaised, FrameScanned, SourceEnded
from recorderd.core.model import Fault, Mode, Nanoseconds, nanoseconds
from recorderd.doctor.camera_look import OPENING_SECONDS, CameraLook, LookRequest, shows_label
from recorderd.engine.capture import Capture
from recorderd.engine.live_views import view_of
from recorderd.engine.mode import Choice
from recorderd.engine.packet_buffer import PacketBuffer
from recorderd.engine.packets import Source, SourcePacket, StreamDescription
from recorderd.engine.scan_feed import ScanFeed, ScannedPicture
from recorderd.engine.scanner import Scanner
from recorderd.engine.session import Session
from recorderd.engine.sources import make_source
from recorderd.errors import DeviceError, parted
from recorderd.rules import label_rules_of
from recorderd.settings import Settings

_VIEW_PAUSE = nanoseconds(0.3)
_BUFFER_SECONDS = 1.0
_BUFFER_BYTES = 128_000_000
_POLL_SECONDS = 0.1
_LET_GO_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class _Count:
    """How far everything had been counted at one moment."""

    monotonic_ns: Nanoseconds
    pictures: int
    damaged: int
    bytes: int
    gaps: int


class _Counted:
    """A source that keeps the books: bytes, and each wait between two pictures.

    Written by the capture thread, read by any.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self.open = source.open
        self.interrupt = source.interrupt
        self.close = source.close
        self.bytes = 0
        self.gaps_ns: list[Nanoseconds] = []
        self._last_ns: Nanoseconds | None = None

    def read(self) -> SourcePacket | None:
        packet = self._source.read()
        if packet is not None:
            self.bytes += len(packet.data)
            if self._last_ns is not None:
                self.gaps_ns.append(packet.decode_ns - self._last_ns)
            self._last_ns = packet.decode_ns
        return packet


class Look:
    """Captures, scans and makes views until told to stop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._rules = label_rules_of(settings.labels)
        self._description: StreamDescription | None = None
        self._problem = ""
        self._ended = False
        self._views: list[View] = []
        self._source: _Counted | None = None
        camera = settings.camera
        self._scanner = Scanner(settings.labels, camera.width, camera.height)
        self._feed = ScanFeed(self._scanner, settings.labels, self._heard, onlooker=self._scanned)
        self._capture = Capture(camera, self._make_source, self._opened, self._heard)

    def run(self, request: LookRequest) -> CameraLook:
        """Raises DeviceError if the camera gives nothing."""
        self._scanner.start()
        self._feed.start()
        self._capture.start()
        try:
            description = self._wait_for_first_picture()
            # What came while the camera was opened came at its own pace.
            before = self._count()
            self._look_on(request)
            return self._found(description, before)
        finally:
            self._feed.close(_LET_GO_SECONDS)
            self._capture.close(_LET_GO_SECONDS)
            self._scanner.close()

    def _wait_for_first_picture(self) -> StreamDescription:
        deadline = time.monotonic() + OPENING_SECONDS - _LET_GO_SECONDS
        while time.monotonic() < deadline and not self._problem:
            if self._capture.counters.pictures and self._description is not None:
                return self._description
            time.sleep(_POLL_SECONDS / 10)
        self._raise_problem()
        raise self._capture.silence

    def _look_on(self, request: LookRequest) -> None:
        began = time.monotonic()
        while (passed := time.monotonic() - began) < request.most_seconds:
            if self._ended or self._problem:
                break
            if passed >= request.seconds and shows_label(self._views):
                break
            time.sleep(_POLL_SECONDS)

    def _raise_problem(self) -> None:
        if self._problem:
            raise DeviceError(*parted(self._problem))

    def _count(self) -> _Count:
        counters, source = self._capture.counters, self._source
        return _Count(
            time.monotonic_ns(),
            counters.pictures,
            counters.damaged,
            source.bytes if source else 0,
            len(source.gaps_ns) if source else 0,
        )

    def _found(self, description: StreamDescription, before: _Count) -> CameraLook:
        self._raise_problem()
        now, source = self._count(), self._source
        gaps_ns = source.gaps_ns[before.gaps :] if source else []
        seconds = (now.monotonic_ns - before.monotonic_ns) / 1e9
        return CameraLook(
            codec=description.codec,
            width=description.width,
            height=description.height,
            rate=float(description.rate),
            pixel_format=description.pixel_format,
            pictures=now.pictures - before.pictures,
            damaged=now.damaged - before.damaged,
            seconds=seconds,
            longest_gap_seconds=max(gaps_ns, default=0) / 1e9,
            bytes_per_second=(now.bytes - before.bytes) / seconds,
            views=tuple(self._views),
        )

    def _make_source(self) -> Source:
        self._source = _Counted(make_source(self._settings.camera, time.monotonic_ns()))
        return self._source

    def _opened(self, description: StreamDescription) -> PacketBuffer:
        """On the capture thread."""
        buffer = PacketBuffer(nanoseconds(_BUFFER_SECONDS), _BUFFER_BYTES)
        nothing_is_recorded = Choice(Mode.DEFER, None, "")
        self._feed.watch(Session(description, buffer, nothing_is_recorded, self._feed.offer))
        self._description = description
        return buffer

    def _scanned(self, scanned: ScannedPicture) -> None:
        """On the scan feed's thread."""
        views = self._views
        since = scanned.captured_ns - views[-1].monotonic_ns if views else _VIEW_PAUSE
        if scanned.codes or since >= _VIEW_PAUSE:
            views.append(view_of(scanned, self._rules))

    def _heard(self, event: FrameScanned | FaultRaised | FaultCleared | SourceEnded) -> None:
        if isinstance(event, SourceEnded):
            self._ended = True
        elif isinstance(event, FaultRaised) and event.fault is Fault.CAMERA:
            self._problem = event.problem


def main() -> None:
    connection = Connection(int(sys.argv[1]))
    request: LookRequest = connection.recv()
    try:
        connection.send(Look(request.settings).run(request))
    except DeviceError as error:
        connection.send((error.problem, error.remedy))
    # A driver that does not let go of a thread must not keep this process.
    os._exit(0)


if __name__ == "__main__":
    main()
