"""What the packer does: labels and cards before the camera, the hand scanner, the pedal."""

from __future__ import annotations

from recorderd.core import faults, labels, pedal, recordings
from recorderd.core.actions import FlagRecording, Note, PlaySignal, VoidRecording
from recorderd.core.events import FrameScanned
from recorderd.core.labels import Card, Sighting, Stranger
from recorderd.core.model import (
    Code,
    Fault,
    Order,
    OtherLabel,
    SameLabel,
    StopReason,
    Symbology,
)
from recorderd.core.pedal import PedalEvent
from recorderd.core.signals import Signal
from recorderd.core.state import Phase
from recorderd.core.turn import Turn


def frame_scanned(turn: Turn, event: FrameScanned) -> None:
    """Look at one more picture and let the labels in it act."""
    rules = turn.state.rules.labels
    turn.change(
        view=labels.look(turn.state.view, event.codes, event.captured_ns, event.sequence, rules)
    )
    for sighting in labels.just_read(turn.state.view):
        match sighting.meaning:
            case Card() as card if not sighting.acted and sighting.held >= rules.card_dwell:
                turn.change(view=labels.marked(turn.state.view, [sighting], acted=True))
                _card(turn, card)
            case Stranger(why) if sighting.held >= rules.stranger_dwell:
                _refuse_once(turn, [sighting], f"not an order label: {why}")
    _order_labels(turn)


def hand_scanned(turn: Turn, text: str) -> None:
    """A hand scanner is used on purpose: it needs no dwell and no second reading."""
    rules = turn.state.rules.labels
    meaning = labels.meaning_of(Code(text, Symbology.HAND_SCANNER), rules)
    current = turn.state.order
    match meaning:
        case Card():
            _card(turn, meaning)
        case Stranger(why):
            turn.refuse("label refused", f"not an order label: {why}")
        case Order() if current is not None and meaning.order_id == current.order_id:
            if rules.on_same_label is SameLabel.STOP and _old_enough(turn):
                recordings.stop(turn, StopReason.LABEL)
        case Order() if current is not None and rules.on_other_label is OtherLabel.REFUSE:
            turn.refuse("label refused", "another order is being recorded")
        case Order() if current is not None and rules.on_other_label is OtherLabel.STOP:
            recordings.stop(turn, StopReason.OTHER_LABEL)
        case Order():
            recordings.stop(turn, StopReason.OTHER_LABEL)
            if turn.state.obstacles:
                turn.refuse("label refused", "; ".join(turn.state.obstacles))
            else:
                recordings.start(turn, meaning, None)


def panel_test_requested(turn: Turn) -> None:
    """Show what lamps and buzzer can do, but never to a packer at work: it would mean nothing."""
    if turn.state.phase is not Phase.READY:
        turn.do(Note("panel test refused", "an order is at hand"))
        return
    turn.do(Note("panel test", "asked for by a technician"), PlaySignal(Signal.TEST))


def advance_pedal(turn: Turn) -> None:
    """Let the pedal's contact settle, and act on what it turned out to be."""
    moved, events = pedal.advance(turn.state.pedal, turn.now, turn.state.rules.pedal)
    turn.change(pedal=moved)
    for event in events:
        _pedal(turn, event)


def _order_labels(turn: Turn) -> None:
    current = turn.state.order
    others: list[tuple[Sighting, Order]] = []
    for sighting, order in labels.waiting_orders(turn.state.view, turn.state.rules.labels):
        if current is None or order.order_id != current.order_id:
            others.append((sighting, order))
        elif _stops(turn, sighting):
            recordings.stop(turn, StopReason.LABEL)
            return
    if len(others) == 1:
        _new_label(turn, *others[0])
    elif any(s.held >= turn.state.rules.labels.stranger_dwell for s, _ in others):
        sightings = [sighting for sighting, _ in others]
        _refuse_once(turn, sightings, "several order labels in view, which one is meant?")


def _stops(turn: Turn, sighting: Sighting) -> bool:
    """Whether this new appearance of the label at hand means: done.

    A take that the hand scanner started is not stopped by the camera: the label it was read
    from comes into view at any time.
    """
    rules = turn.state.rules.labels
    by_hand = turn.state.order and turn.state.order.symbology is Symbology.HAND_SCANNER
    return (
        not by_hand
        and rules.on_same_label is SameLabel.STOP
        and labels.may_act(sighting, turn.state.view, rules)
        and sighting.held >= rules.dwell
        and _old_enough(turn)
    )


def _new_label(turn: Turn, sighting: Sighting, order: Order) -> None:
    rules = turn.state.rules.labels
    if not labels.may_act(sighting, turn.state.view, rules):
        return
    if turn.state.order is not None:
        if rules.on_other_label is OtherLabel.REFUSE:
            _refuse_once(turn, [sighting], "another order is being recorded")
            return
        recordings.stop(turn, StopReason.OTHER_LABEL)
        if rules.on_other_label is OtherLabel.STOP:
            turn.change(view=labels.marked(turn.state.view, [sighting], acted=True))
            return
    if turn.state.obstacles:
        _refuse_once(turn, [sighting], "; ".join(turn.state.obstacles))
        return
    turn.change(view=labels.marked(turn.state.view, [sighting], acted=True))
    recordings.start(turn, order, sighting.sequence)


def _card(turn: Turn, card: Card) -> None:
    current = turn.state.current_id
    if current is None and card is not Card.END_SHIFT:
        turn.refuse("card refused", f"nothing is being recorded: {card}")
        return
    match card:
        case Card.STOP:
            recordings.stop(turn, StopReason.STOP_CARD)
        case Card.FLAG if current is not None:
            turn.do(FlagRecording(current), PlaySignal(Signal.NOTED))
        case Card.VOID if current is not None:
            turn.do(VoidRecording(current))
            recordings.stop(turn, StopReason.VOID_CARD)
        case Card.END_SHIFT:
            turn.do(Note("shift ended", "the END SHIFT card was shown"))
            turn.do(PlaySignal(Signal.NOTED))
            recordings.stop(turn, StopReason.END_OF_SHIFT)


def _pedal(turn: Turn, event: PedalEvent) -> None:
    match event:
        case PedalEvent.PRESSED:
            turn.change(pedal_stopped=turn.state.current_id)
            if turn.state.order is not None:
                recordings.stop(turn, StopReason.PEDAL)
            elif not turn.state.closing:
                turn.refuse("pedal refused", "nothing is being recorded")
        case PedalEvent.HELD:
            if turn.state.pedal_stopped is not None:
                turn.do(FlagRecording(turn.state.pedal_stopped), PlaySignal(Signal.NOTED))
        case PedalEvent.STUCK:
            faults.raised(
                turn,
                Fault.PEDAL_STUCK,
                "the foot pedal has been down for very long: something lies on it, "
                "or its cable is damaged",
            )
        case PedalEvent.RELEASED:
            turn.change(pedal_stopped=None)
            faults.cleared(turn, Fault.PEDAL_STUCK)


def _old_enough(turn: Turn) -> bool:
    current = turn.state.recording or turn.state.suspended
    return current is not None and turn.now - current.take_started_ns >= turn.state.rules.minimum


def _refuse_once(turn: Turn, sightings: list[Sighting], why: str) -> None:
    if all(sighting.refused for sighting in sightings):
        return
    turn.change(view=labels.marked(turn.state.view, sightings, refused=True))
    turn.refuse("label refused", why)
