"""The engine: wires camera, scan feed and recordings, and obeys the station."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import TypeVar

import av
import structlog

from recorderd import logs
from recorderd.aim.live import LiveOutlet
from recorderd.aim.zone import ZoneInForce
from recorderd.core.events import FaultCleared, FaultRaised
from recorderd.core.model import Fault, RecordingId, nanoseconds
from recorderd.engine import mode, verify
from recorderd.engine.capture import Capture
from recorderd.engine.footage_file import storage_errors
from recorderd.engine.live_views import LiveViews
from recorderd.engine.messages import (
    Captured,
    Command,
    EncoderFailed,
    FilesSetAside,
    Heartbeat,
    Hello,
    Inspect,
    Inspected,
    Leave,
    NothingLeft,
    Salvage,
    SalvagePostponed,
    SetAside,
    Start,
    Stop,
    StreamOpened,
    Verified,
    Verify,
)
from recorderd.engine.mode_chooser import ModeChooser
from recorderd.engine.outbox import Outbox
from recorderd.engine.packet_buffer import PacketBuffer
from recorderd.engine.packets import StreamDescription
from recorderd.engine.recording import Recording
from recorderd.engine.salvage import disk_is_there, facts_of_torn, salvage
from recorderd.engine.scan_feed import ScanFeed
from recorderd.engine.scanner import Scanner
from recorderd.engine.session import Session
from recorderd.engine.sources import make_source
from recorderd.errors import DeviceError, StorageError
from recorderd.rules import label_rules_of
from recorderd.store.set_aside import remove_empty, set_aside_all

HEARTBEAT_SECONDS = 0.2
WEDGED_AFTER_SECONDS = 5.0
STUCK_SECONDS = 60.0
"""What a driver may take to open or close a camera: several formats are tried in turn."""

CLOSING_SECONDS = 45.0
"""What closing all recordings may take when the engine leaves; a disk may hang."""

SCANNER_RETRY_SECONDS = 5.0
QUIET_SECONDS = 60.0
"""Without a recording, before encoders are tried once more."""

VERIFY_RETRY_SECONDS = 0.5
VERIFY_PATIENCE_SECONDS = 5.0
EXIT_CRASHED = 70
EXIT_WEDGED = 3
"""The camera's driver does not let go of a thread: only a new process helps."""

_Check = TypeVar("_Check", Salvage, SetAside, Verify, Inspect)

log = structlog.get_logger("engine")


class Engine:
    """Runs on the process's main thread until told to leave or the station is gone."""

    def __init__(self, connection: Connection, hello: Hello) -> None:
        settings = hello.settings
        self._settings = settings
        self._connection = connection
        self._outbox = Outbox(connection)
        self._recordings: dict[RecordingId, Recording] = {}
        self._chooser = ModeChooser(settings.recording, settings.state_folder, hello.demoted)
        self._session: Session | None = None
        self._checks = ThreadPoolExecutor(3, thread_name_prefix="check")
        self._trial: Future[None] = Future()
        self._trial.set_result(None)
        self._silent = False
        self._recorded_at = 0.0
        self._leaving = threading.Event()
        self._scanner = Scanner(settings.labels, settings.camera.width, settings.camera.height)
        label_rules, zone = label_rules_of(settings.labels), ZoneInForce(settings)
        self._live_views = LiveViews(
            LiveOutlet(settings.run_folder), lambda: replace(label_rules, zone=zone.look())
        )
        self._feed = ScanFeed(
            self._scanner, settings.labels, self._outbox.put, onlooker=self._live_views.offer
        )
        self._capture = Capture(
            settings.camera,
            lambda: make_source(settings.camera, hello.started_ns),
            self._stream_opened,
            self._outbox.put,
        )

    def run(self) -> int:
        """Returns the process's exit code."""
        self._checks.submit(self._start_scanning).add_done_callback(_crash_if_failed)
        self._live_views.start()
        self._capture.start()
        leaving = False
        while not leaving:
            try:
                if self._connection.poll(HEARTBEAT_SECONDS):
                    leaving = self._obey(self._connection.recv())
            except (EOFError, OSError):
                log.warning("the station is gone: closing all recordings")
                for recording in self._recordings.values():
                    recording.stay_incoming()
                leaving = True
            self._heartbeat()
            if self._watch_silence():
                return self._leave(EXIT_WEDGED)
        return self._leave(0)

    def _obey(self, command: Command) -> bool:
        match command:
            case Start():
                self._start(command)
            case Stop(recording_id, at_ns):
                recording = self._recordings.get(recording_id)
                if recording is not None:
                    recording.stop(at_ns)
            case Salvage():
                self._check(self._salvage, command)
            case Verify():
                self._check(self._verify, command)
            case Inspect():
                self._check(self._inspect, command)
            case SetAside():
                self._check(self._set_aside, command)
            case Leave():
                return True
            case Hello():
                pass
        return False

    def _check(self, work: Callable[[_Check], None], command: _Check) -> None:
        """Do this on another thread; what it did not expect is a bug like anywhere else."""
        self._checks.submit(work, command).add_done_callback(_crash_if_failed)

    def _start_scanning(self) -> None:
        """Until there is a scanner, the pedal and the hand scanner still work."""
        while not self._leaving.is_set():
            try:
                self._scanner.start()
            except DeviceError as error:
                self._outbox.put(FaultRaised(Fault.SCANNER, str(error)))
                self._leaving.wait(SCANNER_RETRY_SECONDS)
                continue
            self._outbox.put(FaultCleared(Fault.SCANNER))
            self._feed.start()
            return

    # --- camera

    def _stream_opened(self, description: StreamDescription) -> PacketBuffer:
        """On the capture thread: choose how to record what this camera delivers."""
        choice = self._chooser.choose(description)
        recording = self._settings.recording
        buffer = PacketBuffer(
            nanoseconds(recording.pre_roll_seconds), recording.buffer_megabytes * 1_000_000
        )
        self._session = Session(description, buffer, choice, self._feed.offer)
        self._feed.watch(self._session)
        self._announce(self._session)
        self._silent = False
        self._outbox.put(FaultCleared(Fault.CAMERA))
        return buffer

    def _announce(self, session: Session) -> None:
        description, choice = session.description, session.choice
        self._outbox.put(
            StreamOpened(
                codec=description.codec,
                width=description.width,
                height=description.height,
                rate=float(description.rate),
                pixel_format=description.pixel_format,
                mode=choice.mode.value,
                encoder=choice.encoder.name if choice.encoder else "",
                reason=choice.reason,
            )
        )

    def failed(self, encoder: str, reason: str) -> None:
        """On a recording's thread: choose again among the encoders that are left."""
        self._outbox.put(EncoderFailed(encoder, reason))
        with self._no_encoder_is_left_is_told():
            choice = self._chooser.failed(encoder, reason)
            self._choose_anew(choice, "encoder demoted", encoder=encoder, reason=reason)

    def fell_behind(self, encoder: str, pictures_per_second: float) -> None:
        """On a recording's thread: the pictures still to come are recorded in another way."""
        facts = {"encoder": encoder, "pictures_per_second": round(pictures_per_second, 1)}
        with self._no_encoder_is_left_is_told():
            choice = self._chooser.fell_behind(encoder, pictures_per_second)
            self._choose_anew(choice, "encoder too slow", **facts)

    @contextlib.contextmanager
    def _no_encoder_is_left_is_told(self) -> Iterator[None]:
        """The next part tries the same one again; the station's patience has an end."""
        try:
            yield
        except DeviceError as error:
            log.error("no encoder is left", problem=str(error))

    def kept_up(self, encoder: str) -> None:
        """On a recording's thread."""
        self._chooser.kept_up(encoder)

    def _choose_anew(self, choice: mode.Choice | None, why: str, **facts: object) -> None:
        session = self._session
        if session is None or choice is None:
            return
        session.choice = choice
        log.warning(why, **facts, now=choice.reason)
        self._announce(session)

    def _try_encoders_again(self) -> None:
        """On a thread of its own, until something is recorded."""

        def disturbed() -> bool:
            return self._leaving.is_set() or bool(self._recordings)

        with self._no_encoder_is_left_is_told():
            self._choose_anew(self._chooser.try_again(disturbed), "encoders tried again")

    def _watch_silence(self) -> bool:
        """Notice a camera that delivers nothing; True if its driver hangs beyond help."""
        silent_seconds = self._capture.silent_for / 1e9
        limit = self._settings.camera.silence_seconds
        if silent_seconds > limit and not self._silent:
            self._silent = True
            self._outbox.put(FaultRaised(Fault.CAMERA, str(self._capture.silence)))
            self._capture.give_up_on_camera()
        stuck_seconds = self._capture.stuck_for / 1e9
        return silent_seconds > limit + WEDGED_AFTER_SECONDS or stuck_seconds > STUCK_SECONDS

    # --- recordings

    def _start(self, command: Start) -> None:
        session = self._session
        if session is None or session.buffer.ended:
            self._outbox.put(NothingLeft(command.recording_id, "the camera was lost meanwhile"))
            return
        recording = Recording(command, session, self._settings.recording, self._outbox.put, self)
        self._recordings[command.recording_id] = recording
        recording.start()
        session.release()

    def _salvage(self, command: Salvage) -> None:
        try:
            self._outbox.put(salvage(command.recording_id, command.files))
        except StorageError as error:
            self._outbox.put(SalvagePostponed(command.recording_id, str(error)))

    def _set_aside(self, command: SetAside) -> None:
        """What plays after all (its disk may have been away for a moment) is saved instead."""
        try:
            left = salvage(command.recording_id, command.files)
            if isinstance(left, Captured):
                self._outbox.put(left)
                return
            with storage_errors(command.files.incoming_video), disk_is_there(command.files):
                files = set_aside_all(
                    command.recording_id, command.files, self._settings.set_aside_folder
                )
                remove_empty(command.files)
            self._outbox.put(FilesSetAside(command.recording_id, tuple(files)))
        except StorageError as error:
            self._outbox.put(SalvagePostponed(command.recording_id, str(error)))

    def _inspect(self, command: Inspect) -> None:
        facts = None
        with contextlib.suppress(OSError, StorageError):
            facts = facts_of_torn(command.path)
        self._outbox.put(Inspected(command.path, facts.tags if facts else {}))

    def _verify(self, command: Verify) -> None:
        """An engine that cannot do this for too long ends: the next one tries again."""
        began = time.monotonic()
        while True:
            try:
                problem = verify.problem_of(
                    command.files.video, command.frames, command.duration_ns
                )
                break
            except (OSError, av.FFmpegError) as error:
                log.warning("a video cannot be checked now", problem=str(error))
                if time.monotonic() - began > VERIFY_PATIENCE_SECONDS:
                    raise
                if self._leaving.wait(VERIFY_RETRY_SECONDS):
                    return
        self._outbox.put(Verified(command.recording_id, problem))

    def _heartbeat(self) -> None:
        self._recordings = {key: r for key, r in self._recordings.items() if r.alive}
        session = self._session
        if self._recordings:
            self._recorded_at = time.monotonic()
        patience = self._settings.recording.resume_seconds
        if session is not None and time.monotonic() - self._recorded_at > patience:
            session.release()  # No further part comes: its memory is free for others.
        is_quiet = time.monotonic() - self._recorded_at > QUIET_SECONDS
        if is_quiet and self._trial.done() and self._chooser.another_trial_is_due:
            self._trial = self._checks.submit(self._try_encoders_again)
            self._trial.add_done_callback(_crash_if_failed)
        self._outbox.put(
            Heartbeat(
                sent_ns=time.monotonic_ns(),
                pictures=self._capture.counters.pictures,
                damaged=self._capture.counters.damaged,
                scans=self._feed.scans,
                scanner_deaths=self._feed.deaths,
                scan_seconds=self._feed.seconds,
                buffer_bytes=session.buffer.bytes if session else 0,
                recordings=tuple(r.progress for r in self._recordings.values()),
                buffer_pictures=session.buffer.pictures if session else 0,
                reports_waiting=self._outbox.waiting,
                scan_latency=self._feed.latency,
            )
        )

    def _leave(self, code: int) -> int:
        now = time.monotonic_ns()
        self._leaving.set()
        for recording in self._recordings.values():
            recording.stop(now)
        deadline = time.monotonic() + CLOSING_SECONDS
        for recording in self._recordings.values():
            recording.join(max(0.0, deadline - time.monotonic()))
        stuck = any(recording.alive for recording in self._recordings.values())
        self._checks.shutdown(wait=not stuck, cancel_futures=stuck)
        self._feed.close(timeout=3)
        self._live_views.close(timeout=1)
        self._scanner.close()
        stuck |= not self._capture.close(timeout=2)
        self._outbox.close(timeout=2)
        if stuck:
            os._exit(code)
        return code


def _crash_if_failed(future: Future[None]) -> None:
    error = future.exception()
    if error is not None:
        _end_with(error, threading.current_thread().name)


def _crash(arguments: threading.ExceptHookArgs) -> None:
    """A bug in one thread must not leave a half-living engine: the station starts a new one."""
    _end_with(
        arguments.exc_value or RuntimeError(arguments.exc_type.__name__),
        arguments.thread.name if arguments.thread else "",
    )


def _end_with(error: BaseException, thread: str) -> None:
    log.critical("bug: a thread crashed", thread=thread, exc_info=error)
    os._exit(EXIT_CRASHED)


def run(connection: Connection) -> int:
    """The engine process's life: wait for Hello, then work until told to leave."""
    hello = connection.recv()
    logs.set_up(hello.settings.log, "engine")
    threading.excepthook = _crash
    return Engine(connection, hello).run()
