"""The way from the camera's pictures through one encoder into a file."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from av.container import OutputContainer

from recorderd.core.model import Nanoseconds, nanoseconds
from recorderd.engine.encoder_kinds import EncodeRequest, EncoderKind
from recorderd.engine.encoder_program import EncoderProgram
from recorderd.engine.encoders import VideoEncoder
from recorderd.engine.footage_file import FootageFile
from recorderd.engine.packets import StreamDescription
from recorderd.engine.pipelines import EncodePipeline, FrameEncoder, MakeEncoder, Pipeline
from recorderd.engine.program_pipeline import ProgramPipeline
from recorderd.engine.session import Tap

LIVE_PATIENCE_SECONDS: Final = 3.0
"""Of a recording with an encoder program. The station replaces an engine that has written nothing
for ten seconds (`station/writing_watch.py`); the pictures in its memory would be lost with it."""


def make_video_encoder(
    container: OutputContainer, kind: EncoderKind, request: EncodeRequest
) -> FrameEncoder:
    """The real thing; tests put a failing one in its place."""
    return VideoEncoder(container, kind, request)


def encoding_pipeline(
    file: FootageFile,
    description: StreamDescription,
    kind: EncoderKind,
    request: EncodeRequest,
    from_ns: Nanoseconds,
    wall_offset_ns: Nanoseconds,
    tap: Tap,
    is_behind: Callable[[], bool],
    *,
    make_encoder: MakeEncoder = make_video_encoder,
    patience_seconds: float = LIVE_PATIENCE_SECONDS,
    clock: Callable[[], Nanoseconds] = time.monotonic_ns,
) -> Pipeline:
    """Encode pictures from `from_ns` on with the kind's first variant, in here or in a program
    beside. `tap` sees what is decoded in here. A program that does nothing for
    `patience_seconds` hangs. Raises DeviceError."""
    if kind.beside:
        program = EncoderProgram(kind, request, stuck_seconds=patience_seconds)
        patience_ns = nanoseconds(patience_seconds)
        return ProgramPipeline(
            file, program, from_ns, wall_offset_ns, patience_ns=patience_ns, clock=clock
        )
    encoder = make_encoder(file.container, kind, request)
    return EncodePipeline(
        file, description, encoder, from_ns, wall_offset_ns, tap, is_behind, clock=clock
    )
