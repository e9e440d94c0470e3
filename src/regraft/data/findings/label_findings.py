"""What labels say about themselves: spellings of one name, several labels in one cell, numbers, ids."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations

from regraft.data.sources.candidates import Candidate
from regraft.data.sources.labels import is_fraction, is_number, spelling_key
from regraft.errors import DataError
from regraft.records import Finding, TaskName
from regraft.tasks.multilabel import SEPARATOR, UNKNOWN

SPELLING = "spelling"
HINT = "label-hint"
_SHOWN = 5  # labels or words that a message lists
_SEPARATORS = ("|", ";", ",", "/", "+", "&")
_MISSING_NAMES = frozenset({"nan", "none", "null", "na", "n/a", "#n/a", "<na>", "nat"})


def label_findings(candidates: Sequence[Candidate], task: TaskName = "classification") -> tuple[Finding, ...]:
    """What the owner of the labels should know before a model is fitted to them.

    Raises:
        DataError: two sides of an official split spell the same label differently.
    """
    if task != "classification":
        return _hints_of_lists(candidates) if task == "multilabel" else ()
    groups = _spellings({candidate.label for candidate in candidates})
    _check_sides(candidates, groups)
    counts = Counter(candidate.label for candidate in candidates)
    first = {candidate.label: candidate.path for candidate in reversed(candidates)}
    messages = [(SPELLING, _spelling_message(groups), [label for group in groups for label in group])]
    messages += [(HINT, text, labels) for text, labels in _hints(counts)]
    return tuple(
        Finding(kind, text, tuple(first[label] for label in labels))
        for kind, text, labels in messages
        if text
    )


def _hints_of_lists(candidates: Sequence[Candidate]) -> tuple[Finding, ...]:
    """Spellings of names in lists, and whether they are lists at all."""
    lists = [candidate.label.split(SEPARATOR) for candidate in candidates]
    groups = _spellings({name.removeprefix(UNKNOWN) for names in lists for name in names})
    findings = [Finding(SPELLING, text)] if (text := _spelling_message(groups, "labels")) else []
    if all(len(names) == 1 and names[0] and not names[0].startswith(UNKNOWN) for names in lists):
        text = (
            "each image has exactly one label, as in a classification, whose probabilities sum to one; "
            "remove --task multilabel if no image can have two labels or none"
        )
        findings.append(Finding(HINT, text))
    return tuple(findings)


def _spellings(labels: set[str]) -> list[list[str]]:
    """The labels that are written in several ways, each with its spellings."""
    groups: dict[str, list[str]] = defaultdict(list)
    for label in sorted(labels):
        groups[spelling_key(label)].append(label)
    return [groups[key] for key in sorted(groups) if len(groups[key]) > 1]


def _spelling_message(groups: Sequence[Sequence[str]], what: str = "classes") -> str:
    if not groups:
        return ""
    sizes = sorted({len(group) for group in groups})
    each = f"{sizes[0]} spellings each" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]} spellings each"
    if len(groups) == 1:
        each = f"{sizes[0]} spellings"
    names = _listed([_plain(group) for group in groups])
    ways = _listed([", ".join(group) for group in groups], "; ")
    return (
        f"{sum(map(len, groups))} {what} are {each} of {names} ({ways}). "
        f"Write each label in one way, otherwise they remain different {what}"
    )


def _plain(group: Sequence[str]) -> str:
    """The spelling by which a label is called: in small letters, if there is one."""
    return next((label for label in group if label == label.casefold()), group[0])


def _check_sides(candidates: Sequence[Candidate], groups: Sequence[Sequence[str]]) -> None:
    if not any(candidate.side for candidate in candidates):
        return
    on_side: dict[str, set[str]] = {"train": set(), "validation": set(), "test": set()}
    for candidate in candidates:
        on_side[candidate.side or "train"].add(candidate.label)
    apart = []
    for group in groups:
        present = {side: [label for label in group if label in found] for side, found in on_side.items()}
        for one, other in combinations([side for side in present if present[side]], 2):
            if not set(present[one]) & set(present[other]):
                apart.append(f"{one} has {_listed(present[one])}, {other} has {_listed(present[other])}")
    if apart:
        raise DataError(
            f"the sides of the split spell the same labels differently: {_listed(apart, '; ')}. "
            "Write each label in one way on all sides, so that they are one class"
        )


def _hints(counts: Counter[str]) -> Iterator[tuple[str, list[str]]]:
    """Each hint, with the labels that are examples of it."""
    labels = sorted(counts)
    numbers = [label for label in labels if is_fraction(label)]
    several = _several(labels)
    if len(numbers) >= 10 or (len(numbers) >= 5 and counts.total() < 3 * len(labels)):
        yield (
            f"{len(numbers)} of {len(labels)} labels are decimal numbers ({_listed(numbers)}), which looks "
            "like a quantity to be predicted. Add --task regression to predict the number; without it, every "
            "number is a class of its own",
            numbers[:2],
        )
    elif several:
        yield several
    elif counts.total() >= 10 and len(labels) >= 0.8 * counts.total():
        yield (
            f"{len(labels)} different labels for {counts.total()} images ({_listed(labels)}): nearly every "
            "image is a class of its own. Regraft predicts one class for each image, and a class needs "
            "several images; check which column or folder holds the labels",
            labels[:2],
        )
    missing = [label for label in labels if label.casefold() in _MISSING_NAMES]
    if missing:
        count = sum(counts[label] for label in missing)
        yield (
            f"label {_listed(missing)} stands for a missing label in many programs ({count} "
            f"image{'' if count == 1 else 's'}). It is used as a class; leave it empty if none is meant",
            missing,
        )


def _several(labels: Sequence[str]) -> tuple[str, list[str]] | None:
    """A hint if labels look like lists: parts between separators, or words, that recur in other labels."""
    names = {label: None for label in labels if not is_number(label)}  # ordered, unlike a set
    for separator in (*_SEPARATORS, " ", "_"):
        parts = {label: [part.strip(" []'\"") for part in label.split(separator)] for label in names}
        lists = [label for label in names if len([part for part in parts[label] if part]) > 1]
        uses = Counter(part for label in names for part in set(parts[label]) if part)
        words = {part for label in lists for part in parts[label] if part}
        recurring = sorted(word for word in words if uses[word] > 1)
        is_sum = any(all(part in names for part in parts[label]) for label in lists)
        needed = 0.5 if separator in _SEPARATORS else 0.9
        has_pattern = (
            len(lists) >= 3 and len(words) < len(lists) + 2 and len(recurring) >= needed * len(words)
        )
        if separator not in _SEPARATORS:
            has_pattern = has_pattern and len(lists) >= 6 and len(lists) >= 0.75 * len(labels)
        if lists and (is_sum or has_pattern):
            return (
                f"{len(lists)} of {len(labels)} labels are made of the same parts ({_listed(recurring)}), "
                f"for example {lists[0]}, which looks like several labels for each image. "
                f"{_advice(separator)}; without it, every combination is a class of its own",
                lists[:2],
            )
    return None


def _advice(separator: str) -> str:
    if separator == SEPARATOR:
        return "Add --task multilabel to predict each of them"
    return f"Write them as a{SEPARATOR}b and add --task multilabel to predict each of them"


def _listed(words: Sequence[str], joint: str = ", ") -> str:
    """The first words, and the number of the others."""
    if len(words) > _SHOWN:
        return f"{joint.join(words[:_SHOWN])}{joint}and {len(words) - _SHOWN} more"
    if joint == ", " and len(words) > 1:
        return f"{', '.join(words[:-1])} and {words[-1]}"
    return joint.join(words)
