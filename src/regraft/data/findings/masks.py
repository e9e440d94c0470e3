"""Pictures that are probably masks of other pictures, by their names; they count as pictures of a class."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from regraft.data.sources.candidates import suffix_of
from regraft.records import Finding

_WORDS = (
    "masks?|segs?|segmentations?|labels?|label_?ids|instance_?ids|annotations?|annot|gt|ground[ _-]?truths?"
)
_PARTS = ("mask", "seg", "label", "instance", "annot", "gt", "ground")  # each word holds one
_NAME = re.compile(rf"(?P<name>.+?)[ ._-]+\(?(?:{_WORDS})\)?(?:[ ._-]?\d+)?", re.IGNORECASE)
_CLASS = re.compile(_WORDS, re.IGNORECASE)


def mask_findings(paths: Sequence[str], labels: Sequence[str]) -> Iterator[Finding]:
    """`NAME_mask.png` next to `NAME.jpg`, and class folders such as `masks` next to `images`."""
    yield from _masks(paths)
    yield from _mask_classes(paths, labels)


def _masks(paths: Sequence[str]) -> Iterator[Finding]:
    matches = [(path, match) for path in _with_words(paths) if (match := _NAME.fullmatch(_stem(path)))]
    places = map(PurePosixPath, paths if matches else ())
    names = {(str(place.parent), place.stem) for place in places}
    found = [path for path, match in matches if (str(PurePosixPath(path).parent), match["name"]) in names]
    if found:
        yield Finding(
            "mask",
            f"{len(found)} of {len(paths)} pictures are named like masks of other pictures in the same "
            "folder, and count as pictures of the class; move them elsewhere unless that is meant",
            tuple(found),
        )


def _with_words(paths: Sequence[str]) -> list[str]:
    """The files whose names hold a part of such a word; to look for that takes a fifth of the time."""
    names = "\0".join(path.rpartition("/")[2] for path in paths).casefold()
    parts = [part for part in _PARTS if part in names]
    if not parts:
        return []
    named = zip(paths, names.split("\0"), strict=True)
    return [path for path, name in named if any(part in name for part in parts)]


def _stem(path: str) -> str:
    """The name of a file without its extension."""
    return path.rpartition("/")[2].removesuffix(suffix_of(path))


def _mask_classes(paths: Sequence[str], labels: Sequence[str]) -> Iterator[Finding]:
    """Class folders such as `images` and `masks`, whose files have the same names."""
    for label in sorted(set(labels)):
        if not _CLASS.fullmatch(label):
            continue
        own, others = [], set()
        for path, other in zip(paths, labels, strict=True):
            own += [path] if other == label else []
            others |= {PurePosixPath(path).stem} if other != label else set()
        stems = [PurePosixPath(path).stem for path in own]
        matches = [_NAME.fullmatch(stem) for stem in stems]
        known = [
            stem in others or (match is not None and match["name"] in others)
            for stem, match in zip(stems, matches, strict=True)
        ]
        if sum(known) >= 0.9 * len(known):
            yield Finding(
                "mask",
                f"class {label} seems to hold the masks of other classes' pictures, whose files have the "
                "same names; give a folder that has a subfolder for each class",
                tuple(own),
            )
