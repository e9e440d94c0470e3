"""The training loop: run, phase, epoch. It knows no images, labels, plans or folders.

A training that was interrupted and is run again ends with the same bits (on the same CPU): a checkpoint
contains the whole state, and all random draws are functions of counters.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch

from regraft.arguments import seconds_in
from regraft.progress import Meter, Reporter
from regraft.randomness import generator
from regraft.settings import TrainSettings
from regraft.training.loop import checkpoint
from regraft.training.loop.batches import Places, Source, fetched
from regraft.training.loop.checkpoint import Position, Score, Sums
from regraft.training.loop.interruption import AbruptEnd, Interruption, obey
from regraft.training.loop.memory import micro_batch
from regraft.training.loop.steps import Stepper, Training
from regraft.training.loop.tail import autocast

CHECKPOINT_EVERY_S = 60.0
_MOST_OF_AN_EPOCH = 0.9  # another epoch is begun if at least this share of it fits into the limit


class Trainer:
    """Trains a tail in place; afterwards it has its best weights, in evaluation mode."""

    def __init__(
        self, training: Training, reporter: Reporter, *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.training, self.settings, self.reporter, self.clock = training, training.settings, reporter, clock
        self.position = Position()
        self._group, self._rank, self._world = training.group, training.group.rank, training.group.size
        self._interruption = Interruption(is_shared=self._world > 1)
        self._kept: dict[str, torch.Tensor] = {}
        self._group.share_first(list(training.tail.state_dict().values()))
        self._start = training.tail.snapshot()
        self._saved: dict[str, torch.Tensor] = {}
        self._resume()
        self._stepper = Stepper(training, self.position, self._start, reporter, self._interruption)
        self._saved_at = self._counted_at = self.clock()

    def run(self) -> Position:
        """Train all phases, from the checkpoint if there is one; returns the final position."""
        if not self.position.finished:
            with self._own_draws(), self._interruption.handled():
                try:
                    self._begin()
                    while self.position.phase < self.settings.phases and not self.position.stopped:
                        self._run_phase()
                except AbruptEnd:
                    raise
                except (KeyboardInterrupt, SystemExit):
                    self._save()
                    self._group.are_waiting = self._world > 1
                    raise
        self.training.tail.restore(self._kept)
        self.training.tail.eval()
        if not self.position.finished:
            self.position.finished = True
            self._save()
        self._group.are_waiting = self._world > 1
        if self.missed_signal is not None and self._rank == 0:
            obey(self.missed_signal)
        return self.position

    @property
    def missed_signal(self) -> int | None:
        """A signal that came too late for a step of the processes that train together; None if none did."""
        return self._interruption.missed

    def _own_draws(self) -> AbstractContextManager[None]:
        device = self.training.device
        return torch.random.fork_rng([device] if device.type == "cuda" else [])

    # Start and resumption.

    def _resume(self) -> None:
        path = self.training.checkpoint
        found = checkpoint.load(path, self.training.key) if path and self._rank == 0 else None
        found = checkpoint.shared(found, self._group)
        if found is None or not self._ends_alike(found[0]):
            return
        self.position, tensors = found
        groups: dict[str, dict[str, torch.Tensor]] = {"tail": {}, "kept": {}, "average": {}, "optimizer": {}}
        for name, value in tensors.items():
            kind, _, rest = name.partition("/")
            groups[kind][rest] = value
        tail = self.training.tail
        tail.restore(groups["kept"])
        self._kept = tail.snapshot()  # on the tail's device, in its memory layout
        tail.restore(groups["tail"])
        self._saved = {f"optimizer/{name}": value for name, value in groups["optimizer"].items()}
        self._saved |= {f"average/{name}": value for name, value in groups["average"].items()}
        if not self.position.finished:
            done = f"epoch {self.position.epoch + 1}, {self.position.step} steps done"
            self.reporter.note(f"resuming from the checkpoint: phase {self.position.phase + 1}, {done}")

    def _ends_alike(self, found: Position) -> bool:
        """Whether the training of a checkpoint ended, or can still end, where this one is to end."""
        wanted = self.settings.stop_after or 0
        if self.training.limit_s is not None and not wanted:
            return True  # where this limit ended it is where it ends
        return found.cut_short == wanted if found.finished else not wanted or found.taken <= wanted

    def _begin(self) -> None:
        """Before the first step, evaluate the start and choose the size of micro-batches."""
        self._counted_at = self.clock()
        if self.position.micro_batch:
            return
        self._keep_best(self._evaluate())
        self._open(self.training.train, 0)
        first = np.zeros(1, dtype=np.int64)
        sample = self.training.train.prepare(self.training.train.fetch(first), first)
        share = -(-self.settings.effective_batch // self._world)
        micro = self.settings.micro_batch or micro_batch(
            self.training.tail.train(),
            sample,
            effective_batch=share,
            limit=self.settings.memory_limit,
            precision=self.settings.train_precision,
            sharing=self._group.sharing if self.training.device.type == "cpu" else 1,
        )
        micro = self._group.smallest(micro)
        if micro < share and not self.settings.micro_batch:
            self.reporter.decided(
                f"micro-batches of {micro} for an effective batch of {self.settings.effective_batch}",
                "larger ones do not fit into memory; the summed gradient is the same",
                "--micro-batch",
            )
        with self._interruption.held_back():
            self.position.micro_batch = micro
            self._save()

    def _open(self, source: Source, epoch: int) -> None:
        """Begin an epoch of a source: the first process computes what is missing, then the others read it."""
        with self._group.in_turn(), self._interruption.while_others_wait(self._rank == 0):
            source.begin(epoch, self.reporter)

    def _save(self) -> None:
        """Write the whole state, if this is the process that writes checkpoints."""
        self._count_time()
        self._saved_at = self.clock()
        if self.training.checkpoint is None or self._rank != 0:
            return
        tensors = {f"kept/{name}": value for name, value in self._kept.items()}
        if not self.position.finished:
            tensors |= {f"tail/{name}": value for name, value in self.training.tail.state_dict().items()}
            tensors |= self._saved
            optimizer, average = self._stepper.optimizer_state(), self._stepper.average
            tensors |= {f"optimizer/{name}": value for name, value in optimizer.items()}
            tensors |= {f"average/{name}": value for name, value in average.items()}
        checkpoint.save(self.training.checkpoint, self.training.key, self.position, tensors)

    def _count_time(self) -> None:
        now = self.clock()
        self.position.elapsed_s += now - self._counted_at
        self._counted_at = now

    # Phases and epochs.

    def _run_phase(self) -> None:
        position, settings, tail = self.position, self.settings, self.training.tail
        with self._interruption.held_back():
            self._open_phase()
        epochs = phase_epochs(settings, position.phase)
        names = [name for name, _, _ in tail.parts()]
        what = f"training {names[0]} ... head" if len(names) > 1 else "training the head"
        with self.reporter.phase(what, len(self.training.train) * max(0, epochs - position.epoch)) as meter:
            while position.epoch < epochs and not position.stopped:
                self._run_epoch(epochs, meter)
                self._finish_epoch(epochs)
                self._stop_if_next_is_too_long(epochs)
        with self._interruption.held_back():
            self._stepper.close_phase()
            if not position.stopped:
                tail.restore(self._kept)  # the next phase starts from the best weights so far
                position.phase, position.epoch, position.step, position.waited = position.phase + 1, 0, 0, 0
            self._save()

    def _open_phase(self) -> None:
        settings, stages = self.settings, len(self.training.tail.stages)
        first = stages * (settings.phases - 1 - self.position.phase) // settings.phases
        saved = {kind: self._of_kind(kind) for kind in ("average", "optimizer")}
        if saved["average"]:
            self._stepper.average = self.training.tail.snapshot()
            for name, value in saved["average"].items():
                self._stepper.average[name].copy_(value)
        self._stepper.open_phase(first, saved["optimizer"])
        self._saved = {}

    def _of_kind(self, kind: str) -> dict[str, torch.Tensor]:
        start = f"{kind}/"
        return {name[len(start) :]: v for name, v in self._saved.items() if name.startswith(start)}

    def _run_epoch(self, epochs: int, meter: Meter) -> None:
        position, source = self.position, self.training.train
        self._open(source, self._epochs_before() + position.epoch)
        if position.batch == 0:
            self._count_time()
            position.epoch_began_s = position.elapsed_s
        every = self._batches()
        batches = every[position.batch :]
        wanted = [self._stepper.own(places) for places in batches]
        for places, raw in zip(batches, fetched(source, wanted), strict=True):
            with self._interruption.held_back():
                self._stepper.step(places, raw, epochs * len(every))
                position.batch += 1
                meter.advance(len(places))
                if self.clock() - self._saved_at > CHECKPOINT_EVERY_S:
                    self._save()
            if position.stopped or self._is_late():
                break

    def _epochs_before(self) -> int:
        return sum(phase_epochs(self.settings, phase) for phase in range(self.position.phase))

    def _batches(self) -> list[Places]:
        """The epoch's batches; their sizes differ by at most one, so that no small batch is left over."""
        position, images = self.position, len(self.training.targets)
        draws = generator(self.training.seed, "order", position.phase, position.epoch)
        order = draws.permutation(images)
        if self.training.objective.chances is not None:
            order = draws.choice(images, images, p=self.training.objective.chances)
        count = math.ceil(images / self.settings.effective_batch)
        return [part.astype(np.int64) for part in np.array_split(order, count)]

    def _is_late(self) -> bool:
        """Whether a limit is reached; then the reason is recorded."""
        position, limit, budget_s = self.position, self.settings.time_limit, self.training.limit_s
        if self.settings.stop_after and position.taken >= self.settings.stop_after:
            position.stopped = f"it was to stop after {self.settings.stop_after:,} steps"
        elif limit is not None and self._has_passed(seconds_in(limit)):
            position.stopped = f"the time limit of {limit} was reached"
        elif budget_s is not None and self._has_passed(budget_s):
            self._cut_short("the budget was used up within an epoch")
        return bool(position.stopped)

    def _has_passed(self, seconds: float) -> bool:
        """Whether the training has taken longer than this, by the clock of the first process."""
        self._count_time()
        is_late = self._rank == 0 and self.position.elapsed_s > seconds
        late = torch.tensor([float(is_late)], device=self.training.device)
        self._group.add_up([late])
        return late.item() > 0

    def _cut_short(self, why: str) -> None:
        self.position.stopped, self.position.cut_short = why, self.position.taken

    def _stop_if_next_is_too_long(self, epochs: int) -> None:
        """End the training if the limit comes before most of another epoch."""
        position, limit_s = self.position, self.training.limit_s
        if limit_s is None or position.stopped or position.epoch >= epochs:
            return
        self._count_time()
        epoch_s = position.elapsed_s - position.epoch_began_s
        if self._has_passed(limit_s - _MOST_OF_AN_EPOCH * epoch_s):
            self._cut_short(f"the budget ends before epoch {position.epoch + 1} of {epochs} would")

    def _finish_epoch(self, epochs: int) -> None:
        """Evaluate, keep the best weights, and record the epoch's metrics."""
        position = self.position
        if position.sums.steps == 0:
            return
        score = self._evaluate()
        with self._interruption.held_back():
            self._count_time()
            position.history.append(self._row(score))
            position.epoch, position.batch, position.sums = position.epoch + 1, 0, Sums()
            position.waited += 1
            if score is not None:
                position.plateau = position.plateau.after(score.loss)
            self._keep_best(score)
            self.reporter.note(self._described(position.history[-1], score, epochs))
            if self.settings.patience and position.waited >= self.settings.patience:
                self.reporter.note(f"stopping early: no better validation score for {position.waited} epochs")
                position.epoch = epochs
            if self.clock() - self._saved_at > CHECKPOINT_EVERY_S:
                self._save()

    def _row(self, score: Score | None) -> dict[str, Any]:
        position, sums, objective = self.position, self.position.sums, self.training.objective
        seconds = position.elapsed_s - (position.history[-1]["elapsed_s"] if position.history else 0.0)
        assert self._stepper.optimizer is not None
        rates = zip(self._stepper.groups, self._stepper.optimizer.param_groups, strict=True)
        fit = objective.measured(sums.goodness / sums.images).value if objective.measures_training else None
        return {
            "phase": position.phase + 1,
            "epoch": position.epoch + 1,
            "step": position.step,
            "train_loss": sums.loss / sums.images,
            f"train_{objective.measure}": fit,
            "validation_loss": score.loss if score else None,
            f"validation_{objective.measure}": objective.measured(score.goodness).value if score else None,
            "is_best": score is None or score.is_better_than(position.best),
            "learning_rates": {group.part: float(rate["lr"]) for group, rate in rates},
            "gradient_norms": {name: total / sums.steps for name, total in sums.norms.items()},
            "elapsed_s": position.elapsed_s,
            "images_per_s": sums.images / seconds if seconds > 0 else None,
        }

    def _described(self, row: dict[str, Any], score: Score | None, epochs: int) -> str:
        """One line that describes an epoch."""
        parts = [f"epoch {row['epoch']} of {epochs}: training loss {row['train_loss']:.3f}"]
        if score is not None:
            measure = self.training.objective.measured(score.goodness)
            name = "" if measure.is_share else f"{measure.name.replace('_', ' ')} "
            parts.append(f"validation {name}{measure.text}")
            parts.append(f"loss {score.loss:.3f}" + (", the best so far" if row["is_best"] else ""))
        speed = row["images_per_s"]
        return ", ".join(parts) + (f" ({speed:,.0f} images/s)" if speed else "")

    def _keep_best(self, score: Score | None) -> None:
        """Copy the weights if they are the best so far; without validation images the latest are the best."""
        position = self.position
        if score is not None and not score.is_better_than(position.best):
            return
        position.best, position.best_epoch, position.waited = score, len(position.history), 0
        source = self._stepper.average or self.training.tail.state_dict()
        self._kept = {name: value.detach().clone() for name, value in source.items()}

    def _make_alike(self) -> None:
        """Copy the first process's statistics of batches to all, and compare the weights of all."""
        tail, average = self.training.tail, self._stepper.average
        own = tail.statistics()
        self._group.share_first([*own.values(), *(average[name] for name in own if name in average)])
        averages = {f"average/{name}": one for name, one in average.items()}
        self._group.compare({**tail.state_dict(), **averages})

    @torch.no_grad()
    def _evaluate(self) -> Score | None:
        """The score of the weights (or of their moving average) on the validation images."""
        training, tail, objective = self.training, self.training.tail, self.training.objective
        source, targets, overall = training.validation, training.validation_targets, objective.overall
        self._make_alike()
        if source is None or targets is None:
            return None
        current = tail.snapshot() if self._stepper.average else {}
        tail.restore(self._stepper.average)
        tail.eval()
        try:
            self._open(source, 0)
            sums = torch.zeros(3, dtype=torch.float64, device=self.training.device)
            every = sums.new_zeros(len(targets), overall.outputs if overall else 0)
            own = np.arange(self._rank, len(targets), self._world)
            starts = range(0, len(own), training.evaluated)
            batches = [own[start : start + training.evaluated] for start in starts]
            for places, raw in zip(batches, fetched(source, batches), strict=True):
                values = source.prepare(raw, places)
                with autocast(values.device, self.settings.train_precision):
                    scores = tail(values)
                truth = torch.from_numpy(targets[places]).to(values.device)
                loss, goodness = objective.summed_loss(scores, truth), objective.goodness(scores, truth).sum()
                sums += torch.stack([loss, goodness, loss.new_tensor(len(places))])
                if overall is not None:
                    every[torch.from_numpy(places).to(every.device)] = scores.to(every.dtype)
        finally:
            tail.restore(current)
        wishes = sums.new_tensor(self._interruption.wishes)
        self._group.add_up([sums, wishes])
        self._interruption.agree(wishes.tolist())
        loss_sum, goodness_sum, count = sums.tolist()
        if overall is not None:
            self._group.add_up([every])  # each process knows its own images
            goodness_sum = count * overall.goodness(every.cpu().numpy(), targets[np.arange(len(targets))])
        return Score(goodness=goodness_sum / count, loss=loss_sum / count)


def phase_epochs(settings: TrainSettings, phase: int) -> int:
    """Number of epochs of a phase; all phases are as equal as possible, later ones may have one more.

    >>> [phase_epochs(TrainSettings(epochs=7, phases=3), phase) for phase in range(3)]
    [2, 2, 3]
    """
    assert settings.epochs is not None
    return settings.epochs * (phase + 1) // settings.phases - settings.epochs * phase // settings.phases
