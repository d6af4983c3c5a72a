"""The settings of recorderd: each declared once, with its default, limits and meaning.

`config/recorderd.toml` and the listing of `recorderd check-config` are made from these
declarations; `recorderd.config` fills them from file and environment.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from recorderd.core.model import OtherLabel, SameLabel


class Table(tuple[tuple[str, int], ...]):
    """Names and whole numbers, in the order in which they were written."""

    __slots__ = ()


Value: TypeAlias = str | int | float | bool | Table | tuple[str, ...] | tuple[float, ...]
Check: TypeAlias = Callable[[Any], str | None]
"""Looks at a value of the right type; says what was expected if it does not fit."""


DRAWN_ZONE_NAME = "zone.toml"
CAMERA_SIZE = "camera"


def option(
    default: Value,
    help: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
    check: Check | None = None,
    secret: bool = False,
) -> Any:
    """Declare one setting. The type of `default` is the type a value must have.

    A number has both limits. A `secret` one may hold a password: it is hidden when shown.
    """
    return field(
        default=default,
        metadata={
            "help": help,
            "minimum": minimum,
            "maximum": maximum,
            "choices": choices,
            "check": check,
            "secret": secret,
        },
    )


def _regular_expression(value: str) -> str | None:
    try:
        re.compile(value)
    except (re.error, OverflowError, RecursionError) as error:
        return f"a regular expression ({error})"
    return None


def _zone(value: tuple[float, ...]) -> str | None:
    expected = "[] or [left, top, right, bottom] as fractions of the picture, e.g. [0.2, 0, 0.8, 1]"
    if not value:
        return None
    if len(value) != 4 or not all(0 <= edge <= 1 for edge in value):
        return expected
    left, top, right, bottom = value
    return None if left < right and top < bottom else expected


def _camera_source(value: str) -> str | None:
    kind, _, rest = value.partition(":")
    if value == "simulated":
        return None
    if kind in {"v4l2", "file", "command"} and rest.strip():
        return None
    if kind in {"rtsp", "rtsps"} and rest.startswith("//"):
        return None
    return "v4l2:/dev/..., v4l2:auto, rtsp://..., command:PROGRAM ..., file:PATH or simulated"


def _non_empty(value: str) -> str | None:
    return None if value.strip() else "some text"


def _picture_size(value: str) -> str | None:
    if value == CAMERA_SIZE or re.fullmatch(r"[1-9]\d{1,4}x[1-9]\d{1,4}", value):
        return None
    return 'WIDTHxHEIGHT in pixels, e.g. "1920x1080", or "camera"'


def _absolute_path(value: str) -> str | None:
    return None if value.startswith("/") else "a path that begins with /"


def _absolute_path_or_empty(value: str) -> str | None:
    return None if not value else _absolute_path(value)


def _database_url(value: str) -> str | None:
    if not value or value.startswith(("sqlite:///", "postgresql://", "postgres://")):
        return None
    return "sqlite:///PATH or postgresql://USER:PASSWORD@HOST/NAME, or nothing"


def _symbologies(value: tuple[str, ...]) -> str | None:
    known = {"qr", "code128"}
    return None if value and set(value) <= known else 'a list of "qr" and "code128", not empty'


def _networks(value: tuple[str, ...]) -> str | None:
    for network in value:
        try:
            ipaddress.ip_network(network)
        except ValueError:
            return f"networks such as 192.168.0.0/16, or single addresses; {network!r} is neither"
    return None


def _http_url_or_empty(value: str) -> str | None:
    fits = not value or re.fullmatch(r"https?://[^\s/]+(/\S*)?", value)
    return None if fits else "nothing, or an address that begins with http:// or https://"


def _password_hash(value: str) -> str | None:
    fits = not value or re.fullmatch(r"scrypt:[0-9a-f]{32}:[0-9a-f]{128}", value)
    return None if fits else "what 'recorderd web --hash-password' prints"


def _path_prefix(value: str) -> str | None:
    fits = re.fullmatch(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*", value)
    return None if fits else "nothing, or a path such as /videos without a / at its end"


@dataclass(frozen=True, slots=True, kw_only=True)
class StationSettings:
    name: str = option(
        "station-1", "Name of this packing station, stored with each recording", check=_non_empty
    )
    state_folder: str = option(
        "/var/lib/recorderd",
        "Where the catalogue and the footage are kept",
        check=_absolute_path,
    )
    run_folder: str = option(
        "/run/recorderd", "Where the live status is published", check=_absolute_path
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraSettings:
    source: str = option(
        "v4l2:auto",
        "v4l2:auto, v4l2:/dev/v4l/by-id/..., rtsp://..., command:PROGRAM ..., file:PATH, simulated",
        check=_camera_source,
        secret=True,
    )
    format: str = option(
        "auto",
        "What to ask a v4l2 camera for; auto takes h264, else mjpeg, else nv12, else yuyv",
        choices=("auto", "h264", "hevc", "mjpeg", "nv12", "yuyv"),
    )
    width: int = option(3840, "Picture width to ask for, in pixels", minimum=160, maximum=8192)
    height: int = option(2160, "Picture height to ask for, in pixels", minimum=120, maximum=8192)
    rate: float = option(30.0, "Pictures a second to ask for", minimum=1, maximum=240)
    controls: tuple[tuple[str, int], ...] = option(
        Table(),
        "What to set at a v4l2 camera each time it is opened, one after the other, e.g. "
        "{focus_automatic_continuous = 0, focus_absolute = 40}; 'recorderd aim --controls' lists "
        "what the camera has",
    )
    loop: bool = option(False, "Play a file: source again and again")
    silence_seconds: float = option(
        1.5, "No picture for this long means the camera is lost", minimum=0.2, maximum=60
    )
    frozen_seconds: float = option(
        5.0,
        "The very same picture for this long means the camera hangs; 0 turns this off",
        minimum=0,
        maximum=3600,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSettings:
    pattern: str = option(
        r"(?P<order>[A-Za-z0-9][A-Za-z0-9 ._/#+-]{1,63})",
        "Regular expression for the whole text of an order label; its group 'order', "
        "if there is one, is the order id",
        check=_regular_expression,
    )
    maximum_length: int = option(
        256, "A longer text is never an order label", minimum=1, maximum=4096
    )
    symbologies: tuple[str, ...] = option(
        ("qr",), 'Kinds of codes to read: "qr", "code128"', check=_symbologies
    )
    minimum_code128_length: int = option(
        6, "A shorter Code 128 is ignored, being too easily misread", minimum=1, maximum=80
    )
    zone: tuple[float, ...] = option(
        (), "Only read labels here: [left, top, right, bottom], 0 to 1; [] is all", check=_zone
    )
    confirm_frames: int = option(
        2, "Scanned pictures in which a label must be read before it counts", minimum=1, maximum=10
    )
    scans_per_second: float = option(
        5.0, "How often to look for labels while none is there", minimum=1, maximum=30
    )
    second_reader: bool = option(True, "Read with zxing-cpp, too, not with zbar alone")
    dwell_seconds: float = option(
        0.6, "How long the label must be shown to stop the recording", minimum=0, maximum=10
    )
    rearm_seconds: float = option(
        3.0, "How long a label must be out of view before it counts anew", minimum=0.2, maximum=60
    )
    on_other_label: str = option(
        "switch",
        "Another order's label while recording",
        choices=tuple(choice.value for choice in OtherLabel),
    )
    on_same_label: str = option(
        "stop",
        "The same label shown again while recording",
        choices=tuple(choice.value for choice in SameLabel),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingSettings:
    mode: str = option(
        "auto",
        "copy what the camera compressed, encode, or defer (copy now, encode when idle)",
        choices=("auto", "copy", "encode", "defer"),
    )
    encoder: str = option(
        "auto",
        "auto, or the name of an encoder as 'recorderd doctor --encoders' lists it",
        check=_non_empty,
    )
    size: str = option(
        CAMERA_SIZE,
        'Largest picture that is encoded, e.g. "1920x1080"; labels are read in the whole one',
        check=_picture_size,
    )
    pre_roll_seconds: float = option(
        3.0, "What happened before the label was read, kept too", minimum=0, maximum=30
    )
    buffer_megabytes: int = option(
        256, "Memory for pictures waiting to be written", minimum=16, maximum=8192
    )
    minimum_seconds: float = option(
        5.0, "A recording younger than this is not stopped by its own label", minimum=0, maximum=600
    )
    maximum_seconds: float = option(
        900.0, "A forgotten recording is closed after this long", minimum=10, maximum=86400
    )
    warning_seconds: float = option(
        60.0, "How long before that the warning starts", minimum=0, maximum=3600
    )
    resume_seconds: float = option(
        60.0,
        "After a fault the order goes on as another part if all is well again within this time",
        minimum=0,
        maximum=3600,
    )
    sync_seconds: float = option(
        1.0, "How often footage is forced onto the disk", minimum=0.2, maximum=60
    )
    gop_seconds: float = option(2.0, "Time between keyframes", minimum=0.2, maximum=10)
    quality: int = option(
        23, "Constant quality, where the encoder has it: lower is better", minimum=1, maximum=51
    )
    megabits_per_second: float = option(
        20.0, "Bit rate for encoders that know no constant quality", minimum=0.1, maximum=400
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelSettings:
    driver: str = option(
        "gpio",
        "Lamps, buzzer and pedal: gpio (Raspberry Pi or a GPIO chip), simulated, none",
        choices=("gpio", "simulated", "none"),
    )
    socket: str = option(
        "",
        "Unix socket of the simulated panel; empty is panel.sock in the run folder",
        check=_absolute_path_or_empty,
    )
    gpio_chip: int = option(
        -1,
        "Number of /dev/gpiochipN on a machine that is no Pi; -1 on a Pi",
        minimum=-1,
        maximum=63,
    )
    lamps: str = option(
        "two", "two (a green and a red lamp) or rgb (one lamp)", choices=("two", "rgb")
    )
    green_pin: int = option(17, "GPIO number of the green lamp", minimum=0, maximum=511)
    red_pin: int = option(27, "GPIO number of the red lamp", minimum=0, maximum=511)
    blue_pin: int = option(
        -1, "GPIO number of an RGB lamp's blue, held off; -1 is none", minimum=-1, maximum=511
    )
    lamps_active_low: bool = option(False, "The lamps light when their pins are low")
    buzzer: str = option(
        "active",
        "active (sounds by itself), passive (needs a tone), none",
        choices=("active", "passive", "none"),
    )
    buzzer_pin: int = option(22, "GPIO number of the buzzer", minimum=0, maximum=511)
    buzzer_active_low: bool = option(False, "The buzzer sounds when its pin is low")
    pedal_pin: int = option(
        23, "GPIO number of the foot pedal; -1 is none", minimum=-1, maximum=511
    )
    pedal_pull: str = option(
        "up",
        "Resistor at the pedal's pin; up: pressing connects it to ground",
        choices=("up", "down"),
    )
    usb_pedal: str = option(
        "",
        "Input device of a USB pedal, /dev/input/by-id/...; empty is none",
        check=_absolute_path_or_empty,
    )
    usb_scanner: str = option(
        "",
        "Input device of a USB hand scanner, /dev/input/by-id/...; empty is none",
        check=_absolute_path_or_empty,
    )
    debounce_seconds: float = option(
        0.03, "A pedal contact must rest this long to count", minimum=0, maximum=1
    )
    hold_seconds: float = option(
        2.0, "Pedal held this long: stop and flag the recording", minimum=0.3, maximum=10
    )
    stuck_seconds: float = option(
        15.0, "Pedal down this long is a fault, not a press", minimum=3, maximum=600
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageSettings:
    footage_folder: str = option(
        "",
        "Where finished videos go; empty is 'footage' in the state folder",
        check=_absolute_path_or_empty,
    )
    minimum_free_gigabytes: float = option(
        5.0, "With less space than this no recording is started", minimum=0.05, maximum=100000
    )
    reserve_megabytes: int = option(
        500, "With less space than this a running recording is closed", minimum=16, maximum=1000000
    )
    database_url: str = option(
        "",
        "sqlite:///PATH or postgresql://...; empty is catalogue.db in the state folder; "
        "DATABASE_URL in the environment wins",
        check=_database_url,
        secret=True,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionSettings:
    days: float = option(
        0.0,
        "Older videos are deleted, unless they are held; 0 keeps them for ever. Only while the "
        "clock is set by the network or another source",
        minimum=0,
        maximum=36500,
    )
    maximum_gigabytes: float = option(
        0.0,
        "When all videos together take more than this, the oldest go; 0 is no limit",
        minimum=0,
        maximum=1000000,
    )
    free_gigabytes: float = option(
        0.0,
        "When less than this is free on the disk, the oldest videos go, so that recording never "
        "has to stop; 0 deletes nothing for this. It is raised by itself to what the next orders "
        "need above storage.minimum_free_gigabytes",
        minimum=0,
        maximum=1000000,
    )
    keep_hours: float = option(
        24.0,
        "Younger videos are never deleted for want of room: the station rather refuses the next "
        "order, and says so",
        minimum=0,
        maximum=8760,
    )
    events_days: int = option(
        400,
        "Older entries of the event log are deleted, but those of held orders; 0 keeps them all",
        minimum=0,
        maximum=36500,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSettings:
    address: str = option("", "Address the staff pages are served on; empty is every address")
    port: int = option(8080, "TCP port of the staff pages", minimum=1, maximum=65535)
    allowed_networks: tuple[str, ...] = option(
        (
            "127.0.0.0/8",
            "10.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "169.254.0.0/16",
            "::1/128",
            "fc00::/7",
            "fe80::/10",
        ),
        "Who may look: the networks whose computers are answered",
        check=_networks,
    )
    host_names: tuple[str, ...] = option(
        (),
        "Names under which the pages are reached, besides addresses, this machine's own name, "
        "names without a dot and names that end in .local",
    )
    path_prefix: str = option(
        "",
        "Path under which a reverse proxy shows the pages, e.g. /videos; it may take it off or not",
        check=_path_prefix,
    )
    trusted_proxies: tuple[str, ...] = option(
        (),
        "Reverse proxies that may say for whom and how they ask, in X-Forwarded-For and "
        "X-Forwarded-Proto",
        check=_networks,
    )
    password_hash: str = option(
        "",
        "Password to ask for, as 'recorderd web --hash-password' writes it; empty asks for none",
        check=_password_hash,
        secret=True,
    )
    share_days: int = option(
        0,
        "How long a link for a customer is good, wherever the customer is; 0 allows no such links",
        minimum=0,
        maximum=365,
    )
    holding: bool = option(
        False, "Whoever may see the pages may hold an order, so that it is never deleted"
    )
    setup: bool = option(
        False, "Whoever may see the pages may change the zone of labels on the page /setup"
    )
    rows_per_page: int = option(25, "Recordings in a list before 'older'", minimum=5, maximum=200)
    megabytes_per_second_while_recording: float = option(
        100.0,
        "All downloads together are not faster than this while an order is recorded, so that the "
        "disk and the processor are the recorder's; 0 is no limit",
        minimum=0,
        maximum=100000,
    )
    requests_per_second: float = option(
        50.0, "More from one address than this, on average, is refused", minimum=1, maximum=100000
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceSettings:
    timestamp_url: str = option(
        "",
        "Time-stamping authority (RFC 3161) that each seal's hash is sent to, and nothing else; "
        "empty asks none",
        check=_http_url_or_empty,
        secret=True,
    )
    timestamp_ca_file: str = option(
        "",
        "The authority's root certificates (PEM), to check its answers with; empty leaves that to "
        "whoever gets an export",
        check=_absolute_path_or_empty,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    level: str = option(
        "info", "Least important messages to show", choices=("debug", "info", "warning", "error")
    )
    format: str = option(
        "auto",
        "journal (fields for journald), console (for people) or json; auto asks the surroundings",
        choices=("auto", "journal", "console", "json"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings, immutable and valid. Plain data: may be sent to other processes."""

    station: StationSettings = field(default_factory=StationSettings)
    camera: CameraSettings = field(default_factory=CameraSettings)
    labels: LabelSettings = field(default_factory=LabelSettings)
    recording: RecordingSettings = field(default_factory=RecordingSettings)
    panel: PanelSettings = field(default_factory=PanelSettings)
    storage: StorageSettings = field(default_factory=StorageSettings)
    retention: RetentionSettings = field(default_factory=RetentionSettings)
    web: WebSettings = field(default_factory=WebSettings)
    evidence: EvidenceSettings = field(default_factory=EvidenceSettings)
    log: LogSettings = field(default_factory=LogSettings)

    @property
    def state_folder(self) -> Path:
        return Path(self.station.state_folder)

    @property
    def incoming_folder(self) -> Path:
        """Where files lie while they are written; the same file system as the footage."""
        return self.footage_folder.parent / "incoming"

    @property
    def set_aside_folder(self) -> Path:
        """Where files lie that are kept, but not shown; on the same file system, too."""
        return self.footage_folder.parent / "set-aside"

    @property
    def footage_folder(self) -> Path:
        return Path(self.storage.footage_folder or self.state_folder / "footage")

    @property
    def run_folder(self) -> Path:
        return Path(self.station.run_folder)

    @property
    def status_file(self) -> Path:
        return self.run_folder / "status.json"

    @property
    def finisher_file(self) -> Path:
        return self.run_folder / "finisher.json"

    @property
    def visits_file(self) -> Path:
        """Who looked at what, until the finisher has taken it into the catalogue."""
        return self.state_folder / "visits.jsonl"

    @property
    def key_file(self) -> Path:
        """The private key that the finisher seals with; nobody else may read it."""
        return self.state_folder / "station-key.pem"

    @property
    def public_key_file(self) -> Path:
        """The public key to check seals with; former ones lie beside it."""
        return self.state_folder / "station-public-key.pem"

    @property
    def newest_seal_file(self) -> Path:
        """The end of the chain of seals, kept outside of the catalogue."""
        return self.state_folder / "newest-seal.json"

    @property
    def hold_requests_file(self) -> Path:
        """What the staff pages ask to be held, until the finisher has taken it in."""
        return self.state_folder / "hold-requests.jsonl"

    @property
    def drawn_zone_file(self) -> Path:
        """The zone that was drawn on the page /setup; it goes before the settings file's."""
        return self.state_folder / DRAWN_ZONE_NAME

    @property
    def panel_socket(self) -> Path:
        return Path(self.panel.socket or self.run_folder / "panel.sock")

    @property
    def database_url(self) -> str:
        return self.storage.database_url or f"sqlite:///{self.state_folder / 'catalogue.db'}"


def sections() -> dict[str, type[Any]]:
    """Section name -> its settings class, in the order they are documented."""
    return {
        section.name: section.default_factory  # type: ignore[misc]
        for section in dataclasses.fields(Settings)
    }
