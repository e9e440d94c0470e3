"""Carry out a plan that trains: the frozen prefix is computed once, the tail and the head are trained."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from regraft.data.pictures.loading import LoadLimits
from regraft.data.pictures.views import ViewPolicy
from regraft.features.activations import Activations
from regraft.features.extraction import Features, extract
from regraft.features.opening import open_runtime
from regraft.features.pooling import activation_shape
from regraft.features.runtimes import Runtime
from regraft.heads.dataset import Job, Said
from regraft.heads.head import Head
from regraft.heads.rows import best_temperature
from regraft.machine.devices import find_device
from regraft.networks.architectures.auxiliaries import with_classes
from regraft.networks.architectures.strided_depthwise import quicken
from regraft.networks.network import Network, load_network
from regraft.networks.weights.finding import Weights
from regraft.networks.weights.states import save_state
from regraft.plans.plan import Plan
from regraft.progress import Reporter
from regraft.records import WeightsSource
from regraft.settings import TrainSettings
from regraft.storage.files import sha256_of_file
from regraft.training.batches import ViewSource
from regraft.training.cached_views import kept_views
from regraft.training.head_start import EarlierHead, HeadStart, LinearHead, choose_start
from regraft.training.history import History
from regraft.training.layerwise import pretrain
from regraft.training.loop.checkpoint import Position, Score
from regraft.training.loop.engine import Trainer
from regraft.training.loop.rate_finder import RateSearch, search_rate
from regraft.training.loop.steps import Task
from regraft.training.loop.tail import Tail, channels_last
from regraft.training.movement import movements, stage_weights
from regraft.training.threads import threads_for
from regraft.training.workspace import facts_of, workspace


@dataclass(frozen=True)
class Tuned:
    """The result of a training: the trained network, its head, its predictions and its history."""

    weights: Weights
    head: Head
    said: Said
    features: Features
    """Features of the validation and test images, computed by the trained network."""
    history: History
    cut_short: int = 0
    """Steps after which the limit of the job ended the training; 0 if it did not."""
    has_improved: bool = True
    """Whether any epoch was better than the start; if not, the weights are those from before training."""


@dataclass(frozen=True)
class _Bench:
    """Everything that a training needs, prepared."""

    network: Network
    tail: Tail
    sources: tuple[ViewSource, ...]
    """Sources of the training batches and of the validation batches."""
    train: tuple[int, ...]
    """Rows of the split to train on; `held` are those to validate on."""
    held: tuple[int, ...]
    method: str
    """How the validation images were chosen."""
    device: torch.device


@dataclass(frozen=True)
class TunedJob:
    """A data set and a plan that trains, with the device and limits to carry it out.

    Args:
        job: the data set, with the features of the network before training.
        plan: the plan, with its training settings.
        weights: the weights to start from.
        device: `cpu`, `cuda`, `cuda:N` or `auto`.
        limits: limits of the image loader.
        workers: number of decoding threads.
        earlier: the head of the run that the weights come from, to start from.
        limit_s: seconds after which training ends, counted from the call; None for no limit.
    """

    job: Job
    plan: Plan
    weights: Weights
    device: str = "auto"
    limits: LoadLimits | None = None
    workers: int = 1
    earlier: EarlierHead | None = None
    limit_s: float | None = None

    @property
    def _settings(self) -> TrainSettings:
        assert self.plan.training is not None
        return self.plan.training

    def fit(self, reporter: Reporter) -> Tuned:
        """Train, join the best weights with the frozen ones, and evaluate the network as it will be used."""
        started = time.perf_counter()
        bench = self._bench(reporter)
        before = stage_weights(bench.network)
        with workspace(self._facts(), reporter) as folder, self._threads(bench):
            self._pretrain(bench, folder, reporter)
            position = Trainer(self._task(bench, folder, started), reporter).run()
            weights = self._trained_weights(bench.network, folder)
        self._say_how_it_ended(position, reporter)
        return self._judged(bench, weights, position, before, reporter)

    def trial(self, reporter: Reporter) -> Score | None:
        """The best validation score of the plan's training; nothing but its checkpoint is kept."""
        started = time.perf_counter()
        bench = self._bench(reporter)
        with workspace(self._facts(), reporter) as folder, self._threads(bench):
            self._pretrain(bench, folder, reporter)
            return Trainer(self._task(bench, folder, started), reporter).run().best

    def search_rate(self, reporter: Reporter, *, steps: int = 80) -> RateSearch:
        """The loss at each learning rate, from the plan's starting weights; see `rate_finder`."""
        bench = self._bench(reporter)
        with self._threads(bench):
            return search_rate(self._task(bench, None), reporter, steps=steps)

    def _bench(self, reporter: Reporter) -> _Bench:
        settings = self._settings
        network = load_network(self.weights, drop_path=settings.drop_path)
        count = len(network.stages) - len(self.plan.stages)
        train, held, method = self.job.held_out(settings.validation_share)
        for line in describe_cut(network, count):
            reporter.note(line)
        device = find_device(self.device)
        tail = self._tail(network, count, train, reporter).to(device)
        runtime = self._prefix_runtime(count, reporter)
        sources = self._sources(network, count, runtime, [train, held], device, reporter)
        return _Bench(network, tail, tuple(sources), tuple(train), tuple(held), method, device)

    def _task(self, bench: _Bench, folder: Path | None, started: float | None = None) -> Task:
        held, left_s = bench.held, self.limit_s
        if left_s is not None and started is not None:
            left_s -= time.perf_counter() - started
        return Task(
            tail=bench.tail,
            train=bench.sources[0],
            labels=self.job.truth(bench.train),
            num_classes=len(self.job.images.labels),
            settings=self._settings,
            validation=bench.sources[1] if held else None,
            validation_labels=self.job.truth(held) if held else None,
            seed=self.plan.seed,
            device=bench.device,
            key=folder.name if folder else "",
            checkpoint=folder / "checkpoint.safetensors" if folder else None,
            limit_s=left_s,
        )

    def _pretrain(self, bench: _Bench, folder: Path, reporter: Reporter) -> None:
        settings = self._settings
        if settings.init != "layerwise" or self.plan.strategy != "scratch":
            return
        pretrain(
            bench.network.stages,
            bench.sources[0],
            epochs=max(1, (settings.epochs or 1) // 10),
            batch=settings.effective_batch,
            seed=self.plan.seed,
            folder=folder,
            reporter=reporter,
        )

    def _tail(self, network: Network, count: int, rows: Sequence[int], reporter: Reporter) -> Tail:
        """The tail with its head, which starts from a solved head, an earlier run's head or zero."""
        settings = self._settings
        last, statistic = network.stage_names[-1], self.plan.statistics[0]
        columns = tuple(c for c in self.job.features.layout if c.stage == last and c.statistic == statistic)
        classes = len(self.job.images.labels)
        if self.plan.strategy == "scratch":
            start = HeadStart.zero(sum(column.stop - column.start for column in columns), classes)
        else:
            start = choose_start(
                self.job, rows, columns, kind=settings.head_start, earlier=self.earlier, reporter=reporter
            )
        head = LinearHead(start, statistic, dropout=settings.dropout)
        network.module.requires_grad_(False)
        tail = Tail(
            network.stages[count:],
            head,
            trains_batchnorm=settings.batchnorm == "trained",
            auxiliaries=self._auxiliaries(network, count, classes),
        )
        channels_last(tail)
        quicken(tail)
        return tail

    def _auxiliaries(self, network: Network, count: int, classes: int) -> dict[int, nn.Module]:
        """Auxiliary classifiers after the cut, for these classes; none if their weight is zero."""
        if not self._settings.auxiliary_weight:
            return {}
        places = {network.stage_names.index(stage): module for stage, module in network.auxiliaries}
        return {
            at - count: with_classes(module, classes, seed=self.plan.seed)
            for at, module in places.items()
            if at >= count
        }

    def _prefix_runtime(self, count: int, reporter: Reporter) -> Runtime | None:
        if count == 0:
            return None
        return open_runtime(
            self.weights,
            name=self.plan.runtime,
            precision=self.plan.precision,
            device=self.device,
            cut=count,
            reporter=reporter,
        )

    def _sources(
        self,
        network: Network,
        count: int,
        runtime: Runtime | None,
        sides: Sequence[Sequence[int]],
        device: torch.device,
        reporter: Reporter,
    ) -> list[ViewSource]:
        settings = self._settings
        policy = ViewPolicy(settings.augment or "none", settings.min_crop, settings.erasing, self.plan.seed)
        activations = Activations(
            self.job.images,
            self.weights.input_spec,
            policy,
            runtime,
            self.limits or LoadLimits(),
            self.workers,
        )
        where = f"after {network.stage_names[count - 1]}" if count else "at the input (decoded images)"
        kept = kept_views(settings, activations, images=sum(map(len, sides)), where=where, reporter=reporter)
        prefix = nn.Sequential(*(stage.module for stage in network.stages[:count])) if count else None
        if prefix is not None and kept == 0:
            prefix.to(device).eval()
            channels_last(prefix)
        return [
            ViewSource(
                activations,
                self.job.keys(rows),
                shape=activation_shape(network, count),
                prefix=prefix if kept == 0 else None,
                device=device,
                precision=settings.train_precision,
                views=views,
                kept_views=kept,
            )
            for rows, views in zip(sides, (settings.views or 0, 1), strict=True)  # validation: the centre
        ]

    def _facts(self) -> dict[str, Any]:
        earlier = self.earlier if self._settings.head_start == "previous" else None
        return facts_of(self.job, self.plan, self.weights, earlier=earlier, device=find_device(self.device))

    def _threads(self, bench: _Bench) -> AbstractContextManager[None]:
        return threads_for(bench.tail, bench.sources[0].shape, self._settings.effective_batch)

    def _trained_weights(self, network: Network, folder: Path) -> Weights:
        """The weights of the whole network after training, saved like any other weights file."""
        path = folder / "network.safetensors"
        save_state(network.module.state_dict(), path)
        sha256 = sha256_of_file(path)
        start = self.weights.source
        where = f"{self.plan.strategy} on {Path(self.job.images.root).name}, from {start.where}"
        source = WeightsSource(where=where, sha256=sha256, licence=start.licence)
        return replace(self.weights, path=path, sha256=sha256, source=source)

    def _say_how_it_ended(self, position: Position, reporter: Reporter) -> None:
        if position.stopped:
            reporter.warn(f"training ended early: {position.stopped}")
        if position.best is not None:
            epoch = f"epoch {position.best_epoch}" if position.best_epoch else "the start"
            reporter.note(
                f"kept the weights of {epoch}: validation accuracy {100 * position.best.accuracy:.1f} %, "
                f"loss {position.best.loss:.3f}"
            )
            if position.best_epoch == 0:
                reporter.warn("no epoch improved on the start, so the weights from before training are kept")

    def _judged(
        self,
        bench: _Bench,
        weights: Weights,
        position: Position,
        before: dict[str, torch.Tensor],
        reporter: Reporter,
    ) -> Tuned:
        """The saved network with its predictions, computed by the runtime that will be used later."""
        rows, trained = bench.held, bench.tail.head
        assert isinstance(trained, LinearHead)
        test = self.job.rows("test")
        shown = [*rows, *test] or self.job.rows("train")
        wanted = set(self.job.keys(shown))
        images = replace(self.job.images, items=tuple(i for i in self.job.images.items if i.sha256 in wanted))
        runtime = open_runtime(
            weights,
            name=self.plan.runtime,
            precision=self.plan.precision,
            device=self.device,
            reporter=reporter,
        )
        features = extract(
            images, runtime, weights.input_spec, limits=self.limits, workers=self.workers, reporter=reporter
        )
        job = replace(self.job, features=features)
        last, statistic = bench.network.stage_names[-1], self.plan.statistics[0]
        columns = [c for c in features.layout if c.stage == last and c.statistic == statistic]
        head = trained.solved(columns)
        if rows:  # calibrated on the images that chose the epoch
            scores = head.scores(features.matrix(job.keys(rows), columns))
            head = trained.solved(columns, temperature=best_temperature(scores, job.truth(rows)))
        judged = [
            job.predicted(head, side, text) if side else None
            for side, text in ((rows, bench.method), (test, "held-out test images"))
        ]
        if judged == [None, None]:
            judged[0] = job.predicted(head, shown, "the training images: too optimistic")
        moved = movements(
            before, stage_weights(bench.network), old=self.job.features, new=features, keys=job.keys(shown)
        )
        history = History(position.history, moved)
        has_improved = position.best is None or position.best_epoch > 0
        said = Said(*judged)
        return Tuned(weights, head, said, features, history, position.cut_short, has_improved)


def describe_cut(network: Network, count: int) -> list[str]:
    """The lines of a tree of the network that shows which parts are frozen, trained or new."""
    lines = [f"{network.name}"]
    for number, stage in enumerate(network.stages):
        size = sum(parameter.numel() for parameter in stage.module.parameters())
        state = "frozen " if number < count else "trained"
        lines.append(f"├─ {stage.name:<16} {state} {size / 1e3:>12,.1f} k parameters")
    lines.append(f"└─ {'head':<16} new")
    return lines
