"""What a fit made, and where it is written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regraft.data.findings.known_classes import say_accuracy_of_all
from regraft.heads.dataset import Dataset, Evaluation
from regraft.plans.plan import Plan
from regraft.prediction.model import Model
from regraft.prediction.voter import Voter
from regraft.records import Split
from regraft.runs.folders import EarlierImages, say_changed_data
from regraft.runs.log import RunLog, versions
from regraft.runs.records import LadderRecord, Run
from regraft.runs.writing import draw_ladder, write_run
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
        model = self.write(outcome, start)
        say_accuracy_of_all(outcome.dataset.images, outcome.evaluation.sheet, self.log)
        if self.folder is not None:
            if outcome.ladder is not None:
                draw_ladder(self.folder, outcome.ladder)
            self.log.record("finished")
        return model
