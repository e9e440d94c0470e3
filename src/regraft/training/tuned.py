"""Carry out a plan that trains: the frozen prefix is computed once, the tail and the head are trained."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from regraft.heads.dataset import Unseen
from regraft.networks.weights.finding import Weights
from regraft.progress import Reporter
from regraft.training.evaluation import Tuned, calibrated, unseen_of, with_features
from regraft.training.history import History
from regraft.training.layerwise import pretrain
from regraft.training.loop.checkpoint import Position, Score
from regraft.training.loop.engine import Trainer
from regraft.training.loop.rate_finder import RateSearch, search_rate
from regraft.training.loop.steps import Training
from regraft.training.movement import movements, stage_weights
from regraft.training.start.assignment import assignment_of
from regraft.training.start.setup import Order, Setup, head_columns, set_up
from regraft.training.threads import threads_for
from regraft.training.workspace import trained_weights, workspace


@dataclass(frozen=True)
class TailTraining(Order):
    """A data set and a plan that trains, carried out."""

    def fit(self, reporter: Reporter) -> Tuned:
        """Train, join the best weights with the frozen ones, and evaluate the network as it will be used."""
        started = time.perf_counter()
        setup = set_up(self, reporter)
        before = stage_weights(setup.network)
        with workspace(self, reporter) as folder, self._threads(setup):
            self._pretrain(setup, folder, reporter)
            position = self._trainer(setup, folder, started, reporter).run()
            weights = trained_weights(self, setup.network, folder)
        _say_how_it_ended(setup, position, reporter)
        return self._judged(setup, weights, position, before, reporter)

    def trial(self, reporter: Reporter) -> Score | None:
        """The best validation score of the plan's training; nothing but its checkpoint is kept."""
        started = time.perf_counter()
        setup = set_up(self, reporter)
        with workspace(self, reporter) as folder, self._threads(setup):
            self._pretrain(setup, folder, reporter)
            return self._trainer(setup, folder, started, reporter).run().best

    def search_rate(self, reporter: Reporter, *, steps: int = 80) -> RateSearch:
        """The loss at each learning rate, from the plan's starting weights; see `rate_finder`."""
        alike = replace(self.settings, class_weights=False)  # the loss that is shown is that of all images
        setup = set_up(replace(self, plan=self.plan.model_copy(update={"training": alike})), reporter)
        with self._threads(setup):
            return search_rate(self._training(setup, None), reporter, steps=steps)

    def _trainer(self, setup: Setup, folder: Path, started: float, reporter: Reporter) -> Trainer:
        """The trainer, after the other processes of the group have been told what to train."""
        training = self._training(setup, folder, started)
        if self.group is None:
            return Trainer(training, reporter)
        assignment = assignment_of(self, setup, training)
        self.group.tell(assignment.model_dump(mode="json"))
        self.group.are_waiting = False
        return Trainer(replace(training, group=self.group), reporter)

    def _training(self, setup: Setup, folder: Path | None, started: float | None = None) -> Training:
        held, left_s = setup.held, self.limit_s
        if left_s is not None and started is not None:
            left_s -= time.perf_counter() - started
        return Training(
            tail=setup.tail,
            train=setup.sources[0],
            targets=self.dataset.truth(setup.train),
            objective=setup.objective,
            settings=self.settings,
            validation=setup.sources[1] if held else None,
            validation_targets=self.dataset.truth(held) if held else None,
            seed=self.plan.seed,
            device=setup.device,
            key=folder.name if folder else "",
            checkpoint=folder / "checkpoint.safetensors" if folder else None,
            limit_s=left_s,
        )

    def _pretrain(self, setup: Setup, folder: Path, reporter: Reporter) -> None:
        settings = self.settings
        if settings.init != "layerwise" or self.plan.strategy != "scratch":
            return
        pretrain(
            setup.network.stages,
            setup.sources[0],
            epochs=max(1, (settings.epochs or 1) // 10),
            batch=settings.effective_batch,
            seed=self.plan.seed,
            folder=folder,
            reporter=reporter,
        )

    def _threads(self, setup: Setup) -> AbstractContextManager[None]:
        size, most = (self.group.size, self.group.threads) if self.group else (1, None)
        return threads_for(
            setup.tail, setup.sources[0].shape, self.settings.effective_batch // size, most=most
        )

    def _judged(
        self,
        setup: Setup,
        weights: Weights,
        position: Position,
        before: Mapping[str, torch.Tensor],
        reporter: Reporter,
    ) -> Tuned:
        """The saved network with its predictions, computed by the runtime that will be used later."""
        shown = [*setup.held, *self.dataset.rows("test")] or self.dataset.rows("train")
        dataset = with_features(self, weights, shown, reporter)
        columns, unit = head_columns(self, dataset.features.layout), setup.objective.unit
        head = setup.head.solved(columns, link=dataset.task.link, unit=unit)
        head = calibrated(dataset, head, setup.held)  # on the images that chose the epoch
        unseen = unseen_of(dataset, head, setup.held, setup.method)
        if unseen == Unseen(None, None):
            unseen = Unseen(dataset.predicted(head, shown, "the training images: too optimistic"), None)
        moved = movements(
            before,
            stage_weights(setup.network),
            old=self.dataset.features,
            new=dataset.features,
            keys=dataset.keys(shown),
        )
        history = History(position.history, moved, setup.objective.measure)
        has_improved = position.best is None or position.best_epoch > 0
        return Tuned(weights, head, unseen, dataset.features, history, position.cut_short, has_improved)


def _say_how_it_ended(setup: Setup, position: Position, reporter: Reporter) -> None:
    if position.stopped:
        reporter.warn(f"training ended early: {position.stopped}")
    if position.best is not None:
        epoch = f"epoch {position.best_epoch}" if position.best_epoch else "the start"
        measure = setup.objective.measured(position.best.goodness)
        reporter.note(
            f"kept the weights of {epoch}: validation {measure.name.replace('_', ' ')} {measure.text}, "
            f"loss {position.best.loss:.3f}"
        )
        if position.best_epoch == 0:
            reporter.warn("no epoch improved on the start, so the weights from before training are kept")
