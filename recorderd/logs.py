"""The log: structured events to journald, a terminal or JSON lines, set up once per process.

Texts of labels come from strangers: no value can move a terminal's cursor or begin a
line of its own. journald keeps each value exactly, in a field of the entry.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, TextIO, TypeAlias, cast

import structlog
from structlog.typing import FilteringBoundLogger, Processor

from recorderd.settings import LogSettings
from recorderd.terminal import escaped

JOURNAL_SOCKET = Path("/run/systemd/journal/socket")

JournalSender: TypeAlias = Callable[[Sequence[bytes]], None]
"""Hands one entry, a list of FIELD=value, to journald. Raises OSError."""

LEVELS: Mapping[str, int] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}
_SYSLOG_PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
_COLOURS = {"warning": "\x1b[33m", "error": "\x1b[31m", "critical": "\x1b[31m"}
_PLAIN_WORD = re.compile(r"[\w./:+@%#-]+")


def get_logger(name: str) -> FilteringBoundLogger:
    """The logger of one module; may be called before `set_up`. Usable from any thread.

    The first argument of its methods is a fixed, plain phrase; everything that varies
    is given by name: `log.info("recording started", order_id=order.order_id)`.
    """
    return cast(FilteringBoundLogger, structlog.get_logger(name))


def set_up(settings: LogSettings, process_name: str, stream: TextIO | None = None) -> None:
    """Send the log of this process where the settings say; `stream` None is stderr.

    Warnings and errors that libraries log through `logging` or `warnings` come along.
    A log that cannot be written is given up in silence: recording goes on.
    """
    stream = sys.stderr if stream is None else stream
    chosen = _choose_format(settings.format, stream)
    renderer: Processor
    write: Callable[[Any], None]
    if chosen == "journal":
        renderer, write = _JournalRenderer(f"recorderd-{process_name}"), _journal_sender()
    elif chosen == "json":
        renderer, write = _JsonRenderer(process_name), partial(_write_line, stream)
    else:
        renderer = _ConsoleRenderer(process_name, colour=stream.isatty())
        write = partial(_write_line, stream)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _add_logger_name,
            _spell_out_exception,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[settings.level]),
        logger_factory=lambda name="": _Output(write, name),
        cache_logger_on_first_use=False,
    )
    _take_in_libraries(max(logging.WARNING, LEVELS[settings.level]))
    if chosen != settings.format and settings.format != "auto":
        get_logger(__name__).warning(
            "there is no journal on this machine: logging to the console",
            remedy="set log.format to auto",
        )


def _choose_format(wanted: str, stream: TextIO) -> str:
    if wanted == "auto":
        return "journal" if _leads_to_journal(stream) and JOURNAL_SOCKET.exists() else "console"
    if wanted == "journal" and not JOURNAL_SOCKET.exists():
        return "console"  # libsystemd would drop every entry in silence.
    return wanted


def _leads_to_journal(stream: TextIO) -> bool:
    """Whether systemd connected this stream to the journal (systemd.exec(5), $JOURNAL_STREAM)."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def _journal_sender() -> JournalSender:
    from systemd.journal import sendv  # Only here: other formats must work without libsystemd.

    return lambda fields: sendv(*fields)


def _add_logger_name(
    logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    event["logger"] = logger.name
    return event


def _spell_out_exception(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Turn `exc_info`, in any of its forms, into the text of a traceback."""
    given = event.pop("exc_info", None)
    error = given if isinstance(given, BaseException) else None
    if isinstance(given, tuple):
        error = given[1]
    elif given is True:
        error = sys.exc_info()[1]
    if error is not None:
        event["exception"] = "".join(traceback.format_exception(error)).rstrip("\n")
    return event


def _in_words(event: str, values: Iterable[tuple[str, Any]]) -> str:
    """`phrase key=value key="other value"`, on one line, safe for a terminal."""
    words = [escaped(event)]
    for key, value in values:
        text = str(value)
        if not _PLAIN_WORD.fullmatch(text):
            text = json.dumps(text, ensure_ascii=False)
        words.append(f"{escaped(key)}={escaped(text)}")
    return " ".join(words)


def _traceback_lines(text: str) -> str:
    return "".join("\n    " + escaped(line) for line in text.split("\n")) if text else ""


class _ConsoleRenderer:
    """Lines for people, with local time."""

    def __init__(self, process_name: str, *, colour: bool) -> None:
        self._process_name = process_name
        self._colour = colour

    def __call__(self, _logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
        level = str(event.pop("level"))
        exception = _traceback_lines(event.pop("exception", ""))
        event.pop("logger", None)
        text = _in_words(str(event.pop("event")), event.items())
        now = datetime.now().astimezone().isoformat(" ", "milliseconds")[:23]
        line = f"{now} {level:<7} {self._process_name}: {text}{exception}"
        if self._colour and level in _COLOURS:
            return f"{_COLOURS[level]}{line}\x1b[0m"
        return line


class _JsonRenderer:
    """One JSON object a line, pure ASCII, with the time in UTC."""

    def __init__(self, process_name: str) -> None:
        self._process_name = process_name
        self._add_time = structlog.processors.TimeStamper(fmt="iso", utc=True)

    def __call__(self, logger: Any, method: str, event: MutableMapping[str, Any]) -> str:
        event["process"] = self._process_name
        return json.dumps(self._add_time(logger, method, event), default=str)


class _JournalRenderer:
    """Native fields of systemd.journal-fields(7); other keys in capitals, values unchanged."""

    def __init__(self, identifier: str) -> None:
        self._identifier = identifier

    def __call__(
        self, _logger: Any, _method: str, event: MutableMapping[str, Any]
    ) -> tuple[tuple[list[bytes]], dict[str, Any]]:
        level = str(event.pop("level"))
        name = str(event.pop("event"))
        logger = event.pop("logger", "")
        exception = str(event.pop("exception", ""))
        own = {
            "MESSAGE": _in_words(name, event.items()) + _traceback_lines(exception),
            "PRIORITY": _SYSLOG_PRIORITIES[level],
            "SYSLOG_IDENTIFIER": self._identifier,
            "EVENT": name,
            "LOGGER": logger,
        }
        if exception:
            own["EXCEPTION_TEXT"] = exception
        # Our own words win over a key that happens to be called like one of them.
        fields = {_field_name(key): value for key, value in event.items()} | own
        lines = [
            f"{key}={value}".encode("utf-8", "surrogateescape") for key, value in fields.items()
        ]
        return (lines,), {}


def _field_name(key: str) -> str:
    """journald takes A-Z, 0-9 and _, not first a digit or _, at most 64 characters."""
    return re.sub(r"[^A-Z0-9_]", "_", key.upper()).lstrip("_0123456789")[:64] or "VALUE"


class _Output:
    """What structlog calls a logger: takes what the renderer made and writes it."""

    def __init__(self, write: Callable[[Any], None], name: str) -> None:
        self._write = write
        self.name = name

    def msg(self, message: Any) -> None:
        # journald may be restarting, the terminal gone (ValueError: closed); there is
        # nobody to tell, and recording must go on.
        with contextlib.suppress(OSError, ValueError):
            self._write(message)

    debug = info = warning = error = critical = msg


def _write_line(stream: TextIO, line: str) -> None:
    # One write, so that lines of several threads and processes do not mix.
    stream.write(f"{line}\n")
    stream.flush()


class _LibraryHandler(logging.Handler):
    """Passes on what libraries log in the standard way."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
        except (TypeError, ValueError):
            text = str(record.msg)
        levels = [name for name, number in LEVELS.items() if number <= record.levelno]
        getattr(get_logger(record.name), levels[-1])(text, exc_info=record.exc_info)


def _take_in_libraries(level: int) -> None:
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if isinstance(handler, _LibraryHandler):
            root.removeHandler(handler)
    root.addHandler(_LibraryHandler())
    root.setLevel(level)
    logging.captureWarnings(True)
