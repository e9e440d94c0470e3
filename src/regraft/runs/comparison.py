"""Comparison of runs: which is better, and is the difference more than chance?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from regraft.data.findings.duplicates import connected
from regraft.errors import SettingsError
from regraft.evaluation.intervals.groups import Ints, group_numbers
from regraft.evaluation.paired import ALPHA, PairedComparison, compare_goodness, holm
from regraft.networks.zoo.cards import card
from regraft.prediction.bundle import load_bundle
from regraft.prediction.model import Model
from regraft.runs.reading import RunFiles
from regraft.runs.records import Run
from regraft.storage.tables import printable
from regraft.tasks.classification import Classification
from regraft.tasks.task import Measure, Task


@dataclass(frozen=True)
class FinishedRun:
    """The facts of a run that a comparison needs."""

    folder: Path
    run: Run
    task: Task
    goodness: dict[str, float]
    """How good the prediction for each evaluated image is, by its path; for classes, 1 if it is right."""
    groups: dict[str, str]
    """The group of each of these images."""
    labels: dict[str, str]
    """The true label of each of these images."""
    side: str
    """The side of the split that was evaluated: `test`, or another side if there was no test side."""
    fit_s: float
    """Seconds that the run's phases took, from its log; cached work is not counted again."""
    bundle_bytes: int
    multiply_adds: int | None
    """Multiply-adds of one prediction, counted up to the last stage that a head reads; None if one of the
    networks has no card."""

    @property
    def merit(self) -> Measure:
        """Accuracy, or what takes its place in other tasks, on the evaluated images."""
        groups = [self.groups[path] for path in self.goodness]
        targets = None
        if isinstance(self.task, Classification):
            place = {printable(label): number for number, label in enumerate(self.task.outputs)}
            targets = np.array([place.get(self.labels[path], 0) for path in self.goodness], dtype=np.int64)
        return self.task.merit(np.array(list(self.goodness.values())), targets=targets, groups=groups)


@dataclass(frozen=True)
class Standoff:
    """One run compared with the best run."""

    run: FinishedRun
    against_best: PairedComparison | None
    """This run compared with the best (negative: less accurate); None for the best itself."""
    p_value: float
    """P-value, adjusted for the number of runs (Holm 1979)."""

    @property
    def is_apart(self) -> bool:
        """Whether the difference from the best is significant."""
        return self.against_best is not None and self.p_value < ALPHA


@dataclass(frozen=True)
class RunComparison:
    """All runs, the best first, and the recommended one."""

    rows: tuple[Standoff, ...]
    recommended: FinishedRun
    reason: str
    groups: Ints | None = None
    """The number of each image's group, by which the runs are compared; None if every image is a group."""


def compare_runs(folders: Sequence[str | Path]) -> RunComparison:
    """Compare each run with the best, on the images that they were evaluated on.

    Args:
        folders: folders of at least two finished runs, evaluated on the same images.

    Raises:
        SettingsError: there are too few runs, or a run is unfinished or was evaluated on other images.
    """
    named = list(dict.fromkeys(Path(folder) for folder in folders))
    if len(named) < 2:
        raise SettingsError(f"{len(named)} run to compare; give at least two run folders")
    runs = [read_run(folder) for folder in named]
    if len({_measure(run.task) for run in runs}) > 1:  # what all of them can be compared by
        runs = [read_run(folder, by_accuracy=True) for folder in named]
    first = runs[0]
    for other in runs[1:]:
        if other.task.outputs != first.task.outputs or other.task.name != first.task.name:
            raise SettingsError(
                f"{first.folder} predicts {_named(first.task)} and {other.folder} {_named(other.task)}, "
                "which can't be compared; give runs that predict the same"
            )
        if other.goodness.keys() != first.goodness.keys():
            shared = len(other.goodness.keys() & first.goodness.keys())
            raise SettingsError(
                f"{first.folder} and {other.folder} were evaluated on different images "
                f"({len(first.goodness):,} {first.side} and {len(other.goodness):,} {other.side} images, "
                f"{shared:,} in common): use the same data, --seed and --test-share for both"
            )
    runs.sort(key=lambda run: (-run.merit.merit, _cheapness(run)))
    best, paths = runs[0], sorted(first.goodness)
    goodness = {run.folder: np.array([run.goodness[path] for path in paths]) for run in runs}
    groups = _shared_groups(runs, paths)
    pairs = [compare_goodness(goodness[run.folder], goodness[best.folder], groups=groups) for run in runs[1:]]
    adjusted = holm([pair.p_value for pair in pairs])
    rows = [Standoff(best, None, 1.0)]
    rows += [Standoff(*row) for row in zip(runs[1:], pairs, adjusted, strict=True)]
    alike = [row.run for row in rows if not row.is_apart]
    chosen = min(alike, key=_cheapness)
    if len(alike) == 1:
        reason = "it is better than each of the others"
    elif chosen is best:
        reason = (
            f"it is {best.merit.best_word}, and cheaper to use than the {len(alike) - 1} that can't be told "
            "apart from it"
        )
    else:
        reason = f"it can't be told apart from {best.merit.best_word}, {best.folder}, and is cheaper to use"
    return RunComparison(tuple(rows), chosen, reason, groups)


def _shared_groups(runs: Sequence[FinishedRun], paths: Sequence[str]) -> Ints | None:
    """The groups of images that are together in any of the runs."""
    pairs: list[tuple[int, int]] = []
    for run in runs:
        first: dict[str, int] = {}
        pairs += [(number, first.setdefault(run.groups[path], number)) for number, path in enumerate(paths)]
    roots = connected(len(paths), np.array(pairs, dtype=np.int64))
    return group_numbers([str(root) for root in roots])


def _named(task: Task) -> str:
    """What a task predicts, with the first names."""
    names = ", ".join(task.outputs[:3]) + (", …" if len(task.outputs) > 3 else "")
    return task.summary if task.link == "identity" else f"{task.summary} ({names})"


def _cheapness(run: FinishedRun) -> tuple[float, float, float]:
    return (float(run.multiply_adds or 0), float(run.bundle_bytes), run.fit_s)


def _measure(task: Task) -> str:
    return task.measure if isinstance(task, Classification) else ""


def read_run(folder: Path, *, by_accuracy: bool = False) -> FinishedRun:
    """Read what a comparison needs from a finished run.

    Args:
        folder: the run.
        by_accuracy: whether classes are compared by accuracy, whatever the run compared its models by.

    Raises:
        SettingsError: the folder is not a finished run; the message says what is missing.
        BundleError: the run's model is missing or damaged.
    """
    files = RunFiles(folder)
    if not files.predictions:
        raise SettingsError(
            f"{folder} has no evaluated images, so there is nothing to compare; give a run with test images"
        )
    task, found = files.task, None
    if isinstance(task, Classification) and (task.measure != "accuracy" or task.threshold is not None):
        task = task.model_copy(update={"measure": "accuracy"}) if by_accuracy else task
        found = task.goodness_in([row.cells for row in files.predictions])
        if found is None:  # by accuracy then
            task = task.model_copy(update={"measure": "accuracy"})
    goodness = {row.path: row.goodness for row in files.predictions}
    if found is not None:
        goodness = dict(zip(goodness, found.tolist(), strict=True))
    size = sum(path.stat().st_size for path in (folder / "bundle").glob("*") if path.is_file())
    model = load_bundle(folder)
    side = files.predictions[0].side
    groups = {path: files.groups.get(path, path) for path in goodness}
    labels = {row.path: row.label for row in files.predictions}
    return FinishedRun(
        folder, files.run, task, goodness, groups, labels, side, files.spent_s, size, _multiply_adds(model)
    )


def _multiply_adds(model: Model) -> int | None:
    """Multiply-adds of one prediction; voters that share a network share its cost."""
    dearest: dict[str, int] = {}
    for voter in model.voters:
        known = card(voter.weights.network)
        if known is None:
            return None
        read = {column.stage for column in voter.head.record.columns}
        places = [place for place, stage in enumerate(known.stages) if stage.name in read]
        if len(places) < len(read):  # the network is divided more finely than its card says
            places = [len(known.stages) - 1]
        pixels, usual = math.prod(voter.weights.input_spec.shape[:2]), math.prod(known.input_spec.shape[:2])
        counted = sum(stage.multiply_adds for stage in known.stages[: max(places) + 1])
        views = 2 if voter.weights.input_spec.average == "mirror" else 1
        cost = round(views * counted * pixels / usual)
        dearest[voter.weights.sha256] = max(cost, dearest.get(voter.weights.sha256, 0))
    return sum(dearest.values())
