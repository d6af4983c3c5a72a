"""The demo: the real services on a simulated bench, and a table of what came of it.

Only camera, lamps and pedal are simulated; the packer's foot is played by this program, which
presses the pedal through the simulated panel's socket when the script of the bench says so.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from recorderd.config import toml_value
from recorderd.core.signals import APPEARANCES, Signal
from recorderd.engine.sources.bench_script import CYCLE_SECONDS, StopBy, moments
from recorderd.store.reader import RecordingRow, find
from recorderd.terminal import escaped

RECORDERD = Path(sys.executable).parent / "recorderd"
FOLDER = Path("/var/tmp/recorderd-demo")  # noqa: S108 - a fixed place, so that disks do not fill
MOST_ROWS = 1000
STARTING_SECONDS = 30
PATIENCE_SECONDS = 60


def main() -> int:
    options = _options()
    camera, orders = _camera(options)
    _fresh_folder()
    config = FOLDER / "recorderd.toml"
    port = _free_port()
    config.write_text(_config(camera, port))
    _say(options, f"Everything of this run is in {FOLDER}")
    if options.video is None:
        _say(options, "\nWhat can encode here:")
        subprocess.run(
            [RECORDERD, "doctor", "--encoders", "--config", config],
            stdout=sys.stderr if options.json else None,
            check=False,
        )
    _say(options, "\nThe station starts. What it says goes to station.log there.")
    _say(options, f"Its pages for the office: http://127.0.0.1:{port}/ {_also_at(port)}\n")
    with (FOLDER / "station.log").open("w") as log:
        station = subprocess.Popen(
            [RECORDERD, "run", "--all", "--config", config], stdout=log, stderr=log
        )
        bench = Bench(options, station)
        try:
            bench.play(orders, keep=options.keep)
        except KeyboardInterrupt:
            _say(options, "\nStopping.")
        finally:
            exit_code = bench.close()
    rows = find(f"sqlite:///{FOLDER}/state/catalogue.db", "", MOST_ROWS)
    rows.sort(key=lambda row: row.started_at)
    if options.json:
        print(json.dumps(_document(rows, bench.transcript), indent=2, default=str))
    else:
        _print_result(rows, bench.transcript)
    complete = {row.order_id for row in rows if row.state == "saved"} >= set(orders)
    if not rows and options.video is not None and not exit_code:
        _say(options, "\nNo order label was read in this video, so nothing was recorded.")
        return 0
    if exit_code or not rows or not complete:
        print(f"\nNot all went as it should: see {FOLDER}/station.log", file=sys.stderr)
        return 1
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("--video", type=Path, metavar="FILE", help="play this video as camera")
    parser.add_argument("--rate", type=float, default=10, help="pictures a second (default: 10)")
    parser.add_argument("--keep", action="store_true", help="go on until Ctrl-C")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser.parse_args()


def _camera(options: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    """The camera's settings, and the orders that will be shown to it as far as is known."""
    if options.video is None:
        orders = [order.order_id for order in moments(0)]
        return {"source": "simulated", "rate": float(options.rate)}, orders
    video = options.video.resolve()
    if not video.is_file():
        sys.exit(f"scripts/demo: {video} is not a file")
    return {"source": f"file:{video}", "loop": bool(options.keep)}, []


def _fresh_folder() -> None:
    if FOLDER.is_symlink():
        sys.exit(f"scripts/demo: {FOLDER} is a link; remove it first")
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(mode=0o700)


def _free_port() -> int:
    """8080, or any other if somebody has it."""
    for port in (8080, 0):
        with contextlib.suppress(OSError), socket.create_server(("", port)) as listener:
            return int(listener.getsockname()[1])
    sys.exit("scripts/demo: no TCP port is free")


def _also_at(port: int) -> str:
    """The address for other devices in the network; nothing is sent to find it out."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return f"(in the network: http://{probe.getsockname()[0]}:{port}/)"
    return ""


def _config(camera: dict[str, Any], port: int) -> str:
    sections: dict[str, dict[str, Any]] = {
        "station": {
            "name": "demo",
            "state_folder": f"{FOLDER}/state",
            "run_folder": f"{FOLDER}/run",
        },
        "camera": camera,
        "panel": {"driver": "simulated"},
        "storage": {"minimum_free_gigabytes": 1.0},
        "web": {"port": port},
        "log": {"format": "console"},
    }
    return "\n".join(
        f"[{name}]\n" + "".join(f"{key} = {toml_value(value)}\n" for key, value in keys.items())
        for name, keys in sections.items()
    )


def _say(options: argparse.Namespace, text: str) -> None:
    print(text, file=sys.stderr if options.json else sys.stdout, flush=True)


class Bench:
    """The packer and the onlooker: presses the pedal, and writes down lamps and buzzer."""

    def __init__(self, options: argparse.Namespace, station: subprocess.Popen[bytes]) -> None:
        self.transcript: list[dict[str, Any]] = []
        self._options = options
        self._station = station
        self._panel = self._connect()
        self._reader = threading.Thread(target=self._read, name="panel reader")
        self._reader.start()

    def play(self, orders: list[str], *, keep: bool) -> None:
        """Return when all is recorded and the station is ready again, or has ended."""
        presses = {
            order.order_id: order.stops - order.shown
            for cycle in range(100 if keep else 1)
            for order in moments(cycle)
            if order.stop_by is StopBy.PEDAL and orders
        }
        deadline = time.monotonic() + STARTING_SECONDS + CYCLE_SECONDS + PATIENCE_SECONDS
        last_order = None
        while self._station.poll() is None:
            status = self._status()
            order, seconds = status.get("order"), status.get("recording_seconds") or 0.0
            if order in presses and seconds >= presses[order]:
                del presses[order]
                _say(self._options, f"  The packer presses the pedal ({order}).")
                self._panel.sendall(b"press\n")
                time.sleep(0.2)
                self._panel.sendall(b"release\n")
            last_order = order or last_order
            if not keep and orders:
                if last_order == orders[-1] and status.get("phase") == "ready":
                    return
                if time.monotonic() > deadline:
                    return
            time.sleep(0.1)

    def close(self) -> int:
        if self._station.poll() is None:
            self._station.send_signal(signal.SIGTERM)
        exit_code = self._station.wait()
        self._reader.join()
        self._panel.close()
        with (FOLDER / "panel.jsonl").open("w") as file:
            file.writelines(json.dumps(line) + "\n" for line in self.transcript)
        return exit_code

    def _connect(self) -> socket.socket:
        deadline = time.monotonic() + STARTING_SECONDS
        while True:
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(f"{FOLDER}/run/panel.sock")
                return connection
            except OSError:
                connection.close()
                if self._station.poll() is not None or time.monotonic() > deadline:
                    sys.exit(f"scripts/demo: the station did not start: see {FOLDER}/station.log")
                time.sleep(0.05)

    def _read(self) -> None:
        with self._panel.makefile("r", encoding="utf-8") as lines:
            for text in lines:
                line = json.loads(text)
                self.transcript.append(line)
                if "signal" in line:
                    signal_seen = Signal(line["signal"])
                    _say(
                        self._options, f"  {_moment(self.transcript, line)}  {_words(signal_seen)}"
                    )

    def _status(self) -> dict[str, Any]:
        try:
            document = json.loads((FOLDER / "run/status.json").read_text())
        except (OSError, ValueError):
            return {}
        return document if isinstance(document, dict) else {}


def _moment(transcript: list[dict[str, Any]], line: dict[str, Any]) -> str:
    return f"{line['monotonic'] - transcript[0]['monotonic']:6.2f} s"


def _words(seen: Signal) -> str:
    appearance = APPEARANCES[seen]
    parts = [
        part for part in (appearance.lamps_in_words, appearance.buzzer_in_words) if part != "-"
    ]
    return f"{appearance.meaning:<56} {'; '.join(parts)}"


def _document(rows: list[RecordingRow], transcript: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "folder": str(FOLDER),
        "recordings": [
            {**asdict(row), "file": str(FOLDER / "state/footage" / row.path)} for row in rows
        ],
        "panel": transcript,
    }


def _print_result(rows: list[RecordingRow], transcript: list[dict[str, Any]]) -> None:
    print(f"\nLamps and buzzer changed {len(transcript)} times; each change is in panel.jsonl.")
    header = (
        "order",
        "take",
        "part",
        "stopped by",
        "length",
        "codec",
        "encoder",
        "size",
        "dropped",
        "state",
    )
    table = [header] + [
        (
            escaped(row.order_id),
            str(row.take),
            str(row.part),
            row.stop_reason or "-",
            f"{(row.duration_ms or 0) / 1000:.1f} s",
            row.codec or "-",
            row.encoder or (row.mode or "-"),
            f"{(row.bytes or 0) / 1e6:.1f} MB",
            str(row.dropped),
            row.state,
        )
        for row in rows
    ]
    widths = [max(len(cell) for cell in column) for column in zip(*table, strict=True)]
    print()
    for cells in table:
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)))
    print("\nThe videos:")
    for row in rows:
        print(f"  {FOLDER / 'state/footage' / row.path}")
    print(f"\nLook at them in a browser: {RECORDERD} web --config {FOLDER}/recorderd.toml")


if __name__ == "__main__":
    sys.exit(main())
