"""Explores the state machine and writes what it finds as a table for people to review.

    python -m tests.core.transitions

writes `transitions.md`; a test keeps file and code equal. The exploration goes breadth first
from the start: one bench stands for all that look alike in `summary`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

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
    FaultCleared,
    PanelTestRequested,
    ShutdownRequested,
    TimePassed,
)
from recorderd.core.labels import View
from recorderd.core.model import BLOCKING_FAULTS, Fault, StopReason
from tests.core.bench import PLENTY, Bench

TABLE = Path(__file__).with_name("transitions.md")

MOST_COMPLICATIONS = 1

LIKE_THE_CAMERA = frozenset({Fault.ENGINE, Fault.STORAGE})
"""Faults that end a part as a lost camera does: shown, but not followed further."""

INTRODUCTION = """\
# What the station does, explored

Generated from the code by `python -m tests.core.transitions`; a test keeps it up to date.
From each state the table lists every event that changes the state or makes the station do
something; an event that is not listed does nothing there. Recordings are old enough to be
stopped by their label, every label shown was out of view before, and no second fault comes.

- *recording*: an order is being recorded; *later part*: its recording was interrupted before;
  *stops soon*: within the warning before the time limit.
- *interrupted*: the order at hand is to go on in another part.
- *saving*: what is being closed and checked. A part counts as *final* if its order ended with it.
- Faults are in brackets; all but *panel* and *pedal-stuck* refuse new recordings.

States with more than one complication at once (a fault, something being saved, a later part,
the warning, leaving) appear as results but are not followed further; nor are a lost engine and
a lost storage, which go on like a lost camera.

| state | event | new state | what is done |
|---|---|---|---|
"""


@dataclass(frozen=True, slots=True)
class Happening:
    """An event of the table: what it is called, where it can come, and how it is played."""

    name: str
    possible: Callable[[Bench], bool]
    play: Callable[[Bench], object]


# --- where an event can come


def always(bench: Bench) -> bool:
    return True


def starting(bench: Bench) -> bool:
    return bench.state.pending == BLOCKING_FAULTS


def idle(bench: Bench) -> bool:
    return bench.state.order is None


def at_work(bench: Bench) -> bool:
    return bench.state.order is not None


def running(bench: Bench) -> bool:
    return bench.state.recording is not None


def closing(bench: Bench) -> bool:
    return bool(bench.state.closing)


def staying(bench: Bench) -> bool:
    return bench.state.leaving is None


def pedal_is_up(bench: Bench) -> bool:
    return not bench.state.pedal.contact


def pedal_is_down(bench: Bench) -> bool:
    return bench.state.pedal.contact


def seen(bench: Bench) -> bool:
    """Somebody looks at what the camera shows."""
    missing = bench.state.pending | set(bench.state.faults)
    return not missing & {Fault.CAMERA, Fault.ENGINE}


def seen_while_idle(bench: Bench) -> bool:
    return seen(bench) and idle(bench)


def seen_at_work(bench: Bench) -> bool:
    return seen(bench) and not idle(bench)


def soon(bench: Bench) -> bool:
    return bench.state.recording is not None and bench.state.recording.warned


def sound(bench: Bench) -> bool:
    return not bench.state.faults


def sound_or_running(bench: Bench) -> bool:
    return sound(bench) or running(bench)


def waiting_for_retry(bench: Bench) -> bool:
    return bench.state.suspended is not None and not bench.state.obstacles_to_resume


def waiting_for_fault(bench: Bench) -> bool:
    return bench.state.suspended is not None and bool(bench.state.obstacles_to_resume)


def pedal_is_up_and_sound(bench: Bench) -> bool:
    return pedal_is_up(bench) and sound(bench)


def lacking(fault: Fault) -> Callable[[Bench], bool]:
    return lambda bench: fault in bench.state.faults or fault in bench.state.pending


# --- how an event is played


def held(*texts: str) -> Callable[[Bench], Bench]:
    """These labels come into view for long enough, then leave."""

    def play(bench: Bench) -> Bench:
        bench.show(*texts)
        for _ in range(8):
            bench.wait(1 / 6).frame()
        return bench.hide()

    return play


def own(bench: Bench) -> str:
    return bench.state.order.order_id if bench.state.order else "A-1"


def own_label(bench: Bench) -> None:
    held(own(bench))(bench)


def other_label(bench: Bench) -> None:
    held(other(bench))(bench)


def other(bench: Bench) -> str:
    return "B-2" if own(bench) == "A-1" else "A-1"


def scan_own(bench: Bench) -> None:
    bench.scan_by_hand(own(bench)).wait(1)


def scan_other(bench: Bench) -> None:
    bench.scan_by_hand(other(bench)).wait(1)


def recorded_before(bench: Bench) -> None:
    bench.show("A-1").frame().wait(0.1).frame().hide()
    if running(bench):
        bench.register(take=2)


def lose(fault: Fault) -> Callable[[Bench], Bench]:
    return lambda bench: bench.lose(fault)


def regain(fault: Fault) -> Callable[[Bench], Bench]:
    return lambda bench: bench.send(FaultCleared(fault)).wait(0.5)


def before_time_limit(seconds: float) -> Callable[[Bench], None]:
    def play(bench: Bench) -> None:
        assert bench.state.recording is not None
        limit = bench.state.recording.take_started_ns + bench.state.rules.maximum
        bench.wait((limit - bench.now) / 1e9 - seconds)

    return play


def current(bench: Bench) -> str:
    assert bench.state.recording is not None
    return bench.state.recording.recording_id


def oldest(bench: Bench) -> str:
    return bench.state.closing[0].recording_id


def first_reports(bench: Bench) -> None:
    for fault in sorted(bench.state.pending):
        bench.send(FaultCleared(fault))


LOSABLE = (Fault.CAMERA, Fault.ENGINE, Fault.STORAGE, Fault.PANEL)

HAPPENINGS = (
    Happening("every first report is good", starting, first_reports),
    Happening("a label is held", seen_while_idle, held("A-1")),
    Happening("a label recorded before is held", seen_while_idle, recorded_before),
    Happening("its own label is held", seen_at_work, own_label),
    Happening("another order's label is held", seen_at_work, other_label),
    Happening("two new labels are held", seen, held("C-3", "D-4")),
    Happening("a foreign code is held", seen, held("https://example.com")),
    Happening("hand scanner: a label", idle, lambda bench: bench.scan_by_hand("A-1").wait(1)),
    Happening("hand scanner: its own label", at_work, scan_own),
    Happening("hand scanner: another label", at_work, scan_other),
    Happening("STOP card", seen, held("recorderd:stop")),
    Happening("FLAG card", seen, held("recorderd:flag")),
    Happening("VOID card", seen, held("recorderd:void")),
    Happening("END SHIFT card", seen, held("recorderd:end-shift")),
    Happening("pedal is pressed", pedal_is_up, lambda bench: bench.press()),
    Happening("pedal is held", pedal_is_up, lambda bench: bench.press(seconds=2.1)),
    Happening("pedal is stuck", pedal_is_up_and_sound, lambda bench: bench.pedal_down().wait(16)),
    Happening("pedal is released", pedal_is_down, lambda bench: bench.pedal_up().wait(0.1)),
    *(Happening(f"{fault} is lost", sound, lose(fault)) for fault in LOSABLE),
    *(Happening(f"{fault} is there", lacking(fault), regain(fault)) for fault in LOSABLE),
    Happening("disk is low", sound, lambda bench: bench.free(3)),
    Happening("disk is full", sound_or_running, lambda bench: bench.free(0.1)),
    Happening(
        "disk has room", lacking(Fault.DISK_SPACE), lambda bench: bench.free(PLENTY / 1e9).wait(2.5)
    ),
    Happening(
        "encoder fails", running, lambda bench: bench.interrupt(StopReason.ENCODER_FAILED).wait(0.5)
    ),
    Happening("writing fails", running, lambda bench: bench.interrupt(StopReason.STORAGE_LOST)),
    Happening("recording fails at once", running, lambda bench: bench.fail(current(bench))),
    Happening("2.5 seconds pass", waiting_for_retry, lambda bench: bench.wait(2.5)),
    Happening("60 seconds pass", waiting_for_fault, lambda bench: bench.wait(60)),
    Happening("time limit is near", running, before_time_limit(30)),
    Happening("time limit comes", soon, before_time_limit(0)),
    Happening("recording is saved", closing, lambda bench: bench.finish(oldest(bench))),
    Happening("recording fails to be saved", closing, lambda bench: bench.fail(oldest(bench))),
    Happening(
        "lamps are to be tested", staying, lambda bench: bench.send(PanelTestRequested()).wait(0)
    ),
    Happening("shutdown", staying, lambda bench: bench.send(ShutdownRequested())),
)


def summary(bench: Bench) -> str:
    """What a state looks like from afar."""
    state = bench.state
    words = []
    if state.pending == BLOCKING_FAULTS:
        words.append("starting")
    elif state.pending:
        words.append("starting, waiting for " + ", ".join(sorted(state.pending)))
    elif state.recording is not None:
        words.append("recording")
        if state.recording.part > 1:
            words.append("later part")
        if state.recording.warned:
            words.append("stops soon")
    elif state.suspended is not None:
        words.append("interrupted")
    elif state.leaving is None and not state.closing and not state.faults:
        words.append("ready")
    elif not state.closing:
        words.append("idle")
    finals = [one.final for one in state.closing]
    if finals:
        kinds = ["final" if final else "not final" for final in finals]
        words.append("saving " + " + ".join(sorted(kinds)))
    if state.leaving is not None:
        words.append("leaving")
    faults = f" [{', '.join(sorted(state.faults))}]" if state.faults else ""
    return ", ".join(words) + faults


def complications(bench: Bench) -> int:
    """How far from the ordinary a state is."""
    state = bench.state
    faults = set(state.faults)
    if state.pending or (state.leaving is not None and not state.closing):
        return MOST_COMPLICATIONS + 1
    if state.suspended is not None:
        # A fault and a part being saved are what an interruption consists of.
        others = faults - {Fault.CAMERA, Fault.DISK_SPACE}
        return 1 + len(others) + sum(one.final for one in state.closing)
    count = len(faults) + len(faults & LIKE_THE_CAMERA) + len(state.closing)
    count += state.leaving is not None
    if state.recording is not None:
        count += (state.recording.part > 1) + state.recording.warned
    return count


def told(actions: list[Action]) -> str:
    """What was done, in few words; most journal entries go without saying."""
    words = []
    for action in actions:
        match action:
            case StartRecording(part=part):
                words.append("**start**" if part == 1 else "**start the next part**")
            case StopRecording(reason=reason):
                words.append(f"**stop** ({reason})")
            case FlagRecording():
                words.append("flag")
            case VoidRecording():
                words.append("void")
            case PlaySignal(signal):
                words.append(f"play {signal}")
            case ShowSignal(signal):
                words.append(f"lamps: {signal}")
            case EndRun():
                words.append("**end the run**")
            case Note(event):
                if event in ("order ended", "shift ended"):
                    words.append(f"note: {event}")
    return "; ".join(words) or ("note" if actions else "-")


def rows() -> Iterator[tuple[str, str, str, str]]:
    """Every (state, event, new state, what is done), breadth first from the start."""
    start = Bench(minimum=0).send(TimePassed())
    start.camera_looks = False
    known = {summary(start)}
    queue = [start]
    for bench in queue:
        for happening in HAPPENINGS:
            if not happening.possible(bench):
                continue
            after = bench.copy()
            happening.play(after)
            after.camera_looks = False
            after.in_view.clear()
            after.state = replace(after.state, view=View())
            before_text, after_text = summary(bench), summary(after)
            actions = after.actions[len(bench.actions) :]
            if not actions and before_text == after_text:
                continue
            yield before_text, happening.name, after_text, told(actions)
            if after_text not in known and complications(after) <= MOST_COMPLICATIONS:
                known.add(after_text)
                queue.append(after)


def table() -> str:
    """The whole file."""
    lines = []
    previous = ""
    for before, event, after, actions in rows():
        shown = "" if before == previous else f"**{before}**"
        lines.append(f"| {shown} | {event} | {'=' if after == before else after} | {actions} |")
        previous = before
    return INTRODUCTION + "\n".join(lines) + "\n"


def main() -> None:
    TABLE.write_text(table(), encoding="utf-8")


if __name__ == "__main__":
    main()
