"""What a user wants of classes, as settings: the positive one, a goal, a measure, an order, a limit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from regraft.errors import SettingsError, close_names
from regraft.progress import Reporter
from regraft.records import ClassMeasure
from regraft.settings import FitSettings, differences
from regraft.storage.tables import printable
from regraft.tasks.classes.ordering import ordered_classes
from regraft.tasks.classification import Classification
from regraft.tasks.task import Task

_ABOUT_CLASSES = ("positive", "goal", "prevalence", "measure", "ordered", "reject_below")
_ABOUT_TWO = ("positive", "goal", "prevalence")
_RARE = 10.0
"""A class is rare if it has less than this part of an even share of the training images."""


def with_wishes(task: Task, settings: FitSettings, labels: Sequence[str], reporter: Reporter) -> Task:
    """The task of a data set as its user wants it.

    Args:
        task: what the labels mean.
        settings: what the user wants.
        labels: the labels of the training images.
        reporter: receives what was decided.

    Raises:
        SettingsError: a setting that these labels have no use for, or a name that is not a class.
    """
    given = [name for name in differences(settings, FitSettings()) if name in _ABOUT_CLASSES]
    if not isinstance(task, Classification):
        if given:
            raise SettingsError(
                f"{_flags(given)} {_are(given)} for labels that are classes (--task classification), but "
                f"this is --task {task.name}. Remove {_them(given)}"
            )
        return task
    if len(task.outputs) != 2:
        _refuse_two_class_settings(task, [name for name in given if name in _ABOUT_TWO])
    if settings.reject_below is not None:
        check_rejection(settings.reject_below, len(task.outputs))
    counts = Counter(labels)
    return task.model_copy(
        update={
            "positive": _positive(task, settings, counts, reporter),
            "measure": _measure(task, settings, counts, reporter),
            "goal": settings.goal,
            "prevalence": settings.prevalence,
            "ordered": ordered_classes(settings.ordered, task.outputs) if settings.ordered else (),
            "reject_below": settings.reject_below,
        }
    )


def check_rejection(least: float, classes: int) -> None:
    """Refuse a limit that no image is below.

    Raises:
        SettingsError: with the smallest limit that has an effect.
    """
    if not 1 / classes < least <= 1:
        raise SettingsError(
            f"--reject-below {least:g} has no use: the largest of {classes} probabilities is between "
            f"{1 / classes:.3g} and 1. Accepted are numbers above {1 / classes:.3g}, up to 1"
        )


def rejecting(task: Task, least: float | None) -> Task:
    """The task that rejects answers below another probability; None leaves it as it is.

    Raises:
        SettingsError: the task has no classes, or no image is below.
    """
    if least is None:
        return task
    if not isinstance(task, Classification):
        raise SettingsError(
            f"--reject-below {least:g} is for classes, but this model predicts {task.summary}. Remove it"
        )
    check_rejection(least, len(task.outputs))
    return task.model_copy(update={"reject_below": least})


def _refuse_two_class_settings(task: Classification, given: Sequence[str]) -> None:
    if given:
        listed = ", ".join(map(printable, task.outputs[:5])) + (", …" if len(task.outputs) > 5 else "")
        raise SettingsError(
            f"{_flags(given)} {'needs' if len(given) == 1 else 'need'} two classes, but there are "
            f"{len(task.outputs)} ({listed}), each of which is scored against all others. Remove "
            f"{_them(given)}, or give a table with two classes"
        )


def _positive(
    task: Classification, settings: FitSettings, counts: Counter[str], reporter: Reporter
) -> str | None:
    """The positive class of two: the user's, or else the rarer one, or else the second by name."""
    if len(task.outputs) != 2:
        return None
    first, second = task.outputs
    named = settings.positive
    if named is not None:
        if named not in task.outputs:
            raise SettingsError(
                f"--positive {named} is not a class{close_names(named, task.outputs)}; accepted are "
                f"{printable(first)} and {printable(second)}"
            )
        return named
    found = first if counts[first] < counts[second] else second
    total = f"{counts[first] + counts[second]:,} training images"
    why = f"it is the rarer one, with {counts[found]:,} of {total}"
    if counts[first] == counts[second]:
        why = "both classes are equally frequent, and it is the second by name"
    reporter.decided(f"positive class {printable(found)}", why, "--positive")
    return found


def _measure(
    task: Classification, settings: FitSettings, counts: Counter[str], reporter: Reporter
) -> ClassMeasure:
    """By what models are compared: what the user says, or balanced accuracy if a class is very rare."""
    if settings.measure != "auto":
        return settings.measure
    rarest = min(task.outputs, key=lambda one: counts[one])
    even = counts.total() / len(task.outputs)
    if counts[rarest] * _RARE >= even:
        return "accuracy"
    images = "image" if counts[rarest] == 1 else "images"
    reporter.decided(
        "measure balanced",
        f"{printable(rarest)} has {counts[rarest]:,} training {images}, less than a tenth of an even share "
        f"({even:,.0f}), so that accuracy hardly depends on this class",
        "--measure",
    )
    return "balanced"


def _flags(names: Sequence[str]) -> str:
    return ", ".join(f"--{name.replace('_', '-')}" for name in names)


def _are(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _them(names: Sequence[str]) -> str:
    return "it" if len(names) == 1 else "them"
