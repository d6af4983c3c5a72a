"""The log: formats, journal fields, and hostile texts on their way to a terminal."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from recorderd import logs
from recorderd.settings import LogSettings

HOSTILE = "4711\x1b[2J\nERROR all is lost\r\x07\u202e\x85"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class ClosedTerminal(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[dict[str, str]]:
    """A journal that keeps its entries here; each field once."""
    entries: list[dict[str, str]] = []

    def send(fields: Sequence[bytes]) -> None:
        entry = dict(field.decode("utf-8", "surrogateescape").split("=", 1) for field in fields)
        assert len(entry) == len(fields)
        entries.append(entry)

    monkeypatch.setattr(logs, "JOURNAL_SOCKET", tmp_path)
    monkeypatch.setattr(logs, "_journal_sender", lambda: send)
    return entries


def console(level: str = "info", stream: io.StringIO | None = None) -> io.StringIO:
    stream = io.StringIO() if stream is None else stream
    logs.set_up(LogSettings(level=level, format="console"), "station", stream)
    return stream


class TestConsole:
    def test_line_holds_time_level_process_event_and_values(self) -> None:
        stream = console()
        logs.get_logger("recorderd.x").warning(
            "disk is low", free_bytes=12, problem="2 GB left", path=Path("/a/b")
        )
        assert re.fullmatch(
            r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} warning station: "
            r'disk is low free_bytes=12 problem="2 GB left" path=/a/b\n',
            stream.getvalue(),
        )

    def test_levels_below_the_wanted_one_are_left_out(self) -> None:
        stream = console(level="warning")
        log = logs.get_logger("x")
        log.debug("a")
        log.info("b")
        log.warning("c")
        log.error("d")
        log.critical("e")
        assert [line.split(": ")[1] for line in stream.getvalue().splitlines()] == ["c", "d", "e"]

    def test_is_coloured_on_a_terminal_only(self) -> None:
        assert "\x1b" not in self.error_on(io.StringIO())
        assert self.error_on(Terminal()).startswith("\x1b[31m")
        assert self.error_on(Terminal()).endswith("\x1b[0m\n")

    @staticmethod
    def error_on(stream: io.StringIO) -> str:
        console(stream=stream)
        logs.get_logger("x").error("camera lost")
        return stream.getvalue()

    def test_hostile_text_stays_on_its_line_in_visible_characters(self) -> None:
        stream = console()
        logs.get_logger("x").info("label read", text=HOSTILE, **{HOSTILE: 1})
        line = stream.getvalue()
        assert line.endswith("\n")
        assert line[:-1].isprintable()
        assert r"4711\u001b[2J\nERROR" in line

    @given(st.text(), st.text())
    def test_any_text_stays_on_its_line(self, event: str, value: str) -> None:
        stream = console()
        logs.get_logger("x").info(event, value=value)
        assert stream.getvalue().endswith("\n")
        assert stream.getvalue()[:-1].isprintable()

    def test_quotes_cannot_end_a_value_early(self) -> None:
        stream = console()
        logs.get_logger("x").info("label read", text='a" level="b')
        assert stream.getvalue().endswith('text="a\\" level=\\"b"\n')

    def test_traceback_follows_indented(self) -> None:
        stream = console()
        try:
            raise ValueError(HOSTILE)
        except ValueError:
            logs.get_logger("x").exception("scan failed")
        first, *rest = stream.getvalue().splitlines()
        assert first.endswith("error   station: scan failed")
        assert rest[0] == "    Traceback (most recent call last):"
        assert all(line.startswith("    ") and line.isprintable() for line in rest)

    @pytest.mark.parametrize("form", ["error", "tuple"])
    def test_error_of_another_thread_can_be_given(self, form: str) -> None:
        error = OSError("no space")
        stream = console()
        given = error if form == "error" else (OSError, error, None)
        logs.get_logger("x").error("x", exc_info=given)
        assert "OSError: no space" in stream.getvalue()

    def test_what_is_bound_for_a_while_is_on_each_line(self) -> None:
        stream = console()
        with structlog.contextvars.bound_contextvars(order_id="4711"):
            logs.get_logger("x").info("a")
        logs.get_logger("x").info("b")
        first, second = stream.getvalue().splitlines()
        assert first.endswith("a order_id=4711")
        assert second.endswith("b")

    def test_logger_made_before_set_up_works(self) -> None:
        log = logs.get_logger("early")
        stream = console()
        log.info("hello")
        assert "hello" in stream.getvalue()

    def test_lost_terminal_does_no_harm(self) -> None:
        console(stream=ClosedTerminal())
        logs.get_logger("x").error("nobody reads this")
        stream = console()
        stream.close()
        logs.get_logger("x").error("nor this")


class TestJson:
    def test_each_line_is_an_object(self) -> None:
        stream = io.StringIO()
        logs.set_up(LogSettings(format="json"), "engine", stream)
        logs.get_logger("recorderd.engine").info("frame", order_id=HOSTILE, path=Path("/a"), n=1)
        text = stream.getvalue()
        assert text.count("\n") == 1
        assert text[:-1].isprintable()
        entry = json.loads(text)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", entry.pop("timestamp"))
        assert entry == {
            "event": "frame",
            "level": "info",
            "logger": "recorderd.engine",
            "process": "engine",
            "order_id": HOSTILE,
            "path": "/a",
            "n": 1,
        }


class TestJournal:
    def test_entry_has_native_fields(self, journal: list[dict[str, str]]) -> None:
        logs.set_up(LogSettings(format="journal"), "station")
        logs.get_logger("recorderd.station").error(
            "recording failed", order_id="A 1", recording_id="0190-7", remedy="Check the disk"
        )
        assert journal == [
            {
                "MESSAGE": 'recording failed order_id="A 1" recording_id=0190-7 '
                'remedy="Check the disk"',
                "PRIORITY": "3",
                "SYSLOG_IDENTIFIER": "recorderd-station",
                "EVENT": "recording failed",
                "LOGGER": "recorderd.station",
                "ORDER_ID": "A 1",
                "RECORDING_ID": "0190-7",
                "REMEDY": "Check the disk",
            }
        ]

    def test_levels_become_syslog_priorities(self, journal: list[dict[str, str]]) -> None:
        logs.set_up(LogSettings(level="debug", format="journal"), "station")
        for level in ("debug", "info", "warning", "error", "critical"):
            getattr(logs.get_logger("x"), level)("x")
        assert [entry["PRIORITY"] for entry in journal] == ["7", "6", "4", "3", "2"]

    def test_fields_keep_the_text_exactly_and_the_message_is_safe(
        self, journal: list[dict[str, str]]
    ) -> None:
        logs.set_up(LogSettings(format="journal"), "station")
        logs.get_logger("x").info("label read", order_id=HOSTILE, broken="\udcff")
        (entry,) = journal
        assert entry["ORDER_ID"] == HOSTILE
        assert entry["BROKEN"] == "\udcff"
        assert entry["MESSAGE"].isprintable()

    @given(key=st.text(min_size=1))
    def test_any_key_becomes_a_valid_field_name(self, key: str) -> None:
        assert re.fullmatch(r"[A-Z][A-Z0-9_]{0,63}", logs._field_name(key))

    def test_key_cannot_pretend_to_be_our_own_field(self, journal: list[dict[str, str]]) -> None:
        logs.set_up(LogSettings(format="journal"), "station")
        logs.get_logger("x").info("a", priority="0", message="b", _pid="1")
        (entry,) = journal
        assert (entry["PRIORITY"], entry["PID"]) == ("6", "1")
        assert entry["MESSAGE"].startswith("a ")

    def test_traceback_is_in_the_message_and_in_a_field(
        self, journal: list[dict[str, str]]
    ) -> None:
        logs.set_up(LogSettings(format="journal"), "station")
        logs.get_logger("x").error("failed", exc_info=ValueError("why"))
        (entry,) = journal
        assert entry["EXCEPTION_TEXT"] == "ValueError: why"
        assert entry["MESSAGE"] == "failed\n    ValueError: why"

    def test_restarting_journald_does_no_harm(
        self, journal: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(fields: Sequence[bytes]) -> None:
            raise ConnectionRefusedError

        monkeypatch.setattr(logs, "_journal_sender", lambda: refuse)
        logs.set_up(LogSettings(format="journal"), "station")
        logs.get_logger("x").error("x")

    def test_real_sender_is_that_of_systemd(self) -> None:
        pytest.importorskip("systemd.journal")
        logs._journal_sender()([b"MESSAGE=recorderd: the test of its log says hello"])

    def test_missing_journal_is_said_on_the_console(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(logs, "JOURNAL_SOCKET", tmp_path / "none")
        stream = io.StringIO()
        logs.set_up(LogSettings(format="journal"), "station", stream)
        logs.get_logger("x").info("hello")
        first, second = stream.getvalue().splitlines()
        assert "there is no journal on this machine" in first
        assert second.endswith("hello")


class TestAuto:
    def written_to(
        self, stream: Any, monkeypatch: pytest.MonkeyPatch, journal_stream: str | None
    ) -> None:
        if journal_stream is None:
            monkeypatch.delenv("JOURNAL_STREAM", raising=False)
        else:
            monkeypatch.setenv("JOURNAL_STREAM", journal_stream)
        logs.set_up(LogSettings(format="auto"), "station", stream)
        logs.get_logger("x").info("hello")
        stream.flush()

    def test_stream_that_systemd_connected_means_the_journal(
        self,
        journal: list[dict[str, str]],
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
    ) -> None:
        file = tmp_path / "stderr"
        with file.open("w") as stream:
            status = os.fstat(stream.fileno())
            self.written_to(stream, monkeypatch, f"{status.st_dev}:{status.st_ino}")
        assert [entry["EVENT"] for entry in journal] == ["hello"]
        assert file.read_text() == ""

    def test_connected_stream_without_a_journal_means_the_console(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(logs, "JOURNAL_SOCKET", tmp_path / "none")
        file = tmp_path / "stderr"
        with file.open("w") as stream:
            status = os.fstat(stream.fileno())
            self.written_to(stream, monkeypatch, f"{status.st_dev}:{status.st_ino}")
        assert file.read_text().endswith("hello\n")

    @pytest.mark.parametrize("journal_stream", [None, "", "1:2", "nonsense"])
    def test_any_other_stream_means_the_console(
        self,
        journal_stream: str | None,
        journal: list[dict[str, str]],
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
    ) -> None:
        file = tmp_path / "stderr"
        with file.open("w") as stream:
            self.written_to(stream, monkeypatch, journal_stream)
        assert journal == []
        assert file.read_text().endswith("hello\n")

    def test_stream_without_a_file_means_the_console(
        self, journal: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stream = io.StringIO()
        self.written_to(stream, monkeypatch, "1:2")
        assert journal == []
        assert "hello" in stream.getvalue()

    def test_nothing_of_systemd_is_imported_for_the_console(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "systemd", None)
        monkeypatch.delitem(sys.modules, "systemd.journal", raising=False)
        assert console().getvalue() == ""


class TestLibraries:
    def test_warnings_and_errors_come_along(self) -> None:
        stream = console()
        logging.getLogger("peewee").info("not this")
        logging.getLogger("peewee").warning("slow query: %s", "a\nb")
        logging.getLogger("peewee").critical("lost")
        first, second = stream.getvalue().splitlines()
        assert "warning station: slow query: a\\nb" in first
        assert "critical station: lost" in second

    def test_their_tracebacks_too(self) -> None:
        stream = console()
        try:
            raise OSError("gone")
        except OSError:
            logging.getLogger("gpiozero").exception("pin")
        assert "OSError: gone" in stream.getvalue()

    def test_python_warnings_too(self) -> None:
        stream = console()
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            logs.set_up(LogSettings(format="console"), "station", stream)
            warnings.warn("old way", DeprecationWarning, stacklevel=1)
        assert "old way" in stream.getvalue()

    def test_are_passed_on_once_after_a_second_set_up(self) -> None:
        console()
        stream = console()
        logging.getLogger("x").error("once")
        assert stream.getvalue().count("once") == 1

    def test_message_that_does_not_fit_its_arguments_is_still_shown(self) -> None:
        stream = console()
        record = logging.LogRecord("x", logging.ERROR, "", 0, "%d pictures", ("many",), None)
        # Not through the logger: pytest's own handler there refuses such a record.
        handlers = [h for h in logging.getLogger().handlers if type(h).__module__ == logs.__name__]
        for handler in handlers:
            handler.handle(record)
        assert "%d pictures" in stream.getvalue()
