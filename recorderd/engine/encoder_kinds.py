"""The H.264 encoders we know, best first, and what they are asked to do.

Everything one does differently from another is said here, so that `encoders` can treat
all alike. That an encoder is listed, or even opens, proves nothing: see `probe`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from recorderd.engine.packets import StreamDescription
from recorderd.errors import DeviceError
from recorderd.settings import CAMERA_SIZE, RecordingSettings

HEADROOM = 1.3
"""An encoder is fast enough if it does this many times the camera's rate: the scanner,
the disk and the staff pages want the same processor."""

PROGRAM = "ffmpeg"
"""What encodes beside the engine, where PyAV's own FFmpeg cannot."""

ANOTHER_ENCODER = (
    "Recording goes on with another encoder; if this comes again, restart the computer"
)
"""The remedy for one that fails at work."""

VAAPI_DEVICE = "/dev/dri/renderD128"
"""The first graphics; a station has but one."""

_LAMBDA_PER_QUANTISER = 118
"""FFmpeg's FF_QP2LAMBDA: the unit of `global_quality` under the flag `qscale`."""


@dataclass(frozen=True, slots=True)
class EncodeRequest:
    """What the camera gives and what is wanted. Sizes in pixels.

    Pictures of `width` x `height` come from the camera, and are encoded as `recorded_width` x
    `recorded_height`. `codec` is what the camera compresses with; `pixel_format` and
    `full_range` belong to its decoded pictures, e.g. yuvj422p. `quality` is on x264's CRF
    scale, lower is better; `bits_per_second` is for encoders that know no constant quality.
    """

    codec: str
    width: int
    height: int
    rate: Fraction
    pixel_format: str
    full_range: bool
    gop_seconds: float
    quality: int
    bits_per_second: int
    recorded_width: int
    recorded_height: int

    @classmethod
    def for_stream(
        cls, description: StreamDescription, recording: RecordingSettings
    ) -> EncodeRequest:
        """What this camera and these settings ask of an encoder."""
        recorded = recorded_size(description.width, description.height, recording.size)
        return cls(
            codec=description.codec,
            width=description.width,
            height=description.height,
            rate=description.rate,
            pixel_format=description.pixel_format,
            full_range=description.full_range,
            gop_seconds=recording.gop_seconds,
            quality=recording.quality,
            bits_per_second=round(recording.megabits_per_second * 1_000_000),
            recorded_width=recorded[0],
            recorded_height=recorded[1],
        )

    @property
    def stream(self) -> StreamDescription:
        """What the camera gives, without a header of its own."""
        return StreamDescription(
            codec=self.codec,
            width=self.width,
            height=self.height,
            rate=self.rate,
            pixel_format=self.pixel_format,
            full_range=self.full_range,
        )

    @property
    def rate_needed(self) -> float:
        """Pictures a second an encoder must hold to be fast enough."""
        return float(self.rate) * HEADROOM


def recorded_size(width: int, height: int, largest: str) -> tuple[int, int]:
    """The size in which a camera's pictures are encoded: never larger than `largest` (the
    setting `recording.size`) nor than they come, in their own shape.

    Made smaller, width and height are even: pictures in 4:2:0 have colours for two by two.
    """
    if largest == CAMERA_SIZE:
        return width, height
    most_across, most_down = map(int, largest.split("x"))
    scale = min(Fraction(most_across, width), Fraction(most_down, height))
    if scale >= 1:
        return width, height
    return max(2, int(width * scale / 2) * 2), max(2, int(height * scale / 2) * 2)


@dataclass(frozen=True, slots=True)
class EncoderVariant:
    """One set of options of an encoder, by FFmpeg's names.

    `{quality}`, `{lambda}` and `{bits}` in a value are filled in from the request.
    `before_input` and `filters` are for ffmpeg programs: what they are told of the pictures that
    come, and their filters, with `{width}`, `{height}` and `{range}` of the pictures that are
    encoded.
    """

    name: str
    options: tuple[tuple[str, str], ...]
    before_input: tuple[str, ...] = ()
    filters: str = ""

    def filters_for(self, request: EncodeRequest) -> str:
        return self.filters.format(
            width=request.recorded_width,
            height=request.recorded_height,
            range="full" if request.full_range else "limited",
        )

    def options_for(self, request: EncodeRequest) -> dict[str, str]:
        values = {
            "quality": request.quality,
            "lambda": request.quality * _LAMBDA_PER_QUANTISER,
            "bits": request.bits_per_second,
        }
        return {name: value.format(**values) for name, value in self.options}

    def words_for(self, request: EncodeRequest) -> list[str]:
        """The options as an ffmpeg program is told them."""
        options = self.options_for(request)
        return [word for name, value in options.items() for word in (f"-{name}", value)]


@dataclass(frozen=True, slots=True)
class EncoderKind:
    """An encoder of FFmpeg and what must be known to use it; `variants` best first.

    `keeps_full_range` is False where nothing tells players about full range, so pictures
    are brought to limited range; `header_packet` where the first packet holds no picture.
    `largest` is the biggest picture (width, height), None if only the probe can tell.
    `beside` is True if an ffmpeg program beside the engine does the work (`encoder_program`).
    """

    name: str
    hardware: str
    pixel_format: str
    variants: tuple[EncoderVariant, ...]
    remedy: str
    keeps_full_range: bool = True
    header_packet: bool = False
    largest: tuple[int, int] | None = None
    beside: bool = False

    def only(self, variant_name: str) -> EncoderKind:
        """This kind with that one variant. Raises KeyError if there is none."""
        by_name = {variant.name: variant for variant in self.variants}
        return replace(self, variants=(by_name[variant_name],))


KINDS = (
    EncoderKind(
        name="h264_qsv",
        hardware="Intel Quick Sync",
        pixel_format="nv12",
        variants=(
            EncoderVariant(
                "icq",
                (
                    ("preset", "veryfast"),
                    ("global_quality", "{quality}"),
                    ("forced_idr", "1"),
                ),
            ),
            EncoderVariant(
                "vbr",
                (
                    ("preset", "veryfast"),
                    ("b", "{bits}"),
                    ("maxrate", "{bits}"),
                    ("forced_idr", "1"),
                ),
            ),
            # Some low-power chips offer constant quantisers only (intel/media-driver#1306).
            EncoderVariant(
                "cqp",
                (
                    ("preset", "veryfast"),
                    ("flags", "+qscale"),
                    ("global_quality", "{lambda}"),
                    ("forced_idr", "1"),
                ),
            ),
        ),
        remedy="Install libmfx-gen1.2 and intel-media-va-driver (Intel of 2020 and later) "
        "and add the user of recorderd to the group 'render'",
    ),
    EncoderKind(
        name="h264_nvenc",
        hardware="NVIDIA NVENC",
        pixel_format="nv12",
        variants=(
            EncoderVariant(
                "vbr",
                (
                    ("preset", "p4"),
                    ("rc", "vbr"),
                    ("cq", "{quality}"),
                    ("b", "0"),
                    ("forced-idr", "1"),
                    ("no-scenecut", "1"),
                ),
            ),
            EncoderVariant(
                "constqp",
                (
                    ("preset", "p1"),
                    ("rc", "constqp"),
                    ("qp", "{quality}"),
                    ("forced-idr", "1"),
                ),
            ),
        ),
        remedy="Install NVIDIA's own driver with its package libnvidia-encode1, then restart",
    ),
    EncoderKind(
        name="h264_amf",
        hardware="AMD AMF",
        pixel_format="nv12",
        variants=(
            EncoderVariant(
                "cqp",
                (
                    ("usage", "transcoding"),
                    ("quality", "speed"),
                    ("rc", "cqp"),
                    ("qp_i", "{quality}"),
                    ("qp_p", "{quality}"),
                    ("forced_idr", "1"),
                ),
            ),
            EncoderVariant(
                "vbr",
                (
                    ("usage", "transcoding"),
                    ("quality", "speed"),
                    ("rc", "vbr_peak"),
                    ("b", "{bits}"),
                    ("maxrate", "{bits}"),
                    ("forced_idr", "1"),
                ),
            ),
        ),
        remedy="Install AMD's AMF runtime (libamfrt64) and add the user of recorderd to the "
        "group 'render'",
    ),
    EncoderKind(
        name="h264_vaapi",
        hardware="Intel or AMD graphics, through the ffmpeg program",
        pixel_format="nv12",
        variants=(
            # The picture is decoded where it is encoded and never comes to the processor.
            EncoderVariant(
                "zero-copy",
                (("rc_mode", "CQP"), ("qp", "{quality}")),
                before_input=(
                    *("-hwaccel", "vaapi", "-hwaccel_device", VAAPI_DEVICE),
                    *("-hwaccel_output_format", "vaapi"),
                ),
                filters="scale_vaapi=w={width}:h={height}:format=nv12:out_range={range}",
            ),
            # Graphics that decode no JPEG, or none with the camera's colours.
            EncoderVariant(
                "upload",
                (("rc_mode", "CQP"), ("qp", "{quality}")),
                before_input=("-vaapi_device", VAAPI_DEVICE),
                filters="scale={width}:{height}:flags=area:in_range={range}:out_range={range},"
                "format=nv12,hwupload",
            ),
        ),
        remedy="Install ffmpeg and, for Intel, intel-media-va-driver or i965-va-driver, for AMD "
        "mesa-va-drivers, and add the user of recorderd to the group 'render'",
        beside=True,
    ),
    EncoderKind(
        name="h264_v4l2m2m",
        hardware="the encoder of a Raspberry Pi 4 or a similar board",
        pixel_format="yuv420p",
        variants=(EncoderVariant("bitrate", (("b", "{bits}"),)),),
        remedy='Set recording.size = "1920x1080" and add the user of recorderd to the group '
        "'video'",
        keeps_full_range=False,
        header_packet=True,
        largest=(2032, 1920),
    ),
    EncoderKind(
        name="libx264",
        hardware="the processor",
        pixel_format="yuv420p",
        variants=(
            # The processors share each picture. With two of them that is as fast as a picture for
            # each, takes 115 MB less at 4K and holds back one picture instead of
            # four; its files are 1.5 percent larger (measured).
            EncoderVariant(
                "superfast-slices",
                (
                    ("preset", "superfast"),
                    ("crf", "{quality}"),
                    ("sc_threshold", "0"),
                    ("thread_type", "slice"),
                ),
            ),
            EncoderVariant(
                "superfast",
                (("preset", "superfast"), ("crf", "{quality}"), ("sc_threshold", "0")),
            ),
            EncoderVariant(
                "ultrafast",
                (("preset", "ultrafast"), ("crf", "{quality}"), ("sc_threshold", "0")),
            ),
        ),
        remedy="Ask the camera for a picture with even width and height",
    ),
)
"""All kinds, the most preferred first."""


def kind_named(name: str) -> EncoderKind:
    """The kind of that name. Raises DeviceError if there is none."""
    for kind in KINDS:
        if kind.name == name:
            return kind
    raise DeviceError(
        f"There is no encoder called {name!r}",
        "Set recording.encoder to auto or one of " + ", ".join(kind.name for kind in KINDS),
    )
