"""`recorderd status`: from the published document to plain lines and an exit code."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from recorderd.settings import Settings, StationSettings
from recorderd.status import (
    NotRunning,
    finisher_in_words,
    in_words,
    read_finisher,
    read_status,
    run_status,
)
from recorderd.store.identity import boot_id
from tests.store.shelf import Shelf

SECOND = 1_000_000_000

DOCUMENT: dict[str, Any] = {
    "updated_at": "2026-01-01T08:00:00Z",
    "monotonic_ns": 100 * SECOND,
    "boot_id": "this-boot",
    "pid": 4242,
    "station": "bench-7",
    "phase": "recording",
    "order": "4711",
    "signal": "recording",
    "faults": {},
    "camera": {"codec": "mjpeg", "width": 3840, "height": 2160, "problem": None},
    "mode": {"mode": "encode", "encoder": "libx264", "reason": "1.6 times the camera's rate"},
    "disk": {"free_bytes": 123_400_000_000},
    "recordings": [{"order": "4711", "take": 2, "state": "recording"}],
    "counters": {"frames": 900, "dropped": 0},
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    state = str(tmp_path / "state")
    return Settings(station=StationSettings(state_folder=state, run_folder=str(tmp_path)))


def publish(settings: Settings, **changes: object) -> None:
    """What a station would have published a moment ago."""
    now = {"monotonic_ns": time.monotonic_ns(), "boot_id": boot_id()}
    settings.status_file.write_text(json.dumps(DOCUMENT | now | changes))


def read(folder: Path, text: str | bytes, now: float = 100.0) -> dict[str, Any] | NotRunning:
    file = folder / "status.json"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_status(file, round(now * SECOND), "this-boot")


class TestReading:
    @pytest.mark.parametrize("age", [0.0, 1.0, 5.0])
    def test_fresh_status_is_believed(self, age: float, tmp_path: Path) -> None:
        assert read(tmp_path, json.dumps(DOCUMENT), 100 + age) == DOCUMENT

    def test_old_one_is_not(self, tmp_path: Path) -> None:
        status = read(tmp_path, json.dumps(DOCUMENT), 106)
        assert isinstance(status, NotRunning)
        assert status.problem == "its last status is 6 seconds old"
        assert "journalctl" in status.remedy

    def test_that_of_an_earlier_boot_is_not_however_its_clock_stood(self, tmp_path: Path) -> None:
        status = read(tmp_path, json.dumps(DOCUMENT | {"boot_id": "earlier"}))
        assert isinstance(status, NotRunning)
        assert "before this machine was started" in status.problem

    def test_missing_one_says_how_to_start(self, tmp_path: Path) -> None:
        status = read_status(tmp_path / "none.json", 0, "this-boot")
        assert isinstance(status, NotRunning)
        assert "does not exist" in status.problem
        assert "systemctl start recorderd" in status.remedy

    def test_one_that_may_not_be_read_says_so(self, tmp_path: Path) -> None:
        status = read_status(tmp_path, 0, "this-boot")
        assert isinstance(status, NotRunning)
        assert "cannot be read (Is a directory)" in status.problem

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "{",
            "[]",
            "3",
            '"text"',
            "{}",
            '{"monotonic_ns": "1", "boot_id": "this-boot"}',
            '{"monotonic_ns": null, "boot_id": "this-boot"}',
            '{"monotonic_ns": 1}',
            b"\xff\xfe",
            "[" * 100_000,
        ],
    )
    def test_anything_else_is_refused(self, text: str | bytes, tmp_path: Path) -> None:
        status = read(tmp_path, text)
        assert isinstance(status, NotRunning)
        assert "is not a status of recorderd" in status.problem


class TestWords:
    def test_say_what_matters(self) -> None:
        assert in_words(DOCUMENT | {"faults": {"camera": "The camera is gone"}}) == [
            "bench-7: recording 4711",
            "  signal     recording",
            "  camera     codec mjpeg, width 3840, height 2160",
            "  mode       encode libx264",
            "             1.6 times the camera's rate",
            "  disk       123.4 GB free",
            "  recording  order 4711, take 2, state recording",
            "  counters   frames 900, dropped 0",
            "  FAULT      camera: The camera is gone",
        ]

    def test_say_how_many_orders_still_fit(self) -> None:
        room = "room for about 2,000 more orders"
        assert f"  disk       123.4 GB free: {room}" in in_words(DOCUMENT, room)

    def test_leave_out_what_is_not_known(self) -> None:
        assert in_words({"station": "bench-7", "phase": "ready", "order": None}) == [
            "bench-7: ready"
        ]

    @pytest.mark.parametrize("junk", [None, 3, "text", [], {}, [[]], {"a": {"b": []}}])
    def test_survive_any_document(self, junk: object) -> None:
        assert in_words(dict.fromkeys(DOCUMENT, junk))

    def test_are_safe_for_a_terminal(self) -> None:
        hostile = "\x1b[2J\nbench-8: ready\u202e"
        lines = in_words(
            DOCUMENT
            | dict.fromkeys(("station", "order", "phase", "signal"), hostile)
            | {key: {hostile: hostile} for key in ("faults", "camera", "counters")}
            | {"recordings": [{hostile: hostile}], "mode": {"mode": hostile, "reason": hostile}}
        )
        assert all(line.isprintable() for line in lines)


FINISHER: dict[str, Any] = {
    "monotonic_ns": 100 * SECOND,
    "boot_id": "this-boot",
    "doing": {"job": "transcode", "recording_id": "id-1", "order": "SO-1", "percent": 45},
    "resting": False,
    "waiting": {"thumbnail": 0, "transcode": 4, "fingerprint": 1},
    "failing": 0,
    "last_failure": None,
    "hindrance": None,
}


class TestFinisher:
    @pytest.mark.parametrize("age", [0.0, 15.0])
    def test_fresh_one_is_believed(self, age: float, tmp_path: Path) -> None:
        file = tmp_path / "finisher.json"
        file.write_text(json.dumps(FINISHER))
        assert read_finisher(file, round((100 + age) * SECOND), "this-boot") == FINISHER

    @pytest.mark.parametrize(
        ("text", "now"),
        [
            (json.dumps(FINISHER), 116),
            (json.dumps(FINISHER | {"boot_id": "earlier"}), 100),
            ("", 100),
            ("[]", 100),
            ("null", 100),
            ('{"monotonic_ns": "1"}', 100),
            ("[" * 100_000, 100),
        ],
    )
    def test_anything_else_is_not(self, text: str, now: float, tmp_path: Path) -> None:
        file = tmp_path / "finisher.json"
        assert read_finisher(file, 0, "this-boot") is None
        file.write_text(text)
        assert read_finisher(file, round(now * SECOND), "this-boot") is None

    def test_says_what_it_does_and_what_waits(self) -> None:
        assert finisher_in_words(FINISHER) == ["  finisher   encoding SO-1, 45 %, 3 wait"]
        resting = FINISHER | {"resting": True, "waiting": {"transcode": 2}}
        assert finisher_in_words(resting) == [
            "  finisher   encoding SO-1, 45 %, rests while an order is recorded, 1 waits"
        ]
        idle = FINISHER | {"doing": None, "waiting": {"transcode": 0}}
        assert finisher_in_words(idle) == ["  finisher   nothing to do"]
        assert "does not run" in finisher_in_words(None)[0]

    def test_says_what_failed_and_what_to_do(self) -> None:
        failure = {
            "job": "transcode",
            "recording_id": "id-1",
            "tries": 2,
            "retry_at": "2026-07-04T12:00:00+00:00",
            "problem": "The encoder\nfailed",
            "remedy": "Try another",
        }
        failing = FINISHER | {
            "failing": 2,
            "last_failure": failure,
            "hindrance": "The disk is full",
        }
        lines = finisher_in_words(failing)
        assert lines[1:] == [
            "             The disk is full",
            "             2 failed; the last: transcode of id-1, try 2",
            "             The encoder\\nfailed. Try another.",
            "             It is tried again at 2026-07-04T12:00:00+00:00",
        ]
        given_up = failing | {"last_failure": failure | {"retry_at": None}}
        assert "--try-again" in finisher_in_words(given_up)[-1]

    @pytest.mark.parametrize("junk", [None, 3, "text", [], {}, [[]], {"a": {"b": []}}])
    def test_survives_any_document(self, junk: object) -> None:
        assert finisher_in_words(dict.fromkeys(FINISHER, junk))


class TestCommand:
    def test_healthy_station_is_0(
        self, settings: Settings, capsys: pytest.CaptureFixture[str]
    ) -> None:
        publish(settings)
        assert run_status(settings, as_json=False) == 0
        assert capsys.readouterr().out.startswith("bench-7: recording 4711\n")

    def test_room_is_told_by_the_real_sizes(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        shelf = Shelf(tmp_path, free_gigabytes=10.0)
        shelf.settings.run_folder.mkdir()
        publish(shelf.settings, disk={"free_bytes": 10_050_000_000})
        run_status(shelf.settings, as_json=False)
        assert "  disk       10.1 GB free\n" in capsys.readouterr().out
        for size in (10_000_000, 30_000_000):
            shelf.put(size=size)
        run_status(shelf.settings, as_json=False)
        shelf.catalogue.close()
        expected = "room for about 500 more orders, then the oldest videos make room\n"
        assert expected in capsys.readouterr().out

    def test_fault_is_1(self, settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
        publish(settings, faults={"disk-space": "2 GB left"})
        assert run_status(settings, as_json=False) == 1
        assert "FAULT      disk-space: 2 GB left" in capsys.readouterr().out

    def test_no_station_is_1_with_a_remedy(
        self, settings: Settings, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run_status(settings, as_json=False) == 1
        assert "The station is not running: " in (out := capsys.readouterr().out)
        assert "systemctl start recorderd" in out

    def test_json_is_the_document(
        self, settings: Settings, capsys: pytest.CaptureFixture[str]
    ) -> None:
        publish(settings, faults={"camera": "gone"})
        assert run_status(settings, as_json=True) == 1
        printed = json.loads(capsys.readouterr().out)
        assert printed["running"] is True
        assert printed == json.loads(settings.status_file.read_text()) | {
            "running": True,
            "set_aside": 0,
            "finisher": None,
        }

    def test_finisher_is_told_of_in_words_and_json(
        self, settings: Settings, capsys: pytest.CaptureFixture[str]
    ) -> None:
        publish(settings)
        now = {"monotonic_ns": time.monotonic_ns(), "boot_id": boot_id()}
        settings.finisher_file.write_text(json.dumps(FINISHER | now))
        assert run_status(settings, as_json=False) == 0
        assert "  finisher   encoding SO-1, 45 %, 3 wait\n" in capsys.readouterr().out
        assert run_status(settings, as_json=True) == 0
        assert json.loads(capsys.readouterr().out)["finisher"] == FINISHER | now

    def test_what_is_set_aside_is_counted(
        self, settings: Settings, capsys: pytest.CaptureFixture[str]
    ) -> None:
        publish(settings)
        settings.set_aside_folder.mkdir(parents=True)
        (settings.set_aside_folder / "one.1.mp4").touch()
        assert run_status(settings, as_json=False) == 0
        assert "set aside  1 file out of the way" in capsys.readouterr().out

    def test_json_says_when_there_is_none(
        self, settings: Settings, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run_status(settings, as_json=True) == 1
        printed = json.loads(capsys.readouterr().out)
        assert printed["running"] is False
        assert printed["problem"]
        assert printed["remedy"]
