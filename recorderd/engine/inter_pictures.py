"""Pictures for the scanner, of cameras whose pictures build on one another (H.264, HEVC).

To see one, all since its keyframe must be decoded, and at 4K that takes a third of a core for
nothing while nobody is there. A picture in which nothing moves is short: its size tells. So while
nothing moves only keyframes are looked at, and as soon as something does, what came since the
last one is decoded, and every picture from then on. On a computer for which that is too much,
keyframes have to do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

import av
import cv2

from recorderd.core.model import Nanoseconds, nanoseconds
from recorderd.engine.decoding import decoder_for
from recorderd.engine.locator import Luma, halve, pyramid
from recorderd.engine.luma import luma_of
from recorderd.engine.native_packet import native_packet
from recorderd.engine.packet_buffer import PacketReader
from recorderd.engine.packet_sizes import Movement
from recorderd.engine.packets import Packet
from recorderd.engine.session import Session

LIVELY_FOR: Final = nanoseconds(4)
"""After the last thing that moved: a label that was taken away has to be missed for three seconds
before it counts anew (labels.rearm_seconds), and seldom looks take longer for that."""

MOST_TO_CATCH_UP: Final = 60
"""Pictures, less than a second of decoding at 4K. Cameras with longer groups of pictures are
decoded throughout."""

TOO_SLOW_FOR: Final = nanoseconds(30)
"""A computer that fell a second behind again and again looks at keyframes only, for so long."""
_FALLS_THAT_ARE_TOO_SLOW: Final = 3
"""Within that time. A scanner that is started again takes a second, too."""

_UNTOLD_THAT_SAY_NOTHING: Final = 3
"""Changes that were seen and not told by sizes: a camera that holds a bit rate tells nothing."""

_CHANGED_BY: Final = 16
"""Of 255, somewhere in an eighth of the size: more than noise."""
_MOST_IN_DECODER: Final = 32


class InterPictures:
    """The newest picture of one camera session. See `ScanPictures`."""

    decoding_ns: Nanoseconds = 0
    """Pictures are decoded whether they are scanned or not: it is no part of a scan."""

    def __init__(self, session: Session, clock: Callable[[], Nanoseconds]) -> None:
        self._reader: PacketReader = session.buffer.reader(clock())
        self._decoder = decoder_for(session.description)
        # Each thread more holds a picture back for the time of one.
        self._decoder.thread_count = 2
        self._glances = decoder_for(session.description)
        self._glances.thread_count = 1
        self._packets: dict[int, Packet] = {}
        self._movement = Movement()
        self._untold = 0
        self._moved_ns: Nanoseconds = clock()
        self._fell_behind_ns: deque[Nanoseconds] = deque(maxlen=_FALLS_THAT_ARE_TOO_SLOW)
        self._undecoded: list[Packet] | None = []
        """What the decoder lacks, None if it cannot go on before the next keyframe."""
        self._is_lively = True
        self._group_length: int | None = None
        self._in_group = 0
        self._last_glance: Luma | None = None
        self._most_waiting = max(1, round(session.description.rate))

    def next(self) -> tuple[Packet, av.VideoFrame] | None:
        newest: tuple[Packet, av.VideoFrame] | None = None
        packet = self._reader.read(0.1)
        # No more than there were: while one is decoded, another comes.
        left = self._reader.waiting
        while packet is not None:
            self._reader.let_go(packet.captured_ns)
            newest = self._look(packet) or newest
            packet = self._reader.read(0.0) if left > 0 else None
            left -= 1
        return newest

    def close(self) -> None:
        self._reader.close()

    def _look(self, packet: Packet) -> tuple[Packet, av.VideoFrame] | None:
        self._follow(packet)
        if self._undecoded is not None and self._reader.waiting > self._most_waiting:
            self._fell_behind_ns.append(packet.captured_ns)
            self._undecoded = None
        if packet.keyframe and not self._is_lively:
            self._undecoded = []
        if self._undecoded is None or not self._should_be_lively(packet.captured_ns):
            return self._look_idly(packet)
        pictures, self._undecoded = [*self._undecoded, packet], []
        if not self._is_lively:
            self._is_lively, self._last_glance = True, None
            if pictures[0].keyframe:
                self._decoder.flush_buffers()
        newest = None
        for each in pictures:  # All of them at once would fill the memory.
            newest = self._decoded(each) or newest
        return newest

    def _follow(self, packet: Packet) -> None:
        if packet.keyframe:
            self._group_length, self._in_group = self._in_group or None, 0
        elif self._movement.follow(len(packet.data)):
            self._moved_ns = packet.captured_ns
            self._untold = 0
        self._in_group += 1

    def _should_be_lively(self, now: Nanoseconds) -> bool:
        falls = self._fell_behind_ns
        if len(falls) == falls.maxlen and now - falls[0] < TOO_SLOW_FOR:
            return False
        # Some cameras make a group as long as nothing moves.
        longest = max(self._group_length or MOST_TO_CATCH_UP + 1, self._in_group)
        can_catch_up = longest <= MOST_TO_CATCH_UP
        sizes_tell = self._untold < _UNTOLD_THAT_SAY_NOTHING
        return now - self._moved_ns < LIVELY_FOR or not sizes_tell or not can_catch_up

    def _look_idly(self, packet: Packet) -> tuple[Packet, av.VideoFrame] | None:
        self._is_lively = False
        if self._undecoded is not None:
            self._undecoded.append(packet)
            if len(self._undecoded) > 2 * MOST_TO_CATCH_UP:
                self._undecoded = None
        return self._glance(packet) if packet.keyframe else None

    def _glance(self, keyframe: Packet) -> tuple[Packet, av.VideoFrame] | None:
        """Decode this one alone. What has changed since the last glance should have been told
        by the sizes, unless it came with this very picture."""
        try:
            frames = [
                *self._glances.decode(native_packet(keyframe.data)),
                *self._glances.decode(None),
            ]
        except av.FFmpegError:
            frames = []
        self._glances.flush_buffers()
        if not frames:
            return None
        small = halve(pyramid(luma_of(frames[0]))[-1])
        last, self._last_glance = self._last_glance, small
        if last is not None and _differ(small, last):
            self._moved_ns = keyframe.captured_ns
            self._untold += 1
        return keyframe, frames[0]

    def _decoded(self, packet: Packet) -> tuple[Packet, av.VideoFrame] | None:
        compressed = native_packet(packet.data)
        compressed.pts = packet.sequence
        self._packets[packet.sequence] = packet
        try:
            frames = self._decoder.decode(compressed)
        except av.FFmpegError:
            # It would go on failing for good, see EncodePipeline.
            self._decoder.flush_buffers()
            return None
        newest = None
        for frame in frames:
            origin = self._packets.get(frame.pts or -1)
            if origin is not None:
                newest = (origin, frame)
        self._packets = {
            number: kept
            for number, kept in self._packets.items()
            if number > packet.sequence - _MOST_IN_DECODER
        }
        return newest


def _differ(one: Luma, other: Luma) -> bool:
    return one.shape != other.shape or int(cv2.absdiff(one, other).max()) >= _CHANGED_BY
