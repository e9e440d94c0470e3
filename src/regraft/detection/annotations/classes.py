"""Some of the classes of a data set or a detector, as a user names them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from regraft.detection.annotations.boxes import BoxSet
from regraft.errors import SettingsError, close_names
from regraft.records import Finding
from regraft.storage.tables import printable

_LISTED = 50


def named_classes(given: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """The classes that names, or lists of names with commas, mean; in the order of the known classes.

    Args:
        given: names; one that is no class itself is a list with commas.
        known: all classes.

    Raises:
        SettingsError: a name is not a class, or none is given; the message lists the classes.

    >>> named_classes(["b,a"], ["a", "b", "c"]), named_classes(["x, y", "z"], ["x, y", "z"])
    (('a', 'b'), ('x, y', 'z'))
    """
    names = [
        name
        for text in given
        for name in ([text] if text in known else filter(None, map(str.strip, text.split(","))))
    ]
    for name in names:
        check_class("--classes", name, known)
    if not names:
        raise SettingsError(f"--classes names no class; the classes are {listed(known)}")
    return tuple(label for label in known if label in names)


def check_class(setting: str, name: str, known: Sequence[str]) -> None:
    """Refuse a name that is not a class.

    Raises:
        SettingsError: the message suggests close names and lists the classes.
    """
    if name not in known:
        raise SettingsError(
            f"{setting} names {printable(name)!r}{close_names(name, known)}, which is no class; the classes "
            f"are {listed(known)}"
        )


def listed(labels: Sequence[str]) -> str:
    """Classes in a sentence, at most fifty of them."""
    shown = ", ".join(printable(label) for label in labels[:_LISTED])
    return shown if len(labels) <= _LISTED else f"{shown} and {len(labels) - _LISTED:,} more"


def with_classes(boxes: BoxSet, given: Sequence[str]) -> BoxSet:
    """The data set with the boxes of some classes; its last finding says what was left out.

    A picture without any of these classes is a background from now on.

    Args:
        boxes: the data set.
        given: names of classes, or lists of them with commas.

    Raises:
        SettingsError: a name is not a class of the data set.
    """
    names = named_classes(given, boxes.labels)
    left = [label for label in boxes.labels if label not in names]
    pictures = tuple(
        replace(one, boxes=tuple(box for box in one.boxes if box.label in names)) for one in boxes.pictures
    )
    chosen = replace(boxes, pictures=pictures)
    before, after = (sum(len(one.boxes) for one in each.pictures) for each in (boxes, chosen))
    new = len(chosen.backgrounds) - len(boxes.backgrounds)
    sentence = (
        f"boxes of other classes that are left out: {before - after:,} ({listed(left)}); pictures that show "
        f"none of {listed(names)} and become backgrounds: {new:,}"
        if left
        else f"all {len(names):,} classes were named, so no box is left out"
    )
    return replace(chosen, findings=(*boxes.findings, Finding("other-classes", sentence)))
