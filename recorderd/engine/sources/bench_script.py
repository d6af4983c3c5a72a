"""What happens on the simulated bench: a play in endless cycles of four orders.

Pure: the scene depends on the time since the play began and on nothing else, so an engine
that is restarted finds the bench where it would be by then. The timings suit the default
settings (5 s minimum, 3 s re-arm, 0.6 s dwell): a label lies in view while hands cover it
for less than the re-arm time, and it is shown again only after being away for longer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise

FIRST_ORDER_NUMBER = 1001
LEAD_SECONDS = 5.0
"""Empty bench before the first order of a cycle: time for the pre-roll to fill."""


class StopBy(StrEnum):
    """How the packer ends an order."""

    OWN_LABEL = "own-label"
    PEDAL = "pedal"
    NEXT_LABEL = "next-label"


class Thing(StrEnum):
    """What can be seen on the bench, in the order of stacking, lowest first."""

    PARCEL = "parcel"
    ITEM = "item"
    LABEL = "label"
    LEFT_HAND = "left-hand"
    RIGHT_HAND = "right-hand"


@dataclass(frozen=True, slots=True)
class Place:
    """Where one thing is: its centre (a hand's fingertips) as fractions of width and height.

    `variant` tells apart things of a kind: the order id for a label, else a number.
    `raised` things are nearer to the camera and therefore larger.
    """

    thing: Thing
    x: float
    y: float
    variant: str
    raised: bool = False


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that lies or moves on the bench at one moment, lowest first."""

    places: tuple[Place, ...]

    def label(self) -> Place | None:
        """The order label, if it is on the bench (hands may cover it)."""
        return next((place for place in self.places if place.thing is Thing.LABEL), None)


@dataclass(frozen=True, slots=True)
class ScriptedOrder:
    """One order of the play; all times are seconds since the play began.

    `shown` is when the label first lies still. `stops` is about when the recording ends:
    the label has been held long enough, the pedal is pressed, or the next label lies still.
    `covered` are the spells in which a hand hides the label. `gone` is when the label has
    finally left the picture.
    """

    order_id: str
    stop_by: StopBy
    begins: float
    shown: float
    covered: tuple[tuple[float, float], ...]
    stops: float
    gone: float
    pedal_press: float | None


@dataclass(frozen=True, slots=True)
class _Waypoint:
    at: float
    x: float
    y: float
    raised: bool = False


@dataclass(frozen=True, slots=True)
class _Track:
    """A thing's way across the bench; it is there from the first waypoint to the last."""

    thing: Thing
    waypoints: tuple[_Waypoint, ...]

    def place(self, at: float, variant: str) -> Place | None:
        if not self.waypoints[0].at <= at < self.waypoints[-1].at:
            return None
        for start, end in pairwise(self.waypoints):
            if start.at <= at < end.at:
                share = (at - start.at) / (end.at - start.at)
                share = share * share * (3 - 2 * share)
                return Place(
                    self.thing,
                    start.x + (end.x - start.x) * share,
                    start.y + (end.y - start.y) * share,
                    variant,
                    start.raised,
                )
        return None


@dataclass(frozen=True, slots=True)
class _Act:
    """What is done for one order; times are seconds since the act began."""

    stop_by: StopBy
    length: float
    shown: float
    covered: tuple[tuple[float, float], ...]
    stops: float
    gone: float
    tracks: tuple[_Track, ...]


_LABEL_SPOT = (0.50, 0.735)
_GRIP = (0.045, 0.075)
_ITEM_SHELF = (0.865, 0.30)
_ITEM_SPOT = (0.50, 0.42)
_COVERED = ((3.4, 4.8), (6.2, 7.6))


def _track(thing: Thing, *waypoints: tuple[float, float, float]) -> _Track:
    return _Track(thing, tuple(_Waypoint(*waypoint) for waypoint in waypoints))


def _parcel(leaves: float) -> _Track:
    return _track(
        Thing.PARCEL,
        (0.0, -0.25, 0.45),
        (0.7, 0.50, 0.45),
        (leaves, 0.50, 0.45),
        (leaves + 0.7, 1.25, 0.45),
    )


def _packing(item_leaves: float) -> tuple[_Track, ...]:
    """The item goes from the shelf into the box while the left hand passes over the label."""
    x, y = _LABEL_SPOT
    grip = 0.03
    shelf_x, shelf_y = _ITEM_SHELF
    item_x, item_y = _ITEM_SPOT
    (first, first_end), (second, second_end) = _COVERED
    return (
        _track(
            Thing.ITEM,
            (0.0, 1.15, shelf_y),
            (0.7, shelf_x, shelf_y),
            (3.6, shelf_x, shelf_y),
            (4.4, item_x, item_y),
            (item_leaves, item_x, item_y),
            (item_leaves + 0.7, item_x + 0.75, item_y),
        ),
        _track(
            Thing.LEFT_HAND,
            (first - 0.7, 0.30, 1.10),
            (first, x - 0.01, y - 0.10),
            (first_end, x + 0.01, y - 0.12),
            (first_end + 0.4, 0.24, 0.86),
            (second - 0.4, 0.24, 0.86),
            (second, x, y - 0.11),
            (second_end, x - 0.01, y - 0.09),
            (second_end + 0.8, 0.24, 1.10),
        ),
        _track(
            Thing.RIGHT_HAND,
            (2.8, 0.80, 1.10),
            (3.6, shelf_x, shelf_y + grip),
            (4.4, item_x + grip, item_y + grip),
            (6.4, item_x + 0.05, item_y + 0.02),
            (7.4, 0.80, 1.10),
        ),
    )


def _label_comes(lies: float) -> tuple[_Waypoint, ...]:
    x, y = _LABEL_SPOT
    return (_Waypoint(lies - 0.8, x + 0.30, 1.20), _Waypoint(lies, x, y))


def _label_goes(lifted: float) -> tuple[_Waypoint, ...]:
    x, y = _LABEL_SPOT
    return (_Waypoint(lifted, x, y), _Waypoint(lifted + 0.7, x + 0.30, 1.20))


def _carried(way: tuple[_Waypoint, ...]) -> _Track:
    """The right hand that holds a label by its lower right corner on this way."""
    x, y = _GRIP
    return _Track(
        Thing.RIGHT_HAND,
        tuple(_Waypoint(point.at, point.x + x, point.y + y) for point in way),
    )


def _laid(lifted: float) -> tuple[_Track, ...]:
    """The label is brought, let go, lies on the parcel and is taken away."""
    comes, goes = _label_comes(1.8), _label_goes(lifted)
    x, y = _LABEL_SPOT
    back = _track(Thing.RIGHT_HAND, (1.8, x + _GRIP[0], y + _GRIP[1]), (2.4, x + 0.30, y + 0.40))
    reach = _track(
        Thing.RIGHT_HAND,
        (lifted - 0.6, x + 0.30, y + 0.40),
        (lifted, x + _GRIP[0], y + _GRIP[1]),
    )
    return (
        _Track(Thing.LABEL, (*comes, *goes)),
        _carried(comes),
        back,
        reach,
        _carried(goes),
    )


def _shown_again(still: float, until: float) -> tuple[_Track, ...]:
    """The label is brought back, held before the camera and taken away for good."""
    x, y = 0.40, 0.60
    way = (
        _Waypoint(still - 0.7, x + 0.10, 1.20, raised=True),
        _Waypoint(still, x, y, raised=True),
        _Waypoint(until, x, y, raised=True),
        _Waypoint(until + 0.6, x + 0.10, 1.20, raised=True),
    )
    return (_Track(Thing.LABEL, way), _carried(way))


_STOPPED_BY_OWN_LABEL = _Act(
    StopBy.OWN_LABEL,
    length=16.2,
    shown=1.8,
    covered=_COVERED,
    stops=13.7,
    gone=15.3,
    tracks=(_parcel(15.2), *_packing(15.2), *_laid(8.2), *_shown_again(13.0, 14.7)),
)
_STOPPED_BY_PEDAL = _Act(
    StopBy.PEDAL,
    length=12.5,
    shown=1.8,
    covered=_COVERED,
    stops=10.0,
    gone=11.6,
    tracks=(_parcel(11.4), *_packing(11.4), *_laid(10.9)),
)
_STOPPED_BY_NEXT_LABEL = _Act(
    StopBy.NEXT_LABEL,
    length=10.0,
    shown=1.8,
    covered=_COVERED,
    stops=11.8,
    gone=9.2,
    tracks=(_parcel(9.3), *_packing(9.3), *_laid(8.5)),
)
_ACTS = (_STOPPED_BY_OWN_LABEL, _STOPPED_BY_PEDAL, _STOPPED_BY_NEXT_LABEL, _STOPPED_BY_OWN_LABEL)

CYCLE_SECONDS = LEAD_SECONDS + sum(act.length for act in _ACTS)


def moments(cycle: int) -> tuple[ScriptedOrder, ...]:
    """The orders of one cycle (0, 1, ...) in turn.

    From cycle 1 on, the first order is ORDER-1001 again: another take of it.
    """
    begins = cycle * CYCLE_SECONDS + LEAD_SECONDS
    orders = []
    for position, act in enumerate(_ACTS):
        orders.append(
            ScriptedOrder(
                order_id=_order_id(cycle, position),
                stop_by=act.stop_by,
                begins=begins,
                shown=begins + act.shown,
                covered=tuple((begins + start, begins + end) for start, end in act.covered),
                stops=begins + act.stops,
                gone=begins + act.gone,
                pedal_press=begins + act.stops if act.stop_by is StopBy.PEDAL else None,
            )
        )
        begins += act.length
    return tuple(orders)


def pedal_press_times(cycle: int) -> tuple[float, ...]:
    """When a packer would press the pedal in this cycle, in seconds since the play began."""
    return tuple(order.pedal_press for order in moments(cycle) if order.pedal_press is not None)


def scene_at(seconds: float) -> Scene:
    """What can be seen on the bench this long after the play began (before it, nothing)."""
    cycle = max(0, int(seconds // CYCLE_SECONDS))
    places: list[Place] = []
    for order, act in zip(_moments(cycle), _ACTS, strict=True):
        if order.begins <= seconds < order.begins + act.length:
            places.extend(_places(act, seconds - order.begins, order.order_id))
    stacking = tuple(Thing)
    return Scene(tuple(sorted(places, key=lambda place: stacking.index(place.thing))))


@lru_cache(maxsize=4)
def _moments(cycle: int) -> tuple[ScriptedOrder, ...]:
    return moments(cycle)


def _places(act: _Act, at: float, order_id: str) -> Iterator[Place]:
    for track in act.tracks:
        place = track.place(at, order_id)
        if place is not None:
            yield place


def _order_id(cycle: int, position: int) -> str:
    if cycle and position == 0:
        return f"ORDER-{FIRST_ORDER_NUMBER}"
    new_in_later_cycles = len(_ACTS) - 1
    return f"ORDER-{FIRST_ORDER_NUMBER + new_in_later_cycles * cycle + position}"
