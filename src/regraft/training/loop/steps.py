"""One optimizer step: the gradients of an effective batch, and the update of the weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from regraft.progress import Reporter
from regraft.randomness import torch_seed
from regraft.settings import TrainSettings
from regraft.training.group.processes import ProcessGroup
from regraft.training.loop.batches import Places, Source
from regraft.training.loop.checkpoint import Position
from regraft.training.loop.interruption import Interruption
from regraft.training.loop.memory import is_out_of_memory
from regraft.training.loop.mixing import draw_mix, mix_aims, mix_values
from regraft.training.loop.objective import Objective, Targets
from regraft.training.loop.optimization import (
    Group,
    add_gradient_noise,
    clip,
    follow,
    gradient_norms,
    make_groups,
    make_optimizer,
    shrink,
)
from regraft.training.loop.schedules import SCHEDULES
from regraft.training.loop.tail import Tail, autocast


@dataclass(frozen=True)
class Training:
    """A tail to be trained, with its batches, targets, objective and settings."""

    tail: Tail
    train: Source
    targets: Targets
    """What the objective compares the outputs with: an entry or row for each training image, by place."""
    objective: Objective
    settings: TrainSettings
    """Settings without open choices: `epochs` and `lr` are set."""
    validation: Source | None = None
    validation_targets: Targets | None = None
    seed: int = 0
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    key: str = ""
    """Hash of everything that the training depends on; see `checkpoint`."""
    checkpoint: Path | None = None
    """File of the checkpoint; None for no checkpoints."""
    limit_s: float | None = None
    """Seconds after which the training ends, with the last epoch that fits; None for no limit."""
    evaluated: int = 64
    """Number of validation images that are evaluated at once."""
    group: ProcessGroup = field(default_factory=ProcessGroup)
    """The processes that train together; by default this one alone."""


class Stepper:
    """Takes optimizer steps on the tail of a training, and counts them in the training's position.

    Args:
        training: the training to train.
        position: progress of the training; changed in place.
        start: the weights that training started from, for L2-SP.
        reporter: receives a message when memory is full or the loss is not finite.
        interruption: signals that the processes that train together tell each other of.
    """

    def __init__(
        self,
        training: Training,
        position: Position,
        start: Mapping[str, torch.Tensor],
        reporter: Reporter,
        interruption: Interruption | None = None,
    ) -> None:
        self.training, self.settings, self.position, self.reporter = (
            training,
            training.settings,
            position,
            reporter,
        )
        self.groups: list[Group] = []
        self.optimizer: torch.optim.Optimizer | None = None
        self.average: dict[str, torch.Tensor] = {}
        self._start = start
        self._group, self._interruption = training.group, interruption or Interruption()
        self._rank, self._world = training.group.rank, training.group.size
        forward: Callable[[torch.Tensor], list[Any]] = training.tail.all_scores
        self._forward = torch.compile(forward) if training.settings.compile else forward

    def open_phase(self, first: int, saved: Mapping[str, torch.Tensor]) -> None:
        """Train the stages from number `first` on, with an optimizer that continues from a saved state."""
        self.training.tail.train_from(first)
        self.groups = make_groups(self.training.tail, lr_decay=self.settings.lr_decay)
        self.optimizer = make_optimizer(self.groups, self.settings)
        if self.settings.ema and not self.average:
            self.average = self.training.tail.snapshot()
        parameters = dict(self._parameters())
        for key, value in saved.items():
            kind, _, name = key.partition("/")
            parameter = parameters[name]
            if value.shape == parameter.shape:
                value = torch.empty_like(parameter).copy_(value)  # in the parameter's memory layout
            self.optimizer.state[parameter][kind] = value.detach()

    def close_phase(self) -> None:
        """Drop the optimizer and the moving average, which belong to one phase."""
        self.optimizer, self.average = None, {}

    def optimizer_state(self) -> dict[str, torch.Tensor]:
        """The optimizer's tensors, by `kind/parameter`."""
        if self.optimizer is None:
            return {}
        return {
            f"{kind}/{name}": value
            for name, parameter in self._parameters()
            for kind, value in self.optimizer.state[parameter].items()
            if isinstance(value, torch.Tensor)
        }

    def _parameters(self) -> Iterator[tuple[str, torch.nn.Parameter]]:
        for group in self.groups:
            yield from zip(group.names, group.parameters, strict=True)

    def own(self, places: Places) -> Places:
        """The images of a batch that this process needs: its share, or all of them if the batch is mixed."""
        return places if self._is_mixed else places[self._rank :: self._world]

    @property
    def _is_mixed(self) -> bool:
        settings = self.settings
        return bool(settings.mixup or settings.cutmix or settings.activation_flip or settings.input_noise)

    def scores(self, values: torch.Tensor) -> list[Any]:
        """Scores of the head, then of the auxiliary classifiers, at the training precision."""
        with autocast(values.device, self.settings.train_precision):
            return self._forward(values)

    def step(self, places: Places, raw: torch.Tensor, total: int) -> None:
        """Take an optimizer step on one effective batch; if memory is full, with smaller micro-batches."""
        tail, position = self.training.tail, self.position
        tail.train()
        statistics = {name: value.clone() for name, value in tail.statistics().items()}
        while True:
            try:
                self._clear_gradients()
                loss, goodness = self._gradients(places, raw)
                break
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error) or position.micro_batch <= 1:
                    raise
                tail.restore(statistics)
            self._halve()
        loss, goodness = self._agree(loss, goodness)
        self._update(places, loss, goodness, raw, total)

    def _halve(self) -> None:
        """After running out of memory, halve the micro-batches; the effective batch stays the same."""
        self._clear_gradients()
        if self.training.device.type == "cuda":
            torch.cuda.empty_cache()
        self.position.micro_batch = -(-self.position.micro_batch // 2)
        self.reporter.decided(
            f"micro-batches of {self.position.micro_batch}",
            f"memory was full; the effective batch stays {self.settings.effective_batch}",
            "--micro-batch",
        )

    def _clear_gradients(self) -> None:
        for parameter in self.training.tail.parameters():
            parameter.grad = None

    def _gradients(self, places: Places, raw: torch.Tensor) -> tuple[float, float]:
        """Sum the gradients of a batch over its micro-batches; returns the summed loss and goodness.

        Each image's loss is divided by the weight of the whole effective batch, so the sum over micro-batches
        and processes is the gradient of that batch.
        """
        training, settings, position, objective = (
            self.training,
            self.settings,
            self.position,
            self.training.objective,
        )
        own = self.own(places)
        values = training.train.prepare(raw, own)
        targets = torch.from_numpy(training.targets[places]).to(values.device)
        mix = draw_mix(settings, len(own), seed=training.seed, phase=position.phase, step=position.step)
        values, share = mix_values(values, mix)
        aims = mix_aims(objective.aims(targets), mix, share)
        weights = objective.weights(aims)
        whole = float(weights.sum()) if weights is not None else float(len(places))
        mine = slice(self._rank, None, self._world)
        if self._world > 1:
            aims, targets = aims[mine], targets[mine]
            weights = weights[mine] if weights is not None else None
            values = values[mine] if self._is_mixed else values
        loss, goodness = 0.0, 0.0
        share_beside = settings.auxiliary_weight or 0.0
        for start in range(0, len(values), position.micro_batch):
            part = slice(start, start + position.micro_batch)
            torch.manual_seed(
                torch_seed(training.seed, "dropout", position.phase, position.step, self._rank, start)
            )
            scores, *beside = self.scores(values[part])
            losses = objective.losses(scores, aims[part])
            for auxiliary in beside:
                losses = losses + share_beside * objective.losses(auxiliary, aims[part])
            losses = losses if weights is None else losses * weights[part]
            (losses.sum() / whole).backward()  # type: ignore[no-untyped-call]
            loss += float(losses.detach().sum()) * len(places) / whole
            if objective.measures_training:
                with torch.no_grad():
                    goodness += float(objective.goodness(scores, targets[part]).sum())
        return loss, goodness

    def _agree(self, loss: float, goodness: float) -> tuple[float, float]:
        """Sum gradients, loss and goodness over all processes; once per step, not per micro-batch.

        In the same message they learn of signals and of the smallest micro-batch, which all of them use: the
        draws of a step depend on it.
        """
        if self._world == 1:
            return loss, goodness
        gradients = []
        for group in self.groups:
            for parameter in group.parameters:
                if parameter.grad is None:  # this process has no image of the batch
                    parameter.grad = torch.zeros_like(parameter)
                gradients.append(parameter.grad)
        sizes = [0.0] * self._world
        sizes[self._rank] = float(self.position.micro_batch)
        own = [loss, goodness, *self._interruption.wishes, *sizes]
        sums = torch.tensor(own, device=self.training.device)
        self._group.add_up([*gradients, sums])
        loss, goodness, *rest = sums.tolist()
        self._interruption.agree(rest[: -self._world])
        self.position.micro_batch = int(min(rest[-self._world :]))
        return loss, goodness

    def _update(self, places: Places, loss: float, goodness: float, raw: torch.Tensor, total: int) -> None:
        settings, position, sums = self.settings, self.position, self.position.sums
        if settings.gradient_noise:
            add_gradient_noise(
                self.groups,
                settings.gradient_noise,
                seed=self.training.seed,
                phase=position.phase,
                step=position.step,
            )
        norms = gradient_norms(self.groups)
        norm = math.sqrt(sum(one**2 for one in norms.values()))
        if not math.isfinite(loss) or not math.isfinite(norm):
            position.stopped = self._diagnosis(loss, norm, places, raw)
            self.reporter.warn(position.stopped)
            return
        clip(self.groups, norm, settings.clip_norm)
        assert self.optimizer is not None
        lr = learning_rate(settings, position, total)
        for group, rates in zip(self.groups, self.optimizer.param_groups, strict=True):
            rates["lr"] = lr * group.lr_factor
        self.optimizer.step()
        for group in self.groups:
            shrink(group, lr * group.lr_factor, settings, self._start)
        position.step += 1
        position.taken += 1
        if self.average:
            follow(self.average, self.training.tail, settings.ema, position.step)
        sums.images, sums.loss, sums.goodness = (
            sums.images + len(places),
            sums.loss + loss,
            sums.goodness + goodness,
        )
        sums.steps += 1
        for name, value in norms.items():
            sums.norms[name] = sums.norms.get(name, 0.0) + value

    @torch.no_grad()
    def _diagnosis(self, loss: float, norm: float, places: Places, raw: torch.Tensor) -> str:
        """A message that says which values became infinite first, and what may help."""
        settings, position = self.settings, self.position
        values = self.training.train.prepare(raw, self.own(places))
        where = "the gradients (the outputs of all stages were finite)"
        for name, finite in self._finiteness(values):
            if not finite:
                where = name
                break
        advice = [f"a smaller --lr (it was {settings.lr:g})"]
        if not settings.clip_norm or settings.clip_norm > 1:
            advice.append("--clip-norm 1")
        if settings.train_precision == "bf16":
            advice.append("--train-precision fp32")
        return (
            f"training stopped at step {position.step + 1} of phase {position.phase + 1}: the loss was "
            f"{loss:g}, the gradient's norm {norm:g}; first value that was not finite: {where}. "
            f"The best weights so far are kept. Try {', '.join(advice)}"
        )

    def _finiteness(self, values: torch.Tensor) -> Iterator[tuple[str, bool]]:
        yield "the input of the tail", bool(values.isfinite().all())
        with autocast(values.device, self.settings.train_precision):
            for name, stage in zip(self.training.tail.names, self.training.tail.stages, strict=True):
                weights = all(bool(p.isfinite().all()) for p in stage.parameters())
                yield f"the weights of stage {name}", weights
                values = stage(values)
                yield f"the output of stage {name}", bool(values.isfinite().all())
            yield "the output of the head", _is_finite(self.training.tail.head(values))


def _is_finite(scores: torch.Tensor | Sequence[Any]) -> bool:
    """Whether all tensors in the output of a head are finite."""
    if isinstance(scores, torch.Tensor):
        return bool(scores.isfinite().all())
    return all(_is_finite(part) for part in scores)


def learning_rate(settings: TrainSettings, position: Position, total: int) -> float:
    """The largest learning rate of a step."""
    assert settings.lr is not None
    factor = SCHEDULES[settings.schedule](position.step, total, settings.warmup)
    return settings.lr * factor * (position.plateau.factor if settings.schedule == "plateau" else 1.0)
