"""The command `recorderd doctor`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from recorderd.config import LoadedSettings
from recorderd.doctor.check import Check, HandsCheck, Verdict, worst
from recorderd.doctor.checks.account import AccountCheck
from recorderd.doctor.checks.camera import CameraCheck
from recorderd.doctor.checks.catalogue import CatalogueCheck
from recorderd.doctor.checks.clock import ClockCheck
from recorderd.doctor.checks.computer import ComputerCheck
from recorderd.doctor.checks.disk_speed import DiskSpeedCheck
from recorderd.doctor.checks.encoding import EncodingCheck
from recorderd.doctor.checks.footage_disk import FootageDiskCheck
from recorderd.doctor.checks.helpers import HelpersCheck
from recorderd.doctor.checks.label import LabelCheck
from recorderd.doctor.checks.light_and_focus import LightAndFocusCheck
from recorderd.doctor.checks.panel import BuzzerCheck, LampsCheck, PedalCheck
from recorderd.doctor.checks.pictures import PicturesCheck
from recorderd.doctor.checks.services import ServicesCheck
from recorderd.doctor.checks.settings import SettingsCheck
from recorderd.doctor.checks.space import SpaceCheck
from recorderd.doctor.checks.staff_pages import StaffPagesCheck
from recorderd.doctor.checks.station import StationCheck
from recorderd.doctor.document import document_of
from recorderd.doctor.examination import Examination
from recorderd.doctor.examine import Screen, examine
from recorderd.doctor.machine import Machine
from recorderd.doctor.person import person_at_hand
from recorderd.doctor.report import write_report
from recorderd.doctor.support import write_support_bundle
from recorderd.doctor.terminal_screen import NoScreen, TerminalScreen
from recorderd.terminal import escaped

CHECKS: Sequence[Check] = (
    SettingsCheck(),
    AccountCheck(),
    ServicesCheck(),
    StationCheck(),
    HelpersCheck(),
    ComputerCheck(),
    ClockCheck(),
    StaffPagesCheck(),
    FootageDiskCheck(),
    CameraCheck(),
    PicturesCheck(),
    LightAndFocusCheck(),
    LabelCheck(),
    EncodingCheck(),
    DiskSpeedCheck(),
    SpaceCheck(),
    CatalogueCheck(),
)
HANDS_CHECKS: Sequence[HandsCheck] = (LampsCheck(), BuzzerCheck(), PedalCheck())


def run_doctor(
    loaded: LoadedSettings,
    as_json: bool,
    *,
    hands: bool = True,
    report: Path | None = None,
    support: Path | None = None,
) -> int:
    """Look at everything and say what was found. Returns 1 if anything is bad, else 0.

    `hands`: whoever sits at the terminal is asked to look, listen and press. `report` and
    `support` are files to write a commissioning sheet and a bundle for helpers into.

    Raises StorageError if report or bundle cannot be written.
    """
    machine = Machine()
    person = person_at_hand() if hands and not as_json else None
    examination = Examination(loaded, person=person, machine=machine)
    terminal = None if as_json else TerminalScreen()
    screen: Screen = terminal or NoScreen()
    if terminal is not None:
        terminal.begin(loaded.settings.station.name)
    if person is not None:
        person.tell("Lay an order label where the packer will show it to the camera, and wait.\n")
    try:
        results = examine(examination, CHECKS, HANDS_CHECKS, screen)
    finally:
        examination.close()
    if terminal is not None:
        terminal.end(results)
    else:
        print(json.dumps(document_of(loaded.settings, results), indent=2))
    if report is not None:
        write_report(report, loaded.settings, results, machine)
        print(f"The report is in {escaped(str(report))}", file=sys.stderr)
    if support is not None:
        write_support_bundle(support, loaded, results, machine)
        print(f"The bundle is in {escaped(str(support))}", file=sys.stderr)
    return 1 if worst(results) is Verdict.BAD else 0
