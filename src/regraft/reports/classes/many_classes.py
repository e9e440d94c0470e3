"""What the report shows where there are too many classes to read a matrix or a full list."""

from __future__ import annotations

from dataclasses import dataclass

from regraft.records import ClassScores, Scores

_PAIRS = 60
_LISTED = 100  # classes; of more, the weakest are listed
_WEAKEST = 60


@dataclass(frozen=True)
class ConfusedPair:
    """Two classes, one of which was predicted for images of the other."""

    label: str
    predicted: str
    count: int
    images: int
    """Number of images of the true class."""


def confused_pairs(scores: Scores) -> tuple[list[ConfusedPair], int]:
    """The pairs of classes with the most mistakes, and the number of all pairs that were confused."""
    wrong = sorted((cell for cell in scores.cells if cell[0] != cell[1]), key=lambda cell: -cell[2])
    classes = scores.classes
    pairs = [
        ConfusedPair(classes[true].label, classes[predicted].label, count, classes[true].images)
        for true, predicted, count in wrong[:_PAIRS]
    ]
    return pairs, len(wrong)


def listed_classes(scores: Scores) -> list[ClassScores]:
    """All classes; of more than a hundred, the sixty that have images and the lowest F1."""
    if len(scores.classes) <= _LISTED:
        return list(scores.classes)
    return sorted((one for one in scores.classes if one.images), key=lambda one: one.f1)[:_WEAKEST]
