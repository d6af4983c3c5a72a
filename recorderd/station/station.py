"""The station: one inbox, one thread that decides, and the hands that carry it out."""

from __future__ import annotations

import queue
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TypeAlias, TypeVar

import structlog

from recorderd.aim.zone import ZoneInForce, in_toml
from recorderd.core.actions import (
    Action,
    EndRun,
    FlagRecording,
    Note,
    PlaySignal,
    ShowSignal,
    StartRecording,
    StopRecording,
    VoidRecording,
)
from recorderd.core.events import (
    Event,
    FaultCleared,
    FaultRaised,
    FrameScanned,
    PanelTestRequested,
    PedalChanged,
    RecordingInterrupted,
    ShutdownRequested,
    TimePassed,
)
from recorderd.core.labels import View
from recorderd.core.machine import next_deadline, step
from recorderd.core.model import Fault, Nanoseconds, RecordingId, StopReason, nanoseconds
from recorderd.core.rules import Zone
from recorderd.core.signals import Signal
from recorderd.core.state import Phase, State
from recorderd.engine.messages import (
    Captured,
    Command,
    EncoderFailed,
    FilesSetAside,
    Heartbeat,
    Hello,
    Inspected,
    NothingLeft,
    SalvagePostponed,
    StreamOpened,
    Verified,
)
from recorderd.errors import CatalogueError
from recorderd.panel import test_request
from recorderd.panel.panel import open_panel
from recorderd.rules import rules_of
from recorderd.settings import Settings
from recorderd.station import status
from recorderd.station.clock import StationClock
from recorderd.station.engine_link import EngineGone, EngineLink, EngineStarted, LinkReport
from recorderd.station.event_log import EventLog
from recorderd.station.recordings import Recordings
from recorderd.station.state_lock import StateLock
from recorderd.station.storage_watch import StorageWatch
from recorderd.station.watchdog import Watchdog
from recorderd.station.writing_watch import WritingWatch
from recorderd.store.catalogue import (
    CORRECTED,
    SYNCHRONISED,
    UNSYNCHRONISED,
    Catalogue,
    ClockReading,
    KnownTimes,
    LogEntry,
    Unfinished,
)
from recorderd.store.footage import make_state_folder
from recorderd.store.identity import boot_id, new_recording_id
from recorderd.store.writer import CatalogueThread

Message: TypeAlias = Event | LinkReport | Callable[[], None]
"""What lies in the inbox; a callable is a result that some other thread hands back."""

TICK_SECONDS = 0.25
STATUS_SECONDS = 1.0
MOST_WAITING = 1000
MOST_JOBS_WAITING = 10_000
MOST_NOTES_WAITING = 2000
LEAVE_LIMIT = nanoseconds(60)
"""What closing may take after SIGTERM; systemd's own limit must be longer."""
DISK_SILENCE = nanoseconds(5)
HEARTBEAT_LIMIT = nanoseconds(10)
WRITING_LIMIT = nanoseconds(10)
CATALOGUE_DEADLINE_SECONDS = 10.0
CLOSING_SECONDS = 90.0
"""What `_close` may take at most: the engine, the disk and the catalogue are waited for."""

_Result = TypeVar("_Result")

log = structlog.get_logger("station")

_LEVELS = {
    "fault": "warning",
    "recording interrupted": "warning",
    "recording waits for its disk": "warning",
    "recording not saved": "error",
    "recording failed": "error",
    "signal": "debug",
}


class Station:
    """Owns the state. Everything below runs on the thread that calls `run`, but `post`."""

    def __init__(
        self, settings: Settings, *, watchdog: Watchdog | None = None, view: View | None = None
    ) -> None:
        """`view` is that of the station before this one in the same process, if there was one:
        a label that lies on the bench meanwhile must not act again.
        """
        self._settings = settings
        self._inbox: queue.SimpleQueue[tuple[Nanoseconds, Message]] = queue.SimpleQueue()
        self._state = State(rules=rules_of(settings), view=view or View())
        self._zone = ZoneInForce(settings)
        self._boot_id = boot_id()
        self._recordings = Recordings(settings, self, self._boot_id)
        self._engine: int | None = None
        self._stream: StreamOpened | None = None
        self._heartbeat: Heartbeat | None = None
        self._engine_restarts = 0
        self._refusals = 0
        self._panel_tests = 0
        self._pedal_presses = 0
        self._stops: Counter[StopReason] = Counter()
        self._clock = StationClock()
        self._seen_texts: dict[str, Nanoseconds] = {}
        self._published_ns: Nanoseconds = 0
        self._ended = False
        self._leaves_when_idle = False
        self._crashed: BaseException | None = None
        self._watchdog = watchdog or Watchdog()
        make_state_folder(settings.state_folder)
        self._lock = StateLock(settings.state_folder)
        self._writing = WritingWatch()
        self._event_log = EventLog(self._write_events)
        self._leave_by_ns: Nanoseconds | None = None
        self._panel = open_panel(settings, self.post)
        self._storage = StorageWatch(settings, self.post, self._footage_adopted)
        self._catalogue = CatalogueThread(
            lambda: Catalogue.open(settings.database_url, settings.station.name),
            self.post,
            self.crash,
            capacity=MOST_JOBS_WAITING,
        )
        self._link = EngineLink(
            Hello(settings, time.monotonic_ns(), demoted={}),
            self._engine_says,
            inherited=[self._lock.descriptor],
        )

    def post(self, message: Message) -> None:
        """Put something into the inbox. Any thread; never waits."""
        self._inbox.put((time.monotonic_ns(), message))

    def _engine_says(self, report: LinkReport) -> None:
        """On the link's thread: an engine that talks faster than we listen has to wait."""
        while self._inbox.qsize() > MOST_WAITING and not self._ended:
            time.sleep(TICK_SECONDS)
        self.post(report)

    def run(self) -> None:
        """Work until everything is closed after a shutdown or the end of a file source.

        Raises what crashed another thread of the station: a bug.
        """
        self.submit(_beginnings, self._begin)
        self._link.start()
        try:
            while not self._ended:
                self._turn()
        finally:
            self._close()
        if self._crashed is not None:
            raise self._crashed

    def _turn(self) -> None:
        try:
            _, message = self._inbox.get(timeout=self._patience())
        except queue.Empty:
            message = TimePassed()
        if callable(message):
            message()
        else:
            self._take(message)
        if self._crashed is not None:
            self._ended = True
        self._look_around()

    def _patience(self) -> float:
        deadline = next_deadline(self._state)
        if deadline is None:
            return TICK_SECONDS
        return min(TICK_SECONDS, max(0.0, (deadline - time.monotonic_ns()) / 1e9))

    def _take(self, message: Event | LinkReport) -> None:
        match message:
            case Heartbeat():
                self._heartbeat = message
            case EngineStarted(process_id):
                self._engine_started(process_id)
            case EngineGone(problem, crashed):
                self._engine_gone(problem, crashed)
            case RecordingInterrupted(reason=StopReason.STORAGE_LOST):
                self._storage.doubt()
                self.step(message)
            case StreamOpened():
                self._stream_opened(message)
            case EncoderFailed(encoder, reason):
                self._link.demote(encoder, reason)
            case (
                Captured()
                | Verified()
                | NothingLeft()
                | FilesSetAside()
                | SalvagePostponed()
                | Inspected()
            ):
                self._recordings.heard(message)
            case FaultRaised(Fault.STORAGE) | FaultCleared(Fault.STORAGE):
                self.step(message)
                self._recordings.disk_looked_at(isinstance(message, FaultCleared))
            case FaultRaised(Fault.CAMERA):
                self.step(message)
                self.step(FaultCleared(Fault.ENGINE))
            case ShutdownRequested():
                self._leave_by_ns = time.monotonic_ns() + LEAVE_LIMIT
                self._watchdog.stopping()
                self.step(message)
            case _:
                self._log_input(message)
                self.step(message)

    # --- deciding

    def step(self, event: Event) -> None:
        state = self._state
        if state.next_id is None:
            state = replace(state, next_id=new_recording_id())
        was_down = state.pedal.down
        self._state, actions = step(state, event, time.monotonic_ns())
        self._pedal_presses += self._state.pedal.down and not was_down
        for action in actions:
            self._carry_out(action)

    def _carry_out(self, action: Action) -> None:
        match action:
            case StartRecording():
                self._recordings.start(action, self._clock)
            case StopRecording(recording_id, at_ns, reason):
                self._stops[reason] += 1
                self._recordings.stop(recording_id, at_ns, reason)
            case FlagRecording(flagged):
                self.submit(lambda catalogue: catalogue.flag(flagged))
                self.note("recording flagged", "by the packer", flagged)
            case VoidRecording(voided):
                self.submit(lambda catalogue: catalogue.void(voided))
                self.note("recording declared void", "by the packer", voided)
            case ShowSignal(signal):
                self._panel.show(signal)
                self.note("signal", signal.value)
            case PlaySignal(signal):
                self._refusals += signal is Signal.REFUSED
                self._panel_tests += signal is Signal.TEST
                self._panel.play(signal)
                self.note("signal", signal.value)
            case Note(event, detail, recording_id):
                self.note(event, detail, recording_id)
            case EndRun():
                self._ended = True

    # --- engine, catalogue, disk

    def _engine_started(self, process_id: int) -> None:
        log.info("engine started", pid=process_id)
        self._engine = process_id
        self._recordings.engine_started()

    def _engine_gone(self, problem: str, crashed: bool) -> None:
        self._engine_restarts += 1
        stream, heartbeat = self._stream, self._heartbeat
        if crashed and stream and stream.encoder and heartbeat and heartbeat.recordings:
            self._link.demote(stream.encoder, problem)
            log.warning("encoder demoted", encoder=stream.encoder, reason=problem)
        self._engine = None
        self._recordings.engine_gone()
        self._heartbeat = None
        self._stream = None
        self.step(
            FaultRaised(
                Fault.ENGINE,
                f"The video engine failed: {problem}. It is started again; "
                "if this repeats, read the journal and check camera and memory.",
            )
        )

    def _stream_opened(self, stream: StreamOpened) -> None:
        self._stream = stream
        log.info(
            "camera opened",
            picture=f"{stream.width}x{stream.height}",
            rate=round(stream.rate, 2),
            codec=stream.codec,
            mode=stream.mode,
            encoder=stream.encoder,
            reason=stream.reason,
        )
        self.step(FaultCleared(Fault.ENGINE))

    def tell_engine(self, command: Command) -> None:
        """If there is no engine, the next one is told what is left to be done."""
        if self._engine is not None:
            self._link.send(self._engine, command)

    def _begin(self, beginnings: tuple[str | None, list[Unfinished], KnownTimes]) -> None:
        """The catalogue is open: the footage folder can be checked, old work finished."""
        footage_id, unfinished, known_times = beginnings
        self._storage.start(footage_id)
        self._recordings.catalogue_opened(unfinished)
        if self._clock.recall(known_times):
            self._correct_clock()

    def _footage_adopted(self, footage_id: str) -> None:
        """On the storage watch's thread."""
        self.submit(lambda catalogue: catalogue.set_footage_id(footage_id))

    def crash(self, error: BaseException) -> None:
        """From another thread: a bug was met there. The station must not go on."""
        self._crashed = error
        self.post(TimePassed())

    def submit(
        self,
        job: Callable[[Catalogue], _Result],
        done: Callable[[_Result], None] | None = None,
    ) -> None:
        """Have the catalogue's thread do this; `done` then runs on the station's own thread."""

        def hand_back(result: _Result) -> None:
            if done is not None:
                self.post(lambda: done(result))

        with suppress(CatalogueError):  # too much is queued: that fault is signalled already
            self._catalogue.submit(job, hand_back)

    # --- looking around

    def _look_around(self) -> None:
        now = time.monotonic_ns()
        if self._storage.silent_for > DISK_SILENCE and Fault.STORAGE not in self._state.faults:
            self._take(
                FaultRaised(
                    Fault.STORAGE,
                    "The footage disk does not answer. Check its cable, or the network share.",
                )
            )
        self._event_log.time_passed(now)
        self._watch_writing(now)
        if self._leave_by_ns is not None and now > self._leave_by_ns and not self._ended:
            log.error("leaving before all is saved: the next start goes on with it")
            self._ended = True
        if not self._state.pending:
            self._watchdog.ready()
        if self._really_works(now):
            self._watchdog.alive()
        if self._leaves_when_idle and self._state.phase is Phase.READY:
            self._ended = True
        if now - self._published_ns >= nanoseconds(STATUS_SECONDS):
            self._published_ns = now
            if test_request.taken(self._settings.run_folder):
                self.step(PanelTestRequested())
            self._publish(now)
            self._watch_clock()
            self._watch_zone()
            if self._leave_by_ns is not None:
                self._watchdog.more_time(CLOSING_SECONDS)

    def _watch_writing(self, now: Nanoseconds) -> None:
        """Pictures that do not reach the file, or are dropped, are heard while it happens."""
        if self._heartbeat is None:
            return
        self._writing.look(self._heartbeat, now)
        active = self._state.recording
        problem = self._writing.problem(now, active.recording_id if active else None)
        if problem is not None and Fault.WRITING not in self._state.faults:
            self.step(FaultRaised(Fault.WRITING, problem))
        elif problem is None and Fault.WRITING in self._state.faults:
            self.step(FaultCleared(Fault.WRITING))
        if self._writing.hopeless(now):
            self._link.replace_engine("it has stopped writing pictures")
            self._writing = WritingWatch()

    def _really_works(self, now: Nanoseconds) -> bool:
        """Fresh heartbeats and, while recording, pictures that reach the file."""
        heartbeat = self._heartbeat
        if heartbeat is None or now - heartbeat.sent_ns > HEARTBEAT_LIMIT:
            return False
        active = self._state.recording
        if active is None or now - active.part_started_ns < WRITING_LIMIT:
            return True
        return any(
            now - progress.written_ns < WRITING_LIMIT
            for progress in heartbeat.recordings
            if progress.recording_id == active.recording_id
        )

    def _publish(self, now: Nanoseconds) -> None:
        state = self._state
        if state.phase is Phase.RECORDING and state.order is not None:
            started = state.recording.take_started_ns if state.recording else now
            minutes, seconds = divmod((now - started) // 1_000_000_000, 60)
            self._watchdog.status(f"recording {state.order.order_id!r}, {minutes:02}:{seconds:02}")
        else:
            self._watchdog.status("; ".join(state.faults.values()) or state.phase.value)
        with suppress(OSError):  # a full /run must not stop the station
            status.publish(
                self._settings.status_file,
                status.document(
                    self._settings,
                    state,
                    now,
                    self._boot_id,
                    self._stream,
                    self._heartbeat,
                    list(self._recordings),
                    {
                        "recordings": self._recordings.saved,
                        "failures": self._recordings.failed,
                        "refusals": self._refusals,
                        "engine_restarts": self._engine_restarts,
                        "pedal_presses": self._pedal_presses,
                        "panel_tests": self._panel_tests,
                    },
                    self._stops,
                    {
                        "inbox": status.Queue(self._inbox.qsize(), MOST_WAITING),
                        "catalogue": status.Queue(self._catalogue.waiting, MOST_JOBS_WAITING),
                    },
                    self._clock.status,
                ),
            )

    def _watch_clock(self) -> None:
        """What was written before the clock was right is dated anew once it is."""
        if self._clock.look():
            self._correct_clock()

    def _watch_zone(self) -> None:
        """It may be drawn anew at any time. Only the catalogue's thread may wait for a disk."""
        if not self._catalogue.waiting:
            self.submit(lambda _catalogue: self._zone.look(), self._use_zone)

    def _use_zone(self, zone: Zone | None) -> None:
        rules = self._state.rules
        if zone == rules.labels.zone:
            return
        self._state = replace(
            self._state, rules=replace(rules, labels=replace(rules.labels, zone=zone))
        )
        self.note("zone changed", in_toml(zone))

    def _correct_clock(self) -> None:
        offset_ns, right = self._clock.offset_ns, self._clock.status == SYNCHRONISED
        dated = CORRECTED if right else UNSYNCHRONISED
        event = "clock synchronised" if right else "clock set by hand"
        # Also what has waited until now was dated by the clock as it was.
        self._event_log.flush()
        self.submit(
            lambda catalogue: catalogue.correct_clock(self._boot_id, offset_ns, dated),
            lambda rows: self.note(event, f"{rows} recordings corrected"),
        )

    def _log_input(self, event: Event) -> None:
        if isinstance(event, PedalChanged):
            self.note("pedal", "down" if event.down else "up")
        elif isinstance(event, FrameScanned):
            for code in event.codes:
                last_ns = self._seen_texts.get(code.text)
                if last_ns is None or event.captured_ns - last_ns > self._state.rules.labels.rearm:
                    self.note("label read", f"{code.symbology.value}: {code.text[:300]}")
                self._seen_texts[code.text] = event.captured_ns
            if len(self._seen_texts) > 64:
                self._seen_texts.clear()

    def note(self, event: str, detail: str, recording_id: RecordingId | None = None) -> None:
        """One line in the journal and one in the catalogue's event log."""
        fields: dict[str, str] = {}
        if recording_id:
            fields["recording_id"] = recording_id
            order_id = self._recordings.order_id(recording_id)
            if order_id is not None:
                fields["order_id"] = order_id
        getattr(log, _LEVELS.get(event, "info"))(event, detail=detail, **fields)
        now = time.monotonic_ns()
        at, reading = self._clock.time_of(now), ClockReading(self._boot_id, now, self._clock.status)
        self._event_log.add(LogEntry(event, detail, recording_id, at, reading), now)

    def _write_events(self, entries: tuple[LogEntry, ...]) -> None:
        if self._catalogue.waiting < MOST_NOTES_WAITING:
            self.submit(lambda catalogue: catalogue.note_all(entries))

    def _close(self) -> None:
        self._watchdog.more_time(CLOSING_SECONDS)
        self._link.close()
        self._storage.close(timeout=2)
        self._event_log.flush()
        undone = self._catalogue.close(CATALOGUE_DEADLINE_SECONDS)
        if undone:
            log.error("the catalogue could not be brought up to date", entries=undone)
        self._panel.close()
        self._lock.release()
        status.withdraw(self._settings.status_file)

    def shut_down(self) -> None:
        """Finish what is being recorded, then leave `run`. Any thread, also a signal handler."""
        self.post(ShutdownRequested())

    def leave_when_idle(self) -> None:
        """Leave `run` as soon as nothing is being recorded. Any thread, also a signal handler."""
        self.post(self._await_idleness)

    def _await_idleness(self) -> None:
        self._leaves_when_idle = True

    @property
    def view(self) -> View:
        """The labels that are in view, for the station after this one. Main thread."""
        return self._state.view


def _beginnings(catalogue: Catalogue) -> tuple[str | None, list[Unfinished], KnownTimes]:
    return catalogue.footage_id, catalogue.unfinished(), catalogue.known_times(boot_id())
