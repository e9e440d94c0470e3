"""Labels that are probably wrong: by confident learning, and by look-alikes with different labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from regraft.records import Finding, Record
from regraft.storage.files import write_atomically
from regraft.storage.tables import csv_bytes

HEADER = ("path", "label", "suggested", "own_probability", "suggested_probability", "reason", "action")


class Suspect(Record):
    """An image whose label should be checked by a person."""

    path: str
    label: str
    suggested: str
    own_probability: float | None
    """Probability of its label by a model that was not trained on the image; None for look-alikes."""
    suggested_probability: float | None
    reason: str


def label_suspects(
    probabilities: npt.NDArray[np.float64],
    truth: npt.NDArray[np.int64],
    labels: Sequence[str],
    paths: Sequence[str],
) -> list[Suspect]:
    """Images whose labels are wrong according to confident learning (Northcutt et al. 2021, section 3.1).

    A class's threshold is its mean probability over the images that carry its label. An image whose most
    probable class among those above their thresholds is not its label is a suspect; the most certain come
    first.

    Args:
        probabilities: `(N, K)`, out of fold: each image is predicted by a model that was not fitted on it.
        truth: `(N,)` given labels.
        labels: names of the K classes.
        paths: paths of the N images.
    """
    thresholds = np.full(len(labels), np.inf)
    for label in np.unique(truth):
        thresholds[label] = probabilities[truth == label, label].mean()
    confident = np.where(probabilities >= thresholds, probabilities, -1.0)
    best = confident.argmax(axis=1)
    own = probabilities[np.arange(len(truth)), truth]
    other = probabilities[np.arange(len(truth)), best]
    places = np.flatnonzero((confident.max(axis=1) > 0) & (best != truth) & (other > own))
    return [
        Suspect(
            path=paths[place],
            label=labels[truth[place]],
            suggested=labels[best[place]],
            own_probability=float(own[place]),
            suggested_probability=float(other[place]),
            reason="a model that was not trained on it is confident of another class",
        )
        for place in places[np.argsort(own[places] - other[places], kind="stable")]
    ]


def conflicting(findings: Sequence[Finding], label_of: dict[str, str]) -> list[Suspect]:
    """Look-alikes with different labels, as found by the scan."""
    found = []
    for finding in findings:
        if finding.kind != "conflict":
            continue
        paths = [path for path in finding.paths if path in label_of]
        for path in paths:
            others = [other for other in paths if label_of[other] != label_of[path]]
            if others:
                found.append(
                    Suspect(
                        path=path,
                        label=label_of[path],
                        suggested=label_of[others[0]],
                        own_probability=None,
                        suggested_probability=None,
                        reason=f"looks like {others[0]}, which is labelled {label_of[others[0]]}",
                    )
                )
    return found


def write_suspects(path: Path, suspects: Sequence[Suspect]) -> None:
    """Write the list as CSV; `--corrections` reads it after the column `action` has been filled in."""

    def shown(value: float | None) -> str:
        return "" if value is None else f"{value:.4f}"

    rows = [
        (
            one.path,
            one.label,
            one.suggested,
            shown(one.own_probability),
            shown(one.suggested_probability),
            one.reason,
            "",
        )
        for one in suspects
    ]
    write_atomically(path, csv_bytes(HEADER, rows))
