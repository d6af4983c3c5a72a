"""The child that tries one kind of encoder: `python -m recorderd.engine.probe_process`.

Reads a job (JSON, see `probe`) from standard input, encodes camera-like pictures of the
real size just as the recorder does, decodes them back and compares. Writes one JSON line
for each variant tried, so that what was found out before a native crash is not lost.
Ends by itself should the engine be gone and the driver hang.
"""

from __future__ import annotations

import io
import itertools
import json
import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Protocol

import av
import av.logging
import numpy as np
from av.container import OutputContainer
from av.error import FFmpegError
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray

from recorderd.engine.copied_stream import copied_packet
from recorderd.engine.decoding import PictureDecoder, picture_decoder
from recorderd.engine.encoder_kinds import EncodeRequest, EncoderKind, kind_named
from recorderd.engine.encoder_program import EncodedPicture, EncoderProgram
from recorderd.engine.encoders import VideoEncoder, library_words
from recorderd.engine.footage_file import TIME_BASE
from recorderd.engine.native_packet import native_packet
from recorderd.engine.probe import EncoderProof, proof_document, request_from
from recorderd.errors import DeviceError

_SCENES = 6
_FEWEST_FRAMES, _MOST_FRAMES = 12, 60
_STEADY_SECONDS = 0.7
_GAP_AFTER = 6
"""A pause of one GOP follows so many pictures: it must be kept and end in a keyframe."""

_PATCHES = ((235, 235, 235), (20, 20, 20), (200, 40, 40), (40, 160, 60), (40, 60, 180))
_PATCH_TOLERANCE = 12
"""Of 255. Compression moves a patch by 1 to 4, a wrong range or matrix by 16 or more."""

_BT_709_MATRIX, _UNSPECIFIED_MATRIX = 1, 2
_SOURCE_ENCODERS = {"h264": "libx264", "hevc": "libx265"}


def main() -> int:
    """Do the job on standard input; the results go to standard output."""
    results = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # some drivers greet on standard output
    job = json.load(sys.stdin)
    signal.alarm(int(job["time_limit"]) + 2)
    request = request_from(job["request"])
    kind = kind_named(job["kind"])
    pictures = camera_pictures(request)
    for variant in kind.variants:
        proof = prove(kind.only(variant.name), request, pictures)
        print(json.dumps(proof_document(proof)), file=results, flush=True)
        if proof.proved and proof.frames_per_second >= request.rate_needed:
            break
    return 0


def prove(kind: EncoderKind, request: EncodeRequest, pictures: Sequence[bytes]) -> EncoderProof:
    """Encode with the first variant, decode back and compare. Failures are told, not raised.

    `pictures` are what the camera would send, from `camera_pictures`.
    """
    variant = kind.variants[0].name

    def failed(why_not: str, opened: bool = True) -> EncoderProof:
        return EncoderProof(kind.name, variant, opened, False, 0.0, why_not)

    file = io.BytesIO()
    # The recorder's flags: what the muxer makes of the packets is part of the proof.
    container = av.open(file, "w", format="mp4", options={"movflags": "hybrid_fragmented"})
    try:
        trial = _make_trial(container, kind, request, pictures)
    except DeviceError as error:
        return failed(f"{error.problem}. {error.remedy}", opened=False)
    try:
        given, speed = _measured(trial)
        container.close()
        wrong = what_is_wrong(file, given)
    except DeviceError as error:
        return failed(error.problem)
    except (FFmpegError, ValueError) as error:
        return failed(f"what it makes cannot be used: {library_words(error)}")
    finally:
        trial.close()
    if wrong is not None:
        return failed(wrong)
    return EncoderProof(kind.name, variant, True, True, round(speed, 1), "")


class _Trial(Protocol):
    """An encoder that is given the camera's pictures, again and again."""

    def steps(self) -> Iterator[tuple[int, bool]]:
        """The time of each picture given, and whether any came out since the one before."""

    def finish(self) -> None:
        """Let out what is still inside."""

    def close(self) -> None: ...


def _make_trial(
    container: OutputContainer, kind: EncoderKind, request: EncodeRequest, pictures: Sequence[bytes]
) -> _Trial:
    to_and_fro = itertools.cycle([*pictures, *pictures[-2:0:-1]])
    if kind.beside:
        return _TrialBeside(container, kind, request, to_and_fro)
    return _TrialInside(container, kind, request, to_and_fro, most_barren=2 * len(pictures) + 10)


class _TrialInside:
    """Decodes, converts and encodes as for a recording."""

    def __init__(
        self,
        container: OutputContainer,
        kind: EncoderKind,
        request: EncodeRequest,
        pictures: Iterable[bytes],
        most_barren: int,
    ) -> None:
        """Raises DeviceError."""
        self._container = container
        self._request = request
        self._pictures = pictures
        self._most_barren = most_barren
        av.logging.set_level(av.logging.ERROR)
        try:
            self._encoder = VideoEncoder(container, kind, request)
        finally:
            av.logging.set_level(None)
        self._decoder = picture_decoder(request.stream)

    def steps(self) -> Iterator[tuple[int, bool]]:
        frames = _frames(self._decoder, self._pictures, self._most_barren)
        for pts, frame in zip(_uneven_pts(self._request), frames, strict=False):
            packets = self._encoder.encode(frame, pts)
            self._container.mux(packets)
            yield pts, bool(packets)

    def finish(self) -> None:
        self._container.mux(self._encoder.flush())

    def close(self) -> None:
        self._decoder.close()


class _TrialBeside:
    """Gives the compressed pictures to an ffmpeg program."""

    def __init__(
        self,
        container: OutputContainer,
        kind: EncoderKind,
        request: EncodeRequest,
        pictures: Iterable[bytes],
    ) -> None:
        """Raises DeviceError."""
        self._container = container
        self._request = request
        self._pictures = pictures
        self._stream: Stream | None = None
        self._program = EncoderProgram(kind, request)

    def steps(self) -> Iterator[tuple[int, bool]]:
        for pts, data in zip(_uneven_pts(self._request), self._pictures, strict=False):
            self._program.give(data, pts)
            yield pts, self._mux(self._program.ready())

    def finish(self) -> None:
        self._mux(self._program.finish())

    def close(self) -> None:
        self._program.close()

    def _mux(self, pictures: Sequence[EncodedPicture]) -> bool:
        for pts, data, keyframe in pictures:
            if self._stream is None:
                self._stream = self._program.add_stream(self._container)
            self._container.mux_one(copied_packet(self._stream, data, pts, keyframe))
        return bool(pictures)


def _measured(trial: _Trial) -> tuple[list[int], float]:
    """Go through the trial; returns the PTS given and the speed in pictures a second.

    The speed is taken between the first packet out and the last picture in: at both
    moments the encoder has equally many pictures in hand, and its start does not count.
    """
    given: list[int] = []
    steady_from: tuple[int, float] | None = None
    started = time.perf_counter()
    for pts, came_out in trial.steps():
        given.append(pts)
        if came_out and steady_from is None:
            steady_from = len(given), time.perf_counter()
        if (
            steady_from is not None
            and len(given) >= _FEWEST_FRAMES
            and time.perf_counter() - steady_from[1] > _STEADY_SECONDS
        ):
            break
    last_in = time.perf_counter()
    trial.finish()
    if steady_from is None or steady_from[0] == len(given):
        return given, len(given) / (time.perf_counter() - started)
    return given, (len(given) - steady_from[0]) / (last_in - steady_from[1])


def _frames(
    decoder: PictureDecoder, pictures: Iterable[bytes], most_barren: int
) -> Iterator[VideoFrame]:
    """Decode for ever. Raises DeviceError if so many in a row give nothing."""
    barren = 0
    for data in pictures:
        frames = decoder.decode(native_packet(data), wait=False)
        yield from frames
        barren = 0 if frames else barren + 1
        if barren > most_barren:
            raise DeviceError("its trial pictures cannot be decoded", "Restart the computer")


def what_is_wrong(file: io.BytesIO, given: Sequence[int]) -> str | None:
    """Decode a finished file and say how it differs from what was given, None if it does not."""
    file.seek(0)
    found: list[int] = []
    keyframes: set[int] = set()
    colours: list[str] = []
    with av.open(file, "r") as container:
        stream = container.streams.video[0]
        for frame in container.decode(stream):
            if frame.pts is None or frame.time_base is None:
                return "its pictures have lost their time"
            pts = round(frame.pts * frame.time_base / TIME_BASE)
            found.append(pts)
            if frame.key_frame:
                keyframes.add(pts)
            if pts in (given[0], given[-1]):
                colours += wrong_colours(frame)
    if len(found) != len(given):
        return f"{len(given)} pictures were given and {len(found)} came back"
    if found != list(given):
        return "pictures came back at other times than they were given"
    if given[0] not in keyframes:
        return "the first picture is no keyframe"
    if given[_GAP_AFTER] not in keyframes:
        return "no keyframe was made when one was asked for"
    return colours[0] if colours else None


def wrong_colours(frame: VideoFrame) -> list[str]:
    """How the patches look to a player that believes the tags, where that is wrong."""
    matrix = frame.colorspace
    if matrix == _UNSPECIFIED_MATRIX:
        # What players assume of an untagged picture (as Chromium and Firefox do).
        matrix = _BT_709_MATRIX if frame.height >= 720 else Colorspace.ITU601
    picture = frame.to_ndarray(
        format="rgb24",
        src_colorspace=Colorspace.ITU709 if matrix == _BT_709_MATRIX else Colorspace.ITU601,
        src_color_range=(
            ColorRange.JPEG if frame.color_range == ColorRange.JPEG else ColorRange.MPEG
        ),
    )
    wrong = []
    for (rows, columns), expected in zip(_patch_places(*picture.shape[:2]), _PATCHES, strict=True):
        patch = picture[rows, columns]
        margin = patch.shape[0] // 4
        seen = patch[margin:-margin, margin:-margin].reshape(-1, 3).mean(axis=0)
        if np.abs(seen - expected).max() > _PATCH_TOLERANCE:
            shown = tuple(int(level) for level in seen.round())
            wrong.append(f"its colours are wrong: {expected} became {shown}")
    return wrong


def camera_pictures(request: EncodeRequest) -> list[bytes]:
    """A few pictures as this camera would send them, each of which can be decoded alone."""
    context = av.CodecContext.create(_SOURCE_ENCODERS.get(request.codec, request.codec), "w")
    assert isinstance(context, VideoCodecContext)  # noqa: S101 - for the type checker
    known = [known.name for known in context.codec.video_formats or ()]
    wanted = request.pixel_format
    context.pix_fmt = wanted if wanted in known or not known else known[0]
    context.width, context.height = request.width, request.height
    context.time_base = TIME_BASE
    context.color_range = ColorRange.JPEG if request.full_range else ColorRange.MPEG
    context.gop_size = 1
    context.max_b_frames = 0
    if request.codec == "mjpeg":
        # About the 100 to 300 Mbit/s of a USB camera at 3840x2160, 30 pictures a second.
        context.options = {"qmin": "6", "qmax": "6"}
    packets = []
    for number, picture in enumerate(_scenes(request.width, request.height)):
        frame = VideoFrame.from_ndarray(picture, "rgb24").reformat(
            format=context.pix_fmt,
            dst_colorspace=Colorspace.ITU601,
            dst_color_range=context.color_range,
        )
        frame.pts = number * round(1 / (request.rate * TIME_BASE))
        frame.time_base = TIME_BASE
        packets += [bytes(packet) for packet in context.encode(frame)]
    return packets + [bytes(packet) for packet in context.encode(None)]


def _uneven_pts(request: EncodeRequest) -> Iterator[int]:
    """Times as a camera gives them: never quite regular, and once with a pause."""
    between = Fraction(1) / (request.rate * TIME_BASE)
    pause = round(request.gop_seconds / TIME_BASE)
    for number in range(_MOST_FRAMES):
        late = between * (number * 7 % 5) / 20
        yield round(number * between + late) + (pause if number >= _GAP_AFTER else 0)


def _scenes(width: int, height: int) -> Iterator[NDArray[np.uint8]]:
    """A busy bench: fine and coarse detail, a large thing that moves, noise, colour patches.

    Yields RGB of shape (height, width, 3).
    """
    margin = 64
    random = np.random.default_rng(7)
    tall, wide = height + margin, width + margin
    ground = np.full((tall, wide, 3), 128, np.int16)
    for cell, strength, channels in ((4, 10, 1), (12, 25, 1), (48, 45, 3)):
        coarse = random.integers(
            -strength, strength, (tall // cell + 1, wide // cell + 1, channels), np.int16
        )
        ground += coarse.repeat(cell, axis=0).repeat(cell, axis=1)[:tall, :wide]
    bench = ground.clip(0, 255).astype(np.uint8)
    noise = random.integers(0, 4, (tall, wide, 1), np.uint8)
    for number in range(_SCENES):
        picture = bench[:height, :width].copy()
        top, left = height // 3, width // 8 + number * width // 200
        thing = bench[margin : margin + height // 2, margin : margin + width // 3]
        picture[top : top + thing.shape[0], left : left + thing.shape[1]] = thing
        shift = number * 9 % margin
        picture ^= noise[shift : shift + height, shift : shift + width]
        for (rows, columns), colour in zip(_patch_places(height, width), _PATCHES, strict=True):
            picture[rows, columns] = colour
        yield picture


def _patch_places(height: int, width: int) -> list[tuple[slice, slice]]:
    side = min(height // 4, width // (len(_PATCHES) + 1))
    return [
        (slice(0, side), slice(number * side, (number + 1) * side))
        for number in range(len(_PATCHES))
    ]


if __name__ == "__main__":
    sys.exit(main())
