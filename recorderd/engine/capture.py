"""The capture thread: opens the camera, reads it, opens it again when it was lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

from recorderd.core.events import FaultRaised, SourceEnded
from recorderd.core.model import Fault, Nanoseconds, nanoseconds
from recorderd.engine.packet_buffer import PacketBuffer
from recorderd.engine.packet_check import problem_of
from recorderd.engine.packets import Packet, Source, SourcePacket, StreamDescription
from recorderd.errors import DeviceError, RecorderdError
from recorderd.settings import CameraSettings

OnStream: TypeAlias = Callable[[StreamDescription], PacketBuffer]
"""Called on the capture thread when the camera has opened; may take its time (probing)."""

FIRST_RETRY_SECONDS = 0.25
LONGEST_RETRY_SECONDS = 2.0
"""Looking for a camera costs little, and each second without it is missing in a video."""
_ONE_TICK = nanoseconds(1 / 90_000) + 1
_FUTURE_TOLERANCE = nanoseconds(2)


@dataclass(slots=True)
class CaptureCounters:
    """Since the engine's start. Written by the capture thread, read by any."""

    pictures: int = 0
    damaged: int = 0
    repaired_times: int = 0


class Capture:
    """Owns the camera. `silent_for` tells others how long it has been waiting for a picture."""

    def __init__(
        self,
        settings: CameraSettings,
        make_source: Callable[[], Source],
        on_stream: OnStream,
        report: Callable[[FaultRaised | SourceEnded], None],
        *,
        clock: Callable[[], Nanoseconds] = time.monotonic_ns,
    ) -> None:
        self.counters = CaptureCounters()
        self._settings = settings
        self._make_source = make_source
        self._on_stream = on_stream
        self._report = report
        self._clock = clock
        self._closing = threading.Event()
        self._source: Source | None = None
        self._buffer: PacketBuffer | None = None
        self._waiting_since_ns: Nanoseconds | None = None
        self._driver_since_ns: Nanoseconds | None = None
        self._sequence = 0
        self._thread = threading.Thread(target=self._run, name="capture")

    def start(self) -> None:
        self._thread.start()

    def close(self, timeout: float) -> bool:
        """Stop capturing; False if the camera's driver did not let go in time."""
        self._closing.set()
        self._interrupt()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    @property
    def silent_for(self) -> Nanoseconds:
        """How long no whole picture has come; 0 if the camera is not being read."""
        waiting_since_ns = self._waiting_since_ns
        return 0 if waiting_since_ns is None else self._clock() - waiting_since_ns

    @property
    def stuck_for(self) -> Nanoseconds:
        """How long the driver has been opening or closing the camera; 0 if it is not."""
        driver_since_ns = self._driver_since_ns
        return 0 if driver_since_ns is None else self._clock() - driver_since_ns

    @property
    def silence(self) -> DeviceError:
        """What is wrong when no picture comes."""
        return DeviceError(
            f"No picture came for {self._settings.silence_seconds:g} seconds",
            "Check the camera's cable and power",
        )

    def give_up_on_camera(self) -> None:
        """The camera is silent: end its session now and wake the reading thread. Any thread."""
        buffer = self._buffer
        if buffer is not None:
            buffer.end()
        self._interrupt()

    def _interrupt(self) -> None:
        source = self._source
        if source is not None:
            source.interrupt()

    def _run(self) -> None:
        retry_seconds = FIRST_RETRY_SECONDS
        while not self._closing.is_set():
            pictures_before = self.counters.pictures
            if self._session():
                return
            if self.counters.pictures > pictures_before:
                retry_seconds = FIRST_RETRY_SECONDS
            self._closing.wait(retry_seconds)
            retry_seconds = min(retry_seconds * 2, LONGEST_RETRY_SECONDS)

    def _session(self) -> bool:
        """Open, read, report why it ended, close; True if nothing more will ever come.

        The station hears the reason before the recordings learn that the pictures have ended:
        it must know why a file was closed before it is told that it was.
        """
        source: Source | None = None
        try:
            source = self._source = self._make_source()
            if self._closing.is_set():  # `close` may have come before there was a source
                return False
            with self._in_the_drivers_hands():
                description = source.open()
            self._buffer = self._on_stream(description)
            ended = self._read_all(source, self._buffer, description)
            if ended and not self._closing.is_set():
                self._report(SourceEnded())
            return ended
        except RecorderdError as error:
            given_up = self._buffer is not None and self._buffer.ended
            if not self._closing.is_set():
                self._report(FaultRaised(Fault.CAMERA, str(self.silence if given_up else error)))
            return False
        finally:
            self._waiting_since_ns = None
            if self._buffer is not None:
                self._buffer.end()
            self._source = self._buffer = None
            if source is not None:
                with self._in_the_drivers_hands():
                    source.close()

    @contextmanager
    def _in_the_drivers_hands(self) -> Iterator[None]:
        self._driver_since_ns = self._clock()
        try:
            yield
        finally:
            self._driver_since_ns = None

    def _read_all(
        self, source: Source, buffer: PacketBuffer, description: StreamDescription
    ) -> bool:
        freezing = _FrozenPicture(self._settings, description)
        previous_ns: Nanoseconds | None = None
        gone = 0
        self._waiting_since_ns = self._clock()
        while not self._closing.is_set():
            if buffer.ended:
                raise self.silence
            raw = source.read()
            if raw is None:
                return True
            freezing.look(raw, self._clock())
            if problem_of(raw.data, description.codec) is not None:
                self.counters.damaged += 1
                gone += 1 + raw.missed
                continue
            packet = self._timed(raw, previous_ns, gone)
            gone = 0
            previous_ns = packet.decode_ns
            buffer.append(packet)
            self.counters.pictures += 1
            self._waiting_since_ns = self._clock()
        return False

    def _timed(self, raw: SourcePacket, previous_ns: Nanoseconds | None, gone: int) -> Packet:
        """Number the picture and mend a time that jumps back or lies in the future. `gone` are
        missing since the one before: damaged, or told to be missing with a damaged one."""
        captured_ns, decode_ns = raw.captured_ns, raw.decode_ns
        now = self._clock()
        if decode_ns > now + _FUTURE_TOLERANCE:
            self.counters.repaired_times += 1
            captured_ns, decode_ns = captured_ns - decode_ns + now, now
        if previous_ns is not None and decode_ns < previous_ns + _ONE_TICK:
            self.counters.repaired_times += 1
            captured_ns += previous_ns + _ONE_TICK - decode_ns
            decode_ns = previous_ns + _ONE_TICK
        self._sequence += 1
        return Packet(
            self._sequence,
            raw.data,
            captured_ns,
            decode_ns,
            raw.keyframe,
            missed=raw.missed + gone,
            missed_before_ns=captured_ns if gone else raw.missed_before_ns,
        )


class _FrozenPicture:
    """Notices a camera that sends the same compressed picture again and again.

    A living sensor is never twice the same to the last bit; a file may well be.
    """

    def __init__(self, settings: CameraSettings, description: StreamDescription) -> None:
        looks = description.codec == "mjpeg" and not settings.source.startswith("file:")
        self._limit = nanoseconds(settings.frozen_seconds) if looks else 0
        self._data = b""
        self._since_ns: Nanoseconds = 0

    def look(self, packet: SourcePacket, now: Nanoseconds) -> None:
        """Raises DeviceError once the picture has been the same for too long."""
        if not self._limit or not packet.data:
            return
        if packet.data != self._data:
            self._data, self._since_ns = packet.data, now
        elif now - self._since_ns >= self._limit:
            raise DeviceError(
                "The camera sends the same picture again and again",
                "Unplug the camera and plug it in again; if it happens often, replace it",
            )
