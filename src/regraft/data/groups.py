"""Which images belong together: the same file, look-alikes, and the groups that a table names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from regraft.data.candidates import Candidate
from regraft.data.duplicates import connected, near_duplicates
from regraft.records import Finding, ImageItem


def grouped(
    candidates: Sequence[Candidate], hashes: Sequence[str], thumbnails: npt.NDArray[np.uint8]
) -> tuple[tuple[ImageItem, ...], list[Finding]]:
    """The usable images with their groups, and what was found while grouping them.

    Args:
        candidates: the usable images.
        hashes: SHA-256 of each file.
        thumbnails: grey thumbnails `(N, 256) uint8` of 16 x 16 pixels.
    """
    findings: list[Finding] = []
    by_hash: dict[str, list[int]] = defaultdict(list)
    for number, sha in enumerate(hashes):
        by_hash[sha].append(number)
    paths = [candidate.path for candidate in candidates]
    labels = [candidate.label for candidate in candidates]
    for twins in by_hash.values():
        if len(twins) > 1:
            same = len({labels[number] for number in twins}) == 1
            kind, text = (
                ("duplicate", "the same file") if same else ("conflict", "the same file, different labels")
            )
            findings.append(Finding(kind, text, tuple(paths[number] for number in twins)))
    firsts = [twins[0] for twins in by_hash.values()]
    pairs = [(number, twins[0]) for twins in by_hash.values() for number in twins[1:]]
    for a, b in near_duplicates(thumbnails[firsts]):
        one, two = firsts[a], firsts[b]
        kind = "near-duplicate" if labels[one] == labels[two] else "conflict"
        findings.append(Finding(kind, "images that look the same", (paths[one], paths[two])))
        pairs.append((one, two))
    return _items(candidates, hashes, pairs), findings


def _items(
    candidates: Sequence[Candidate], hashes: Sequence[str], pairs: list[tuple[int, int]]
) -> tuple[ImageItem, ...]:
    first_of: dict[str, int] = {}
    for number, candidate in enumerate(candidates):
        if candidate.group is not None:
            pairs.append((number, first_of.setdefault(candidate.group, number)))
    roots = connected(len(candidates), pairs)
    return tuple(
        ImageItem(candidate.path, candidate.label, sha, candidate.side, hashes[root])
        for candidate, sha, root in zip(candidates, hashes, roots, strict=True)
    )
