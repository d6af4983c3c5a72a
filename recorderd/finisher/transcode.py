"""Deferred encoding: the camera's MJPEG becomes H.264 once nobody needs the processor."""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice, repeat
from pathlib import Path
from typing import Any

import av
from av.video.stream import VideoStream

from recorderd.core.model import NANOSECONDS_PER_SECOND, Nanoseconds
from recorderd.engine import probe, verify
from recorderd.engine.encoder_kinds import EncodeRequest, EncoderKind, kind_named
from recorderd.engine.encoding import encoding_pipeline
from recorderd.engine.footage_file import BEGINNING_TAG, FootageFile, storage_errors
from recorderd.engine.packets import Packet, StreamDescription
from recorderd.engine.salvage import FileFacts, facts_of
from recorderd.errors import DeviceError, StorageError
from recorderd.finisher.fingerprint import Fingerprint, fingerprint, unwatched
from recorderd.finisher.sections import Section, Sections, join
from recorderd.settings import Settings
from recorderd.store.chores import Finished, Transcoded
from recorderd.store.footage import HALF_ENCODED_SUFFIX, sync_folder

SECTION_PICTURES = 1800
"""About a minute: so much of the work a power cut may cost."""
_FULL_RANGE = 2
_HASHED, _ENCODED = 0.05, 0.85
"""What fraction of the work is done when the original is hashed, and when all is encoded."""
_LARGEST_DIFFERENCE_S = 0.001
_TRIAL_SECONDS = 300.0
"""Of an encoder, for each kind: with what others leave of the processor it takes its time."""
_PATIENCE_SECONDS = 20.0
"""With an encoder program; systemd waits for thirty when the finisher is to end."""
_MOST_LEFT_OUT = 0.05
"""A camera now and then sends a damaged picture; of more the original may still tell more."""
_KEPT = "The original is kept"
PROOFS_FILE = "encoders-when-idle.json"
"""Speeds measured with the finisher's low priority would mislead the station."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """What the original is, and how it is encoded."""

    description: StreamDescription
    request: EncodeRequest
    encoder: EncoderKind


@dataclass(frozen=True, slots=True)
class _Work:
    """One recording, its file `path` with what that was `before`, and the SHA-256 of that."""

    recording: Finished
    settings: Settings
    path: Path
    before: FileFacts
    original: str
    plan: _Plan
    pause: Callable[[], bool]

    @property
    def tags(self) -> dict[str, str]:
        return {
            **self.before.tags,
            "recorder_encoder": self.plan.encoder.name,
            "transcoded_from": self.original,
        }

    @property
    def beginning_ns(self) -> Nanoseconds:
        """When the first picture was taken, on the monotonic clock of that time; 0 if not known."""
        text = self.before.tags.get(BEGINNING_TAG, "")
        return int(text) if text.isdecimal() else 0

    @property
    def wall_offset_ns(self) -> Nanoseconds:
        """From that clock to UTC."""
        started = self.recording.started_at.timestamp()
        return round(started * NANOSECONDS_PER_SECOND) - self.beginning_ns


@dataclass(frozen=True, slots=True)
class _Written:
    """The new file: pictures in it, damaged ones that are not, from the first to the last."""

    frames: int
    left_out: int
    duration_ns: Nanoseconds


def transcode(
    recording: Finished,
    settings: Settings,
    pause: Callable[[], bool],
    original_known: Callable[[Fingerprint], None] = lambda _: None,
    moves: Callable[[float], None] = unwatched,
    give_up_trials: Callable[[], bool] = lambda: False,
) -> Transcoded | None:
    """Replace a recording's MJPEG by H.264 with the same pictures at the same times.

    The original stays until the new file is complete, on the disk, and was decoded from end to
    end; then one rename replaces it. `original_known` is told what the original was before
    anything is encoded, `moves` what fraction is done. May be repeated after any interruption:
    it goes on after the last section that was finished, or finds all done. None if `pause` asked
    to drop the work, or `give_up_trials` did so while encoders were tried.
    Raises DeviceError (no encoder works), StorageError.
    """
    path = settings.footage_folder / recording.path
    facts = _readable(path)
    if facts.codec == "mjpeg":
        moves(0.0)
        # A trial cannot be paused: what it finds beside a recording says little.
        if pause() or (plan := _plan(path, settings, give_up_trials)) is None:
            return None
        original = fingerprint(path, pause, _part(moves, 0.0, _HASHED))
        if original is None:
            return None
        original_known(original)
        work = _Work(recording, settings, path, facts, original.sha256, plan, pause)
        if not _replaced(work, moves):
            return None
        facts = _readable(path)
    return Transcoded(
        bytes=path.stat().st_size,
        frames=facts.frames,
        codec=facts.codec,
        encoder=facts.tags.get("recorder_encoder", ""),
        width=facts.width,
        height=facts.height,
        original_sha256=facts.tags.get("transcoded_from", ""),
    )


def _readable(path: Path) -> FileFacts:
    facts = facts_of(path)
    if facts is None:
        raise StorageError(
            f"{path.name} holds no readable picture",
            "Keep the file: what it holds cannot be read by this program",
        )
    return facts


def _replaced(work: _Work, moves: Callable[[float], None]) -> bool:
    """Whether the new file has taken the original's name; False if the work was dropped.

    Then what is finished of it stays; after an error nothing does: something may be wrong with it.
    """
    sections = Sections(work.settings, work.recording.id, f"{work.original} {work.plan}")
    joined = work.settings.incoming_folder / f"{work.recording.id}{HALF_ENCODED_SUFFIX}"
    try:
        written = _encode(work, sections, joined, _part(moves, _HASHED, _ENCODED))
        checking = _part(moves, _ENCODED, 1.0)
        if written is None or not _check(work.path, joined, written, work.pause, checking):
            joined.unlink(missing_ok=True)
            return False
        with storage_errors(work.path):
            os.replace(joined, work.path)  # noqa: PTH105
            sync_folder(work.path.parent)
            sync_folder(joined.parent)
    except BaseException:
        with suppress(StorageError):
            sections.take_away()
        raise
    sections.take_away()
    return True


def _encode(
    work: _Work, sections: Sections, joined: Path, moves: Callable[[float], None]
) -> _Written | None:
    """Encode what is not yet, and join all; None if the work was dropped."""
    made: list[Section] = []
    with av.open(str(work.path)) as source:
        packets = _packets(source, source.streams.video[0], work.beginning_ns)
        for number in range(math.ceil(work.before.frames / SECTION_PICTURES)):
            of_section = _told(islice(packets, SECTION_PICTURES), work, moves)
            section = sections.finished(number)
            if section is not None:
                deque(of_section, maxlen=0)
            else:
                section = _encode_section(work, sections, number, of_section)
            if section is None:
                return None
            made.append(section)
    frames = sum(section.frames for section in made)
    written = _Written(frames, work.before.frames - frames, made[-1].last_ns - made[0].first_ns)
    if written.left_out > _MOST_LEFT_OUT * work.before.frames:
        raise DeviceError(
            f"{written.left_out} of {work.before.frames} pictures are damaged",
            _KEPT,
        )
    joined.unlink(missing_ok=True)
    file = FootageFile(joined, work.tags, work.settings.recording.sync_seconds)
    try:
        if not join(made, file, work.wall_offset_ns, work.pause):
            return None
        file.close()
    finally:
        file.abandon()
    return written


def _encode_section(
    work: _Work, sections: Sections, number: int, packets: Iterable[Packet]
) -> Section | None:
    """The section with these pictures; None if the work was dropped."""
    file = FootageFile(
        sections.begin(number),
        {**work.tags, **sections.tags},
        work.settings.recording.sync_seconds,
    )
    given = 0
    with ExitStack() as cleanup:
        cleanup.callback(file.abandon)
        pipeline = encoding_pipeline(
            file,
            work.plan.description,
            work.plan.encoder,
            work.plan.request,
            work.beginning_ns,
            work.wall_offset_ns,
            _nobody_looks,
            is_behind=lambda: True,
            patience_seconds=_PATIENCE_SECONDS,
        )
        cleanup.callback(pipeline.close)
        for packet in packets:
            if work.pause():
                cleanup.close()
                sections.drop(number)
                return None
            pipeline.write(packet)
            given += 1
        pipeline.finish()
        file.close()
    if not pipeline.frames:
        raise DeviceError(f"{given} pictures one after the other are damaged", _KEPT)
    sections.finish(number)
    section = sections.finished(number)
    if (
        section is None
        or section.frames != pipeline.frames
        or pipeline.frames + pipeline.left_out != given
    ):
        raise DeviceError("The transcoded file lacks pictures", _KEPT)
    return section


def _told(
    packets: Iterable[Packet], work: _Work, moves: Callable[[float], None]
) -> Iterator[Packet]:
    for packet in packets:
        yield packet
        moves((packet.sequence + 1) / max(work.before.frames, 1))


def _check(
    original: Path,
    transcoded: Path,
    written: _Written,
    pause: Callable[[], bool],
    moves: Callable[[float], None],
) -> bool:
    """Compare the new file with the original; False if `pause` asked to drop the work.

    The original is going to be deleted: every single picture has to decode and to stand at its
    time. Raises DeviceError.
    """
    problem = verify.problem_of(transcoded, written.frames, written.duration_ns)
    if problem is None:
        left_out = 0
        for number, found in enumerate(_comparison(original, transcoded), start=1):
            left_out += not found
            if left_out > written.left_out:
                problem = f"picture {number} is missing or not at its time"
                break
            if pause():
                return False
            moves(number / (written.frames + written.left_out))
    if problem is not None:
        raise DeviceError(f"The transcoded file is not right: {problem}", _KEPT)
    return True


def _comparison(original: Path, transcoded: Path) -> Iterator[bool]:
    """Whether each picture of the original is in the other file, at its time and decodable."""
    with av.open(str(original)) as first, av.open(str(transcoded)) as second:
        pictures = (packet for packet in first.demux(first.streams.video[0]) if packet.size)
        # Else what is missing of a picture is made up from others.
        second.streams.video[0].codec_context.options = {"err_detect": "explode"}
        expected, decoded = _times(pictures), _times(second.decode(video=0))
        try:
            shown = next(decoded, None)
            for moment_s in expected:
                found = shown is not None and abs(moment_s - shown) <= _LARGEST_DIFFERENCE_S
                yield found
                if found:
                    shown = next(decoded, None)
            if shown is not None:
                yield from repeat(False)
        except av.FFmpegError:
            yield from repeat(False)


def _times(things: Iterable[av.Packet[Any] | av.VideoFrame]) -> Iterator[float]:
    """When each is shown, in seconds after the first."""
    first = None
    for thing in things:
        if thing.pts is not None and thing.time_base is not None:
            moment = float(thing.pts * thing.time_base)
            first = moment if first is None else first
            yield moment - first


def _part(moves: Callable[[float], None], begin: float, end: float) -> Callable[[float], None]:
    """Tells of a part of the work as of the whole."""
    return lambda fraction: moves(begin + fraction * (end - begin))


def _nobody_looks(_packet: Packet, _frame: av.VideoFrame) -> None:
    """Labels were read while recording."""


def _description(stream: VideoStream) -> StreamDescription:
    context = stream.codec_context
    pixel_format = context.pix_fmt or "yuvj420p"
    return StreamDescription(
        codec=context.codec.canonical_name,
        width=context.width,
        height=context.height,
        # A whole number: a jittering camera gives each file a rate of its own, and each new
        # one would be probed anew.
        rate=Fraction(max(1, round(stream.average_rate or 30))),
        pixel_format=pixel_format,
        full_range="j" in pixel_format or context.color_range == _FULL_RANGE,
    )


def _plan(path: Path, settings: Settings, give_up: Callable[[], bool]) -> _Plan | None:
    """With the first choice among those that proved themselves: here none has to be fast. None if
    `give_up` said so.

    That none did may have had its cause in that moment, so it is not believed the next time.
    """
    with av.open(str(path)) as source:
        description = _description(source.streams.video[0])
    request = EncodeRequest.for_stream(description, settings.recording)
    cache_file = settings.state_folder / PROOFS_FILE
    for anew in (False, True):
        proofs = probe.probe_all(
            request,
            cache_file,
            wanted=settings.recording.encoder,
            anew=anew,
            give_up=give_up,
            time_limit=_TRIAL_SECONDS,
        )
        proved = next((proof for proof in proofs if proof.proved), None)
        if proved is not None:
            encoder = kind_named(proved.name).only(proved.variant)
            return _Plan(description, request, encoder)
        if give_up():
            return None
    raise DeviceError("No encoder works on this machine", "Run 'recorderd doctor --encoders'")


def _packets(
    source: av.container.InputContainer, stream: VideoStream, beginning_ns: Nanoseconds
) -> Iterator[Packet]:
    for sequence, packet in enumerate(source.demux(stream)):
        if packet.pts is None or not packet.size:
            continue
        offset_ns = round(packet.pts * packet.time_base * NANOSECONDS_PER_SECOND)
        moment_ns = beginning_ns + offset_ns
        yield Packet(sequence, bytes(packet), moment_ns, moment_ns, keyframe=True)
