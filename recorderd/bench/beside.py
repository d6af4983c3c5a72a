"""`recorderd bench beside`: what downloads do to the recording that goes on beside them.

A real station with all its services records the simulated bench's four orders, once alone and
then while 20 clients download a large file through its own pages. The clients have the lowest
priority, since on a real station they are other machines.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from recorderd.bench import processes
from recorderd.bench.client import Load, Outcome, Running
from recorderd.bench.large_file import add_large_file
from recorderd.bench.report import machine, number, table
from recorderd.bench.servers import free_port, wait_for_port
from recorderd.bench.trials import one_after_another
from recorderd.bench.try_out import TryOut
from recorderd.core.model import Mode, RecordingState
from recorderd.core.signals import Signal
from recorderd.doctor.encoders import encoder_table
from recorderd.engine.sources.bench_script import ScriptedOrder, moments
from recorderd.errors import DeviceError
from recorderd.settings import Settings
from recorderd.store.reader import RecordingRow, find

DOWNLOADS: Final = 20
GIGABIT: Final = 117e6
"""What gigabit Ethernet carries of files, in bytes a second."""

_RATES: Final = (30.0, 20.0, 15.0, 10.0, 5.0, 2.0)
_SPARE: Final = 2.0
"""The encoder must do so many times the rate: the simulated camera's pictures cost, too."""
_LOWEST_PRIORITY: Final = 19
_LONGEST_SECONDS: Final = 600.0
_MOST_ROWS: Final = 1000


@dataclass(frozen=True, slots=True)
class Circumstances:
    """Beside what an order is recorded. `held_back`: the pages keep to the limit that they have
    by default while an order is recorded. `bytes_per_second` is what the network carries."""

    name: str
    downloads: int
    held_back: bool
    bytes_per_second: float | None = None


ALL_CIRCUMSTANCES: Final = (
    Circumstances("alone", 0, held_back=True),
    Circumstances("20 downloads, as shipped", DOWNLOADS, held_back=True),
    Circumstances("20 downloads, no limit, gigabit network", DOWNLOADS, False, GIGABIT),
    Circumstances("20 downloads, no limit, loopback", DOWNLOADS, held_back=False),
)


@dataclass(frozen=True, slots=True)
class Figures:
    """What came of one run. Times are in seconds, of each recording in turn.

    `dropped` pictures are those the recorder counts as such; `missing` are all that the
    recordings' lengths ask for and their files do not hold, also those that the camera could
    not hand over. `label_to_beep` is from when the label lies still, which may be after it was
    first read; a difference between runs says more than the time itself.
    """

    name: str
    orders: int
    saved: int
    frames: int
    dropped: int
    missing: int
    damaged: int
    faults: int
    stop_to_saved: list[float]
    label_to_beep: list[float]
    pedal_to_lamp: list[float]
    seconds: float
    recorder_cpu_seconds: float
    web_cpu_seconds: float
    other_cores: float
    downloaded_bytes: int
    failed_downloads: int

    @property
    def disturbed(self) -> bool:
        """Whether something else on this machine took the processor."""
        return self.other_cores > processes.DISTURBING_CORES

    @property
    def lost(self) -> int:
        """Pictures that should be in the videos and are not."""
        return max(self.dropped, self.missing)


def run(as_json: bool) -> int:
    """Measure and print. Takes about five minutes.

    Returns 0, or 1 if a recording beside downloads, as shipped, lost pictures or was not saved
    though alone none did, and nothing else had the processor. Raises StorageError,
    CatalogueError, DeviceError.
    """
    processes.end_with_what_was_started()
    rate = fitting_rate(
        [proof.frames_per_second for proof in encoder_table(Settings()) if proof.proved]
    )
    runs = one_after_another(
        ALL_CIRCUMSTANCES, lambda circumstances, folder: measure(folder, circumstances, rate)
    )
    if as_json:
        print(json.dumps(document(runs, rate), indent=2))
    else:
        print(shown(runs, rate))
    return int(hurt(runs) is True)


def fitting_rate(encoders: Sequence[float]) -> float:
    """Pictures a second that the best of these encoders does with ease.

    Raises DeviceError if there is none.
    """
    if not encoders:
        raise DeviceError(
            "No video encoder works here", "Look at what 'recorderd doctor --encoders' says"
        )
    return next((rate for rate in _RATES if rate * _SPARE <= max(encoders)), _RATES[-1])


def hurt(runs: Sequence[Figures]) -> bool | None:
    """Whether downloads, as shipped, cost what the station has when it is alone.

    None if that cannot be told, because something else had the processor meanwhile.
    """
    alone, shipped = runs[:2]
    worse = shipped.lost > alone.lost or shipped.saved < alone.saved
    return None if worse and (alone.disturbed or shipped.disturbed) else worse


def measure(folder: Path, circumstances: Circumstances, rate: float) -> Figures:
    """Run a station for one cycle of orders. Raises DeviceError, StorageError."""
    port = free_port()
    station = TryOut(folder, _sections(port, rate, circumstances))
    path, video = add_large_file(station.settings, "LARGE-1")
    try:
        station.start()
        station.wait_until_ready()
        wait_for_port(port)
        recorder = station.recorder()
        web = processes.named(processes.family(station.process_id), "recorderd", "web")
        began, others = time.monotonic(), processes.Others()
        recorder_before, web_before = processes.cpu_seconds(recorder), processes.cpu_seconds(web)
        load = Load(
            port,
            f"{path}?download",
            video.stat().st_size,
            circumstances.downloads,
            _LONGEST_SECONDS,
            bytes_per_second=circumstances.bytes_per_second,
        )
        clients = Running(load, _LOWEST_PRIORITY) if circumstances.downloads else None
        station.pack()
        seconds = time.monotonic() - began
        recorder_after, web_after = processes.cpu_seconds(recorder), processes.cpu_seconds(web)
        outcome = clients.finish() if clients else None
        other_cores = others.cores()
        damaged = station.status().get("counters", {}).get("damaged_pictures", 0)
    finally:
        station.close()
    rows = find(station.settings.database_url, "ORDER-", _MOST_ROWS)
    return figures(
        circumstances.name,
        rows,
        station.signals(),
        station.presses,
        rate,
        damaged=damaged,
        seconds=seconds,
        recorder_cpu_seconds=recorder_after - recorder_before,
        web_cpu_seconds=web_after - web_before,
        other_cores=other_cores,
        outcome=outcome,
    )


def figures(
    name: str,
    rows: Sequence[RecordingRow],
    signals: Sequence[tuple[Signal, float]],
    presses: Sequence[float],
    rate: float,
    *,
    damaged: int,
    seconds: float,
    recorder_cpu_seconds: float,
    web_cpu_seconds: float,
    other_cores: float,
    outcome: Outcome | None,
) -> Figures:
    """Put together what the catalogue, the panel and the processes tell of one run.

    The bench begins its next cycle if an order was missed in the first: that counts nothing.
    """
    wanted = {order.order_id for order in moments(0)}
    rows = [row for row in rows if row.order_id in wanted and row.take == 1]
    frames = sum(row.frames or 0 for row in rows)
    return Figures(
        name=name,
        orders=len(wanted),
        saved=len(
            {row.order_id for row in rows}
            - {row.order_id for row in rows if row.state != RecordingState.SAVED}
        ),
        frames=frames,
        dropped=sum(row.dropped or 0 for row in rows),
        missing=sum(_missing(row, rate) for row in rows),
        damaged=damaged,
        faults=sum(shown in (Signal.FAULT_IDLE, Signal.FAULT_RECORDING) for shown, _ in signals),
        stop_to_saved=_stop_to_saved(signals),
        label_to_beep=_label_to_beep(signals, moments(0)),
        pedal_to_lamp=_pedal_to_lamp(signals, presses),
        seconds=seconds,
        recorder_cpu_seconds=recorder_cpu_seconds,
        web_cpu_seconds=web_cpu_seconds,
        other_cores=other_cores,
        downloaded_bytes=outcome.bytes if outcome else 0,
        failed_downloads=outcome.problems if outcome else 0,
    )


def document(runs: Sequence[Figures], rate: float) -> dict[str, Any]:
    """For programs."""
    return {
        "benchmark": "beside",
        "machine": machine(),
        "pictures_per_second": rate,
        "runs": [asdict(run) | {"lost": run.lost, "disturbed": run.disturbed} for run in runs],
        "hurt": hurt(runs),
    }


def shown(runs: Sequence[Figures], rate: float) -> str:
    """For people."""
    heading = (
        "",
        "saved",
        "pictures lost",
        "stop to saved",
        "label to beep",
        "pedal to lamp",
        "recorder",
        "pages",
        "others",
        "downloads",
    )
    lines = [heading] + [
        (
            run.name,
            f"{run.saved} of {run.orders}",
            f"{run.lost} of {run.frames + run.lost}",
            f"{number(max(run.stop_to_saved, default=0.0))} s",
            f"{number(max(run.label_to_beep, default=0.0))} s",
            f"{number(max(run.pedal_to_lamp, default=0.0))} s",
            f"{number(run.recorder_cpu_seconds / run.seconds)} cores",
            f"{number(run.web_cpu_seconds / run.seconds)} cores",
            f"{number(run.other_cores)} cores",
            f"{number(run.downloaded_bytes / run.seconds / 1e6)} MB/s",
        )
        for run in runs
    ]
    verdict = {
        True: "Downloads hurt the recording.",
        False: "Downloads cost the recording nothing.",
        None: "Not measured: something else on this machine had the processor. Run this again "
        "when it has nothing else to do.",
    }[hurt(runs)]
    return (
        f"4K, {rate:g} pictures a second, encoded as they come; the longest times of each run.\n\n"
        f"{table(lines)}\n\n{verdict}"
    )


def _sections(
    port: int, rate: float, circumstances: Circumstances
) -> dict[str, dict[str, str | int | float]]:
    unlimited = {} if circumstances.held_back else {"megabytes_per_second_while_recording": 0.0}
    return {
        "station": {"name": "bench"},
        "camera": {"source": "simulated", "rate": rate},
        "recording": {"mode": Mode.ENCODE.value},
        "storage": {"minimum_free_gigabytes": 1.0},
        "web": {"address": "127.0.0.1", "port": port, **unlimited},
    }


def _missing(row: RecordingRow, rate: float) -> int:
    """A video lasts from its first picture to its last one."""
    if row.duration_ms is None:
        return 0
    return max(0, round(row.duration_ms / 1000 * rate) + 1 - (row.frames or 0))


def _stop_to_saved(signals: Sequence[tuple[Signal, float]]) -> list[float]:
    """A recording stops when it is being saved, or when the next one starts."""
    stopped: float | None = None
    found = []
    for shown, at in signals:
        if shown in (Signal.SAVING, Signal.STARTED, Signal.STARTED_AGAIN):
            stopped = at
        elif shown is Signal.SAVED and stopped is not None:
            found.append(round(at - stopped, 3))
    return found


def _label_to_beep(
    signals: Sequence[tuple[Signal, float]], orders: Sequence[ScriptedOrder]
) -> list[float]:
    """The play on the bench begins when the station does, and so does its first signal."""
    began = next((at for _, at in signals), 0.0)
    beeps = [at - began for shown, at in signals if shown in (Signal.STARTED, Signal.STARTED_AGAIN)]
    found = []
    for order in orders:
        heard = [beep for beep in beeps if order.begins <= beep < order.gone]
        found += [round(beep - order.shown, 3) for beep in heard[:1]]
    return found


def _pedal_to_lamp(
    signals: Sequence[tuple[Signal, float]], presses: Sequence[float]
) -> list[float]:
    lamps = [at for shown, at in signals if shown is Signal.SAVING]
    return [
        round(next(at for at in lamps if at >= pressed) - pressed, 3)
        for pressed in presses
        if any(at >= pressed for at in lamps)
    ]
