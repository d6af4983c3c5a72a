"""One step of the state machine in the making."""

from __future__ import annotations

from dataclasses import replace

from recorderd.core.actions import Action, Note, PlaySignal
from recorderd.core.model import Nanoseconds
from recorderd.core.signals import Signal
from recorderd.core.state import State


class Turn:
    """The state so far, the moment it is judged at, and the actions collected."""

    def __init__(self, state: State, now: Nanoseconds) -> None:
        self.state = state
        self.now = now
        self.actions: list[Action] = []

    def do(self, *actions: Action) -> None:
        self.actions.extend(actions)

    def change(self, **changes: object) -> None:
        """Replace fields of the state."""
        self.state = replace(self.state, **changes)  # type: ignore[arg-type]

    def refuse(self, event: str, why: str) -> None:
        """Tell the packer no, and the journal why."""
        self.do(Note(event, why), PlaySignal(Signal.REFUSED))
