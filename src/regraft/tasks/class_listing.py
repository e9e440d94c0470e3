"""The scores of classes as a list: of all together, of the positive one of two, and of each class."""

from __future__ import annotations

from regraft.records import ClassScores, Estimate, Rates, Scores, TwoClassScores
from regraft.tasks.classes.goodness import SCORE_NAMES
from regraft.tasks.task import Measure

_MEASURES = ("accuracy", "balanced_accuracy", "macro_f1", "log_loss", "calibration_error")
_RATES = ("sensitivity", "specificity", "ppv", "npv")
AT_GOAL, AT_PREVALENCE = "_at_goal", "_at_prevalence"


def class_measures(scores: Scores) -> tuple[list[Measure], list[Measure]]:
    """The scores of all classes together, that by which models are compared first; and those of each class.

    Args:
        scores: the scores.
    """
    first = SCORE_NAMES[scores.measure]
    names = [*_MEASURES, *(["auroc"] if scores.auroc else [])]
    names.sort(key=lambda name: name != first)
    together = [
        Measure.of(name, getattr(scores, name), scores.images, is_share=name != "log_loss") for name in names
    ]
    if scores.quadratic_kappa is not None:
        together.append(Measure.of("quadratic_kappa", scores.quadratic_kappa, scores.images, is_share=False))
    if scores.two_classes is not None:
        together += _two_class_measures(scores.two_classes, scores.images)
    return together, [one for own in scores.classes for one in _each(own)]


def _two_class_measures(two: TwoClassScores, images: int) -> list[Measure]:
    """Average precision, then the rates at the largest probability, and at the threshold if there is one."""
    found = [Measure.of("average_precision", two.average_precision, images)]
    for rates, end in ((two.largest, ""), (two.chosen, AT_GOAL)):
        if rates is not None:
            found += [Measure.of(name + end, getattr(rates, name), images) for name in _RATES]
            found += _at_prevalence(rates, end, images) if two.prevalence is not None else []
    return found


def _at_prevalence(rates: Rates, end: str, images: int) -> list[Measure]:
    return [
        Measure.of(f"ppv{AT_PREVALENCE}{end}", rates.ppv_at_prevalence, images),
        Measure.of(f"npv{AT_PREVALENCE}{end}", rates.npv_at_prevalence, images),
    ]


def _each(one: ClassScores) -> list[Measure]:
    """Precision, recall and F1 of a class, with intervals where they are known, and its AUROC."""

    def of(name: str, value: float, interval: Estimate | None) -> Measure:
        low, high = (interval.low, interval.high) if interval else (None, None)
        return Measure(name, value, low, high, one.images, one.label)

    found = [
        of("precision", one.precision, one.precision_interval),
        of("recall", one.recall, one.recall_interval),
        of("f1", one.f1, None),
    ]
    return [*found, *([Measure.of("auroc", one.auroc, one.images, output=one.label)] if one.auroc else [])]
