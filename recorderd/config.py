"""Reading the settings: TOML file, then environment, checked completely before anything starts.

Order of precedence: environment `RECORDERD__SECTION__KEY` (and `DATABASE_URL`), the zone that
was drawn on the page /setup, the file, the defaults. `recorderd.settings` declares what there is
to set.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, fields
from pathlib import Path
from typing import Any

from recorderd.errors import ConfigError, ConfigProblem
from recorderd.settings import (
    DRAWN_ZONE_NAME,
    LabelSettings,
    Settings,
    StationSettings,
    Table,
    Value,
    sections,
)

DEFAULT_CONFIG_FILE = Path("/etc/recorderd/recorderd.toml")
ENVIRONMENT_PREFIX = "RECORDERD__"
LARGEST_CONFIG_FILE_BYTES = 1_000_000
ZONE = ("labels", "zone")
ZONE_VARIABLE = f"{ENVIRONMENT_PREFIX}LABELS__ZONE"


@dataclass(frozen=True, slots=True)
class EffectiveSetting:
    """One line of `recorderd check-config`: the value in force and who said so."""

    section: str
    key: str
    value: Value
    origin: str
    help: str
    secret: bool

    @property
    def shown(self) -> str:
        """The value as TOML would have it, without passwords."""
        text = toml_value(self.value)
        return without_password(text) if self.secret else text


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """All settings, where each came from, and the file that was read, if any."""

    settings: Settings
    effective: tuple[EffectiveSetting, ...]
    file: Path | None


@dataclass(frozen=True, slots=True)
class _Given:
    """A value someone gave, not yet checked; from the environment it is still text."""

    value: Any
    origin: str
    is_text: bool


def load(file: Path | None = None, environment: Mapping[str, str] | None = None) -> LoadedSettings:
    """Read and check all settings.

    `file` None means the default file, which may be missing; a file that was named
    must exist. Raises ConfigError with every mistake found in file and environment.
    """
    environment = os.environ if environment is None else environment
    problems: list[ConfigProblem] = []
    used_file, document = _read_file(file, problems)
    given = dict(_file_values(document, str(used_file), problems))
    from_environment = dict(_environment_values(environment, problems))
    given.update(_drawn_zone({**given, **from_environment}, problems))
    given.update(from_environment)

    effective: dict[tuple[str, str], EffectiveSetting] = {}
    for section_name, section_class in sections().items():
        declared = {declaration.name: declaration for declaration in fields(section_class)}
        for (given_section, key), entry in given.items():
            if given_section == section_name and key not in declared:
                problems.append(_unknown_key(section_name, key, entry, list(declared)))
        for name, declaration in declared.items():
            entry = given.get((section_name, name), _Given(_default(declaration), "default", False))
            value, expected = _checked(entry, declaration)
            if expected is not None:
                problems.append(
                    ConfigProblem(
                        entry.origin, f"{section_name}.{name}", _shown(entry.value), expected
                    )
                )
                continue
            effective[section_name, name] = EffectiveSetting(
                section_name,
                name,
                value,
                entry.origin,
                declaration.metadata["help"],
                declaration.metadata["secret"],
            )
    _check_together(effective, problems)
    if problems:
        raise ConfigError(problems)
    settings = Settings(
        **{
            section_name: section_class(
                **{d.name: effective[section_name, d.name].value for d in fields(section_class)}
            )
            for section_name, section_class in sections().items()
        }
    )
    return LoadedSettings(settings, tuple(effective.values()), used_file)


def _check_together(
    effective: Mapping[tuple[str, str], EffectiveSetting], problems: list[ConfigProblem]
) -> None:
    """Rules that concern several settings at once, where each is valid by itself."""

    def must_be_less(section: str, smaller: str, larger: str) -> None:
        low, high = effective.get((section, smaller)), effective.get((section, larger))
        if low and high and low.value >= high.value:  # type: ignore[operator]
            problems.append(
                ConfigProblem(
                    low.origin,
                    f"{section}.{smaller}",
                    low.shown,
                    f"less than {section}.{larger}, which is {high.shown}",
                )
            )

    must_be_less("recording", "minimum_seconds", "maximum_seconds")
    must_be_less("panel", "hold_seconds", "stuck_seconds")

    panel = {key: entry for (section, key), entry in effective.items() if section == "panel"}
    if "driver" not in panel or panel["driver"].value != "gpio":
        return
    names = ["green_pin", "red_pin", "blue_pin", "pedal_pin"]
    if "buzzer" in panel and panel["buzzer"].value != "none":
        names.append("buzzer_pin")
    owners: dict[Value, str] = {}
    for entry in (panel[name] for name in names if name in panel):
        owner = owners.setdefault(entry.value, entry.key)
        if owner != entry.key and entry.value != -1:
            where = entry if entry.origin != "default" else panel[owner]
            problems.append(
                ConfigProblem(
                    where.origin,
                    f"panel.{entry.key}",
                    entry.shown,
                    f"a pin other than panel.{owner}'s",
                )
            )


def _read_file(
    file: Path | None, problems: list[ConfigProblem]
) -> tuple[Path | None, dict[str, Any]]:
    path = DEFAULT_CONFIG_FILE if file is None else file

    def refuse(value: str, expected: str) -> None:
        problems.append(ConfigProblem(_printable(str(path)), "file", value, expected))

    try:
        with path.open("rb") as stream:
            raw = stream.read(LARGEST_CONFIG_FILE_BYTES + 1)
        if len(raw) > LARGEST_CONFIG_FILE_BYTES:
            refuse("too large", "a file of at most 1 MB")
            return path, {}
        # Editors on Windows begin a file with a byte order mark, which TOML does not know.
        return path, tomllib.loads(raw.decode("utf-8-sig"))
    except FileNotFoundError:
        if file is None:
            return None, {}
        refuse("missing", "a file that exists")
    except OSError as error:
        refuse(error.strerror or str(error), "a readable file")
    except UnicodeDecodeError:
        refuse("not text", "UTF-8 text")
    except tomllib.TOMLDecodeError as error:
        refuse("not TOML", f"valid TOML ({error})")
    except (ValueError, RecursionError):
        # tomllib lets them out for numbers of thousands of digits and endless nesting.
        refuse("not TOML", "values of a sensible size")
    return path, {}


def _file_values(
    document: Mapping[str, Any], origin: str, problems: list[ConfigProblem]
) -> Iterator[tuple[tuple[str, str], _Given]]:
    for section_name, table in document.items():
        if section_name not in sections():
            problems.append(_unknown_section(origin, section_name, table))
        elif not isinstance(table, dict):
            problems.append(
                ConfigProblem(origin, section_name, _shown(table), f"a table [{section_name}]")
            )
        else:
            for key, value in table.items():
                yield (section_name, key), _Given(value, origin, is_text=False)


def _environment_values(
    environment: Mapping[str, str], problems: list[ConfigProblem]
) -> Iterator[tuple[tuple[str, str], _Given]]:
    for variable, text in sorted(environment.items()):
        if not variable.startswith(ENVIRONMENT_PREFIX):
            continue
        section_name, _, key = variable[len(ENVIRONMENT_PREFIX) :].lower().partition("__")
        if section_name not in sections():
            problems.append(_unknown_section(_printable(variable), section_name, text))
        elif not key:
            problems.append(
                ConfigProblem(
                    variable, section_name, _shown(text), f"a key: {ENVIRONMENT_PREFIX}SECTION__KEY"
                )
            )
        else:
            yield (section_name, key), _Given(text, variable, is_text=True)
    if environment.get("DATABASE_URL"):
        given = _Given(environment["DATABASE_URL"], "DATABASE_URL", is_text=True)
        yield ("storage", "database_url"), given


def _drawn_zone(
    given: Mapping[tuple[str, str], _Given], problems: list[ConfigProblem]
) -> dict[tuple[str, str], _Given]:
    """The zone in the state folder that `given` names, if one was drawn."""
    folder = given.get(("station", "state_folder"))
    name = folder.value if folder else StationSettings().state_folder
    if not _is_text(name):
        return {}  # That mistake is named already.
    path = Path(name) / DRAWN_ZONE_NAME
    try:
        return _zone_in(path, problems) if path.exists() else {}
    except OSError:
        # Who may not look into the state folder runs no station either.
        return {}


def _zone_in(path: Path, problems: list[ConfigProblem]) -> dict[tuple[str, str], _Given]:
    """Read a settings file in which there may be nothing but the zone."""
    found = dict(_file_values(_read_file(path, problems)[1], str(path), problems))
    problems += [
        ConfigProblem(
            entry.origin, f"{section}.{_printable(key)}", _shown(entry.value), "only labels.zone"
        )
        for (section, key), entry in found.items()
        if (section, key) != ZONE
    ]
    return {key: entry for key, entry in found.items() if key == ZONE}


def drawn_zone(path: Path) -> tuple[float, ...]:
    """The zone in this file, which the page /setup writes. Raises ConfigError."""
    problems: list[ConfigProblem] = []
    zone: tuple[float, ...] = ()
    for entry in _zone_in(path, problems).values():
        zone, expected = _checked(entry, LabelSettings.__dataclass_fields__["zone"])
        if expected is not None:
            problems.append(
                ConfigProblem(entry.origin, ".".join(ZONE), _shown(entry.value), expected)
            )
    if problems:
        raise ConfigError(problems)
    return zone


def _unknown_section(origin: str, name: str, value: object) -> ConfigProblem:
    expected = "a known section: " + _nearest(name, list(sections()))
    return ConfigProblem(origin, _printable(name), _shown(value), expected)


def _unknown_key(section_name: str, key: str, entry: _Given, known: list[str]) -> ConfigProblem:
    homes = [
        f"'{other}.{key}'"
        for other, section_class in sections().items()
        if key in {declaration.name for declaration in fields(section_class)}
    ]
    hint = f"did you mean {homes[0]}?" if homes else _nearest(key, known)
    is_secret = re.search(r"pass|secret|token|credential", key, re.IGNORECASE)
    return ConfigProblem(
        _printable(entry.origin),
        f"{section_name}.{_printable(key)}",
        "***" if is_secret else _shown(entry.value),
        f"a known key: {hint}",
    )


def _nearest(name: str, known: list[str]) -> str:
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {nearest[0]!r}?" if nearest else f"one of {', '.join(known)}"


def without_password(text: str) -> str:
    """Hide the user and password part of a URL, and any password=... in it."""
    # Greedy up to the last @: a password that was not percent-encoded may hold / and @.
    text = re.sub(r"(?s)(?<=://).*@" if "://" in text else r"(?s)(?<=:).*@", "***@", text, count=1)
    return re.sub(r"(?i)(passw(?:or)?d)=[^&\s\"']*", r"\1=***", text)


def _shown(value: object) -> str:
    """A refused value for a message: on one line, not long, without passwords."""
    if isinstance(value, dict) or (
        isinstance(value, list) and any(isinstance(item, dict) for item in value)
    ):
        return "a table"
    try:
        shown = without_password(repr(value))
    except ValueError:  # Python refuses to write out integers of thousands of digits.
        return "a very large number"
    return shown if len(shown) <= 80 else shown[:77] + "..."


def _printable(name: str) -> str:
    """A key or variable as it is, unless it could play tricks on a terminal."""
    return name if name.isprintable() else repr(name)


def _default(declaration: Field[Any]) -> Any:
    return declaration.default


def _checked(entry: _Given, declaration: Field[Any]) -> tuple[Any, str | None]:
    """Bring a value to its declared type; the second result says what was expected instead."""
    default, metadata = _default(declaration), declaration.metadata
    value = entry.value
    if entry.is_text and not isinstance(default, str):
        try:
            document = tomllib.loads(f"value = {value}")
        except (ValueError, RecursionError):
            return None, _type_wanted(declaration)
        value = document["value"] if len(document) == 1 else None
    if isinstance(default, bool):
        fits = isinstance(value, bool)
    elif isinstance(default, int):
        fits = isinstance(value, int) and not isinstance(value, bool)
    elif isinstance(default, float):
        fits = _is_number(value)
    elif isinstance(default, Table):
        value = dict(value) if isinstance(value, Table) else value
        fits = isinstance(value, dict) and all(isinstance(item, int) for item in value.values())
    elif isinstance(default, tuple):
        fits_item = _is_number if declaration.name == "zone" else _is_text
        fits = isinstance(value, list | tuple) and all(map(fits_item, value))
    else:
        fits = _is_text(value)
    if not fits:
        return None, _type_wanted(declaration)
    minimum, maximum = metadata["minimum"], metadata["maximum"]
    if minimum is not None and not minimum <= value <= maximum:
        return None, f"a number from {_number(minimum)} to {_number(maximum)}"
    if isinstance(default, float):
        value = float(value)
    elif isinstance(default, Table):
        value = Table((name, int(item)) for name, item in value.items())
    elif isinstance(default, tuple):
        value = tuple(value)
    if metadata["choices"] and value not in metadata["choices"]:
        return None, "one of " + ", ".join(metadata["choices"])
    expected = metadata["check"](value) if metadata["check"] else None
    return value, expected


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_text(value: object) -> bool:
    """NUL cannot be in a path; lone surrogates come from an environment that is not UTF-8."""
    return (
        isinstance(value, str)
        and "\0" not in value
        and not any("\ud800" <= character <= "\udfff" for character in value)
    )


def _type_wanted(declaration: Field[Any]) -> str:
    default = _default(declaration)
    if isinstance(default, bool):
        return "true or false"
    if isinstance(default, int):
        return "a whole number"
    if isinstance(default, float):
        return "a number"
    if isinstance(default, Table):
        return "a table of whole numbers, e.g. {focus_absolute = 40}"
    if isinstance(default, tuple):
        return "a list, e.g. [0.2, 0.0, 0.8, 1.0]" if declaration.name == "zone" else "a list"
    return 'text in quotes, e.g. "' + (default or "...") + '"'


def _number(value: float) -> str:
    return f"{value:.10g}"


def toml_value(value: Value) -> str:
    """Write a value as TOML would."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        if "\\" in value and "'" not in value and value.isprintable():
            return f"'{value}'"
        return '"' + "".join(map(_toml_character, value)) + '"'
    if isinstance(value, Table):
        return "{" + ", ".join(f"{_toml_key(name)} = {item}" for name, item in value) + "}"
    if isinstance(value, tuple):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"  # type: ignore[arg-type]
    return str(value)


def _toml_key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else toml_value(name)


def _toml_character(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    return character if character.isprintable() else f"\\U{ord(character):08x}"


def documented_defaults() -> str:
    """The text of `config/recorderd.toml`: every key, its default and its meaning."""
    lines = [
        "# recorderd: every setting with its default. A line that begins with # is a comment:",
        "# remove the # in front of a key to change it. Check with: recorderd check-config",
        "# Any key can also come from the environment, e.g. RECORDERD__CAMERA__RATE=15.",
    ]
    for section_name, section_class in sections().items():
        lines += ["", f"[{section_name}]"]
        for declaration in fields(section_class):
            metadata = declaration.metadata
            lines += ["", f"# {metadata['help']}."]
            if metadata["choices"]:
                lines.append("# One of: " + ", ".join(metadata["choices"]) + ".")
            elif metadata["minimum"] is not None:
                minimum, maximum = _number(metadata["minimum"]), _number(metadata["maximum"])
                lines.append(f"# From {minimum} to {maximum}.")
            lines.append(f"#{declaration.name} = {toml_value(_default(declaration))}")
    return "\n".join(lines) + "\n"
