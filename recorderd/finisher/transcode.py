"""Deferred encoding: the camera's MJPEG becomes H.264 once nobody needs the processor."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import av
from av.video.stream import VideoStream

from recorderd.core.model import NANOSECONDS_PER_SECOND, Nanoseconds
from recorderd.engine import probe, verify
from recorderd.engine.encoder_kinds import EncodeRequest, kind_named
from recorderd.engine.encoders import VideoEncoder
from recorderd.engine.footage_file import BEGINNING_TAG, FootageFile, storage_errors
from recorderd.engine.packets import Packet, StreamDescription
from recorderd.engine.pipelines import EncodePipeline
from recorderd.engine.salvage import FileFacts, facts_of
from recorderd.errors import DeviceError, StorageError
from recorderd.finisher.fingerprint import Fingerprint, fingerprint
from recorderd.settings import Settings
from recorderd.store.chores import Finished, Transcoded
from recorderd.store.footage import sync_folder

_FULL_RANGE = 2
PROOFS_FILE = "encoders-when-idle.json"
"""Speeds measured with the finisher's low priority would mislead the station."""


def transcode(
    recording: Finished,
    settings: Settings,
    pause: Callable[[], bool],
    original_known: Callable[[Fingerprint], None] = lambda _: None,
) -> Transcoded | None:
    """Replace a recording's MJPEG by H.264 with the same pictures at the same times.

    The original stays until the new file is complete, checked and on the disk; then one rename
    replaces it. `original_known` is told what the original was before anything is encoded. May
    be repeated after any interruption. None if `pause` asked to drop the work.
    Raises DeviceError (no encoder works), StorageError.
    """
    path = settings.footage_folder / recording.path
    facts = _readable(path)
    if facts.codec == "mjpeg":
        half_done = settings.incoming_folder / f"{recording.id}.transcode.mp4"
        half_done.unlink(missing_ok=True)
        try:
            original = fingerprint(path, pause)
            if original is None:
                return None
            original_known(original)
            if not _encode(path, half_done, facts, original.sha256, recording, settings, pause):
                return None
            with storage_errors(path):
                os.replace(half_done, path)  # noqa: PTH105
                sync_folder(path.parent)
                sync_folder(half_done.parent)
        finally:
            half_done.unlink(missing_ok=True)
        facts = _readable(path)
    return Transcoded(
        bytes=path.stat().st_size,
        codec=facts.codec,
        encoder=facts.tags.get("recorder_encoder", ""),
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


def _encode(
    path: Path,
    target: Path,
    before: FileFacts,
    original: str,
    recording: Finished,
    settings: Settings,
    pause: Callable[[], bool],
) -> bool:
    """Write and check the new file; False if `pause` asked to drop the work."""
    with av.open(str(path)) as source:
        stream = source.streams.video[0]
        description = _description(stream)
        proof = _best_encoder(description, settings)
        request = EncodeRequest.for_stream(description, settings.recording)
        tags = {**before.tags, "recorder_encoder": proof.name, "transcoded_from": original}
        file = FootageFile(target, tags, settings.recording.sync_seconds)
        with ExitStack() as cleanup:
            cleanup.callback(file.abandon)
            encoder = VideoEncoder(
                file.container, kind_named(proof.name).only(proof.variant), request
            )
            beginning_ns = _beginning(before)
            wall_ns = round(recording.started_at.timestamp() * NANOSECONDS_PER_SECOND)
            pipeline = EncodePipeline(
                file, description, encoder, beginning_ns, wall_ns - beginning_ns, _nobody_looks
            )
            for packet in _packets(source, stream, beginning_ns):
                if pause():
                    return False
                pipeline.write(packet)
            pipeline.finish()
            file.close()
    problem = verify.problem_of(target, before.frames, before.duration_ns)
    if problem is not None:
        raise DeviceError(f"The transcoded file is not right: {problem}", "The original is kept")
    return True


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


def _best_encoder(description: StreamDescription, settings: Settings) -> probe.EncoderProof:
    """The first choice among those that proved themselves: here none has to be fast."""
    request = EncodeRequest.for_stream(description, settings.recording)
    cache_file = settings.state_folder / PROOFS_FILE
    proofs = probe.probe_all(request, cache_file, wanted=settings.recording.encoder)
    proved = next((proof for proof in proofs if proof.proved), None)
    if proved is None:
        raise DeviceError("No encoder works on this machine", "Run 'recorderd doctor --encoders'")
    return proved


def _beginning(facts: FileFacts) -> Nanoseconds:
    """When the first picture was taken, on the monotonic clock of that time; 0 if not known."""
    text = facts.tags.get(BEGINNING_TAG, "")
    return int(text) if text.isdecimal() else 0


def _packets(
    source: av.container.InputContainer, stream: VideoStream, beginning_ns: Nanoseconds
) -> Iterator[Packet]:
    for sequence, packet in enumerate(source.demux(stream)):
        if packet.pts is None or not packet.size:
            continue
        offset_ns = round(packet.pts * packet.time_base * NANOSECONDS_PER_SECOND)
        moment_ns = beginning_ns + offset_ns
        yield Packet(sequence, bytes(packet), moment_ns, moment_ns, keyframe=True)
