"""The simulated panel as its clients see it, through a real Unix socket."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from recorderd.core.events import PedalChanged
from recorderd.core.signals import Lamp, Signal, Tone
from recorderd.errors import DeviceError
from recorderd.panel.simulated import HOLD_MARGIN_SECONDS, MOST_CLIENTS, SimulatedPanel
from recorderd.panel.simulated_client import LONGEST_LINE_BYTES

from .listening import Listener, eventually
from .rigs import SocketClient

DOWN, UP = PedalChanged(True), PedalChanged(False)
HOLD_SECONDS = 0.05


class Bench:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.listener = Listener()
        self.panel = SimulatedPanel(path, HOLD_SECONDS, self.listener)
        self.clients: list[SocketClient] = []

    def client(self) -> SocketClient:
        """A client that has been told the present state."""
        client = SocketClient(self.path)
        self.clients.append(client)
        for _ in range(3):
            client.read()
        return client

    def wait_for_pedal(self, *changes: PedalChanged) -> None:
        self.listener.wait_for(lambda events: events == [UP, *changes])


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path / "run" / "panel.sock")
    yield bench
    for client in bench.clients:
        client.close()
    bench.panel.close()


def test_the_present_state_comes_first(bench: Bench) -> None:
    first = bench.client()
    bench.panel.announce(Signal.RECORDING)
    bench.panel.light(frozenset({Lamp.RED}))
    bench.panel.sound(Tone.HIGH)
    bench.panel.announce(Signal.STARTED)
    first.read_until("signal", "started")
    second = bench.client()
    second.read_until("signal", "recording")
    dark, present = (
        [{key: line[key] for key in line if key != "monotonic"} for line in client.lines]
        for client in (first, second)
    )
    assert dark[:3] == [
        {"lamp": "green", "on": False},
        {"lamp": "red", "on": False},
        {"buzzer": None},
    ]
    assert present == [
        {"lamp": "green", "on": False},
        {"lamp": "red", "on": True},
        {"buzzer": "high"},
        {"signal": "recording"},
    ]


def test_every_client_is_told_every_change_once_and_in_order(bench: Bench) -> None:
    clients = [bench.client(), bench.client()]
    before = time.monotonic()
    for lit in (frozenset({Lamp.GREEN}), frozenset({Lamp.GREEN}), frozenset({Lamp.RED})):
        bench.panel.light(lit)
    bench.panel.sound(Tone.LOW)
    bench.panel.sound(Tone.LOW)
    bench.panel.sound(None)
    bench.panel.announce(Signal.SAVED)
    after = time.monotonic()
    for client in clients:
        client.read_until("signal", "saved")
        told = client.lines[3:]
        times = [line.pop("monotonic") for line in told]
        assert told == [
            {"lamp": "green", "on": True},
            {"lamp": "green", "on": False},
            {"lamp": "red", "on": True},
            {"buzzer": "low"},
            {"buzzer": None},
            {"signal": "saved"},
        ]
        assert times == sorted(times)
        assert before - 1e-5 <= times[0]
        assert times[-1] <= after + 1e-5


def test_press_and_release_move_the_contact(bench: Bench) -> None:
    client = bench.client()
    client.write(b"press\npress\nrelease\nrelease\npress\n")
    bench.wait_for_pedal(DOWN, UP, DOWN)


def test_several_commands_may_come_in_pieces(bench: Bench) -> None:
    client = bench.client()
    client.write(b"pre")
    client.write(b"ss\r\nrel")
    bench.wait_for_pedal(DOWN)
    client.write(b"ease\n")
    bench.wait_for_pedal(DOWN, UP)


def test_hold_opens_the_contact_by_itself_after_its_time(bench: Bench) -> None:
    client = bench.client()
    start = time.monotonic()
    client.write(b"hold\n")
    bench.wait_for_pedal(DOWN, UP)
    assert time.monotonic() - start >= HOLD_SECONDS + HOLD_MARGIN_SECONDS


def test_release_ends_a_hold_and_press_prolongs_it(bench: Bench) -> None:
    client = bench.client()
    client.write(b"hold\nrelease\nhold\npress\n")
    bench.wait_for_pedal(DOWN, UP, DOWN)
    # Longer than a hold takes, which a press has made endless.
    client.write(b"nonsense\n")
    client.read_until("error", "unknown command 'nonsense': press, release or hold")
    client.connection.settimeout(HOLD_SECONDS + HOLD_MARGIN_SECONDS + 0.1)
    with pytest.raises(TimeoutError):
        client.read()
    bench.wait_for_pedal(DOWN, UP, DOWN)


def test_unknown_lines_are_answered_with_an_error(bench: Bench) -> None:
    client, other = bench.client(), bench.client()
    client.write(b"\xff<dance>\n\nrelease\n")
    assert set(client.read() or {}) == {"error"}
    assert set(client.read() or {}) == {"error"}
    bench.panel.announce(Signal.SAVED)
    other.read_until("signal", "saved")
    assert all("error" not in line for line in other.lines)


@pytest.mark.parametrize("in_pieces", [False, True])
def test_lines_are_limited(bench: Bench, in_pieces: bool) -> None:
    client = bench.client()
    long = b"x" * (LONGEST_LINE_BYTES + 1)
    if in_pieces:
        client.write(long)
        client.read()
        client.write(long)
        client.write(long + b"\npress\n")
    else:
        client.write(long + b"\npress\n")
    bench.wait_for_pedal(DOWN)
    bench.panel.announce(Signal.SAVED)
    client.read_until("signal", "saved")
    errors = [line["error"] for line in client.lines if "error" in line]
    assert errors == ["a line may have 256 bytes"]


def test_a_line_of_the_longest_length_is_read(bench: Bench) -> None:
    client = bench.client()
    client.write(b" " * (LONGEST_LINE_BYTES - len(b"press")) + b"press\n")
    bench.wait_for_pedal(DOWN)


def test_a_client_that_leaves_disturbs_nobody(bench: Bench) -> None:
    leaving, staying = bench.client(), bench.client()
    leaving.write(b"press\n")
    leaving.close()
    bench.wait_for_pedal(DOWN)
    bench.panel.announce(Signal.SAVED)
    staying.read_until("signal", "saved")


def test_a_client_that_does_not_read_is_disconnected_and_not_waited_for(bench: Bench) -> None:
    lazy, keen = SocketClient(bench.path), bench.client()
    lazy.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    for _ in range(100):
        for _ in range(100):
            bench.panel.announce(Signal.SAVED)
        bench.panel.announce(Signal.REFUSED)
        keen.read_until("signal", "refused")
    lazy.read_to_end()
    assert sum("signal" in line for line in lazy.lines[:-1]) < 100 * 101
    lazy.close()


def test_only_so_many_clients_are_let_in(bench: Bench) -> None:
    for _ in range(MOST_CLIENTS):
        bench.client()
    refused = SocketClient(bench.path)
    refused.read_to_end()
    assert [set(line) for line in refused.lines] == [{"error"}]
    refused.close()
    bench.clients.pop().close()
    assert eventually(lambda: _is_let_in(bench))


def _is_let_in(bench: Bench) -> bool:
    client = SocketClient(bench.path)
    try:
        return "lamp" in (client.read() or {})
    finally:
        client.close()


def test_the_socket_is_for_owner_and_group_and_is_removed_on_close(bench: Bench) -> None:
    assert stat.S_IMODE(bench.path.stat().st_mode) == 0o660
    client = bench.client()
    bench.panel.light(frozenset(Lamp))
    client.write(b"press\n")
    bench.wait_for_pedal(DOWN)
    bench.panel.close()
    client.read_to_end()
    assert client.lit == frozenset()
    assert list(bench.path.parent.iterdir()) == []
    assert "panel-socket" not in [thread.name for thread in threading.enumerate()]
    bench.wait_for_pedal(DOWN, UP)


def test_a_live_socket_is_refused_and_goes_on_working(bench: Bench) -> None:
    with pytest.raises(DeviceError, match="Another process serves"):
        SimulatedPanel(bench.path, HOLD_SECONDS, Listener())
    bench.client().write(b"press\n")
    bench.wait_for_pedal(DOWN)


def test_the_socket_of_a_dead_process_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s"
    code = "import socket,sys; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen()"
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
    assert path.is_socket()
    with closing(SimulatedPanel(path, HOLD_SECONDS, Listener())):
        SocketClient(path).close()


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_text("precious")
    with pytest.raises(DeviceError, match="is no socket"):
        SimulatedPanel(path, HOLD_SECONDS, Listener())
    assert path.read_text() == "precious"


@pytest.mark.parametrize("name", ["x" * 120, "file/s"])
def test_a_socket_that_cannot_be_made_is_a_device_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DeviceError, match="cannot be made"):
        SimulatedPanel(tmp_path / name, HOLD_SECONDS, Listener())
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_closing_leaves_the_socket_of_a_successor_alone(bench: Bench) -> None:
    bench.path.unlink()
    with closing(SimulatedPanel(bench.path, HOLD_SECONDS, Listener())):
        bench.panel.close()
        SocketClient(bench.path).close()


def test_a_dead_thread_is_an_error_for_the_player(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("no more")

    monkeypatch.setattr(bench.panel, "_obey", fail)
    client = bench.client()
    client.write(b"press\n")
    client.read_to_end()
    assert eventually(lambda: not bench.panel._thread.is_alive())
    with pytest.raises(DeviceError, match="no more"):
        bench.panel.light(frozenset())


def test_lines_are_json_with_microseconds(bench: Bench) -> None:
    with socket.socket(socket.AF_UNIX) as raw:
        raw.settimeout(10)
        raw.connect(os.fspath(bench.path))
        line = raw.makefile().readline()
    content = json.loads(line)
    assert list(content) == ["monotonic", "lamp", "on"]
    assert content["monotonic"] == round(content["monotonic"], 6)
