"""Care for every recording from its start to its row's last word.

Knows no rule: the state machine says what starts and stops, the engine what became of it. While
the disk is away nothing is believed to be lost.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, Protocol, TypeVar

import structlog

from recorderd.core.actions import StartRecording
from recorderd.core.events import (
    Event,
    RecordingFailed,
    RecordingFinished,
    RecordingInterrupted,
    RecordingRegistered,
)
from recorderd.core.model import Nanoseconds, RecordingId, StopReason
from recorderd.engine.messages import (
    Captured,
    Command,
    FilesSetAside,
    Inspect,
    Inspected,
    NothingLeft,
    Salvage,
    SalvagePostponed,
    SetAside,
    Start,
    Stop,
    Verified,
    Verify,
)
from recorderd.settings import Settings
from recorderd.station import orphans
from recorderd.station.clock import StationClock
from recorderd.station.ledger import (
    BadNews,
    Entry,
    Stage,
    entry_after_power_cut,
    why_lost,
)
from recorderd.store.catalogue import Catalogue, NewRecording, Unfinished
from recorderd.store.footage import files_for, stored_path

_Result = TypeVar("_Result")

_LONGEST_PAUSE_LOOKS: Final = 256
"""A disk is looked at once a second."""

log = structlog.get_logger("station")


class Hands(Protocol):
    """What the station does for its recordings; all on its own thread."""

    def tell_engine(self, command: Command) -> None:
        """Send this if an engine is there."""

    def submit(
        self,
        job: Callable[[Catalogue], _Result],
        done: Callable[[_Result], None] | None = None,
    ) -> None:
        """Have the catalogue do this; `done` runs afterwards."""

    def step(self, event: Event) -> None:
        """Tell the state machine."""

    def note(self, event: str, detail: str, recording_id: RecordingId | None = None) -> None:
        """Write into the journal and the event log."""


class Recordings:
    """All recordings that are not saved yet. Used by the station's main thread."""

    def __init__(self, settings: Settings, hands: Hands, boot_id: str) -> None:
        self.saved = 0
        self.failed = 0
        self._settings = settings
        self._hands = hands
        self._boot_id = boot_id
        self._entries: dict[RecordingId, Entry] = {}
        self._engine_is_there = False
        self._disk_is_there = False
        self._catalogue_is_open = False
        self._good_looks = 0
        self._looked_for_orphans = False

    def __iter__(self) -> Iterator[Entry]:
        return iter(list(self._entries.values()))

    def order_id(self, recording_id: RecordingId) -> str | None:
        """The order of a recording that is on its way."""
        entry = self._entries.get(recording_id)
        return entry.order.order_id if entry else None

    def heard(
        self,
        report: Captured | Verified | NothingLeft | FilesSetAside | SalvagePostponed | Inspected,
    ) -> None:
        """The engine says what became of a recording."""
        match report:
            case Captured():
                self._captured(report)
            case Verified(recording_id, problem):
                self._verified(recording_id, problem)
            case NothingLeft(recording_id, problem):
                self._nothing_left(recording_id, problem)
            case FilesSetAside(recording_id, files):
                self._files_set_aside(recording_id, files)
            case SalvagePostponed(recording_id, problem):
                self._salvage_postponed(recording_id, problem)
            case Inspected(path, tags):
                self._inspected(path, tags)

    def catalogue_opened(self, unfinished: Iterable[Unfinished]) -> None:
        """What earlier runs of the station have left."""
        self._catalogue_is_open = True
        for row in unfinished:
            self._entries[row.id] = entry_after_power_cut(row, self._settings)
            self._hands.note("recording found unfinished", row.state.value, row.id)

    def engine_started(self) -> None:
        """A new engine knows nothing: it finishes what the one before it has left."""
        self._engine_is_there = True
        for entry in self:
            if entry.stage is Stage.WRITING:
                entry.stage = Stage.SALVAGING
                entry.recovered = True
            self._go_on_with(entry, anew=True)

    def engine_gone(self) -> None:
        self._engine_is_there = False

    def start(self, action: StartRecording, clock: StationClock) -> None:
        """The machine has decided: the engine is told first, the row follows."""
        now = time.monotonic_ns()
        started_at = clock.time_of(now)
        order = action.order
        files = files_for(self._settings, action.recording_id, order.order_id, started_at)
        entry = Entry(action.recording_id, order, action.part, files, started_at, now)
        self._entries[action.recording_id] = entry
        new = NewRecording(
            id=action.recording_id,
            order=order,
            part=action.part,
            continues=action.continues,
            station=self._settings.station.name,
            path=stored_path(self._settings, files.video),
            started_at=started_at,
            monotonic_ns=now,
            boot_id=self._boot_id,
            clock=clock.status,
        )
        self._hands.tell_engine(
            Start(
                new.id,
                files,
                orphans.tags_of(new),
                action.from_ns,
                action.label_sequence,
                clock.offset_ns,
            )
        )
        self._register(new)
        self._hands.note("recording started", f"part {action.part}", new.id)

    def _register(self, new: NewRecording) -> None:
        self._hands.submit(
            lambda catalogue: catalogue.register(new),
            lambda take: self._hands.step(RecordingRegistered(new.id, take)),
        )

    def stop(self, recording_id: RecordingId, at_ns: Nanoseconds, reason: StopReason) -> None:
        entry = self._entries.get(recording_id)
        if entry is not None:  # a recording that has just failed is stopped, too
            entry.stop_reason = reason
        self._hands.tell_engine(Stop(recording_id, at_ns))
        self._hands.note("recording stopped", reason.value, recording_id)

    def _captured(self, captured: Captured) -> None:
        entry = self._entries.get(captured.recording_id)
        if entry is None or entry.stage in (Stage.IN_PLACE, Stage.DECIDED):
            return
        self._ended_by_itself(
            entry, "the pictures ended", captured.first_ns + captured.duration_ns + 1
        )
        entry.put_in_place(captured.frames, captured.duration_ns)
        entry.bad_news = None
        facts = entry.file_facts(captured, self._settings)
        self._hands.submit(
            lambda catalogue: catalogue.captured(captured.recording_id, facts),
            lambda _: self._go_on_with(entry, anew=True),
        )

    def _ended_by_itself(self, entry: Entry, problem: str, resume_ns: Nanoseconds) -> None:
        """The engine is done with a recording; perhaps before anyone said that it ends."""
        if entry.stop_reason is None:
            self._hands.step(
                RecordingInterrupted(entry.recording_id, StopReason.CAMERA_LOST, problem, resume_ns)
            )

    def _verified(self, recording_id: RecordingId, problem: str | None) -> None:
        entry = self._entries.get(recording_id)
        if entry is None or entry.stage is Stage.DECIDED:
            return
        if problem is not None:
            self._heard_bad_news(entry, problem, lost=False)
            return
        entry.stage, entry.bad_news = Stage.DECIDED, None
        self._hands.submit(
            lambda catalogue: catalogue.saved(recording_id),
            lambda _: self._finished(entry, RecordingFinished(recording_id)),
        )

    def _nothing_left(self, recording_id: RecordingId, problem: str) -> None:
        entry = self._entries.get(recording_id)
        if entry is None or entry.stage in (Stage.GIVEN_UP, Stage.DECIDED):
            return
        self._ended_by_itself(entry, problem, entry.monotonic_ns)
        self._heard_bad_news(entry, problem, lost=True)

    # --- footage without a row

    def _look_for_orphans(self) -> None:
        """Once, when disk, catalogue and engine are there."""
        if self._looked_for_orphans or not self._engine_is_there or not self._catalogue_is_open:
            return
        self._looked_for_orphans = True
        for path in orphans.candidates(self._settings.incoming_folder, self._entries):
            self._hands.tell_engine(Inspect(path))

    def _inspected(self, path: Path, tags: dict[str, str]) -> None:
        recording_id = RecordingId(path.stem)
        new = orphans.row_for(recording_id, tags, self._settings)
        if new is None or recording_id in self._entries:
            log.warning("a file in the incoming folder belongs to no recording", file=path.name)
            return
        self._hands.submit(
            lambda catalogue: catalogue.knows(recording_id),
            lambda known: None if known else self._adopt(new),
        )

    def _adopt(self, new: NewRecording) -> None:
        self._entries[new.id] = orphans.entry_of(new, self._settings)
        self._register(new)
        self._hands.note("recording found without a row", new.order.order_id, new.id)
        self._go_on_with(self._entries[new.id])

    # --- bad news

    def _heard_bad_news(self, entry: Entry, problem: str, *, lost: bool) -> None:
        # The look that is going on may have begun before the disk was lost.
        entry.stage = Stage.IN_PLACE if entry.stage is Stage.IN_PLACE else Stage.SALVAGING
        entry.bad_news = BadNews(problem, lost, self._good_looks + 2)
        entry.asked = True

    def disk_looked_at(self, good: bool) -> None:
        """Believe bad news of files, or try again later if it was the disk that was lost."""
        self._disk_is_there = good
        self._good_looks += good
        if good:
            self._look_for_orphans()
        for entry in list(self._entries.values()):
            if not good:
                entry.postponed = entry.again_after_looks = 0
            news = entry.bad_news
            if news is not None and not good:
                entry.bad_news = None
                self._wait_for_disk(entry, news.problem)
            elif news is not None and self._good_looks >= news.believed_after_looks:
                self._decide_against(entry, news)
            self._go_on_with(entry)

    def _salvage_postponed(self, recording_id: RecordingId, problem: str) -> None:
        entry = self._entries.get(recording_id)
        if entry is None or entry.stage in (Stage.IN_PLACE, Stage.DECIDED):
            return
        self._ended_by_itself(entry, problem, entry.monotonic_ns)
        entry.stage = Stage.SALVAGING
        # A disk that is there may still fail to read this very file, for long.
        entry.again_after_looks = self._good_looks + min(2**entry.postponed, _LONGEST_PAUSE_LOOKS)
        entry.postponed += 1
        self._wait_for_disk(entry, problem)

    def _wait_for_disk(self, entry: Entry, problem: str) -> None:
        """The packer hears that it is not saved; its row stays open until the disk is back."""
        entry.asked = False
        entry.recovered = entry.recovered or entry.stage is Stage.SALVAGING
        self._hands.note("recording waits for its disk", problem, entry.recording_id)
        self._hands.step(RecordingFailed(entry.recording_id, problem))

    def _decide_against(self, entry: Entry, news: BadNews) -> None:
        entry.bad_news = None  # else decided anew with each look while the catalogue is locked
        if news.lost:
            entry.stage, entry.problem = Stage.GIVEN_UP, news.problem
            self._go_on_with(entry, anew=True)
        else:
            self._write_verdict(entry, news.problem, Catalogue.damaged)

    def _files_set_aside(self, recording_id: RecordingId, files: Sequence[str]) -> None:
        entry = self._entries.get(recording_id)
        if entry is not None and entry.stage is Stage.GIVEN_UP:
            self._write_verdict(entry, why_lost(entry.problem, files), Catalogue.lost)

    def _write_verdict(
        self,
        entry: Entry,
        problem: str,
        verdict: Callable[[Catalogue, RecordingId, str], None],
    ) -> None:
        recording_id = entry.recording_id
        entry.stage = Stage.DECIDED
        self._hands.submit(
            lambda catalogue: verdict(catalogue, recording_id, problem),
            lambda _: self._finished(entry, RecordingFailed(recording_id, problem)),
        )

    def _finished(self, entry: Entry, event: RecordingFinished | RecordingFailed) -> None:
        """The row says how it ended."""
        if isinstance(event, RecordingFinished):
            self.saved += 1
            how = "recovered" if entry.recovered else "saved"
            self._hands.note(f"recording {how}", entry.files.video.name, entry.recording_id)
        else:
            self.failed += 1
            self._hands.note("recording not saved", event.problem, entry.recording_id)
        self._hands.step(event)
        del self._entries[entry.recording_id]

    def _go_on_with(self, entry: Entry, *, anew: bool = False) -> None:
        """Let the engine finish what it can, unless it is doing so; `anew` asks again.

        While the disk is away every file would seem to be lost.
        """
        if (entry.asked or self._good_looks < entry.again_after_looks) and not anew:
            return
        entry.asked = self._engine_is_there and self._disk_is_there
        if not entry.asked:
            return
        if entry.stage is Stage.SALVAGING:
            self._hands.tell_engine(Salvage(entry.recording_id, entry.files))
        elif entry.stage is Stage.IN_PLACE:
            self._hands.tell_engine(
                Verify(entry.recording_id, entry.files, entry.frames, entry.duration_ns)
            )
        elif entry.stage is Stage.GIVEN_UP:
            self._hands.tell_engine(SetAside(entry.recording_id, entry.files))
