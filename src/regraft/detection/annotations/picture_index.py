"""Which picture of a data set a name in an annotation file means. Names are compared, and never opened."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from regraft.data.sources.column_names import IMAGE_ENDINGS
from regraft.storage.tables import printable


class PictureIndex:
    """The pictures of a data set, to be found by path, by name, and by name without its ending.

    >>> index = PictureIndex(["a/1.jpg", "b/1.jpg", "b/2.png"])
    >>> index.find(["/home/me/2.jpg"], near="x.json"), index.find(["1"], near="a/1.xml")
    ('b/2.png', 'a/1.jpg')
    """

    def __init__(self, paths: Iterable[str]) -> None:
        self._by_name: dict[str, list[str]] = defaultdict(list)
        self._by_stem: dict[str, list[str]] = defaultdict(list)
        for path in paths:
            name = _parts(path)[-1]
            self._by_name[name].append(path)
            self._by_stem[_stem(name)].append(path)

    def find(self, names: Sequence[str], *, near: str) -> str | None:
        """The path of the picture; None if there is none, or if several could be meant.

        Args:
            names: names that the picture may have, the most telling first.
            near: path of the annotation file; of pictures with equal names, the nearest is meant.
        """
        for name in names:
            parts = _parts(name)
            for found in (self._by_name.get(parts[-1], []), self._by_stem.get(_stem(parts[-1]), [])):
                best = _best(found, name, near)
                if best is not None:
                    return best
        return None

    def reason(self, names: Sequence[str]) -> str:
        """Why `find` gave nothing, as a sentence."""
        parts = _parts(names[0])
        found = self._by_stem.get(_stem(parts[-1]), [])
        shown = printable(names[-1][:200])
        if len(found) > 1:
            return f"{shown} could be any of {', '.join(map(printable, found[:3]))}: write its folder, too"
        return f"no picture of the data set is called {shown}"


def _best(found: Sequence[str], name: str, near: str) -> str | None:
    """The picture with most folders in common with the written path, then with the annotation file.

    If that does not decide, it is the one with the fewest folders that neither of the two has, then the one
    with the same capitals.
    """
    if len(found) < 2:
        return found[0] if found else None
    parts, folders = _parts(name), _parts(near)[:-1]

    def likeness(path: str) -> tuple[int, int, int, bool]:
        own = _parts(path)
        # Of "1.jpg" and "a/1.jpg", an entry that says nothing of a folder called "a" means the first.
        foreign = len({*own[:-1]} - {*parts[:-1], *folders})
        common = _common(own[-2::-1], parts[-2::-1])
        return common, _common_anywhere(own[:-1], folders), -foreign, path.endswith(name)

    ranked = sorted(found, key=likeness, reverse=True)
    return None if likeness(ranked[0]) == likeness(ranked[1]) else ranked[0]


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """The number of equal parts from the start."""
    count = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        count += 1
    return count


def _common_anywhere(one: Sequence[str], other: Sequence[str]) -> int:
    """Equal folders from the top and from the bottom, as images/train/a.jpg and labels/train/a.txt have."""
    return 100 * _common(one, other) + _common(one[::-1], other[::-1]) + len({*one} & {*other})


def _parts(path: str) -> list[str]:
    plain = unicodedata.normalize("NFC", path.replace("\\", "/")).casefold()
    return [part for part in plain.split("/") if part not in ("", ".", "..")] or [""]


def _stem(name: str) -> str:
    path = PurePosixPath(name)
    return path.stem if path.suffix in IMAGE_ENDINGS else name
