"""The packer's day: a label, a parcel, a pedal; and the office that looks for the video."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator

from tests.vm.scenes import BENCH, ORDERS, missing, whole
from tests.vm.station import Level, Station, buzzes, has_ended, require, shown_in
from tests.vm.trials.trial import RATE, SIZE, settings

PRE_ROLL_SECONDS, REARM_SECONDS = 3.0, 3.0
LABEL_SECONDS = 1.5
"""From a label in view to the lamp: label twice read at five looks a second, and one slow host."""
CATCHING_UP_SECONDS = 8.0
"""What it could not send while it was opened, the simulated camera sends in one go, with times that
tell nothing of what is missing. A real one has no memory."""


def begin(station: Station, order: str) -> int:
    """Have an order recorded for a few seconds. Returns how many recordings there were before."""
    station.camera(f"show {BENCH}")
    station.wait_ready()
    before = len(station.rows())
    station.camera(f"show {order}")
    station.wait_recording(order)
    station.camera(f"show {BENCH}")
    time.sleep(2)
    return before


def record(station: Station, order: str, seconds: float = 4.0) -> tuple[float, list[Level]]:
    """Show an order's label, pack for so long, step on the pedal, and wait for the promise.

    Returns the moment the label came into view, and what lamps and buzzer did since.
    """
    station.camera(f"show {BENCH}")
    station.wait_ready()
    saved = len([row for row in station.rows() if has_ended(row)])
    begun = station.now()
    station.camera(f"show {order}")
    station.wait_until(lambda status: status.get("phase") == "recording", "recording", 20)
    station.camera(f"show {BENCH}")
    time.sleep(seconds)
    station.press()
    station.wait_until(
        lambda status: (
            status.get("phase") == "ready"
            and len([row for row in station.rows() if has_ended(row)]) > saved
        ),
        "saved",
    )
    # The double flash of the green lamp is still to be seen.
    time.sleep(1.5)
    return begun, station.seen(begun)


def one_order(station: Station) -> Iterator[tuple[str, str]]:
    """From the label to the video on the office's screen."""
    order = ORDERS[0]
    known = any(row["order_id"] == order for row in station.rows())
    shown_at, seen = record(station, order)
    red = next((level for level in seen if level.red), None)
    require(red is not None, "the red lamp never lit")
    assert red is not None
    delay = red.at - shown_at
    require(delay < LABEL_SECONDS, f"the red lamp lit {delay:.1f} s after the label was shown")
    sounds = buzzes(seen)
    expected = 4 if known else 3
    require(
        len(sounds) == expected and not any(sound.is_low for sound in sounds),
        f"the buzzer sounded for {sounds} s",
    )
    require(not any(level.green and level.red for level in seen), "both lamps were lit at once")
    last_red = max(level.at for level in seen if level.red)
    flashes = [level for level in seen if level.green and level.at > last_red]
    require(len(flashes) >= 3, f"after the red lamp the green one flashed {len(flashes)} times")
    yield (
        "label shown, four seconds packed, pedal",
        (
            f"red {delay:.1f} s after the label; {len(sounds) - 2} beep(s), then two;"
            " green double flash"
        ),
    )

    row = station.rows()[-1]
    require(row["state"] == "saved" and row["order_id"] == order, f"the row says {row}")
    require(row["stop_reason"] == "pedal", f"it ended because of {row['stop_reason']}")
    shown = station.pictures(row)
    require(whole(shown) == len(shown), f"pictures are missing: {shown}")
    least = (PRE_ROLL_SECONDS + 4.0) * RATE
    require(len(shown) >= least, f"only {len(shown)} pictures, {least:.0f} were filmed")
    require(row["dropped"] == 0, f"{row['dropped']} pictures were dropped")
    yield (
        f"the video, in mode {row['mode']} ({row['encoder']})",
        (f"{len(shown)} pictures one after the other, {row['duration_ms'] / 1000:.1f} s"),
    )

    entries = station.journal(f"ORDER_ID={order}")
    require(entries, f"no journal entry has ORDER_ID={order}")
    fields = {"MESSAGE", "EVENT", "RECORDING_ID", "PRIORITY"}
    require(any(fields <= entry.keys() for entry in entries), f"the fields are {entries[0].keys()}")
    yield f"journalctl ORDER_ID={order}", f"{len(entries)} entries, with event and recording"


def on_the_pages(station: Station) -> Iterator[tuple[str, str]]:
    """The office finds the newest video, watches and downloads it."""
    row = station.rows()[-1]
    code, page = station.ask_page("/")
    require(code == 200, f"the page answers {code}: {page[:300]!r}")
    code, found = station.ask_page(f"/api/recordings?q={row['order_id']}")
    require(code == 200, f"the API answers {code}: {found[:300]!r}")
    recordings = json.loads(found)["recordings"]
    require(any(one["id"] == row["id"] for one in recordings), f"it was not found: {found!r}")
    begun = time.monotonic()
    code, video = station.ask_page(f"/recordings/{row['id']}/video?download")
    require(code == 200, f"the video answers {code}: {video[:300]!r}")
    seconds = time.monotonic() - begun
    numbers = shown_in(video, "the download")
    require(len(numbers) == row["frames"], f"{len(numbers)} pictures came, not {row['frames']}")
    yield (
        "http://station.local/ from a neighbour",
        (f"found, downloaded in {seconds:.1f} s, all {len(numbers)} pictures in it"),
    )


def systemctl_says(station: Station) -> Iterator[tuple[str, str]]:
    """What a technician reads while an order is packed; and the next order switches over."""
    first, second = ORDERS[1], ORDERS[2]
    before = begin(station, first)
    text = station.state_of("recorderd", "StatusText")["StatusText"]
    require(first in text and "recording" in text, f"systemctl status says {text!r}")
    yield "systemctl status recorderd", text
    station.camera(f"show {second}")
    station.wait_recording(second)
    time.sleep(2)
    station.camera(f"show {BENCH}")
    station.press()
    rows = station.ended_rows("saved")
    earlier, later = rows[before:]
    shown = [station.pictures(row) for row in (earlier, later)]
    shared = [number for number in shown[1] if number in shown[0][-RATE:]]
    require(shared, f"pictures are missing between the videos: {shown[0][-3:]}, {shown[1][:3]}")
    yield "the next order's label", f"the videos overlap: {shared[0]} is in both"


def again(station: Station) -> Iterator[tuple[str, str]]:
    """The same order once more."""
    order = ORDERS[0]
    _, seen = record(station, order, 2.0)
    sounds = buzzes(seen)
    require(len(sounds) == 4, f"the buzzer sounded for {sounds} s")
    takes = [row["take"] for row in station.rows() if row["order_id"] == order]
    require(takes[-1] == max(takes) > 1, f"its takes are {takes}")
    yield "an order that was recorded before", f"take {takes[-1]}; two tones at the start"


def in_4k(station: Station) -> Iterator[tuple[str, str]]:
    """The size of a real bench, at the rate that this slow machine can do."""
    station.give_camera((3840, 2160))
    try:
        station.configure(settings(camera={"width": 3840, "height": 2160, "rate": 5.0}))
        station.wait_ready(180)
        time.sleep(CATCHING_UP_SECONDS)
        record(station, ORDERS[1], 6.0)
        row = station.rows()[-1]
        shown = station.pictures(row)
        require((row["width"], row["height"]) == (3840, 2160), f"the row says {row}")
        gone = sum(missing(a or 0, b or 0) for a, b in itertools.pairwise(shown))
        require(gone <= row["dropped"], f"{gone} pictures are missing, {row['dropped']} are told")
        code, page = station.ask_page(f"/recordings/{row['id']}/label.jpg")
        require(code == 200 and page[:2] == b"\xff\xd8", f"the label's photo answers {code}")
    finally:
        station.give_camera(SIZE)
        station.configure(settings())
        station.wait_ready()
    yield (
        f"an order in 4K, mode {row['mode']}",
        (f"{len(shown)} pictures, {gone} missing; photo of the label {len(page) >> 10} KB"),
    )
