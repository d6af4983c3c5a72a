"""What a check of the seals can find, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final


class Kind(StrEnum):
    """What can be found, as the command prints it and programs read it."""

    SEAL_CHANGED = "seal changed"
    SEAL_MISSING = "seal missing"
    CHAIN_BROKEN = "chain broken"
    CHAIN_CUT = "end of the chain cut off"
    FORGED = "forged key"
    CONTRADICTION = "seals contradict each other"
    ROW_MISSING = "recording missing"
    FACT_CHANGED = "fact changed"
    VIDEO_CHANGED = "video changed"
    VIDEO_SWAPPED = "video swapped"
    VIDEO_MISSING = "video missing"
    STILL_CHANGED = "picture of the label changed"
    TIME_STAMP = "time stamp wrong"
    UNREADABLE = "not readable"


_TELL: Final = "Do not repair anything: copy the state folder and the disk first, then find out who"
REMEDIES: Final = {
    Kind.SEAL_CHANGED: f"Somebody wrote into the catalogue. {_TELL}",
    Kind.SEAL_MISSING: "Somebody took seals out of the catalogue, or it was put back from an older "
    "copy: look for them in exports, backups and the journal (journalctl -u recorderd-finisher)",
    Kind.CHAIN_BROKEN: f"Somebody wrote into the catalogue. {_TELL}",
    Kind.CHAIN_CUT: "If the catalogue was put back from an older copy, this is why. Else somebody "
    "took out the newest seals: the journal of recorderd-finisher lists what was sealed",
    Kind.FORGED: "If the state folder was moved or its key files were lost, put the old "
    "station-public-key.pem back beside the new one. Else these seals are not this station's",
    Kind.CONTRADICTION: f"Somebody changed a recording, and then it was sealed. {_TELL}",
    Kind.ROW_MISSING: "Somebody deleted a row of the catalogue, or it was put back from an older "
    "copy: the seal still says what was recorded; put back a newer backup",
    Kind.FACT_CHANGED: "If it names a repair, the file was damaged after it was sealed: a backup "
    "may hold it whole. Else somebody changed the catalogue. What the seal says was so when it was "
    "made",
    Kind.VIDEO_CHANGED: "This file is not what was sealed, also where it was repaired since: put "
    "it back from a backup, if there is one. Run it again if the finisher was just replacing it "
    "(deferred encoding)",
    Kind.VIDEO_SWAPPED: "Give the two files their names back; each name holds its recording's id",
    Kind.VIDEO_MISSING: "Look for it on other disks and in backups; its name holds the id",
    Kind.STILL_CHANGED: "The video shows the label, too: trust that, or put the picture back",
    Kind.TIME_STAMP: "Somebody wrote into the catalogue, or evidence.timestamp_ca_file is not that "
    "of the authority that was asked then",
    Kind.UNREADABLE: "Use sudo, or the account the service runs as; check the disk and its cable",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it was sealed."""

    kind: Kind
    what: str
    order_id: str | None = None
    recording_id: str | None = None
    number: int | None = None

    @property
    def remedy(self) -> str:
        return REMEDIES[self.kind]


@dataclass(frozen=True, slots=True)
class KeySection:
    """Seals in a row that were signed with the same key."""

    station: str
    key: str
    first: int
    last: int
    known_from: Path | None
