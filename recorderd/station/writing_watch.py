"""Do the pictures reach the file? Looks at the engine's heartbeats."""

from __future__ import annotations

from dataclasses import dataclass, replace

from recorderd.core.model import Nanoseconds, RecordingId, nanoseconds
from recorderd.engine.messages import Heartbeat

HEARD_AFTER = nanoseconds(1.5)
"""A writer that stands still is signalled after this: within two seconds, beat included."""

HOPELESS_AFTER = nanoseconds(10)
"""A slow disk may make it wait; a driver that hangs makes it wait for ever."""

DROPS_STAY_HEARD = nanoseconds(5)


PICTURES_MISSED = 2
"""A camera that delivers nothing is another fault than a writer that takes nothing."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """When a recording's number of pictures last changed, and how many had come by then."""

    frames: int
    dropped: int
    since_ns: Nanoseconds
    pictures: int


class WritingWatch:
    """Used by the station's main thread. `now` is CLOCK_MONOTONIC."""

    def __init__(self) -> None:
        self._seen: dict[RecordingId, _Seen] = {}
        self._pictures = 0
        self._dropped_ns: Nanoseconds | None = None

    def look(self, heartbeat: Heartbeat, now: Nanoseconds) -> None:
        """Take in a heartbeat; the same one twice changes nothing."""
        self._pictures = heartbeat.pictures
        seen: dict[RecordingId, _Seen] = {}
        for progress in heartbeat.recordings:
            before = self._seen.get(progress.recording_id)
            if before is not None and progress.dropped > before.dropped:
                self._dropped_ns = now
            if before is not None and progress.frames == before.frames:
                seen[progress.recording_id] = replace(before, dropped=progress.dropped)
            else:
                seen[progress.recording_id] = _Seen(
                    progress.frames, progress.dropped, now, heartbeat.pictures
                )
        self._seen = seen

    def problem(self, now: Nanoseconds, active: RecordingId | None) -> str | None:
        """What is wrong with the recording that is being written; None if all is well.

        Before its first picture an encoder may take its time, and so may a disk while a
        recording is closed.
        """
        seen = self._seen.get(active) if active is not None else None
        if seen is not None and seen.frames and self._still_for(seen, now) > HEARD_AFTER:
            return (
                "Pictures do not reach the file. If this lasts, the disk or the encoder hangs: "
                "check the disk"
            )
        if self._dropped_ns is not None and now - self._dropped_ns < DROPS_STAY_HEARD:
            return (
                "Pictures are being lost: the computer or the disk is too slow. "
                'Choose a lower camera.rate, or recording.mode = "defer"'
            )
        return None

    def hopeless(self, now: Nanoseconds) -> bool:
        """Some recording stands still for so long that only a new engine can help."""
        return any(self._still_for(seen, now) > HOPELESS_AFTER for seen in self._seen.values())

    def _still_for(self, seen: _Seen, now: Nanoseconds) -> Nanoseconds:
        missed = self._pictures - seen.pictures
        return now - seen.since_ns if missed >= PICTURES_MISSED else 0
