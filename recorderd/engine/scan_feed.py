"""Feeds pictures to the scanner at a bounded rate, never holding up capture or encoding."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import TypeAlias

import av

from recorderd.core.events import FaultCleared, FaultRaised, FrameScanned
from recorderd.core.model import NANOSECONDS_PER_SECOND, Code, Fault, Nanoseconds, nanoseconds
from recorderd.engine.histogram import NO_SCANS
from recorderd.engine.inter_pictures import InterPictures
from recorderd.engine.luma import luma_of
from recorderd.engine.newest_pictures import NewestPictures, ScanPictures
from recorderd.engine.packet_sizes import PacketSizes
from recorderd.engine.packets import Packet
from recorderd.engine.scanner import Scanner
from recorderd.engine.session import Session
from recorderd.errors import DeviceError
from recorderd.settings import LabelSettings

BUSY_SCANS_PER_SECOND = 15.0
"""While a code is in view, so that it is seen to leave, and at most while things move."""

MOST_OF_A_CORE = 0.5
"""What scans for things that move may take of the time: a small computer has to record, too."""

BUSY_FOR = nanoseconds(1)
FRESH = nanoseconds(0.25)
"""A picture decoded for encoding is scanned only if it is this young: a recording that is
still catching up with its pre-roll shows the past."""

DEATHS_THAT_ARE_A_FAULT = 5


@dataclass(frozen=True, slots=True)
class ScannedPicture:
    """When it was taken, whether its luma has the full range, and what was read in it."""

    captured_ns: Nanoseconds
    frame: av.VideoFrame
    full_range: bool
    codes: tuple[Code, ...]


Onlooker: TypeAlias = Callable[[ScannedPicture], None]
"""Is shown each picture that was scanned. Must return at once."""


class ScanFeed:
    """One thread that picks the newest picture, decodes it if nobody else has, and scans it.

    What it has counted may be read by any thread: `scans` tried, `deaths` of the scanner, the
    `seconds` it took, and the `latency` from a picture's capture to the scanner's answer.
    """

    def __init__(
        self,
        scanner: Scanner,
        settings: LabelSettings,
        report: Callable[[FrameScanned | FaultRaised | FaultCleared], None],
        *,
        onlooker: Onlooker = lambda _scanned: None,
        clock: Callable[[], Nanoseconds] = time.monotonic_ns,
    ) -> None:
        self.scans = 0
        self.deaths = 0
        self.seconds = 0.0
        self.latency = NO_SCANS
        self._scanner = scanner
        self._settings = settings
        self._report = report
        self._onlooker = onlooker
        self._clock = clock
        self._session: Session | None = None
        self._offer: tuple[Packet, av.VideoFrame] | None = None
        self._changed = threading.Condition()
        self._closing = False
        self._deaths_in_a_row = 0
        self._faulty = False
        self._codes_seen_ns: Nanoseconds | None = None
        self._texts: frozenset[str] = frozenset()
        self._sizes = PacketSizes()
        self._sized = 0
        self._may_hurry_ns: Nanoseconds = 0
        self._offered_ns: Nanoseconds | None = None
        self._due_ns: Nanoseconds = 0
        self._thread = threading.Thread(target=self._run, name="scan feed")

    def start(self) -> None:
        self._thread.start()

    def close(self, timeout: float) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join(timeout)

    def watch(self, session: Session | None) -> None:
        """Scan this camera session from now on. Any thread."""
        with self._changed:
            self._session = session
            self._offer = None
            self._changed.notify_all()

    def offer(self, packet: Packet, frame: av.VideoFrame) -> None:
        """A picture that was decoded anyway; taken if a scan is due. Called by recordings."""
        now = self._clock()
        if now - packet.captured_ns > FRESH:
            return
        self._offered_ns = now
        if now < self._due_ns:
            return
        with self._changed:
            self._offer = (packet, frame)
            self._changed.notify_all()

    def _run(self) -> None:
        while not self._closing:
            session = self._session
            if session is None:
                self._wait_for_other(None)
                continue
            try:
                self._watch(session)
            except DeviceError as error:
                self._faulty = True
                self._report(FaultRaised(Fault.SCANNER, str(error)))
                self._wait_for_other(session)

    def _wait_for_other(self, session: Session | None, seconds: float | None = None) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._closing or self._session is not session, seconds)

    def _watch(self, session: Session) -> None:
        """Scan until there is another session. Raises DeviceError if it cannot be decoded."""
        intra = session.description.intra_only
        self._sizes = PacketSizes()
        pictures: ScanPictures = (
            NewestPictures(self, session, self._clock)
            if intra
            else InterPictures(session, self._clock)
        )
        with closing(pictures):
            while not self._closing and self._session is session:
                wait_ns = self._due_ns - self._clock()
                if wait_ns > 0:
                    if intra and not session.buffer.ended:
                        self._wait_for_change(session, wait_ns)
                    else:
                        self._wait_for_other(session, wait_ns / 1e9)
                    continue
                picture = pictures.next()
                if picture is not None:
                    self._scan(session, *picture, pictures.decoding_ns)
                elif session.buffer.ended:
                    self._wait_for_other(session)

    def _wait_for_change(self, session: Session, wait_ns: Nanoseconds) -> None:
        """Wait for the next picture; if something has moved in it, a scan is due at once."""
        packet = session.buffer.newest_after(self._sized, wait_ns / NANOSECONDS_PER_SECOND)
        if packet is None:
            return
        self._sized = packet.sequence
        if self._sizes.follow(len(packet.data)):
            self._due_ns = min(self._due_ns, max(self._clock(), self._may_hurry_ns))

    def _scan(
        self, session: Session, packet: Packet, frame: av.VideoFrame, decoding_ns: Nanoseconds
    ) -> None:
        started_ns = self._clock()
        result = self._scanner.scan(luma_of(frame))
        self.scans += 1
        self.seconds += result.milliseconds / 1000
        if result.codes:
            self._codes_seen_ns = started_ns
            original = packet if session.description.codec == "mjpeg" else frame
            session.stills.keep(packet.sequence, original)
        self._plan_next(started_ns, packet, result.codes, decoding_ns)
        with self._changed:
            self._offer = None  # It came while this one was scanned; a newer one will be there.
        if result.problem is None:
            if self._faulty:
                self._faulty = False
                self._report(FaultCleared(Fault.SCANNER))
            self._deaths_in_a_row = 0
            since_ns = self._clock() - packet.captured_ns
            self.latency = self.latency.including(since_ns / NANOSECONDS_PER_SECOND)
            self._report(FrameScanned(packet.captured_ns, packet.sequence, result.codes))
            full_range = session.description.full_range
            self._onlooker(ScannedPicture(packet.captured_ns, frame, full_range, result.codes))
            return
        self.deaths += 1
        self._deaths_in_a_row += 1
        if self._deaths_in_a_row == DEATHS_THAT_ARE_A_FAULT:
            self._faulty = True
            self._report(FaultRaised(Fault.SCANNER, result.problem))

    def _plan_next(
        self,
        started_ns: Nanoseconds,
        packet: Packet,
        codes: tuple[Code, ...],
        decoding_ns: Nanoseconds,
    ) -> None:
        busy = self._codes_seen_ns is not None and started_ns - self._codes_seen_ns < BUSY_FOR
        rate = BUSY_SCANS_PER_SECOND if busy else self._settings.scans_per_second
        self._due_ns = started_ns + nanoseconds(1 / max(rate, self._settings.scans_per_second))
        took_ns = self._clock() - started_ns + decoding_ns
        pause_ns = max(nanoseconds(1 / BUSY_SCANS_PER_SECOND), round(took_ns / MOST_OF_A_CORE))
        self._may_hurry_ns = started_ns + pause_ns
        self._sizes.scanned(len(packet.data))
        texts = frozenset(code.text for code in codes)
        if texts - self._texts:
            self._due_ns = started_ns  # It counts once it was read again: the packer waits.
        self._texts = texts

    def take_offer(self, after: int) -> tuple[Packet, av.VideoFrame] | None:
        """The picture last offered, if it is newer than `after`."""
        with self._changed:
            offer, self._offer = self._offer, None
        return offer if offer is not None and offer[0].sequence > after else None

    def wait_for_offer(self, seconds: float) -> None:
        """Wait for a picture if a recording decodes at the camera's pace, else return at once."""
        offered_ns = self._offered_ns
        if offered_ns is None or self._clock() - offered_ns > FRESH:
            return
        with self._changed:
            self._changed.wait_for(lambda: self._closing or self._offer is not None, seconds)
