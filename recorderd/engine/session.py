"""One camera session: from opening the camera until it is lost or closed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import av

from recorderd.engine.mode import Choice
from recorderd.engine.packet_buffer import PacketBuffer, PacketReader
from recorderd.engine.packets import Packet, StreamDescription
from recorderd.engine.stills import Stills

Tap: TypeAlias = Callable[[Packet, av.VideoFrame], None]
"""Takes a picture that was decoded for encoding, so that scanning need not decode it again."""


@dataclass(slots=True)
class Session:
    """What capture, scan feed and recordings of one camera session share.

    `choice` changes when an encoder is demoted; it is replaced as a whole.
    """

    description: StreamDescription
    buffer: PacketBuffer
    choice: Choice
    tap: Tap
    stills: Stills = field(default_factory=Stills)
    _held: list[PacketReader] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def hold(self, reader: PacketReader) -> None:
        """Keep the pictures from this reader's place on, for the part that follows."""
        with self._lock:
            self._held.append(reader)

    def release(self) -> None:
        """The following part has begun: nothing needs to be held for it any more."""
        with self._lock:
            readers, self._held = self._held, []
        for reader in readers:
            reader.close()
