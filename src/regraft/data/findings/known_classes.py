"""Classes that an official split has on some sides only: what can't be learned, and what is not checked."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from regraft.data.image_set import Images
from regraft.errors import DataError
from regraft.progress import Reporter
from regraft.records import Finding, ImageItem, Scores
from regraft.tasks.classification import Classification
from regraft.tasks.score_sheet import ScoreSheet


def with_known_classes(images: Images) -> Images:
    """A data set whose labels all have training images; the images of other classes are kept apart.

    Only official sides can leave a class without training images: a drawn split takes some of each class.

    Raises:
        DataError: fewer than two classes have training images.
    """
    if not any(item.side for item in images.items):
        return images
    learned = {item.label for item in images.items if item.side in (None, "train")}
    unknown = [item for item in images.items if item.label not in learned]
    labels = tuple(label for label in images.labels if label in learned)
    if len(labels) < 2:
        raise DataError(
            f"the training side holds images of {len(labels)} class{'' if len(labels) == 1 else 'es'} "
            f"({', '.join(labels) or 'none'}) of {', '.join(images.labels[:10])}; a classifier needs at "
            "least two. Add training images"
        )
    findings = (*images.findings, *_untrained(unknown), *_never_validated(images, learned))
    kept = tuple(item for item in images.items if item.label in learned)
    return replace(
        images, items=kept, task=Classification(outputs=labels), findings=findings, unknown=tuple(unknown)
    )


def _untrained(unknown: list[ImageItem]) -> list[Finding]:
    findings = []
    for label in sorted({item.label for item in unknown}):
        own = [item for item in unknown if item.label == label]
        counts = Counter(item.side or "train" for item in own)
        listed = " and ".join(f"{count:,} {side}" for side, count in counts.items())
        text = (
            f"class {label} has no training images, so it is no label of the model; its {listed} "
            f"image{'' if len(own) == 1 else 's'} are left out of the scores"
        )
        findings.append(Finding("untrained-class", text, tuple(f"{one.side}: {one.path}" for one in own)))
    return findings


def _never_validated(images: Images, learned: set[str]) -> list[Finding]:
    validated = {item.label for item in images.items if item.side == "validation"}
    missing = sorted(learned - validated) if validated else []
    return [
        Finding("unvalidated-class", f"class {label} has no validation images, so it is never validated")
        for label in missing
    ]


def say_accuracy_of_all(images: Images, sheet: ScoreSheet, reporter: Reporter) -> None:
    """Report what the accuracy is if images of classes without training images are counted as wrong."""
    side, scores = ("test", sheet.test) if sheet.test else ("validation", sheet.validation)
    others = sum(item.side == side for item in images.unknown)
    if isinstance(scores, Scores) and others:
        right = round(scores.accuracy.value * scores.images)
        reporter.note(
            f"{side} accuracy: {scores.accuracy.value:.1%} without the {others:,} images of classes without "
            f"training images, {right / (scores.images + others):.1%} with them counted as wrong"
        )
