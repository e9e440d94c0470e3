"""Cuts of a network, given as the name of a stage, a number of stages or a share."""

from __future__ import annotations

from collections.abc import Sequence

from regraft.errors import NetworkError, close_names


def cut_count(stages: Sequence[str], place: str | int) -> int:
    """The number of stages before a cut.

    Raises:
        NetworkError: there is no such stage, or the count or share is out of range.

    >>> cut_count(["stem", "layer1", "layer2", "layer3"], "layer2")
    3
    >>> cut_count(["stem", "layer1", "layer2", "layer3"], "50%")
    2
    """
    text = str(place).strip()
    if text in stages:
        return list(stages).index(text) + 1
    accepted = f"accepted are a count from 0 to {len(stages)}, a share (60%) or a name: {', '.join(stages)}"
    try:
        share = float(text[:-1]) / 100 if text.endswith("%") else None
        count = int(text) if share is None else round(len(stages) * share)
    except ValueError:
        raise NetworkError(f"there is no stage {text!r}{close_names(text, stages)}; {accepted}") from None
    if not 0 <= count <= len(stages) or (share is not None and not 0 <= share <= 1):
        raise NetworkError(f"a cut at {text} is out of range; {accepted}")
    return count
