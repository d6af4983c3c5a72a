"""The pre-roll: the camera's newest compressed pictures, kept in memory.

The capture thread appends; each recording reads at its own pace from where it began. What a
reader has not let go of is kept, so that another can begin there if its recording fails, until
the memory limit is reached; then the oldest pictures go and the reader is told how many it lost.
"""

from __future__ import annotations

import threading
from collections import deque

from recorderd.core.model import Nanoseconds
from recorderd.engine.packets import Packet

FROM_THE_FIRST = -1
"""The place of a reader that began before any picture had come: numbers go on from session to
session, so the first one is not known."""


class PacketBuffer:
    """One camera session's pictures. Thread-safe."""

    def __init__(self, keep_ns: Nanoseconds, largest_bytes: int) -> None:
        self._keep_ns = keep_ns
        self._largest_bytes = largest_bytes
        self._packets: deque[Packet] = deque()
        self._bytes = 0
        self._readers: set[PacketReader] = set()
        self._changed = threading.Condition()
        self._ended = False

    @property
    def bytes(self) -> int:
        """Memory held by the pictures."""
        return self._bytes

    @property
    def free_bytes(self) -> int:
        """Memory for more pictures. Any thread."""
        return max(0, self._largest_bytes - self._bytes)

    @property
    def pictures(self) -> int:
        """How many pictures are held. Any thread."""
        return len(self._packets)

    def append(self, packet: Packet) -> None:
        """Add the next picture; wakes whoever waits for it."""
        with self._changed:
            self._packets.append(packet)
            self._bytes += len(packet.data)
            self._trim()
            self._changed.notify_all()

    def end(self) -> None:
        """No more pictures will come: the camera is gone. What is here may still be read."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def newest_after(self, sequence: int, timeout: float) -> Packet | None:
        """The newest picture if it is newer than `sequence`; waits up to `timeout` seconds."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._ended or (self._packets and self._packets[-1].sequence > sequence),
                timeout,
            )
            if self._packets and self._packets[-1].sequence > sequence:
                return self._packets[-1]
            return None

    def get(self, sequence: int) -> Packet | None:
        """The picture of this number, if it is still here."""
        with self._changed:
            if not self._packets:
                return None
            index = sequence - self._packets[0].sequence
            return self._packets[index] if 0 <= index < len(self._packets) else None

    def reader(self, from_ns: Nanoseconds) -> PacketReader:
        """Start reading at the last keyframe captured at or before `from_ns`.

        If the buffer does not reach back so far, at the first keyframe it has.
        """
        with self._changed:
            first: Packet | None = None
            for packet in self._packets:
                if packet.keyframe:
                    if first is not None and packet.captured_ns > from_ns:
                        break
                    first = packet
            if first is not None:
                start = first.sequence
            else:
                start = self._packets[-1].sequence + 1 if self._packets else FROM_THE_FIRST
            reader = PacketReader(self, start, first.captured_ns if first else from_ns)
            self._readers.add(reader)
            return reader

    def _trim(self) -> None:
        horizon = min(
            [
                self._packets[-1].captured_ns - self._keep_ns,
                *(reader.needed_ns for reader in self._readers),
            ]
        )
        while len(self._packets) > 1 and (
            self._bytes > self._largest_bytes or self._a_later_keyframe_reaches(horizon)
        ):
            self._bytes -= len(self._packets.popleft().data)

    def _a_later_keyframe_reaches(self, horizon: Nanoseconds) -> bool:
        """Whether all from `horizon` on can be decoded without the oldest group of pictures."""
        for index, packet in enumerate(self._packets):
            if index and packet.keyframe:
                return packet.captured_ns <= horizon
        return False

    def _read(self, reader: PacketReader, timeout: float) -> Packet | None:
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._holds_more_for(reader), timeout)
            if not self._holds_more_for(reader):
                return None
            oldest = self._packets[0].sequence
            if reader.position == FROM_THE_FIRST:
                reader.position = oldest
            if reader.position < oldest:
                reader.lost += oldest - reader.position
                reader.position = oldest
            packet = self._packets[reader.position - oldest]
            reader.position += 1
            return packet

    def _holds_more_for(self, reader: PacketReader) -> bool:
        return bool(self._packets) and self._packets[-1].sequence >= reader.position

    def _is_finished(self, reader: PacketReader) -> bool:
        with self._changed:
            return self._ended and not self._holds_more_for(reader)

    def _waiting_for(self, reader: PacketReader) -> int:
        with self._changed:
            if not self._holds_more_for(reader):
                return 0
            oldest, newest = self._packets[0].sequence, self._packets[-1].sequence
            return newest + 1 - max(oldest, reader.position)

    def _waiting_bytes_for(self, reader: PacketReader) -> int:
        with self._changed:
            waiting, held = self._waiting_for(reader), len(self._packets)
            return self._bytes * waiting // held if waiting else 0

    def _forget(self, reader: PacketReader) -> None:
        with self._changed:
            self._readers.discard(reader)

    @property
    def ended(self) -> bool:
        return self._ended


class PacketReader:
    """One recording's place in the buffer. Used by one thread, but for what is waiting."""

    def __init__(self, buffer: PacketBuffer, position: int, needed_ns: Nanoseconds) -> None:
        self._buffer = buffer
        self.position = position
        """Number of the next picture to read."""
        self.needed_ns = needed_ns
        """Pictures from this moment on are kept, whether they were read or not."""
        self.lost = 0

    def read(self, timeout: float) -> Packet | None:
        """The next picture, None if none came within `timeout` seconds or ever will.

        `lost` grows when pictures had to be thrown away before they were read.
        """
        return self._buffer._read(self, timeout)

    @property
    def finished(self) -> bool:
        """The camera is gone and everything was read."""
        return self._buffer._is_finished(self)

    @property
    def waiting(self) -> int:
        """How many pictures have come that were not read yet. Any thread."""
        return self._buffer._waiting_for(self)

    @property
    def waiting_bytes(self) -> int:
        """About how much memory these take. Any thread."""
        return self._buffer._waiting_bytes_for(self)

    def let_go(self, before_ns: Nanoseconds) -> None:
        """What was captured before this moment will not be needed again."""
        self.needed_ns = before_ns

    def close(self) -> None:
        """The buffer need not keep anything for this reader any more."""
        self._buffer._forget(self)
