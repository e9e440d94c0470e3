"""Which images belong together: the same file, look-alikes, and the groups that a table names."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from regraft.data.findings.duplicates import Ints, connected
from regraft.data.findings.look_alikes import Look, LookAlikes, compared, look_alikes, pair_findings
from regraft.data.sources.candidates import Candidate
from regraft.progress import Reporter
from regraft.records import Finding, ImageItem

_LISTED = 1_000  # pairs of a kind; the others are counted


def grouped(
    candidates: Sequence[Candidate],
    hashes: Sequence[str],
    thumbnails: npt.NDArray[np.uint8],
    *,
    look: Look,
    policy: LookAlikes = "auto",
    reporter: Reporter | None = None,
) -> tuple[tuple[ImageItem, ...], list[Finding]]:
    """The usable images with their groups, and what was found while grouping them.

    Args:
        candidates: the usable images.
        hashes: SHA-256 of each file.
        thumbnails: grey thumbnails `(N, 256) uint8` of 16 x 16 pixels.
        look: returns larger pictures of the candidates with the given numbers.
        policy: what is done with images that look alike: see `DataSettings.look_alikes`.
        reporter: receives the progress where it takes long.
    """
    twins = _twins(hashes)
    later = {number for numbers in twins for number in numbers[1:]}
    firsts = [number for number in range(len(hashes)) if number not in later]
    pairs = [(number, numbers[0]) for numbers in twins for number in numbers[1:]]
    findings = _same_files(candidates, twins)
    if policy != "ignore":
        different = [candidates[n] for n in firsts]
        pictures = thumbnails[firsts] if later else thumbnails
        alike, found = _alike(different, pictures, firsts, look, policy, reporter)
        pairs += [(firsts[a], firsts[b]) for a, b in alike.tolist()]
        findings += _listed(found)
    return _items(candidates, hashes, pairs), findings


def _twins(hashes: Sequence[str]) -> list[list[int]]:
    """The numbers of the images of each file that is there several times."""
    if len(set(hashes)) == len(hashes):
        return []
    numbers: dict[str, list[int]] = {sha: [] for sha, count in Counter(hashes).items() if count > 1}
    for number, sha in enumerate(hashes):
        if sha in numbers:
            numbers[sha].append(number)
    return list(numbers.values())


def _same_files(candidates: Sequence[Candidate], twins: Sequence[Sequence[int]]) -> list[Finding]:
    findings = []
    for numbers in twins:
        is_same = len({candidates[number].label for number in numbers}) == 1
        kind, text = (
            ("duplicate", "the same file") if is_same else ("conflict", "the same file, different labels")
        )
        findings.append(Finding(kind, text, tuple(candidates[number].path for number in numbers)))
    return findings


def _alike(
    different: Sequence[Candidate],
    thumbnails: npt.NDArray[np.uint8],
    numbers: Sequence[int],
    look: Look,
    policy: LookAlikes,
    reporter: Reporter | None,
) -> tuple[Ints, list[Finding]]:
    """Pairs of different files that look alike, as places in `different`, and the findings."""
    labels, paths = [one.label for one in different], [one.path for one in different]
    if policy == "group":
        found = compared(thumbnails, labels, reporter)
        pairs = np.concatenate([found.within, found.across])
        return pairs, pair_findings(pairs, labels, paths)

    def larger(some: Sequence[int]) -> npt.NDArray[np.uint8]:
        return look([numbers[place] for place in some])

    return look_alikes(thumbnails, labels, paths, look=larger, reporter=reporter)


def _listed(findings: Sequence[Finding]) -> list[Finding]:
    """The findings; of very many of one kind the first thousand, and the number of the others."""
    kept: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        kept[finding.kind].append(finding)
    result = []
    for kind, several in kept.items():
        result += several[:_LISTED]
        if len(several) > _LISTED:
            text = f"{len(several) - _LISTED:,} further pairs of images that look the same"
            result.append(Finding(kind, text, several[_LISTED].paths))
    return result


def _items(
    candidates: Sequence[Candidate], hashes: Sequence[str], pairs: list[tuple[int, int]]
) -> tuple[ImageItem, ...]:
    first_of: dict[str, int] = {}
    for number, candidate in enumerate(candidates):
        if candidate.group is not None:
            pairs.append((number, first_of.setdefault(candidate.group, number)))
    roots = connected(len(candidates), np.array(pairs, dtype=np.int64).reshape(-1, 2)).tolist()
    return tuple(
        ImageItem(candidate.path, candidate.label, sha, candidate.side, hashes[root])
        for candidate, sha, root in zip(candidates, hashes, roots, strict=True)
    )
