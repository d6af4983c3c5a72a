"""Settings: TOML file, then environment, checked completely before anything starts.

Every setting is declared once, below, with its default, its limits and its meaning;
`config/recorderd.toml` and `recorderd check-config` are made from these declarations.
Order of precedence: environment `RECORDERD__SECTION__KEY` (and `DATABASE_URL`), the
file, the defaults.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from recorderd.core.model import OtherLabel, SameLabel
from recorderd.errors import ConfigError, ConfigProblem

DEFAULT_CONFIG_FILE = Path("/etc/recorderd/recorderd.toml")
ENVIRONMENT_PREFIX = "RECORDERD__"
LARGEST_CONFIG_FILE_BYTES = 1_000_000

Value: TypeAlias = str | int | float | bool | tuple[str, ...] | tuple[float, ...]
Check: TypeAlias = Callable[[Any], str | None]
"""Looks at a value of the right type; says what was expected if it does not fit."""

_Section = TypeVar("_Section")


def option(
    default: Value,
    help: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
    check: Check | None = None,
) -> Any:
    """Declare one setting. The type of `default` is the type a value must have."""
    return field(
        default=default,
        metadata={
            "help": help,
            "minimum": minimum,
            "maximum": maximum,
            "choices": choices,
            "check": check,
        },
    )


def _regular_expression(value: str) -> str | None:
    try:
        re.compile(value)
    except re.error as error:
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
    )
    format: str = option(
        "auto",
        "What to ask a v4l2 camera for; auto takes h264, else mjpeg, else nv12, else yuyv",
        choices=("auto", "h264", "hevc", "mjpeg", "nv12", "yuyv"),
    )
    width: int = option(3840, "Picture width to ask for, in pixels", minimum=160, maximum=8192)
    height: int = option(2160, "Picture height to ask for, in pixels", minimum=120, maximum=8192)
    rate: float = option(30.0, "Pictures a second to ask for", minimum=1, maximum=240)
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
        6.0, "How often to look for labels while none is there", minimum=1, maximum=30
    )
    second_reader: bool = option(True, "Let zxing-cpp try where zbar finds nothing")
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
    log: LogSettings = field(default_factory=LogSettings)

    @property
    def state_folder(self) -> Path:
        return Path(self.station.state_folder)

    @property
    def incoming_folder(self) -> Path:
        """Where files lie while they are written; the same file system as the footage."""
        return self.footage_folder.parent / "incoming"

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
    def panel_socket(self) -> Path:
        return Path(self.panel.socket or self.run_folder / "panel.sock")

    @property
    def database_url(self) -> str:
        return self.storage.database_url or f"sqlite:///{self.state_folder / 'catalogue.db'}"


@dataclass(frozen=True, slots=True)
class EffectiveSetting:
    """One line of `recorderd check-config`: the value in force and who said so."""

    section: str
    key: str
    value: Value
    origin: str
    help: str


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    settings: Settings
    effective: tuple[EffectiveSetting, ...]
    file: Path | None


def sections() -> dict[str, type[Any]]:
    """Section name -> its settings class, in the order they are documented."""
    return {
        section.name: section.default_factory  # type: ignore[misc]
        for section in dataclasses.fields(Settings)
    }


def load(file: Path | None = None, environment: Mapping[str, str] | None = None) -> LoadedSettings:
    """Read and check all settings.

    `file` None means the default file, which may be missing; a file that was named
    must exist. Raises ConfigError with every mistake found in file and environment.
    """
    environment = os.environ if environment is None else environment
    problems: list[ConfigProblem] = []
    used_file, document = _read_file(file, problems)
    given: dict[tuple[str, str], tuple[Any, str]] = {}
    origin = str(used_file)
    for section_name, table in document.items():
        if section_name not in sections():
            problems.append(_unknown(origin, section_name, table, list(sections()), "section"))
        elif not isinstance(table, dict):
            problems.append(
                ConfigProblem(origin, section_name, repr(table), f"a table [{section_name}]")
            )
        else:
            for key, value in table.items():
                given[section_name, key] = (value, origin)
    for section_name, key, text, variable in _environment_values(environment, problems):
        given[section_name, key] = (text, variable)

    effective: list[EffectiveSetting] = []
    chosen: dict[str, dict[str, Value]] = {name: {} for name in sections()}
    for section_name, section_class in sections().items():
        declared = {option.name: option for option in dataclasses.fields(section_class)}
        for (given_section, key), (value, where) in given.items():
            if given_section == section_name and key not in declared:
                problems.append(
                    _unknown(where, f"{section_name}.{key}", value, list(declared), "key")
                )
        for name, declaration in declared.items():
            value, where = given.get((section_name, name), (declaration.default, "default"))
            if where != "default":
                checked, expected = _checked(value, declaration, from_text=where != origin)
                if expected is not None:
                    problems.append(
                        ConfigProblem(where, f"{section_name}.{name}", _shown(value), expected)
                    )
                    continue
                value = checked
            chosen[section_name][name] = value
            effective.append(
                EffectiveSetting(section_name, name, value, where, declaration.metadata["help"])
            )
    if not problems:
        _check_together(chosen, origin if used_file else "settings", problems)
    if problems:
        raise ConfigError(problems)
    settings = Settings(
        **{name: section_class(**chosen[name]) for name, section_class in sections().items()}
    )
    return LoadedSettings(settings, tuple(effective), used_file)


def _check_together(
    chosen: Mapping[str, Mapping[str, Any]], origin: str, problems: list[ConfigProblem]
) -> None:
    """Rules that concern two settings at once."""
    recording = chosen["recording"]
    if recording["minimum_seconds"] >= recording["maximum_seconds"]:
        problems.append(
            ConfigProblem(
                origin,
                "recording.minimum_seconds",
                str(recording["minimum_seconds"]),
                "less than recording.maximum_seconds",
            )
        )
    panel = chosen["panel"]
    if panel["hold_seconds"] >= panel["stuck_seconds"]:
        problems.append(
            ConfigProblem(
                origin,
                "panel.hold_seconds",
                str(panel["hold_seconds"]),
                "less than panel.stuck_seconds",
            )
        )
    if panel["driver"] == "gpio":
        names = ["green_pin", "red_pin", "blue_pin", "pedal_pin"]
        names += ["buzzer_pin"] if panel["buzzer"] != "none" else []
        owner: dict[int, str] = {}
        for name in names:
            pin = panel[name]
            if pin >= 0 and pin in owner:
                problems.append(
                    ConfigProblem(
                        origin, f"panel.{name}", str(pin), f"a pin other than panel.{owner[pin]}'s"
                    )
                )
            owner.setdefault(pin, name)


def _read_file(
    file: Path | None, problems: list[ConfigProblem]
) -> tuple[Path | None, dict[str, Any]]:
    path = DEFAULT_CONFIG_FILE if file is None else file
    try:
        if path.stat().st_size > LARGEST_CONFIG_FILE_BYTES:
            problems.append(ConfigProblem(str(path), "file", "too large", "a file under 1 MB"))
            return path, {}
        return path, tomllib.loads(path.read_bytes().decode("utf-8"))
    except FileNotFoundError:
        if file is None:
            return None, {}
        problems.append(ConfigProblem(str(path), "file", "missing", "a file that exists"))
    except OSError as error:
        problems.append(
            ConfigProblem(str(path), "file", error.strerror or str(error), "a readable file")
        )
    except UnicodeDecodeError:
        problems.append(ConfigProblem(str(path), "file", "not text", "UTF-8 text"))
    except tomllib.TOMLDecodeError as error:
        problems.append(ConfigProblem(str(path), "file", "not TOML", f"valid TOML ({error})"))
    return path, {}


def _environment_values(
    environment: Mapping[str, str], problems: list[ConfigProblem]
) -> Iterator[tuple[str, str, str, str]]:
    """Yield (section, key, text, variable) for each variable that is meant for us."""
    for variable, text in sorted(environment.items()):
        if not variable.startswith(ENVIRONMENT_PREFIX):
            continue
        section_name, separator, key = variable[len(ENVIRONMENT_PREFIX) :].lower().partition("__")
        if not separator or section_name not in sections():
            problems.append(_unknown(variable, section_name, text, list(sections()), "section"))
            continue
        yield section_name, key, text, variable
    if environment.get("DATABASE_URL"):
        yield "storage", "database_url", environment["DATABASE_URL"], "DATABASE_URL"


def _unknown(origin: str, key: str, value: object, known: list[str], noun: str) -> ConfigProblem:
    nearest = difflib.get_close_matches(key.rpartition(".")[2], known, n=1, cutoff=0.5)
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"one of {', '.join(known)}"
    return ConfigProblem(origin, key, _shown(value), f"a known {noun}: {hint}")


def _shown(value: object) -> str:
    shown = repr(value)
    if re.search(r"://[^/\s]*:[^/\s]*@", shown):
        shown = re.sub(r"://[^/\s]*@", "://***@", shown)
    return shown if len(shown) <= 80 else shown[:77] + "..."


def _checked(
    value: Any, declaration: dataclasses.Field[Any], *, from_text: bool
) -> tuple[Any, str | None]:
    """Bring a value to its declared type; the second result says what was expected instead."""
    metadata = declaration.metadata
    if from_text and not isinstance(declaration.default, str):
        try:
            value = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            return None, _type_wanted(declaration)
    default = declaration.default
    if isinstance(default, bool):
        fits = isinstance(value, bool)
    elif isinstance(default, int):
        fits = isinstance(value, int) and not isinstance(value, bool)
    elif isinstance(default, float):
        fits = isinstance(value, int | float) and not isinstance(value, bool)
        value = float(value) if fits else value
    elif isinstance(default, tuple):
        fits = isinstance(value, list)
        if fits:
            numbers = declaration.name == "zone"
            wanted = (int, float) if numbers else (str,)
            fits = all(isinstance(x, wanted) and not isinstance(x, bool) for x in value)
            value = tuple(float(x) if numbers else x for x in value) if fits else value
    else:
        fits = isinstance(value, str) and "\0" not in value
    if not fits:
        return None, _type_wanted(declaration)
    minimum, maximum = metadata["minimum"], metadata["maximum"]
    if (minimum is not None and not value >= minimum) or (
        maximum is not None and not value <= maximum
    ):
        return None, f"a number from {minimum:g} to {maximum:g}"
    if metadata["choices"] and value not in metadata["choices"]:
        return None, "one of " + ", ".join(metadata["choices"])
    if metadata["check"] is not None:
        expected = metadata["check"](value)
        if expected is not None:
            return None, expected
    return value, None


def _type_wanted(declaration: dataclasses.Field[Any]) -> str:
    default = declaration.default
    if isinstance(default, bool):
        return "true or false"
    if isinstance(default, int):
        return "a whole number"
    if isinstance(default, float):
        return "a number"
    if isinstance(default, tuple):
        return "a list, e.g. [0.2, 0.0, 0.8, 1.0]" if declaration.name == "zone" else "a list"
    return 'text in quotes, e.g. "' + (default or "...") + '"'


def toml_value(value: Value) -> str:
    """Write a value as TOML would."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        if "\\" in value and "'" not in value:
            return f"'{value}'"
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    if isinstance(value, tuple):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    return str(value)


def documented_defaults() -> str:
    """The text of `config/recorderd.toml`: every key, its default and its meaning."""
    lines = [
        "# recorderd: every setting with its default. A line that begins with # is a comment:",
        "# remove the # in front of a key to change it. Check with: recorderd check-config",
        "# Any key can also come from the environment, e.g. RECORDERD__CAMERA__RATE=15.",
    ]
    for section_name, section_class in sections().items():
        lines += ["", f"[{section_name}]"]
        for declaration in dataclasses.fields(section_class):
            metadata = declaration.metadata
            lines += ["", f"# {metadata['help']}."]
            if metadata["choices"]:
                lines.append("# One of: " + ", ".join(metadata["choices"]) + ".")
            elif metadata["minimum"] is not None:
                lines.append(f"# From {metadata['minimum']:g} to {metadata['maximum']:g}.")
            lines.append(f"#{declaration.name} = {toml_value(declaration.default)}")
    return "\n".join(lines) + "\n"
