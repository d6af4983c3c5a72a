"""Plays signals on lamps and buzzer, and opens them anew when they fail."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from recorderd.core.model import NANOSECONDS_PER_SECOND, Nanoseconds
from recorderd.core.signals import APPEARANCES, Lamp, Signal, Tone
from recorderd.errors import RecorderdError
from recorderd.panel.backoff import Backoff
from recorderd.panel.base import PanelOutputs
from recorderd.panel.faults import PanelFaults, unexpected
from recorderd.panel.schedule import PanelMoment, SignalSchedule

REFRESH: Nanoseconds = 1 * NANOSECONDS_PER_SECOND
"""Lamps are set again this often though nothing changed: so a lost GPIO chip is noticed."""

LONGEST_CLOSE_SECONDS = 3.0
_DEVICE = "lamps and buzzer"


class SignalPlayer:
    """Owns the outputs: one thread opens them, drives them and closes them.

    While they do not work signals go on unseen, so that after a repair the present one
    shows and no old ones are played. `open_outputs` raises DeviceError.
    """

    def __init__(
        self,
        open_outputs: Callable[[], PanelOutputs],
        faults: PanelFaults,
        clock: Callable[[], Nanoseconds] = time.monotonic_ns,
    ) -> None:
        self._open_outputs = open_outputs
        self._faults = faults
        self._clock = clock
        self._schedule = SignalSchedule()
        self._condition = threading.Condition()
        self._changed = False
        self._closing = False
        self._outputs: PanelOutputs | None = None
        self._backoff = Backoff()
        self._retry_ns: Nanoseconds | None = None
        self._refresh_ns: Nanoseconds = 0
        self._lit: frozenset[Lamp] | None = None
        self._tone: Tone | None = None
        self._thread = threading.Thread(target=self._run, name="panel-player")

    @property
    def dropped(self) -> int:
        """Momentary signals that were never played because too many were waiting."""
        return self._schedule.dropped

    def start(self) -> None:
        self._thread.start()

    def show(self, signal: Signal) -> None:
        """Let a standing signal last until the next one. Any thread; returns at once."""
        with self._condition:
            self._schedule.show(signal, self._clock())
            self._wake()

    def play(self, signal: Signal) -> None:
        """Play a momentary signal as soon as those before it are over. As `show`."""
        with self._condition:
            self._schedule.play(signal)
            self._wake()

    def close(self) -> None:
        """Lamps off, buzzer silent, thread gone. Never raises."""
        with self._condition:
            self._closing = True
            self._wake()
        if self._thread.ident is not None:
            self._thread.join(LONGEST_CLOSE_SECONDS)

    def tick(self, now_ns: Nanoseconds) -> Nanoseconds:
        """Do what is due. Returns when to call again at the latest. The player's thread only."""
        with self._condition:
            self._changed = False
            moment = self._schedule.advance(now_ns)
            standing = self._schedule.standing
        try:
            if self._outputs is not None:
                self._apply(self._outputs, moment, now_ns, moment.begun)
            elif self._retry_ns is None or now_ns >= self._retry_ns:
                self._outputs = self._open_outputs()
                self._lit, self._tone = None, None
                momentary = tuple(s for s in moment.begun if not APPEARANCES[s].standing)
                begun = momentary if standing is None else (standing, *momentary)
                self._apply(self._outputs, moment, now_ns, begun)
                self._backoff.worked(now_ns)
                self._faults.works(_DEVICE)
        except RecorderdError as error:
            self._give_up(error, now_ns)
        except Exception as error:
            self._give_up(unexpected("The driver of lamps and buzzer", error), now_ns)
        due = self._refresh_ns if self._retry_ns is None else self._retry_ns
        return due if moment.next_change_ns is None else min(due, moment.next_change_ns)

    def _apply(
        self,
        outputs: PanelOutputs,
        moment: PanelMoment,
        now_ns: Nanoseconds,
        begun: tuple[Signal, ...],
    ) -> None:
        for signal in begun:
            outputs.announce(signal)
        if moment.lit != self._lit or now_ns >= self._refresh_ns:
            outputs.light(moment.lit)
            self._lit = moment.lit
            self._refresh_ns = now_ns + REFRESH
        if moment.tone != self._tone:
            outputs.sound(moment.tone)
            self._tone = moment.tone
        self._retry_ns = None

    def _give_up(self, error: RecorderdError, now_ns: Nanoseconds) -> None:
        outputs, self._outputs = self._outputs, None
        if outputs is not None:
            outputs.close()
        self._retry_ns = self._backoff.failed(now_ns)
        self._faults.failed(_DEVICE, error)

    def _run(self) -> None:
        while True:
            wake_ns = self.tick(self._clock())
            with self._condition:
                timeout = max(0, wake_ns - self._clock()) / NANOSECONDS_PER_SECOND
                self._condition.wait_for(lambda: self._changed or self._closing, timeout)
                if self._closing:
                    break
        if self._outputs is not None:
            self._outputs.close()

    def _wake(self) -> None:
        self._changed = True
        self._condition.notify()
