"""Which side of a split the name of a folder stands for, in the spellings that people use."""

from __future__ import annotations

import re
from collections.abc import Sequence

from regraft.data.sources.candidates import SIDES
from regraft.records import Side

_FILLERS_LISTED = """
    set sets data dataset datasets image images img imgs photo photos pic pics picture pictures
    split splits folder dir file files side part
"""
_FILLERS = frozenset(_FILLERS_LISTED.split())
_EVALUATION = frozenset({"eval", "evaluation"})


def side_of(name: str) -> Side | None:
    """The side that a folder's name stands for; None if the name says more, or something else.

    >>> [side_of(name) for name in ("Train_Set", "valset", "test-images", "val2017", "hold out", "cat")]
    ['train', 'validation', 'test', 'validation', 'test', None]
    """
    word, rest = parts_of(name)
    return SIDES[word] if word and not rest else None


def sides_of(names: Sequence[str]) -> dict[str, Side]:
    """The sides of those names that stand for one.

    Names such as seg_train and seg_test count too, as they differ in the word for the side alone. A folder
    called eval is the validation side where another one is called test.

    >>> sides_of(["seg_train", "seg_test", "crash test", "maps"])
    {'seg_train': 'train', 'seg_test': 'test'}
    """
    parts = {name: parts_of(name) for name in names}
    families: dict[tuple[str, ...], set[Side]] = {}
    for word, rest in parts.values():
        if word:
            families.setdefault(rest, set()).add(SIDES[word])
    found = {
        name: SIDES[word]
        for name, (word, rest) in parts.items()
        if word and (not rest or len(families[rest]) > 1)
    }
    if any(side == "test" and parts[name][0] not in _EVALUATION for name, side in found.items()):
        found |= {name: "validation" for name in found if parts[name][0] in _EVALUATION}
    return found


def parts_of(name: str) -> tuple[str, tuple[str, ...]]:
    """The only word for a side in a name (empty if there is none, or several), and what else the name says.

    >>> parts_of("TrainImages"), parts_of("seg_train"), parts_of("cat")
    (('train', ()), ('train', ('seg',)), ('', ('cat',)))
    """
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    spaced = re.sub(r"hold[\W_]*out", "holdout", spaced, flags=re.IGNORECASE)
    words = [_bare(word) for word in re.findall(r"[^\W\d_]+", spaced.casefold())]
    sides = [word for word in words if word in SIDES]
    rest = tuple(word for word in words if word not in SIDES and word not in _FILLERS)
    return (sides[0] if len(sides) == 1 else "", rest)


def _bare(word: str) -> str:
    """A word for a side without a filler that was written in one with it: testset, imagestrain."""
    for filler in _FILLERS:
        for bare in (word.removesuffix(filler), word.removeprefix(filler)):
            if bare in SIDES:
                return bare
    return word
