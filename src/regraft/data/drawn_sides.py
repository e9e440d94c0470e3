"""Drawn sides of a split: a share of each class is tested, groups stay together, earlier sides are kept."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import partial

from regraft.data.stratification import rank_of
from regraft.records import ImageItem, Side


def reused_sides(
    items: Sequence[ImageItem], known: dict[str, Side], *, seed: int, test_share: float
) -> tuple[list[Side], str]:
    """The sides, with those of an earlier split where they still fit, and a sentence about what was reused.

    The classes that have lost their share (see `_unfit`) are drawn again, and no others are touched.

    Args:
        items: the images; their labels are the classes, or the strata, of which a share is tested.
        known: the sides of an earlier split by the hashes of its images.
        seed: random seed.
        test_share: share of each class that is tested.
    """
    drawing = _Drawing(items, seed, test_share)
    old = sum(item.sha256 in known for item in items)
    if not old:
        return drawing.sides({}), ""
    sides = drawing.sides(known)
    unfit = _unfit(drawing, sides)
    if not unfit:
        return sides, f"split of an earlier run reused for {old:,} of {len(items):,} images"
    groups = {group for item, group in zip(items, drawing.groups, strict=True) if item.label in unfit}
    released = {item.sha256 for item, group in zip(items, drawing.groups, strict=True) if group in groups}
    kept = {sha: side for sha, side in known.items() if sha not in released}
    shown = ", ".join(sorted(unfit)[:5]) + (f" and {len(unfit) - 5} more" if len(unfit) > 5 else "")
    still = sum(item.sha256 in kept for item in items)
    history = (
        f"split of an earlier run reused for {still:,} of {len(items):,} images, and drawn again for "
        f"classes whose share of test images had changed ({shown})"
    )
    return drawing.sides(kept), history


def _unfit(drawing: _Drawing, sides: Sequence[Side]) -> set[str]:
    """The classes of which a new draw would test a number of images that is much nearer to the share."""
    tested, needed = drawing.tested(sides), drawing.needed
    distance = {label: abs(tested[label] - number) for label, number in needed.items()}
    doubtful = {
        label
        for label, number in needed.items()
        if tested[label] == drawing.sizes[label] or distance[label] > number / 2
    }
    if not doubtful:  # as almost always, and a new draw takes long
        return doubtful
    anew = drawing.tested(drawing.sides({}))
    unfit = set()
    for label in doubtful:
        is_untrained = tested[label] == drawing.sizes[label] > anew[label]
        is_far = distance[label] > needed[label] / 2
        if is_untrained or (is_far and distance[label] > abs(anew[label] - needed[label])):
            unfit.add(label)
    return unfit


class _Drawing:
    """What the draws of the sides of some images have in common.

    Args:
        items: the images.
        seed: random seed.
        test_share: share of each class that is tested.
    """

    def __init__(self, items: Sequence[ImageItem], seed: int, test_share: float) -> None:
        self._items, self._seed = items, seed
        self.groups = [item.group or item.sha256 for item in items]
        self.sizes = Counter(item.label for item in items)
        """Number of images of each class."""
        self.needed = {
            label: min(math.floor(test_share * size + 0.5), size - 1) for label, size in self.sizes.items()
        }
        """How many images of each class are to be tested; at least one remains for training."""

    def tested(self, sides: Sequence[Side]) -> Counter[str]:
        """How many images of each class are tested."""
        return Counter(item.label for item, side in zip(self._items, sides, strict=True) if side == "test")

    def sides(self, known: dict[str, Side]) -> list[Side]:
        """The side of each image: that of a known image of its group, otherwise by turn."""
        old = [known.get(item.sha256) for item in self._items]
        tested = {group for group, side in zip(self.groups, old, strict=True) if side == "test"}
        sides: list[Side] = ["test" if group in tested else "train" for group in self.groups]
        if None in old:
            self._draw(sides, {group for group, side in zip(self.groups, old, strict=True) if side})
        return sides

    def _draw(self, sides: list[Side], placed: set[str]) -> None:
        """Draw the sides of all groups that have none, in an order that their names and the seed decide."""
        labels = [item.label for item in self._items]
        done = self.tested(sides)
        needed = {label: number - done[label] for label, number in self.needed.items()}
        members: dict[str, list[int]] = defaultdict(list)
        for number, group in enumerate(self.groups):
            if group not in placed:
                members[group].append(number)
        for group in sorted(members, key=partial(rank_of, self._seed)):
            numbers = members[group]
            if len(numbers) == 1:  # most groups, by far
                is_needed = needed[labels[numbers[0]]] >= 1
            else:
                counts = Counter(labels[number] for number in numbers)
                is_needed = all(count <= needed[label] for label, count in counts.items())
            if is_needed:
                for number in numbers:
                    sides[number] = "test"
                    needed[labels[number]] -= 1
