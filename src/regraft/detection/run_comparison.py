"""Comparison of detectors' runs: which is better, and is the difference more than chance?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from regraft.detection.detectors.evaluated import Evaluated, evaluated
from regraft.detection.detectors.run_files import DetectorFiles
from regraft.errors import SettingsError
from regraft.evaluation.paired_detectors import DetectorComparison, compare_detectors


@dataclass(frozen=True)
class DetectorStandoff:
    """A run, and how it compares with the best one."""

    files: DetectorFiles
    bundle_bytes: int
    against_best: DetectorComparison | None
    """Its mean average precision minus the best one's; None for the best one itself."""


def compare_detector_runs(folders: Sequence[Path]) -> tuple[DetectorStandoff, ...]:
    """Compare the mean average precision of each run with the best one's, on the same pictures.

    Args:
        folders: folders of at least two finished runs of detectors, evaluated on the same pictures.

    Returns:
        The runs, the best one first.

    Raises:
        SettingsError: there are too few runs, or one is unfinished or was evaluated on other pictures.
    """
    named = list(dict.fromkeys(folders))
    if len(named) < 2:
        raise SettingsError(f"{len(named)} run to compare; give at least two run folders")
    runs = [(DetectorFiles(folder), evaluated(DetectorFiles(folder))) for folder in named]
    first = runs[0]
    for other in runs[1:]:
        _check(first, other)
    runs.sort(key=lambda run: -_map(run[0]))
    best = runs[0]
    return tuple(
        DetectorStandoff(
            files,
            sum(path.stat().st_size for path in (files.folder / "bundle").glob("*") if path.is_file()),
            None if files is best[0] else compare_detectors(found.matches, best[1].matches),
        )
        for files, found in runs
    )


def _map(files: DetectorFiles) -> float:
    return files.best.map.value if files.best.map else 0.0


def _check(one: tuple[DetectorFiles, Evaluated], other: tuple[DetectorFiles, Evaluated]) -> None:
    (first, found), (second, others) = one, other
    if found.labels != others.labels:
        raise SettingsError(
            f"{first.folder} finds {', '.join(found.labels[:3])} and {second.folder} "
            f"{', '.join(others.labels[:3])}, which can't be compared; give runs that find the same classes"
        )
    mine, theirs = ({row.sha256 for row in each.pictures} for each in (found, others))
    if mine != theirs or [row.path for row in found.pictures] != [row.path for row in others.pictures]:
        raise SettingsError(
            f"{first.folder} and {second.folder} were evaluated on different pictures ({len(mine):,} and "
            f"{len(theirs):,}, {len(mine & theirs):,} in common): use the same data, --seed and --test-share"
        )
    same = len(found.truth) == len(others.truth) and np.array_equal(found.truth.corners, others.truth.corners)
    if not same:
        raise SettingsError(
            f"{first.folder} and {second.folder} were evaluated with different true boxes: the annotations "
            "changed between the two fits. Fit both again"
        )
