"""What a fit made: the model, and the record of its run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regraft.heads.dataset import Job, Judgement
from regraft.plans.plan import Plan
from regraft.prediction.model import Model
from regraft.prediction.voter import Voter
from regraft.runs.log import RunLog, versions
from regraft.runs.records import Run
from regraft.training.history import History
from regraft.version import VERSION
from regraft.workflow.request import Start


@dataclass(frozen=True)
class Outcome:
    """What carrying out a plan gave."""

    voters: tuple[Voter, ...]
    judgement: Judgement
    lineage: tuple[str, ...]
    history: History | None


def model_of(fitted: Outcome, made: Plan, folder: Path | None) -> Model:
    """The model that a plan led to, with its scores."""
    own = fitted.voters[0]
    return Model(
        task=fitted.judgement.task,
        weights=own.weights,
        head=own.head,
        layout=own.layout,
        fitted_precision=made.precision,
        lineage=fitted.lineage,
        scores=fitted.judgement.sheet,
        run_folder=folder,
        others=fitted.voters[1:],
    )


def run_record(
    job: Job, plan: Plan, start: Start, model: Model, log: RunLog, settings: dict[str, Any]
) -> Run:
    """What `run.json` says about a fit."""
    return Run(
        regraft_version=VERSION,
        data_root=job.images.root,
        settings=settings,
        plan=plan,
        split_sha256=job.split.sha256,
        weights=start.weights.source,
        lineage=model.lineage,
        reasons=tuple(log.reasons),
        versions=versions(),
    )
