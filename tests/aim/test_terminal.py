from __future__ import annotations

import contextlib
import io
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest

from recorderd import cli
from recorderd.aim import terminal
from recorderd.aim.live import CodeInView, LiveOutlet, View
from recorderd.aim.placement import placement, table
from recorderd.errors import DeviceError
from recorderd.settings import CameraSettings, Settings, StationSettings

LABEL = CodeInView("SO-4711", (), 6.2, "SO-4711", True)
VIEW = View(0, 3840, 2160, 0.5, 0.45, 0.0, 0.0, (LABEL,), b"")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Station:
    """Publishes a view for each look; somebody presses Ctrl-C after the last one."""

    def __init__(self, settings: Settings, views: list[View]) -> None:
        self.outlet = LiveOutlet(settings.run_folder)
        self.outlet.open()
        self.views = views
        self.now = 0.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if not self.views:
            raise KeyboardInterrupt
        assert self.outlet.asked()
        self.outlet.publish(replace(self.views.pop(0), monotonic_ns=time.monotonic_ns()))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(station=StationSettings(state_folder=str(tmp_path), run_folder=str(tmp_path)))


def shown(
    settings: Settings, views: list[View], out: io.StringIO | None = None, **options: bool
) -> str:
    out = out or io.StringIO()
    station = Station(settings, [*views, *views[-1:]])
    with contextlib.suppress(KeyboardInterrupt):
        terminal.run_aim(settings, out=out, clock=station.clock, sleep=station.sleep, **options)
    return out.getvalue()


def test_focus_light_and_label_in_one_line(settings: Settings) -> None:
    first, *_ = shown(settings, [VIEW]).splitlines()
    assert first == (
        "focus  50 [#####|....] best 50 | order SO-4711, 6.2 pixels a module: good margin | "
        "good light, nearly sharp"
    )


def test_the_best_so_far_is_remembered(settings: Settings) -> None:
    lines = shown(settings, [replace(VIEW, focus=0.8), replace(VIEW, focus=0.2)]).splitlines()
    assert lines[0].startswith("focus  80 [########|.] best 80 |")
    assert lines[1].startswith("focus  20 [##......|.] best 80 |")
    assert lines[1].endswith("blurred")


def test_once_is_one_line(settings: Settings) -> None:
    assert len(shown(settings, [VIEW, VIEW], once=True).splitlines()) == 1


def test_the_bell_rings_faster_when_it_is_sharper(settings: Settings) -> None:
    counts = [
        shown(settings, [replace(VIEW, focus=focus)] * 40, tone=True).count("\a")
        for focus in (0.1, 0.5, 0.9)
    ]
    assert counts == sorted(set(counts)), counts
    assert "\a" not in shown(settings, [VIEW])


def test_a_terminal_sees_one_line_that_changes(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    said = shown(settings, [VIEW, replace(VIEW, focus=0.7)], Terminal())
    assert said.count("\n") == 1
    parts = said.strip("\n").split("\r")[1:]
    assert len(parts) >= 2
    assert all(len(part.removesuffix("\x1b[K")) <= 59 for part in parts)


def test_a_hostile_label_moves_no_cursor(settings: Settings) -> None:
    label = replace(LABEL, text="\x1b[2J", order=None)
    assert "\x1b" not in shown(settings, [replace(VIEW, codes=(label,))])


def test_no_station_is_said_at_once(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DeviceError, match="not running"):
        terminal.run_aim(settings)


def test_no_picture_is_said_after_a_while(settings: Settings) -> None:
    LiveOutlet(settings.run_folder).open()
    passed = [0.0]

    def sleep(seconds: float) -> None:
        passed[0] += seconds

    with pytest.raises(DeviceError, match="The station is not running"):
        terminal.run_aim(settings, out=io.StringIO(), clock=lambda: passed[0], sleep=sleep)
    assert passed[0] == pytest.approx(terminal.SILENCE_SECONDS, abs=0.3)


def test_how_large_a_label_must_be() -> None:
    """Sixty centimetres on 3840 pixels: 0.156 mm a pixel, five of them to a module."""
    row = placement(60, 3840)
    assert row.module == pytest.approx(0.78, abs=0.01)
    assert row.edges[0] == pytest.approx(21 * 0.78125)
    # A lens of 90 degrees sees twice its distance.
    assert row.distances[-1] == pytest.approx(30)


def test_half_the_pixels_need_twice_the_label() -> None:
    assert placement(60, 1920).edges[0] == 2 * placement(60, 3840).edges[0]


def test_the_readme_shows_the_table() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    for line in table(CameraSettings().width):
        assert line in readme


def test_from_the_command_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert cli.main(["aim", "--table"]) == 0
    assert re.search(r"\| 60 cm \| .* 0\.8 mm", capsys.readouterr().out)
    file = tmp_path / "recorderd.toml"
    file.write_text("[camera]\nsource = 'simulated'\n")
    assert cli.main(["aim", "--controls", "--config", str(file)]) == 1
    assert "Only a v4l2 camera" in capsys.readouterr().err
