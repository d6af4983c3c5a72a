"""Faults as a technician meets them, each named by the doctor with something to do about it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from recorderd.config import LoadedSettings
from recorderd.doctor.check import Check, Verdict
from recorderd.doctor.checks.camera import CameraCheck
from recorderd.doctor.checks.catalogue import CatalogueCheck
from recorderd.doctor.checks.clock import ClockCheck
from recorderd.doctor.checks.computer import ComputerCheck
from recorderd.doctor.checks.disk_speed import DiskSpeedCheck, bytes_per_second, measured
from recorderd.doctor.checks.encoding import EncodingCheck
from recorderd.doctor.checks.footage_disk import FootageDiskCheck
from recorderd.doctor.checks.helpers import HelpersCheck
from recorderd.doctor.checks.label import LabelCheck
from recorderd.doctor.checks.light_and_focus import LightAndFocusCheck
from recorderd.doctor.checks.pictures import PicturesCheck
from recorderd.doctor.checks.services import ServicesCheck
from recorderd.doctor.checks.space import SpaceCheck
from recorderd.doctor.checks.staff_pages import StaffPagesCheck
from recorderd.doctor.checks.station import StationCheck
from recorderd.doctor.examination import Examination
from recorderd.doctor.examine import guarded
from recorderd.doctor.holders import holders_of
from recorderd.engine.sources.v4l2_controls import Control
from recorderd.errors import DeviceError
from recorderd.station.clock import UNSYNCHRONISED
from recorderd.store.catalogue import Catalogue
from recorderd.store.footage import MARKER_NAME, prepare
from tests.doctor.stations import (
    LABEL,
    LOOK,
    VIEW,
    PaperMachine,
    examination,
    loaded_in,
    publish,
    seeing,
)

Seed: TypeAlias = Callable[[Path, pytest.MonkeyPatch], tuple[Check, Examination]]


def camera_unplugged(folder: Path, _: pytest.MonkeyPatch) -> tuple[Check, Examination]:
    loaded = loaded_in(folder, '[camera]\nsource = "v4l2:/dev/v4l/by-id/gone-video-index0"\n')
    return CameraCheck(), examination(loaded, machine=PaperMachine(folder))


def camera_path_is_no_camera(folder: Path, _: pytest.MonkeyPatch) -> tuple[Check, Examination]:
    loaded = loaded_in(folder, '[camera]\nsource = "v4l2:/dev/null"\n')
    return CameraCheck(), examination(loaded, machine=PaperMachine(folder))


def camera_is_silent(folder: Path, _: pytest.MonkeyPatch) -> tuple[Check, Examination]:
    silence = DeviceError("No picture came for 1.5 seconds", "Check the camera's cable and power")
    return PicturesCheck(), examination(loaded_in(folder), silence)


def camera_is_slow(folder: Path, _: pytest.MonkeyPatch) -> tuple[Check, Examination]:
    return PicturesCheck(), examination(loaded_in(folder), dataclasses.replace(LOOK, pictures=60))


def cable_is_bad(folder: Path, _: pytest.MonkeyPatch) -> tuple[Check, Examination]:
    return PicturesCheck(), examination(loaded_in(folder), dataclasses.replace(LOOK, damaged=9))


def lens_cap(folder: Path, _: pytest.MonkeyPatch) -> tuple[Check, Examination]:
    black = dataclasses.replace(VIEW, brightness=0.01, focus=0.0, codes=())
    return LightAndFocusCheck(), examination(loaded_in(folder), seeing(black))


def out_of_focus(folder: Path, _: pytest.MonkeyPatch) -> tuple[Check, Examination]:
    blurred = dataclasses.replace(VIEW, focus=0.2)
    return LightAndFocusCheck(), examination(loaded_in(folder), seeing(blurred))


def exposure_hunts(folder: Path, _: pytest.MonkeyPatch) -> tuple[Check, Examination]:
    views = [dataclasses.replace(VIEW, brightness=level) for level in (0.3, 0.6) * 4]
    return LightAndFocusCheck(), examination(loaded_in(folder), seeing(*views))


def focus_hunts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Check, Examination]:
    automatic = Control(1, "focus_automatic_continuous", 2, 0, 1, 1, 1)
    fixed = Control(2, "focus_absolute", 1, 0, 250, 5, 0)
    monkeypatch.setattr(
        "recorderd.doctor.checks.light_and_focus.offered",
        lambda _device: ((automatic, 1), (fixed, 40)),
    )
    views = [dataclasses.replace(VIEW, focus=score) for score in (0.8, 0.4) * 4]
    loaded = loaded_in(folder, '[camera]\nsource = "v4l2:/dev/video0"\n')
    return LightAndFocusCheck(), examination(loaded, seeing(*views))


def label_too_small(folder: Path, _: pytest.MonkeyPatch) -> tuple[Check, Examination]:
    small = dataclasses.replace(LABEL, module_pixels=2.1)
    look = seeing(dataclasses.replace(VIEW, codes=(small,)))
    return LabelCheck(), examination(loaded_in(folder), look)


def label_of_little_margin(folder: Path, _: pytest.MonkeyPatch) -> tuple[Check, Examination]:
    small = dataclasses.replace(LABEL, module_pixels=4.4)
    look = seeing(dataclasses.replace(VIEW, codes=(small,)))
    return LabelCheck(), examination(loaded_in(folder), look)


def label_does_not_match(folder: Path, _: pytest.MonkeyPatch) -> tuple[Check, Examination]:
    stranger = dataclasses.replace(LABEL, text="https://example.com", order=None)
    look = seeing(dataclasses.replace(VIEW, codes=(stranger,)))
    return LabelCheck(), examination(loaded_in(folder), look)


def label_outside_the_zone(folder: Path, _: pytest.MonkeyPatch) -> tuple[Check, Examination]:
    outside = dataclasses.replace(LABEL, in_zone=False)
    look = seeing(dataclasses.replace(VIEW, codes=(outside,)))
    return LabelCheck(), examination(loaded_in(folder), look)


def weak_power_supply(folder: Path, _: pytest.MonkeyPatch) -> tuple[Check, Examination]:
    machine = PaperMachine(folder, {"vcgencmd": "throttled=0x50005\n"})
    return ComputerCheck(), examination(loaded_in(folder), machine=machine)


def weak_power_without_vcgencmd(folder: Path, _: pytest.MonkeyPatch) -> tuple[Check, Examination]:
    machine = PaperMachine(folder)
    machine.write("sys/class/hwmon/hwmon3/name", "rpi_volt\n")
    machine.write("sys/class/hwmon/hwmon3/in0_lcrit_alarm", "1\n")
    return ComputerCheck(), examination(loaded_in(folder), machine=machine)


def too_hot(folder: Path, _: pytest.MonkeyPatch) -> tuple[Check, Examination]:
    machine = PaperMachine(folder)
    machine.write("sys/class/thermal/thermal_zone0/temp", "86100\n")
    return ComputerCheck(), examination(loaded_in(folder), machine=machine)


def clock_not_set(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Check, Examination]:
    monkeypatch.setattr("recorderd.doctor.checks.clock.synchronisation", lambda: UNSYNCHRONISED)
    machine = PaperMachine(folder, {"timedatectl": "NTP=no\n"})
    return ClockCheck(), examination(loaded_in(folder), machine=machine)


def service_failed(folder: Path, _: pytest.MonkeyPatch) -> tuple[Check, Examination]:
    machine = PaperMachine(
        folder, {"systemctl": "LoadState=loaded\nActiveState=failed\nResult=exit-code\n"}
    )
    machine.write("run/systemd/system/x", "")
    return ServicesCheck(), examination(loaded_in(folder), machine=machine)


def no_service_installed(folder: Path, _: pytest.MonkeyPatch) -> tuple[Check, Examination]:
    machine = PaperMachine(folder, {"systemctl": "LoadState=not-found\n"})
    machine.write("run/systemd/system/x", "")
    return ServicesCheck(), examination(loaded_in(folder), machine=machine)


def station_has_a_fault(folder: Path, _: pytest.MonkeyPatch) -> tuple[Check, Examination]:
    loaded = loaded_in(folder)
    publish(loaded, faults={"camera": "The camera was unplugged. Plug the camera in again."})
    return StationCheck(), examination(loaded)


def station_has_two_faults(folder: Path, _: pytest.MonkeyPatch) -> tuple[Check, Examination]:
    loaded = loaded_in(folder)
    faults = {"camera": "It was unplugged. Plug it in.", "panel": "A pin is in use. End that."}
    publish(loaded, faults=faults)
    return StationCheck(), examination(loaded)


def station_not_running(folder: Path, _: pytest.MonkeyPatch) -> tuple[Check, Examination]:
    return StationCheck(), examination(loaded_in(folder))


def helpers_not_running(folder: Path, _: pytest.MonkeyPatch) -> tuple[Check, Examination]:
    loaded = loaded_in(folder)
    publish(loaded)
    return HelpersCheck(), examination(loaded)


def pages_not_served(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Check, Examination]:
    monkeypatch.setattr("recorderd.doctor.checks.staff_pages.lan_addresses", lambda: ["127.0.0.1"])
    loaded = loaded_in(folder, "[web]\nport = 1\n")
    publish(loaded)
    return StaffPagesCheck(), examination(loaded, machine=PaperMachine(folder))


def pages_of_a_try_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Check, Examination]:
    check, subject = pages_not_served(folder, monkeypatch)
    machine = PaperMachine(folder, {"systemctl": "LoadState=not-found\nActiveState=inactive\n"})
    machine.write("run/systemd/system/x", "")
    return check, examination(subject.loaded, machine=machine)


def pages_of_a_service(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Check, Examination]:
    check, subject = pages_not_served(folder, monkeypatch)
    machine = PaperMachine(folder, {"systemctl": "LoadState=loaded\nActiveState=inactive\n"})
    machine.write("run/systemd/system/x", "")
    return check, examination(subject.loaded, machine=machine)


def without_network(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Check, Examination]:
    monkeypatch.setattr("recorderd.doctor.checks.staff_pages.lan_addresses", list)
    return StaffPagesCheck(), examination(loaded_in(folder), machine=PaperMachine(folder))


def another_footage_disk(folder: Path, _: pytest.MonkeyPatch) -> tuple[Check, Examination]:
    loaded = loaded_in(folder)
    adopt_footage(loaded)
    (loaded.settings.footage_folder / MARKER_NAME).write_text("another")
    return FootageDiskCheck(), examination(loaded)


def footage_in_memory(folder: Path, _: pytest.MonkeyPatch) -> tuple[Check, Examination]:
    loaded = loaded_in(folder)
    adopt_footage(loaded)
    machine = PaperMachine(folder)
    machine.write("proc/self/mountinfo", f"1 0 0:1 / {folder} rw - tmpfs tmpfs rw\n")
    return FootageDiskCheck(), examination(loaded, machine=machine)


def slow_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Check, Examination]:
    loaded = loaded_in(folder)
    adopt_footage(loaded)
    publish(loaded)
    monkeypatch.setattr(
        "recorderd.doctor.checks.disk_speed.measured", lambda _folder, _limit: (4e6, 0.5)
    )
    return DiskSpeedCheck(), examination(loaded)


def disk_full(folder: Path, _: pytest.MonkeyPatch) -> tuple[Check, Examination]:
    loaded = loaded_in(folder, "[storage]\nminimum_free_gigabytes = 90000\n")
    publish(loaded)
    return SpaceCheck(), examination(loaded)


def encoder_too_slow(folder: Path, _: pytest.MonkeyPatch) -> tuple[Check, Examination]:
    loaded = loaded_in(folder)
    reason = "libx264 does 9 pictures a second, too little for the camera: frames may be dropped"
    publish(loaded, mode={"mode": "encode", "reason": reason})
    return EncodingCheck(), examination(loaded)


def video_missing(folder: Path, _: pytest.MonkeyPatch) -> tuple[Check, Examination]:
    loaded = loaded_in(folder)
    adopt_footage(loaded)
    (loaded.settings.footage_folder / "stranger.mp4").write_bytes(b"?")
    return CatalogueCheck(), examination(loaded)


def catalogue_damaged(folder: Path, _: pytest.MonkeyPatch) -> tuple[Check, Examination]:
    loaded = loaded_in(folder)
    loaded.settings.state_folder.mkdir()
    (loaded.settings.state_folder / "catalogue.db").write_bytes(b"not a database" * 999)
    return CatalogueCheck(), examination(loaded)


def adopt_footage(loaded: LoadedSettings) -> None:
    settings = loaded.settings
    settings.state_folder.mkdir(parents=True, exist_ok=True)
    catalogue = Catalogue.open(settings.database_url, settings.station.name)
    try:
        catalogue.set_footage_id(prepare(settings, None))
    finally:
        catalogue.close()


SEEDED: list[tuple[Seed, Verdict, str, str]] = [
    (camera_unplugged, Verdict.BAD, "there is no", "Plug it in"),
    (camera_path_is_no_camera, Verdict.BAD, "/dev/null is not a camera", "by-id"),
    (camera_is_silent, Verdict.BAD, "No picture came", "cable and power"),
    (camera_is_slow, Verdict.BAD, "15.0 a second of 30", "more light"),
    (cable_is_bad, Verdict.WARNING, "9 damaged", "cable"),
    (lens_cap, Verdict.BAD, "black", "cap off the lens"),
    (out_of_focus, Verdict.WARNING, "blurred", "focus ring"),
    (exposure_hunts, Verdict.WARNING, "automatic exposure will not rest", "automatic off"),
    (
        focus_hunts,
        Verdict.WARNING,
        "automatic focus will not rest",
        "controls = { focus_automatic_continuous = 0, focus_absolute = 40 }",
    ),
    (label_too_small, Verdict.BAD, "2.1 pixels a module", "closer"),
    (label_of_little_margin, Verdict.WARNING, "4.4 pixels a module, enough", "A larger label"),
    (label_does_not_match, Verdict.BAD, "no order label: https", "labels.pattern"),
    (label_outside_the_zone, Verdict.BAD, "outside of the zone", "/setup"),
    (weak_power_supply, Verdict.BAD, "power supply is too weak", "power supply made for"),
    (weak_power_without_vcgencmd, Verdict.BAD, "power supply is too weak", "5.1 V"),
    (too_hot, Verdict.BAD, "86 °C: much too hot", "fan"),
    (clock_not_set, Verdict.WARNING, "not set", "set-ntp true"),
    (service_failed, Verdict.BAD, "has failed (exit-code)", "journalctl"),
    (no_service_installed, Verdict.WARNING, "no service is installed", "scripts/install"),
    (station_has_a_fault, Verdict.BAD, "camera was unplugged", "Plug the camera in again"),
    (station_has_two_faults, Verdict.BAD, "unplugged; A pin is in use", "Plug it in. End that"),
    (station_not_running, Verdict.WARNING, "not running", "systemctl start recorderd"),
    (helpers_not_running, Verdict.WARNING, "not sealed", "recorderd-finisher"),
    (pages_not_served, Verdict.BAD, "nobody answers at http://127.0.0.1:1/", "recorderd web"),
    (pages_of_a_try_out, Verdict.BAD, "nobody answers", "Start them with: recorderd web"),
    (pages_of_a_service, Verdict.BAD, "nobody answers", "systemctl start recorderd-web.socket"),
    (without_network, Verdict.WARNING, "no address", "network cable"),
    (another_footage_disk, Verdict.BAD, "belongs to another disk", "mount the disk"),
    (footage_in_memory, Verdict.BAD, "gone when it is switched off", "real disk"),
    (slow_disk, Verdict.BAD, "4 MB a second, 5.0 are needed", "SSD"),
    (disk_full, Verdict.BAD, "no order is recorded", "[retention]"),
    (encoder_too_slow, Verdict.WARNING, "9 pictures a second", "camera.rate"),
    (video_missing, Verdict.BAD, "without a row 1", "recorderd fsck"),
    (catalogue_damaged, Verdict.BAD, "", ""),
]


@pytest.mark.parametrize(
    ("seed", "verdict", "seen", "remedy"), SEEDED, ids=[seed[0].__name__ for seed in SEEDED]
)
def test_it_is_named(
    seed: Seed,
    verdict: Verdict,
    seen: str,
    remedy: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    check, subject = seed(tmp_path, monkeypatch)
    finding = guarded(check, subject)
    assert finding.verdict is verdict
    assert seen in finding.seen
    assert finding.remedy
    assert remedy in finding.remedy
    assert not finding.remedy.endswith(".")


def test_another_program_holds_the_camera(tmp_path: Path) -> None:
    device = tmp_path / "video0"
    device.touch()
    process = tmp_path / "proc" / "4711"
    (process / "fd").mkdir(parents=True)
    (process / "comm").write_text("cheese\n")
    (process / "fd" / "9").symlink_to(device)
    assert [str(holder) for holder in holders_of(device, tmp_path)] == ["cheese (process 4711)"]
    assert os.getpid() not in [holder.process_id for holder in holders_of(device)]


def test_a_camera_without_a_picture_is_told_once(tmp_path: Path) -> None:
    silence = DeviceError("No picture came for 1.5 seconds", "Check the camera's cable and power")
    subject = examination(loaded_in(tmp_path), silence)
    for check in (LightAndFocusCheck(), LabelCheck(), EncodingCheck()):
        finding = guarded(check, subject)
        assert (finding.verdict, finding.seen) == (Verdict.SKIPPED, "the camera gives no picture")


def test_without_a_picture_no_encoder_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "recorderd.doctor.examination.choose_mode", lambda *_: pytest.fail("it was tried")
    )
    subject = examination(loaded_in(tmp_path), dataclasses.replace(LOOK, pictures=0))
    assert guarded(EncodingCheck(), subject).verdict is Verdict.SKIPPED
    assert bytes_per_second(subject) == (2.5e6, "by recording.megabits_per_second")


def test_a_label_of_five_pixels_a_module_is_good(tmp_path: Path) -> None:
    large = dataclasses.replace(LABEL, module_pixels=5.0)
    look = seeing(dataclasses.replace(VIEW, codes=(large,)))
    finding = guarded(LabelCheck(), examination(loaded_in(tmp_path), look))
    assert (finding.verdict, finding.seen, finding.remedy) == (
        Verdict.GOOD,
        "order SO-1 is read, 5.0 pixels a module: good margin",
        "",
    )


def test_the_disk_is_tried_and_nothing_stays_there(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    speed, slowest = measured(folder, 8_000_000)
    assert speed > 0
    assert slowest >= 0
    assert list(folder.iterdir()) == []
