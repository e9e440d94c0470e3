"""What a fit made, and where it is written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regraft.data.findings.known_classes import say_accuracy_of_all
from regraft.goal import Goal
from regraft.heads.dataset import Dataset, Evaluation
from regraft.plans.plan import Plan
from regraft.prediction.model import Model
from regraft.prediction.voter import Voter
from regraft.progress import Reporter
from regraft.records import Scores, Split
from regraft.runs.folders import EarlierImages, say_changed_data
from regraft.runs.log import RunLog, versions
from regraft.runs.records import LadderRecord, Run
from regraft.runs.writing import draw_ladder, write_run
from regraft.storage.tables import printable
from regraft.tasks.classification import Classification
from regraft.training.history import History
from regraft.version import VERSION
from regraft.workflow.request import Start


@dataclass(frozen=True)
class Outcome:
    """What carrying out a plan gave."""

    dataset: Dataset
    """The data set, with the images that could not be read when it was evaluated."""
    plan: Plan
    voters: tuple[Voter, ...]
    evaluation: Evaluation
    lineage: tuple[str, ...]
    history: History | None = None
    ladder: LadderRecord | None = None

    def model(self, folder: Path | None) -> Model:
        """The model, with its scores; `folder` is where its run is."""
        own = self.voters[0]
        return Model(
            task=self.evaluation.task,
            weights=own.weights,
            head=own.head,
            layout=own.layout,
            fitted_precision=self.plan.precision,
            lineage=self.lineage,
            scores=self.evaluation.sheet,
            run_folder=folder,
            others=self.voters[1:],
        )


def say_threshold(evaluation: Evaluation, reporter: Reporter) -> None:
    """Report which threshold was chosen for a goal of two classes, and what it reaches."""
    task, scores = evaluation.task, evaluation.sheet.validation
    if not isinstance(task, Classification) or task.goal is None or task.positive is None:
        return
    two = scores.two_classes if isinstance(scores, Scores) else None
    if two is None or two.chosen is None or task.threshold is None:
        reporter.warn(
            f"no threshold was chosen for {task.goal}, because no images were held out; the larger "
            "probability is taken. Raise --validation-share"
        )
        return
    assert isinstance(scores, Scores)
    rates = two.chosen
    shown = ", ".join(
        f"{name.upper() if len(name) == 3 else name} {100 * one.value:.1f} %"
        for name in ("sensitivity", "specificity", "ppv", "npv")
        if (one := getattr(rates, name)) is not None
    )
    goal = Goal.parse(task.goal)
    reached = getattr(rates, goal.rate)
    positive = printable(task.positive)
    if reached is not None and reached.value >= goal.value - 1e-9:
        reporter.decided(
            f"threshold {task.threshold:.4g} for {positive}",
            f"it reaches {task.goal} with {shown}, by {scores.method}",
            "--goal",
        )
        return
    reporter.warn(
        f"{task.goal} can't be reached: by {scores.method}, the largest {goal.measure} of a threshold is "
        f"{reached.value if reached else 0:.3f}. An image is called {positive} from a probability of "
        f"{task.threshold:.4g} on, with {shown}. Ask for less with --goal, or add images"
    )


@dataclass(frozen=True)
class Destination:
    """Where a fit is written: a run folder, or nowhere."""

    folder: Path | None
    settings: dict[str, Any]
    """What `run.json` says of the request."""
    log: RunLog
    earlier: EarlierImages | None
    """The images of the run that was in the folder, if it is continued."""

    def compare_images(self, split: Split) -> None:
        """Say how the images differ from those of the run that was in the folder."""
        say_changed_data(self.earlier, EarlierImages.of(split), self.folder, self.log)

    def write(self, outcome: Outcome, start: Start) -> Model:
        """Write a run that can be used at once; returns its model."""
        model = outcome.model(self.folder)
        if self.folder is None:
            return model
        dataset = outcome.dataset
        run = Run(
            regraft_version=VERSION,
            data_root=dataset.images.root,
            settings=self.settings,
            plan=outcome.plan,
            split_sha256=dataset.split.sha256,
            weights=start.weights.source,
            lineage=model.lineage,
            reasons=tuple(self.log.reasons),
            versions=versions(),
            intensity=dataset.images.intensity.chosen,
        )
        write_run(
            self.folder, run=run, model=model, images=dataset.images, split=dataset.split,
            evaluation=outcome.evaluation, history=outcome.history, ladder=outcome.ladder,
        )  # fmt: skip
        return model

    def finish(self, outcome: Outcome, start: Start) -> Model:
        """Write the run for the last time, with what it says at the end."""
        say_threshold(outcome.evaluation, self.log)
        model = self.write(outcome, start)
        say_accuracy_of_all(outcome.dataset.images, outcome.evaluation.sheet, self.log)
        if self.folder is not None:
            if outcome.ladder is not None:
                draw_ladder(self.folder, outcome.ladder)
            self.log.record("finished")
        return model
