"""One recording, on its own thread: read the buffer, write the file, close, publish."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path

from recorderd.core.events import RecordingInterrupted
from recorderd.core.model import Mode, Nanoseconds, StopReason, nanoseconds
from recorderd.engine.encoder_kinds import EncodeRequest
from recorderd.engine.encoding import encoding_pipeline, make_video_encoder
from recorderd.engine.footage_file import FootageFile, is_disk_full, storage_errors
from recorderd.engine.keeping_up import (
    LONG_ENOUGH,
    EncoderJudge,
    EncoderTooSlowError,
    KeepingUp,
)
from recorderd.engine.messages import (
    Captured,
    NothingLeft,
    RecordingProgress,
    Report,
    SalvagePostponed,
    Start,
)
from recorderd.engine.packets import Packet
from recorderd.engine.pipelines import CopyPipeline, MakeEncoder, Pipeline
from recorderd.engine.salvage import salvage
from recorderd.engine.session import Session
from recorderd.engine.stills import jpeg_of
from recorderd.errors import DeviceError, StorageError
from recorderd.settings import RecordingSettings
from recorderd.store.footage import publish, write_synced

_WAIT_SECONDS = 0.2
_LATE_PICTURE_GRACE = nanoseconds(0.5)


class Recording:
    """Runs from `start()` until it has reported Captured or NothingLeft.

    All that can go wrong ends in a report; nothing is raised. `judge` hears how the encoder
    did, of its failing before that is reported.
    """

    def __init__(
        self,
        command: Start,
        session: Session,
        settings: RecordingSettings,
        report: Callable[[Report], None],
        judge: EncoderJudge,
        *,
        make_encoder: MakeEncoder = make_video_encoder,
        clock: Callable[[], Nanoseconds] = time.monotonic_ns,
    ) -> None:
        self.command = command
        self._session = session
        self._choice = session.choice
        self._settings = settings
        self._report = report
        self._judge = judge
        self._make_encoder = make_encoder
        self._clock = clock
        self._stop_at_ns: Nanoseconds | None = None
        self._waiting_at_stop = 0
        self._pipeline: Pipeline | None = None
        self._keeping_up: KeepingUp | None = None
        self._size = session.description.width, session.description.height
        self._first_ns: Nanoseconds = 0
        self._interrupted = False
        self._unheard = False
        self._lost_before = 0
        self._skipped = 0
        self._missed = 0
        self._needs_keyframe = False
        self._has_read_all = False
        self._reader = session.buffer.reader(command.from_ns)
        self._thread = threading.Thread(
            target=self._run, name=f"recording {command.recording_id[-12:]}"
        )

    def start(self) -> None:
        self._thread.start()

    def stop(self, at_ns: Nanoseconds) -> None:
        """End with the last picture captured before `at_ns`. Any thread; a second call is void."""
        if self._stop_at_ns is None:
            self._waiting_at_stop = self._reader.waiting
            self._stop_at_ns = at_ns

    def stay_incoming(self) -> None:
        """Close the file, but leave it where the next station looks: this one is gone, perhaps
        before it had written the row. Any thread, before `stop`."""
        self._unheard = True

    def join(self, timeout: float | None = None) -> None:
        self._thread.join(timeout)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def progress(self) -> RecordingProgress:
        """Any thread; the numbers may be a picture apart."""
        pipeline = self._pipeline
        return RecordingProgress(
            self.command.recording_id,
            pipeline.frames if pipeline else 0,
            self._dropped,
            pipeline.written_ns if pipeline else self.command.from_ns,
            0 if self._has_read_all else self._reader.waiting,
        )

    @property
    def _dropped(self) -> int:
        """By us. What the camera did not deliver is told, too, but cries for no help."""
        left_out = self._pipeline.left_out if self._pipeline else 0
        return self._reader.lost + self._skipped + left_out

    def _run(self) -> None:
        try:
            first = self._first_packet()
            if first is None:
                self._nothing("no picture arrived before the recording was stopped")
                return
            file = self._open_file(first)
            if file is not None:
                try:
                    self._record(file, first)
                finally:
                    file.abandon()
        finally:
            self._reader.close()

    # --- reading

    def _first_packet(self) -> Packet | None:
        """The first picture to be read: the first one at or after the moment asked for, or the
        keyframe it needs. A copy shows that keyframe too, an encoded file does not."""
        intra = self._session.description.intra_only
        while (packet := self._next_packet()) is not None:
            early = intra and packet.captured_ns < self.command.from_ns
            if packet.keyframe and not early:
                return packet
        return None

    def _next_packet(self) -> Packet | None:
        """The next picture of this recording; None when it is over."""
        while True:
            packet = self._reader.read(_WAIT_SECONDS)
            if packet is not None:
                # With B-frames a picture is sent before others that were taken before it.
                over = self._stop_at_ns is not None and packet.decode_ns >= self._stop_at_ns
                if over or self._can_be_decoded(packet):
                    return None if over else packet
                self._skipped += 1
                self._count_missed(packet)
                continue
            if self._reader.finished:
                return None
            stop_at_ns = self._stop_at_ns
            if stop_at_ns is not None and self._clock() > stop_at_ns + _LATE_PICTURE_GRACE:
                return None

    def _can_be_decoded(self, packet: Packet) -> bool:
        """After a loss, pictures that build on lost ones are left out up to the next keyframe."""
        if self._reader.lost > self._lost_before:
            self._lost_before = self._reader.lost
            self._needs_keyframe = not self._session.description.intra_only
        self._needs_keyframe = self._needs_keyframe and not packet.keyframe
        return not self._needs_keyframe

    def _count_missed(self, packet: Packet) -> None:
        """What was missing before this recording's first picture is not missing in it."""
        if packet.missed_before_ns > self._first_ns:
            self._missed += packet.missed

    # --- writing

    def _open_file(self, first: Packet) -> FootageFile | None:
        encode = self._choice.mode is Mode.ENCODE
        intra = self._session.description.intra_only
        skips_to_moment = encode and not intra
        self._first_ns = (
            max(first.captured_ns, self.command.from_ns) if skips_to_moment else first.captured_ns
        )
        encoder = self._choice.encoder
        tags = {
            **self.command.tags,
            "recorder_mode": self._choice.mode.value,
            "recorder_encoder": encoder.name if encoder else "",
        }
        file: FootageFile | None = None
        try:
            file = FootageFile(self.command.files.incoming_video, tags, self._settings.sync_seconds)
            file.tag_beginning(self._first_ns)
            self._write_still()
            self._pipeline = self._make_pipeline(file)
            return file
        except StorageError as error:
            self._discard(file)
            self._storage_failed(error, self._first_ns)
            self._nothing(str(error))
        except DeviceError as error:
            self._discard(file)
            self._encoder_failed(error, self._first_ns)
            self._nothing(str(error))
        return None

    def _discard(self, file: FootageFile | None) -> None:
        """Nothing was written: leave nothing behind, as far as the disk still obeys."""
        if file is None:
            return
        file.abandon()
        for path in (self.command.files.incoming_video, self.command.files.incoming_still):
            with contextlib.suppress(OSError):
                path.unlink()

    def _make_pipeline(self, file: FootageFile) -> Pipeline:
        description = self._session.description
        wall_offset_ns = self.command.wall_offset_ns
        if self._choice.mode is not Mode.ENCODE or self._choice.encoder is None:
            return CopyPipeline(file, description, self._first_ns, wall_offset_ns)
        request = EncodeRequest.for_stream(description, self._settings)
        self._size = request.recorded_width, request.recorded_height
        if self._choice.may_defer:
            self._keeping_up = KeepingUp(
                self._choice.encoder.name, self._reader, self._session.buffer, self._clock
            )
        return encoding_pipeline(
            file,
            description,
            self._choice.encoder,
            request,
            self._first_ns,
            wall_offset_ns,
            self._session.tap,
            is_behind=lambda: self._reader.waiting > 0,
            make_encoder=self._make_encoder,
            clock=self._clock,
        )

    def _write_still(self) -> None:
        """The picture in which the label was read. The video matters more: failures are left."""
        sequence = self.command.label_sequence
        picture = self._session.stills.take(sequence) if sequence is not None else None
        if picture is None and sequence is not None:
            picture = self._session.buffer.get(sequence)
        if picture is None:
            return
        with contextlib.suppress(DeviceError, StorageError):
            jpeg = jpeg_of(picture, self._session.description.codec)
            write_new_file(self.command.files.incoming_still, jpeg)

    def _record(self, file: FootageFile, first: Packet) -> None:
        pipeline = self._pipeline
        assert pipeline is not None  # noqa: S101
        packet: Packet | None = first
        try:
            while packet is not None:
                pipeline.write(packet)
                self._reader.let_go(pipeline.resume_ns - file.unsure_ns)
                if self._keeping_up is not None and self._stop_at_ns is None:
                    self._keeping_up.check(pipeline)
                packet = self._next_packet()
                if packet is not None:
                    self._count_missed(packet)
            self._has_read_all = True
            pipeline.finish()
            self._praise(pipeline)
        except DeviceError as error:
            self._encoder_failed(error, pipeline.resume_ns)
        except StorageError as error:
            self._storage_failed(error, pipeline.resume_ns - file.unsure_ns)
        finally:
            pipeline.close()
        if not pipeline.frames:
            self._discard(file)
            self._nothing("no picture could be decoded or written")
            return
        try:
            size = file.close()
            if self._unheard:
                return
            self._publish()
        except StorageError as error:
            self._storage_failed(error, pipeline.resume_ns - file.unsure_ns)
            self._salvage()
            return
        self._report(
            Captured(
                recording_id=self.command.recording_id,
                bytes=size,
                frames=pipeline.frames,
                dropped=self._dropped + self._missed,
                first_ns=pipeline.first_ns,
                duration_ns=pipeline.written_ns - pipeline.first_ns,
                codec="h264" if self._choice.mode is Mode.ENCODE else self._codec,
                encoder=self._choice.encoder.name if self._choice.encoder else "",
                mode=self._choice.mode.value,
                width=self._size[0],
                height=self._size[1],
                recovered=False,
            )
        )

    @property
    def _codec(self) -> str:
        return self._session.description.codec

    def _publish(self) -> None:
        files = self.command.files
        if files.incoming_still.exists():
            publish(files.incoming_still, files.still)
        publish(files.incoming_video, files.video)

    def _praise(self, pipeline: Pipeline) -> None:
        """Of an encoder that falls behind slowly the memory hides it for a while."""
        lasted_ns = pipeline.written_ns - pipeline.first_ns
        in_time = self._waiting_at_stop < self._session.description.rate and not self._dropped
        if self._choice.encoder is not None and lasted_ns >= LONG_ENOUGH and in_time:
            self._judge.kept_up(self._choice.encoder.name)

    # --- failing

    def _encoder_failed(self, error: DeviceError, resume_ns: Nanoseconds) -> None:
        encoder = self._choice.encoder.name if self._choice.encoder else ""
        if isinstance(error, EncoderTooSlowError):
            self._judge.fell_behind(encoder, error.pictures_per_second)
            self._interrupt(StopReason.ENCODER_TOO_SLOW, str(error), resume_ns)
            return
        if encoder:
            self._judge.failed(encoder, error.problem)
        self._interrupt(StopReason.ENCODER_FAILED, str(error), resume_ns)

    def _storage_failed(self, error: StorageError, resume_ns: Nanoseconds) -> None:
        """The newest pictures may never have left memory: they are recorded again."""
        full = is_disk_full(error)
        reason = StopReason.DISK_FULL if full else StopReason.STORAGE_LOST
        self._interrupt(reason, str(error), max(resume_ns, self._first_ns))

    def _interrupt(self, reason: StopReason, problem: str, resume_ns: Nanoseconds) -> None:
        """Report once, and keep the pictures that are not in the file for the next part."""
        if self._interrupted:
            return
        self._interrupted = self._has_read_all = True
        if self._stop_at_ns is None:
            self._session.hold(self._session.buffer.reader(resume_ns))
        self._report(RecordingInterrupted(self.command.recording_id, reason, problem, resume_ns))

    def _salvage(self) -> None:
        try:
            self._report(salvage(self.command.recording_id, self.command.files))
        except StorageError as error:
            self._report(SalvagePostponed(self.command.recording_id, str(error)))

    def _nothing(self, problem: str) -> None:
        self._report(NothingLeft(self.command.recording_id, problem))


def write_new_file(path: Path, content: bytes) -> None:
    """Write and sync a file that must not exist yet. Raises StorageError."""
    with storage_errors(path):
        write_synced(path, content)
