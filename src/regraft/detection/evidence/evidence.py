"""Which parts of a picture a found box rests on: parts are covered, and the detector looks again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from regraft.data.pictures.loading import Pixels
from regraft.detection.evidence.looking import Look, Looking
from regraft.detection.evidence.support import support
from regraft.explanation.occlusion import Place, covering
from regraft.progress import Meter, Silent

Floats = npt.NDArray[Any]
GRID = 7
"""Number of overlapping rectangles along each side of what is covered piece by piece."""
RUNS = GRID * GRID
"""Number of times that the network looks at a picture for the maps of boxes that are apart."""
Ground = Literal["the box", "the box and its surroundings", "its surroundings", "either"]
_AROUND = 0.5  # sides of the box, at each side of it
_LEAST_AROUND = 16  # pixels of the canvas
_BATCH = 8


@dataclass(frozen=True)
class Claim:
    """A box of a class that is to be explained."""

    corners: Floats
    """`(4,)`, in pixels of the upright picture."""
    number: int
    """The number of its class."""
    score: float
    """Its probability."""


@dataclass(frozen=True)
class Evidence:
    """How much a box depends on the parts of the picture.

    What is measured is `support`: the largest overlap times probability of a box of the class. In the whole
    picture, this is the probability of the box itself.
    """

    around: Place
    """Rows and columns of the canvas that were covered piece by piece: the box and its surroundings."""
    heat: Floats
    """`(h, w) float32`, for each position of `around`: how much the support falls when it is covered, the
    mean over the rectangles that cover it."""
    lowest: float
    """The support when the rectangle that matters most is covered."""
    without: float
    """The support when the box is covered."""
    alone: float
    """The support when everything but the box is covered."""

    def rests_on(self, score: float) -> Ground:
        """What a box of this probability needs, by whether at least half of it is left without a part."""
        if self.without >= score / 2:
            return "its surroundings" if self.alone < score / 2 else "either"
        return "the box" if self.alone >= score / 2 else "the box and its surroundings"


def evidence(
    looking: Looking, look: Look, claims: Sequence[Claim], meter: Meter | None = None
) -> list[Evidence]:
    """The evidence for boxes of one picture, in their order.

    Rectangles in the mean colour of the picture cover the box and half a box around it, one after another.
    Boxes whose surroundings don't overlap are covered in the same runs of the network.

    Args:
        looking: the detector.
        look: the picture.
        claims: the boxes.
        meter: advances with every run of the network.

    Source: Petsiuk et al. 2021 (D-RISE) for what is measured; Zeiler & Fergus 2014, section 4.2, for the
    regular rectangles, which need fewer runs than random masks.
    """
    meter = meter or Silent()
    boxes = [on_canvas_of(look, one.corners) for one in claims]
    around = [surroundings(look, box) for box in boxes]
    heats: dict[int, tuple[Floats, float]] = {}
    for group in apart(around):
        heats |= dict(zip(group, _heats(looking, look, claims, around, group, meter), strict=True))
    return [
        Evidence(
            around[number],
            heats[number][0][around[number]],
            *_totals(looking, look, one, box, heats[number][1], meter),
        )
        for number, (one, box) in enumerate(zip(claims, boxes, strict=True))
    ]


def runs_for(look: Look, claims: Sequence[Claim]) -> int:
    """How often the network runs for the evidence of some boxes."""
    around = [surroundings(look, on_canvas_of(look, one.corners)) for one in claims]
    return RUNS * len(apart(around)) + 2 * len(claims)


def _heats(
    looking: Looking,
    look: Look,
    claims: Sequence[Claim],
    around: Sequence[Place],
    group: Sequence[int],
    meter: Meter,
) -> list[tuple[Floats, float]]:
    """The fall of the support at each position, and the largest fall by one rectangle, for boxes apart."""
    places = [covering(*around[number], GRID) for number in group]
    heats = np.zeros((len(group), *look.pixels.shape[:2]), np.float32)
    seen, largest = np.zeros_like(heats), np.zeros(len(group))
    fill = mean_colour(look)
    for start in range(0, RUNS, _BATCH):
        steps = range(start, min(start + _BATCH, RUNS))
        canvases = np.repeat(look.pixels[None], len(steps), axis=0)
        for canvas, step in zip(canvases, steps, strict=True):
            for own in places:
                canvas[own[step]] = fill
        found = looking.found(canvases, look.placement)
        for place, claim in enumerate(claims[number] for number in group):
            drops = np.maximum(claim.score - support(found, claim.corners, claim.number), 0)
            largest[place] = max(largest[place], drops.max())
            for drop, step in zip(drops, steps, strict=True):
                heats[place][places[place][step]] += drop
                seen[place][places[place][step]] += 1
        meter.advance(len(steps))
    means = heats / np.maximum(seen, 1)
    return [(mean, float(fall)) for mean, fall in zip(means, largest, strict=True)]


def _totals(
    looking: Looking, look: Look, claim: Claim, box: Place, fall: float, meter: Meter
) -> tuple[float, float, float]:
    """The support when the worst rectangle is covered, when the box is, and when all else is."""
    without, alone = look.pixels.copy(), look.pixels.copy()
    width, height = look.placement.covered
    without[box] = alone[:height, :width] = mean_colour(look)
    alone[box] = look.pixels[box]
    found = looking.found(np.stack([without, alone]), look.placement)
    left, kept = support(found, claim.corners, claim.number).tolist()
    meter.advance(2)
    return claim.score - fall, left, kept


def apart(places: Sequence[Place]) -> list[list[int]]:
    """Numbers of rectangles in few groups, so that those of a group don't touch: each joins the first it can.

    >>> apart([np.s_[0:4, 0:4], np.s_[2:6, 2:6], np.s_[5:9, 5:9]])
    [[0, 2], [1]]
    """
    groups: list[list[int]] = []
    for number, place in enumerate(places):
        own = next((one for one in groups if not any(_touch(place, places[o]) for o in one)), None)
        if own is None:
            groups.append([number])
        else:
            own.append(number)
    return groups


def _touch(one: Place, other: Place) -> bool:
    return all(a.start <= b.stop and b.start <= a.stop for a, b in zip(one, other, strict=True))


def on_canvas_of(look: Look, corners: Floats) -> Place:
    """A box as whole rows and columns of the canvas, at least one of each."""
    left, top, right, bottom = look.placement.onto(corners)[0]
    width, height = look.placement.covered
    return _whole(top, bottom, height), _whole(left, right, width)


def _whole(low: float, high: float, length: int) -> slice:
    start = min(max(int(np.floor(low)), 0), length - 1)
    return slice(start, min(max(int(np.ceil(high)), start + 1), length))


def surroundings(look: Look, box: Place) -> Place:
    """A box with half its sides around it, and at least 16 pixels, inside the picture."""
    width, height = look.placement.covered
    return _wider(box[0], height), _wider(box[1], width)


def _wider(span: slice, length: int) -> slice:
    more = max(_LEAST_AROUND, round(_AROUND * (span.stop - span.start)))
    return slice(max(0, span.start - more), min(length, span.stop + more))


def mean_colour(look: Look) -> Pixels:
    """The mean colour of the picture, `(C,) uint8`."""
    width, height = look.placement.covered
    return np.asarray(look.pixels[:height, :width].mean(axis=(0, 1)).round(), dtype=np.uint8)
