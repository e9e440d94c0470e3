"""Kinds of error as the paper describes them, box by box: slow, independent of the code that is tested."""

from __future__ import annotations

from collections import defaultdict

from regraft.evaluation.matching import Matches
from tests.evaluation.box_sets import BoxSet


def overlap(one: list[float], other: list[float]) -> float:
    """Intersection over union of two boxes."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return width * height / (areas[0] + areas[1] - width * height)


def kinds(data: BoxSet, matches: Matches) -> dict[int, tuple[str, int]]:
    """The kind and the target of each detection that was matched, by its number."""
    outcomes, partners = matches.outcomes[0, 0].tolist(), matches.partners[0].tolist()
    used = {partner for partner, outcome in zip(partners, outcomes, strict=True) if outcome == 1}
    boxes, found = data.truth.corners.tolist(), data.found.corners.tolist()
    result = {}
    for number, outcome, partner in zip(matches.order.tolist(), outcomes, partners, strict=True):
        image, kind = data.found.images[number], data.found.classes[number]
        near = [
            (overlap(found[number], boxes[box]), -box)
            for box in range(len(boxes))
            if data.truth.images[box] == image and not data.truth.is_ignored[box]
        ]
        own = max((pair for pair in near if data.truth.classes[-pair[1]] == kind), default=(0.0, 1))
        other = max((pair for pair in near if data.truth.classes[-pair[1]] != kind), default=(0.0, 1))
        taken = max(
            (pair for pair in near if data.truth.classes[-pair[1]] == kind and -pair[1] in used),
            default=(0.0, 1),
        )
        if outcome == -1:
            result[number] = ("ignored", -1)
        elif outcome == 1:
            result[number] = ("right", partner)
        elif 0.1 <= own[0] < 0.5:
            result[number] = ("poor box", -own[1])
        elif other[0] >= 0.5:
            result[number] = ("wrong class", -other[1])
        elif taken[0] >= 0.5:
            result[number] = ("duplicate", -taken[1])
        elif max(near, default=(0.0, 1))[0] < 0.1:
            result[number] = ("background", -1)
        else:
            result[number] = ("both", -max(near)[1])
    return result


def average(shown: dict[int, list[tuple[float, int, bool]]], totals: dict[int, int]) -> float:
    """Mean average precision, from score, number and rightness of the detections of each class."""
    values = []
    for kind, total in totals.items():
        rows = sorted(shown[kind], key=lambda row: (-row[0], row[1]))
        if not total:
            values.append(0.0 if rows else 1.0)
            continue
        right, curve = 0, []
        for place, row in enumerate(rows):
            right += row[2]
            curve.append((right / total, right / (place + 1)))
        points = [max((p for r, p in curve if r >= 0.01 * step), default=0.0) for step in range(101)]
        values.append(sum(points) / 101)
    return sum(values) / len(values)


def costs(data: BoxSet, matches: Matches) -> dict[str, float]:
    """The gain of correcting each kind of error; `map50` is the value without corrections."""
    found, truth = kinds(data, matches), data.truth
    used = {target for kind, target in found.values() if kind == "right"}
    best: dict[int, int] = {}
    for number in sorted(found, key=lambda number: (-data.found.scores[number], number)):
        kind, target = found[number]
        if kind in ("wrong class", "poor box") and target not in used:
            best.setdefault(target, number)
    counted = [box for box in range(len(truth)) if not truth.is_ignored[box]]
    totals = {int(kind): 0 for kind in truth.classes[counted]}
    for box in counted:
        totals[int(truth.classes[box])] += 1

    def value(corrected: str = "", missed: bool = False) -> float:
        shown = defaultdict(list)
        for number, (kind, target) in found.items():
            row, own = float(data.found.scores[number]), int(data.found.classes[number])
            if kind == "ignored":
                continue
            if kind != corrected:
                shown[own].append((row, number, kind == "right"))
            elif best.get(target) == number and corrected in ("wrong class", "poor box"):
                shown[int(truth.classes[target])].append((row, number, True))
        left = dict(totals)
        for box in counted if missed else ():
            if box not in used and box not in best:
                left[int(truth.classes[box])] -= 1
        return average(shown, left)

    base = value()
    every = ("wrong class", "poor box", "both", "duplicate", "background")
    gains = {kind.replace(" ", "_"): max(0.0, value(kind) - base) for kind in every}
    return {"map50": base, **gains, "missed": max(0.0, value(missed=True) - base)}
