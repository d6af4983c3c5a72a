from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from recorderd.aim.live import ASK_AGAIN, ASKED_FOR, FRESH, CodeInView, LiveOutlet, LiveView, View
from recorderd.errors import DeviceError

CODE = CodeInView(
    "SO-4711", ((0.1, 0.1), (0.2, 0.1), (0.2, 0.25), (0.1, 0.25)), 6.2, "SO-4711", True
)
STRANGER = CodeInView("line\nbreak", (), None, None, False)
VIEW = View(1000, 3840, 2160, 0.61, 0.44, 0.01, 0.0, (CODE, STRANGER), b"\xff\xd8\n{}\n\xff\xd9")


class Clock:
    def __init__(self) -> None:
        self.now = 1000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def outlet(tmp_path: Path, clock: Clock) -> LiveOutlet:
    outlet = LiveOutlet(tmp_path, clock=clock)
    outlet.open()
    return outlet


@pytest.fixture
def viewer(tmp_path: Path, clock: Clock) -> LiveView:
    return LiveView(tmp_path, clock=clock)


def test_a_view_is_read_as_it_was_published(outlet: LiveOutlet, viewer: LiveView) -> None:
    outlet.publish(VIEW)
    assert viewer.latest() == VIEW


def test_views_are_asked_for_only_for_a_while(
    outlet: LiveOutlet, viewer: LiveView, clock: Clock
) -> None:
    assert not outlet.asked()
    viewer.ask()
    assert outlet.asked()
    clock.now += ASKED_FOR
    assert outlet.asked()
    clock.now += 1
    assert not outlet.asked()


def test_whoever_goes_on_looking_asks_once_a_second(
    outlet: LiveOutlet, viewer: LiveView, clock: Clock, tmp_path: Path
) -> None:
    outlet.publish(VIEW)
    asked = tmp_path / "live" / "asked"
    moments = []
    for _ in range(9):
        assert viewer.look() == VIEW
        moments.append(int(asked.read_bytes()))
        clock.now += ASK_AGAIN // 4
    began = moments[0]
    assert moments == [*[began] * 4, *[began + ASK_AGAIN] * 4, began + 2 * ASK_AGAIN]


def test_a_station_that_comes_later_is_asked_at_once(tmp_path: Path, clock: Clock) -> None:
    viewer = LiveView(tmp_path / "later", clock=clock)
    with pytest.raises(DeviceError, match="is not running"):
        viewer.look()
    outlet = LiveOutlet(tmp_path / "later", clock=clock)
    outlet.open()
    assert viewer.look() is None
    assert outlet.asked()


def test_an_old_view_is_none(outlet: LiveOutlet, viewer: LiveView, clock: Clock) -> None:
    outlet.publish(VIEW)
    clock.now += FRESH
    assert viewer.latest() is not None
    clock.now += 1
    assert viewer.latest() is None


def test_a_view_from_before_the_computer_started_is_none(
    outlet: LiveOutlet, viewer: LiveView
) -> None:
    outlet.publish(replace(VIEW, monotonic_ns=10**15))
    assert viewer.latest() is None


def test_what_was_withdrawn_is_gone(outlet: LiveOutlet, viewer: LiveView, tmp_path: Path) -> None:
    outlet.publish(VIEW)
    outlet.withdraw()
    outlet.withdraw()
    assert viewer.latest() is None


def test_no_station_is_said_in_words(tmp_path: Path) -> None:
    viewer = LiveView(tmp_path / "nowhere")
    assert viewer.latest() is None
    with pytest.raises(DeviceError, match="is not running"):
        viewer.ask()


@pytest.mark.parametrize(
    "rubbish", [b"", b"\xff\xfe", b"-5000000000", b"9" * 5000, b"1e3", b"soon"]
)
def test_whatever_stands_in_the_wish_no_view_is_made(
    outlet: LiveOutlet, tmp_path: Path, rubbish: bytes
) -> None:
    (tmp_path / "live" / "asked").write_bytes(rubbish)
    assert not outlet.asked()


@pytest.mark.parametrize(
    "rubbish",
    [
        b"",
        b"{}",
        b"[]\n",
        b"[" * 100_000,
        b'{"codes": [{}]}\n',
        b'{"codes": []}\nx',
        json.dumps({"codes": [], "monotonic_ns": "now"}).encode() + b"\n",
    ],
)
def test_rubbish_is_no_view(viewer: LiveView, tmp_path: Path, rubbish: bytes) -> None:
    (tmp_path / "live").mkdir()
    (tmp_path / "live" / "view").write_bytes(rubbish)
    assert viewer.latest() is None


def test_nothing_half_written_is_left(outlet: LiveOutlet, viewer: LiveView, tmp_path: Path) -> None:
    viewer.ask()
    outlet.publish(VIEW)
    assert sorted(file.name for file in (tmp_path / "live").iterdir()) == ["asked", "view"]
    # Root may have asked under a narrow umask; the engine has to be able to read it.
    assert all(
        (tmp_path / "live" / name).stat().st_mode & 0o444 == 0o444 for name in ("asked", "view")
    )
