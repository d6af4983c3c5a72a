"""The demo: the real services on a simulated bench, and a table of what came of it.

Only camera, lamps, pedal and the packer's foot are simulated (`recorderd.bench.try_out`).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from recorderd.bench.try_out import TryOut, own_environment
from recorderd.core.signals import APPEARANCES, Signal
from recorderd.engine.sources.bench_script import moments
from recorderd.errors import RecorderdError
from recorderd.store.reader import RecordingRow, find
from recorderd.terminal import escaped

RECORDERD = Path(sys.executable).parent / "recorderd"
FOLDER = Path("/var/tmp/recorderd-demo")  # noqa: S108 - a fixed place, so that disks do not fill
MOST_ROWS = 1000
MANY_CYCLES = 10_000


def main() -> int:
    options = _options()
    camera, orders = _camera(options)
    _fresh_folder()
    port = _free_port()
    station = TryOut(FOLDER, _sections(camera, port), _narrator(options))
    _say(options, f"Everything of this run is in {FOLDER}")
    if options.video is None:
        _say(options, "\nWhat can encode here:")
        subprocess.run(
            [RECORDERD, "doctor", "--encoders", "--config", station.config],
            stdout=sys.stderr if options.json else None,
            env=own_environment(),
            check=False,
        )
    _say(options, "\nThe station starts. What it says goes to station.log there.")
    _say(options, f"Its pages for the office: http://127.0.0.1:{port}/ {_also_at(port)}\n")
    try:
        station.start()
        if options.video is not None:
            station.wait()
        else:
            station.pack(MANY_CYCLES if options.keep else 1)
    except KeyboardInterrupt:
        _say(options, "\nStopping.")
    except RecorderdError as error:
        sys.exit(f"scripts/demo: {error}")
    finally:
        exit_code = station.close()
        _write_transcript(station.transcript)
    rows = find(station.settings.database_url, "", MOST_ROWS)
    rows.sort(key=lambda row: row.started_at)
    if options.json:
        print(json.dumps(_document(rows, station.transcript), indent=2, default=str))
    else:
        _print_result(rows, station.transcript)
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


def _sections(camera: dict[str, Any], port: int) -> dict[str, dict[str, Any]]:
    return {
        "station": {"name": "demo"},
        "camera": camera,
        "storage": {"minimum_free_gigabytes": 1.0},
        "web": {"port": port},
    }


def _say(options: argparse.Namespace, text: str) -> None:
    print(text, file=sys.stderr if options.json else sys.stdout, flush=True)


def _narrator(options: argparse.Namespace) -> Callable[[Signal, float], None]:
    """Says each signal with the seconds since the first one."""
    moments_seen: list[float] = []

    def narrate(signal: Signal, at: float) -> None:
        moments_seen.append(at)
        _say(options, f"  {at - moments_seen[0]:6.2f} s  {_words(signal)}")

    return narrate


def _write_transcript(transcript: list[dict[str, Any]]) -> None:
    with (FOLDER / "panel.jsonl").open("w") as file:
        file.writelines(json.dumps(line) + "\n" for line in transcript)


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
