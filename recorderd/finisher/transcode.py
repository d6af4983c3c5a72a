"""Deferred encoding: the camera's MJPEG becomes H.264 once nobody needs the processor."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
from av.video.stream import VideoStream

from recorderd.core.model import NANOSECONDS_PER_SECOND, Nanoseconds
from recorderd.engine import probe
from recorderd.engine.encoder_kinds import EncodeRequest, EncoderKind, kind_named
from recorderd.engine.encoders import library_words
from recorderd.engine.encoding import encoding_pipeline
from recorderd.engine.footage_file import BEGINNING_TAG, FootageFile, storage_errors
from recorderd.engine.packets import Packet, StreamDescription
from recorderd.engine.salvage import FileFacts, facts_of
from recorderd.errors import DeviceError, StorageError
from recorderd.finisher.comparison import KEPT, Written, compare
from recorderd.finisher.fingerprint import Fingerprint, fingerprint, unwatched
from recorderd.finisher.sections import Section, Sections, join
from recorderd.settings import Settings
from recorderd.store.chores import Finished, Transcoded
from recorderd.store.footage import sync_folder

SECTION_PICTURES = 1800
"""About a minute: so much of the work a power cut may cost."""
_FULL_RANGE = 2
_HASHED, _ENCODED = 0.05, 0.85
"""What fraction of the work is done when the original is hashed, and when all is encoded."""
_TRIAL_SECONDS = 300.0
"""Of an encoder, for each kind: with what others leave of the processor it takes its time."""
_PATIENCE_SECONDS = 20.0
"""With an encoder program; systemd waits for thirty when the finisher is to end."""
_MOST_LEFT_OUT = 0.05
"""A camera now and then sends a damaged picture; of more the original may still tell more."""
PROOFS_FILE = "encoders-when-idle.json"
"""Speeds measured with the finisher's low priority would mislead the station."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """What the original is, and how it is encoded."""

    description: StreamDescription
    request: EncodeRequest
    encoder: EncoderKind


class _DroppedError(Exception):
    """The finisher is to end."""


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

    def next_picture(self) -> None:
        """Wait while the station needs the machine. Raises _DroppedError."""
        if self.pause():
            raise _DroppedError

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
        try:
            _replace(work, moves)
        except _DroppedError:
            return None
        except OSError:
            raise
        except (av.FFmpegError, ValueError, IndexError) as error:
            raise DeviceError(f"It cannot be encoded: {library_words(error)}", KEPT) from error
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


def _replace(work: _Work, moves: Callable[[float], None]) -> None:
    """Encode, compare, and put the new file in the original's place.

    Raises _DroppedError, and then what is finished stays; after an error nothing does: something
    may be wrong with it.
    """
    made_of = f"{work.original} {work.plan} {SECTION_PICTURES}"
    sections = Sections(work.settings, work.recording.id, made_of)
    joined = sections.joined
    try:
        joined.unlink(missing_ok=True)
        written = _encode(work, sections, _part(moves, _HASHED, _ENCODED))
        compare(work.path, joined, written, work.next_picture, _part(moves, _ENCODED, 1.0))
        with storage_errors(work.path):
            os.replace(joined, work.path)  # noqa: PTH105
            sync_folder(work.path.parent)
            sync_folder(joined.parent)
    except _DroppedError:
        joined.unlink(missing_ok=True)
        raise
    except BaseException:
        with suppress(StorageError):
            sections.take_away()
        raise
    with suppress(StorageError):  # Whoever begins the next job takes them away.
        sections.take_away()


def _encode(work: _Work, sections: Sections, moves: Callable[[float], None]) -> Written:
    """Encode what is not yet, and join all. Raises _DroppedError."""
    made: list[Section] = []
    left_out = 0
    with av.open(str(work.path)) as source:
        packets = _packets(source, source.streams.video[0], work.beginning_ns)
        for number, first in enumerate(range(0, work.before.frames, SECTION_PICTURES)):
            of_section = _told(islice(packets, SECTION_PICTURES), work, moves)
            whole = min(SECTION_PICTURES, work.before.frames - first)
            section = sections.finished(number, whole)
            if section is not None:
                for _ in of_section:
                    work.next_picture()
            else:
                section, damaged = _encode_section(work, sections, number, of_section)
                left_out += damaged
            if section is not None:
                made.append(section)
    frames = sum(section.frames for section in made)
    if frames + left_out != work.before.frames:
        raise DeviceError("The transcoded file lacks pictures", KEPT)
    if not made or left_out > _MOST_LEFT_OUT * work.before.frames:
        raise DeviceError(f"{left_out} of {work.before.frames} pictures are damaged", KEPT)
    file = FootageFile(sections.joined, work.tags, work.settings.recording.sync_seconds)
    try:
        join(made, file, work.wall_offset_ns, work.next_picture)
        file.close()
    finally:
        file.abandon()
    return Written(frames, left_out, made[-1].last_ns - made[0].first_ns)


def _encode_section(
    work: _Work, sections: Sections, number: int, packets: Iterable[Packet]
) -> tuple[Section | None, int]:
    """The section with these pictures, and how many are damaged; None if all are.

    Raises _DroppedError, and then nothing is left of it.
    """
    tags = {**work.tags, **sections.tags}
    try:
        with ExitStack() as cleanup:
            file = FootageFile(sections.begin(number), tags, work.settings.recording.sync_seconds)
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
                work.next_picture()
                pipeline.write(packet)
            pipeline.finish()
            if pipeline.frames:
                file.close()
    except _DroppedError:
        sections.drop(number)
        raise
    if not pipeline.frames:
        sections.drop(number)
        return None, pipeline.left_out
    sections.finish(number)
    section = sections.finished(number, pipeline.frames)
    if section is None:
        raise DeviceError("The transcoded file lacks pictures", KEPT)
    return section, pipeline.left_out


def _told(
    packets: Iterable[Packet], work: _Work, moves: Callable[[float], None]
) -> Iterator[Packet]:
    for packet in packets:
        yield packet
        moves((packet.sequence + 1) / max(work.before.frames, 1))


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
