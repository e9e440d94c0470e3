"""How a folder is understood, decided by what it holds: class folders, perhaps below the sides of a split.

Two or more folders that are called like sides and hold the same class folders are a split, whatever lies next
to them. A folder that is called like a side is never a class, unless the user says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from regraft.data.sources.folder_tree import Folder
from regraft.data.sources.labels import label_of, spelling_key
from regraft.data.sources.side_names import sides_of
from regraft.errors import DataError
from regraft.records import Side
from regraft.settings import Layout as LayoutChoice
from regraft.storage.tables import printable

_OVERRIDE = "If every folder is a class, add --layout classes"
_LISTED = 5
_ORDER: dict[Side, int] = {"train": 0, "validation": 1, "test": 2}


@dataclass(frozen=True)
class ClassFolder:
    """A folder whose images have one label, on one side."""

    folder: Folder
    label: str
    side: Side | None = None


@dataclass(frozen=True)
class Layout:
    """What the parts of a folder are."""

    text: str
    """The layout in words."""
    classes: tuple[ClassFolder, ...]
    unlabelled: tuple[Folder, ...] = ()
    """Sides without class folders."""
    unknown: tuple[Folder, ...] = ()
    """Folders next to the sides."""
    hint: str = ""
    """What else the user may have meant."""


def recognised(root: Folder, choice: LayoutChoice = "auto") -> Layout:
    """The layout of a folder.

    Args:
        root: the folder, as it was walked.
        choice: `classes` takes each folder in `root` as a class, `split` each that is called like a side as a
            side; `auto` decides by what the folders hold.

    Raises:
        DataError: folders are called like sides, but are no split; the message says what was found.
    """
    if choice == "classes":
        return _by_class(root, root)
    top = root
    while True:
        found = _split(root, top, choice)
        if found is not None:
            return found
        lone = top.filled[0] if len(top.filled) == 1 else None
        if lone is None or not lone.filled or len(lone.files) > lone.count / 2:
            break
        top = lone
    if choice == "split":
        raise DataError(
            f"--layout split: {_path(root)} holds no folders that are called like sides (train, val, test) "
            f"and hold class folders; it holds {_named(top.folders)}"
        )
    _refuse_sides(root, top)
    return _sides_below_classes(root, top) or _by_class(root, top)


def _by_class(root: Folder, top: Folder) -> Layout:
    """A folder per class."""
    classes = tuple(ClassFolder(folder, _label(folder)) for folder in top.folders)
    where = "" if top is root else f" in {top.path.relative_to(root.path).as_posix()}/"
    holders = [f"{_path(one)} holds {_classes_in(one)}" for one in top.filled if len(one.filled) > 1]
    hint = f"{'; '.join(holders[:2])}: if these are the classes, give that folder" if holders else ""
    return Layout(f"a folder per class{where}{_alternative(top)}", classes, hint=hint)


def _alternative(top: Folder) -> str:
    """What else a folder may be whose class folders hold the same subfolders: images and masks, or folds."""
    inside = [_labels(folder) for folder in top.filled]
    if len(inside) < 2 or len(inside[0]) < 2 or any(labels != inside[0] for labels in inside):
        return ""
    return (
        f"; {_named(top.filled)} hold the same folders ({_listed(inside[0])}): if these are the classes, "
        "give one of them as the data"
    )


def _split(root: Folder, top: Folder, choice: LayoutChoice) -> Layout | None:
    """The split that the folders in `top` are; None if none of them is called like a side and holds classes.

    Raises:
        DataError: they are called like sides, but do not fit together.
    """
    sides = sides_of([folder.name for folder in top.filled])
    named = sorted((one for one in top.filled if one.name in sides), key=lambda one: _ORDER[sides[one.name]])
    others = [folder for folder in top.filled if folder.name not in sides]
    inner = {folder.name: _inner(folder) for folder in named}
    train = [one for one in named if sides[one.name] == "train" and inner[one.name].filled]
    known = {label for one in train for label in _labels(inner[one.name])}
    unlabelled = [one for one in named if one not in train and _is_unlabelled(inner[one.name], known)]
    scored = [one for one in named if one not in train and one not in unlabelled]
    if train and scored:
        if choice == "auto":
            _require_shared(known, scored, inner)
        labelled = [one for one in named if one not in unlabelled]
        text = _split_text(labelled, inner, known)
        used = _class_folders(labelled, inner, sides)
    elif train and (unlabelled or choice == "split") and len(named) > 1:
        text = f"{_named(train)} with {_classes_in(inner[train[0].name])}; test images are drawn"
        used = tuple(replace(one, side=None) for one in _class_folders(train, inner, sides))
    elif choice == "auto" and train and others:
        raise _lone_side(root, train[0], others)
    elif scored and len({sides[one.name] for one in scored}) > 1:
        raise DataError(
            f"{_path(top)} holds {_named(scored)} with class folders, but no training side with class "
            "folders (a folder called train or training). Rename one of them, or give one of them as the "
            f"data. {_OVERRIDE}"
        )
    else:
        return None
    is_tested = any(sides[one.name] == "test" for one in scored)
    if scored and not is_tested and any(sides[one.name] == "test" for one in unlabelled):
        text += "; no test side has labels, so scores are those of the validation images"
    text += _below(root, top)
    return Layout(text, used, tuple(unlabelled), tuple(others))


def _inner(side: Folder) -> Folder:
    """The folder that holds a side's class folders: the side, or a lone folder in it."""
    while len(side.filled) == 1 and not side.files and side.filled[0].filled:
        side = side.filled[0]
    return side


def _label(folder: Folder) -> str:
    return label_of(folder.name) or printable(folder.name)


def _labels(folder: Folder) -> set[str]:
    return {_label(one) for one in folder.filled}


def _is_unlabelled(side: Folder, known: set[str]) -> bool:
    """Whether a side has no class folders: flat files, or one folder that is no class of the others."""
    labels = _labels(side)
    return not labels or (bool(known) and len(labels) == 1 and len(known) > 1 and not _alike(labels, known))


def _alike(one: set[str], other: set[str]) -> bool:
    """Whether two sides share a class, perhaps in another spelling, which is examined with all labels."""
    return bool({spelling_key(label) for label in one} & {spelling_key(label) for label in other})


def _require_shared(known: set[str], scored: Sequence[Folder], inner: dict[str, Folder]) -> None:
    """Refuse sides that share no class folder with the training side.

    Raises:
        DataError: names the class folders of both.
    """
    for side in scored:
        labels = _labels(inner[side.name])
        if not _alike(labels, known):
            raise DataError(
                f"{_path(side)} holds the class folders {_listed(labels)}, and the training side "
                f"{_listed(known)}: they share no class. Rename or move the folders, or add --layout split "
                f"if they are right. {_OVERRIDE}"
            )


def _class_folders(
    named: Sequence[Folder], inner: dict[str, Folder], sides: dict[str, Side]
) -> tuple[ClassFolder, ...]:
    return tuple(
        ClassFolder(folder, _label(folder), sides[side.name])
        for side in named
        for folder in inner[side.name].folders
    )


def _split_text(labelled: Sequence[Folder], inner: dict[str, Folder], known: set[str]) -> str:
    found = [_labels(inner[side.name]) for side in labelled]
    shared = known.intersection(*found)
    if all(labels == known for labels in found):
        return f"{_named(labelled)} with the same {_count(known)} ({_listed(known)})"
    both = (
        f"{len(shared)} of them on all sides ({_listed(shared)})" if shared else "none of them on all sides"
    )
    return f"{_named(labelled)} with {_count(known.union(*found))}, {both}"


def _lone_side(root: Folder, side: Folder, others: Sequence[Folder]) -> DataError:
    return DataError(
        f"{_path(root)} holds the folder {side.name}/ with {_classes_in(_inner(side))}, and {_named(others)} "
        f"next to it. {side.name} is a usual name of the training side, so it is not taken as a class. "
        f"If the data is {_path(side)}, give that folder. {_OVERRIDE}"
    )


def _refuse_sides(root: Folder, top: Folder) -> None:
    """Refuse class folders that are called like sides, and folders that are whole data sets.

    Raises:
        DataError: which folders they are, and what to do.
    """
    sides = sides_of([folder.name for folder in top.filled])
    named = [folder for folder in top.filled if folder.name in sides]
    others = [folder for folder in top.filled if folder.name not in sides]
    if named:
        counted = ", ".join(
            f"{one.name}/ ({one.count:,} file{'' if one.count == 1 else 's'})" for one in named
        )
        beside = f" next to {_named(others)}" if others else ""
        raise DataError(
            f"{_path(top)} holds {counted}{beside}: {'a usual name' if len(named) == 1 else 'usual names'} "
            "of sides of a split, but without class folders that they share, so no labels are known. Put "
            "the images of each class in a folder of its own below train/, move other images away, or give "
            f"a table. {_OVERRIDE}"
        )
    for folder in top.filled:
        if len(top.filled) > 1 and _holds_split(folder):
            raise DataError(
                f"{_path(root)} holds {_named(top.filled)}, and {_path(folder)} is a whole data set: it "
                f"holds {_named(folder.filled)} with class folders. Give that folder. {_OVERRIDE}"
            )


def _holds_split(folder: Folder) -> bool:
    sides = sides_of([one.name for one in folder.filled])
    labelled = [one for one in folder.filled if one.name in sides and _inner(one).filled]
    return len({sides[one.name] for one in labelled}) > 1


def _sides_below_classes(root: Folder, top: Folder) -> Layout | None:
    """The layout CLASS/train/1.jpg and CLASS/test/2.jpg; None if it is another one."""
    used: list[ClassFolder] = []
    unknown: list[Folder] = []
    for folder in top.filled:
        sides = sides_of([one.name for one in folder.filled])
        if "train" not in sides.values():
            return None
        named = [one for one in folder.filled if one.name in sides]
        used += [ClassFolder(one, _label(folder), sides[one.name]) for one in named]
        unknown += [one for one in folder.filled if one not in named]
    if len(top.filled) < 2 or len({one.side for one in used}) < 2:
        return None
    names = sorted({one.folder.name for one in used})
    text = f"{_count(top.filled)} with {_and([f'{name}/' for name in names])} in them{_below(root, top)}"
    return Layout(text, tuple(used), unknown=tuple(unknown))


def _below(root: Folder, top: Folder) -> str:
    return "" if top is root else f", in {top.path.relative_to(root.path).as_posix()}/"


def _classes_in(folder: Folder) -> str:
    labels = _labels(folder)
    return f"{_count(labels)} ({_listed(labels)})"


def _count(things: Iterable[object]) -> str:
    number = len(list(things))
    return f"{number:,} class folder{'' if number == 1 else 's'}"


def _listed(labels: Iterable[str]) -> str:
    names = sorted(labels)
    return ", ".join(names[:_LISTED]) + (", …" if len(names) > _LISTED else "")


def _named(folders: Sequence[Folder]) -> str:
    names = [f"{printable(folder.name)}/" for folder in folders]
    more = [f"{len(names) - _LISTED} more folders"] if len(names) > _LISTED else []
    return _and([*names[:_LISTED], *more]) or "no folders"


def _and(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _path(folder: Folder) -> str:
    path: Path = folder.path
    return printable(str(path))
