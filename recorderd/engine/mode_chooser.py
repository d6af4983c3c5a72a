"""Keeps choosing how to record: from trials at first, then from what encoders do at work.

An encoder that fails is not used again while the station runs, whatever the settings wish. One
that only falls behind rests: meanwhile pictures are kept as they come, if they can be. When it has
rested and nothing is recorded it is tried once more, and has to be as much faster than the camera
as any other (`HEADROOM`) before it is used; at work, it has to fall behind the camera itself before
it rests. Each time it falls behind, or is found too slow again, it rests twice as long: the way to
record does not change to and fro.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

from recorderd.core.model import Mode, Nanoseconds, nanoseconds
from recorderd.engine import mode, probe
from recorderd.engine.encoder_kinds import EncodeRequest
from recorderd.engine.packets import StreamDescription
from recorderd.errors import DeviceError
from recorderd.settings import RecordingSettings

PROOFS_FILE: Final = "encoders.json"
FIRST_REST: Final = nanoseconds(600)
LONGEST_REST: Final = nanoseconds(4 * 3600)
WORTH_ANOTHER_TRIAL: Final = 0.6
"""Of the speed that is needed. A Raspberry Pi 5 has half of it at 4K: trying again is in vain."""


class Trials(Protocol):
    """Tries encoders; `probe.probe_all` is the real one."""

    def __call__(
        self,
        request: EncodeRequest,
        cache_file: Path | None,
        *,
        wanted: str,
        demoted: Mapping[str, str],
        anew: bool,
        give_up: Callable[[], bool],
    ) -> tuple[probe.EncoderProof, ...]: ...


@dataclass(frozen=True, slots=True)
class _Rest:
    """How long it is, and when it ends."""

    length: Nanoseconds
    until_ns: Nanoseconds


class ModeChooser:
    """The engine's choice of mode and encoder, for one camera session after another.

    Any thread may call; the trials themselves block their caller, for seconds.
    """

    def __init__(
        self,
        settings: RecordingSettings,
        state_folder: Path,
        failed: Mapping[str, str],
        *,
        trials: Trials = probe.probe_all,
        clock: Callable[[], Nanoseconds] = time.monotonic_ns,
    ) -> None:
        """`failed` maps encoders that failed before to what was seen."""
        self._settings = settings
        self._cache_file = state_folder / PROOFS_FILE
        self._failed = dict(failed)
        self._trials = trials
        self._clock = clock
        self._proofs: tuple[probe.EncoderProof, ...] = ()
        self._others_are_untried = False
        self._at_work: dict[str, float] = {}
        self._description: StreamDescription | None = None
        self._rest: _Rest | None = None
        self._lock = threading.Lock()

    def choose(self, description: StreamDescription) -> mode.Choice:
        """How to record what this camera delivers. Raises DeviceError if it cannot be."""
        proofs: tuple[probe.EncoderProof, ...] = ()
        if mode.needs_proofs(self._settings.mode, description):
            proofs = self._tried(description, anew=False, give_up=lambda: False)
        with self._lock:
            if description != self._description:
                self._at_work.clear()
                self._rest = None
            self._description, self._proofs = description, proofs
            return self._chosen()

    def failed(self, encoder: str, reason: str) -> mode.Choice | None:
        """It failed at work; the choice among the others. Raises DeviceError if none is left."""
        with self._lock:
            self._failed[encoder] = reason
            # Trials end with the first that is fast enough, and now there is no time for more.
            self._others_are_untried = True
            return self._chosen() if self._description else None

    def fell_behind(self, encoder: str, pictures_per_second: float) -> mode.Choice | None:
        """At work it was slower than the camera; the choice that follows from that. Raises
        DeviceError if there is none."""
        with self._lock:
            self._at_work[encoder] = pictures_per_second
            self._rest_longer()
            return self._chosen() if self._description else None

    def kept_up(self, encoder: str) -> None:
        """It recorded for so long that its next rest may be short again."""
        with self._lock:
            if encoder not in self._at_work:
                self._rest = None

    @property
    def another_trial_is_due(self) -> bool:
        """Whether an encoder may have become fast enough; to be asked while nothing records."""
        with self._lock:
            now, rest = self._clock(), self._rest
            if self._others_are_untried and self._is_deferred():
                return True
            if not self._is_deferred_for_speed():
                return False
            if rest is None:
                self._rest = _Rest(FIRST_REST, now + FIRST_REST)
                return False
            return now >= rest.until_ns

    def try_again(self, give_up: Callable[[], bool]) -> mode.Choice | None:
        """Try the encoders anew; the choice that follows. Blocks. Raises DeviceError.

        None if `give_up` said so: what was tried beside other work says too little.
        """
        with self._lock:
            description = self._description
        if description is None:
            return None
        proofs = self._tried(description, anew=True, give_up=give_up)
        with self._lock:
            if give_up() or description is not self._description:
                return None
            self._at_work.clear()
            self._others_are_untried = False
            self._proofs = proofs
            chosen = self._chosen()
            if chosen.mode is Mode.DEFER:
                self._rest_longer()
            return chosen

    def _tried(
        self, description: StreamDescription, *, anew: bool, give_up: Callable[[], bool]
    ) -> tuple[probe.EncoderProof, ...]:
        """Of the encoder that is wished for, or of any once that has failed."""
        request = EncodeRequest.for_stream(description, self._settings)
        return self._trials(
            request,
            self._cache_file,
            wanted=mode.AUTO if self._failed else self._settings.encoder,
            demoted=dict(self._failed),
            anew=anew,
            give_up=give_up,
        )

    def _chosen(self) -> mode.Choice:
        assert self._description is not None  # noqa: S101 - for the type checker
        wished = self._settings.mode, self._settings.encoder
        # What was wished for has failed once: from then on it matters more that anything works.
        is_free = self._failed and mode.needs_proofs(wished[0], self._description)
        return mode.choose(
            *((mode.AUTO, mode.AUTO) if is_free else wished), self._description, self._usable
        )

    @property
    def _usable(self) -> tuple[probe.EncoderProof, ...]:
        """The proofs that still count, as fast as at work where that is slower."""
        return tuple(
            replace(
                proof,
                frames_per_second=min(
                    proof.frames_per_second, self._at_work.get(proof.name, float("inf"))
                ),
            )
            for proof in self._proofs
            if proof.name not in self._failed
        )

    def _is_deferred(self) -> bool:
        """Whether pictures are kept as they come because of encoders, and not by wish."""
        description = self._description
        if description is None or not mode.needs_proofs(self._settings.mode, description):
            return False
        try:
            return self._chosen().mode is Mode.DEFER
        except DeviceError:
            return False

    def _is_deferred_for_speed(self) -> bool:
        description = self._description
        if description is None or not self._is_deferred():
            return False
        needed = EncodeRequest.for_stream(description, self._settings).rate_needed
        # At work it may have been slow for a reason that is gone: trials say what it can do.
        fastest = max(
            (proof.frames_per_second for proof in self._proofs if proof.name not in self._failed),
            default=0.0,
        )
        return fastest >= WORTH_ANOTHER_TRIAL * needed

    def _rest_longer(self) -> None:
        rest = self._rest
        length = FIRST_REST if rest is None else min(2 * rest.length, LONGEST_REST)
        self._rest = _Rest(length, self._clock() + length)
