"""One optimizer step: the gradients of an effective batch, and the update of the weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from regraft.progress import Reporter
from regraft.randomness import torch_seed
from regraft.settings import TrainSettings
from regraft.training.loop.batches import Places, Source
from regraft.training.loop.checkpoint import Position
from regraft.training.loop.memory import is_out_of_memory
from regraft.training.loop.mixing import draw_mix, make_targets, mix_targets, mix_values
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
from regraft.training.loop.processes import add_up, world
from regraft.training.loop.schedules import SCHEDULES
from regraft.training.loop.tail import Tail, autocast, soft_cross_entropy

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Task:
    """A tail to be trained, with its batches, labels and settings."""

    tail: Tail
    train: Source
    labels: Ints
    """`(N,)` class numbers of the training images."""
    num_classes: int
    settings: TrainSettings
    """Settings without open choices: `epochs` and `lr` are set."""
    validation: Source | None = None
    validation_labels: Ints | None = None
    seed: int = 0
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    key: str = ""
    """Hash of everything that the training depends on; see `checkpoint`."""
    checkpoint: Path | None = None
    """File of the checkpoint; None for no checkpoints."""
    limit_s: float | None = None
    """Seconds after which the training ends, with the last epoch that fits; None for no limit."""


class Stepper:
    """Takes optimizer steps on the tail of a task, and counts them in the training's position.

    Args:
        task: the task to train.
        position: progress of the training; changed in place.
        start: the weights that training started from, for L2-SP.
        reporter: receives a message when memory is full or the loss is not finite.
    """

    def __init__(
        self, task: Task, position: Position, start: Mapping[str, torch.Tensor], reporter: Reporter
    ) -> None:
        self.task, self.settings, self.position, self.reporter = task, task.settings, position, reporter
        self.groups: list[Group] = []
        self.optimizer: torch.optim.Optimizer | None = None
        self.average: dict[str, torch.Tensor] = {}
        self._start = start
        self._rank, self._world = world()
        forward: Callable[[torch.Tensor], list[torch.Tensor]] = task.tail.all_logits
        self._forward = torch.compile(forward) if task.settings.compile else forward

    def open_phase(self, first: int, saved: Mapping[str, torch.Tensor]) -> None:
        """Train the stages from number `first` on, with an optimizer that continues from a saved state."""
        self.task.tail.train_from(first)
        self.groups = make_groups(self.task.tail, lr_decay=self.settings.lr_decay)
        self.optimizer = make_optimizer(self.groups, self.settings)
        if self.settings.ema and not self.average:
            self.average = self.task.tail.snapshot()
        parameters = dict(self._parameters())
        for label, value in saved.items():
            kind, _, name = label.partition("/")
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

    def logits(self, values: torch.Tensor) -> list[torch.Tensor]:
        """Logits `(N, K)` of the head, then of the auxiliary classifiers, at the training precision."""
        with autocast(values.device, self.settings.train_precision):
            return self._forward(values)

    def step(self, places: Places, raw: torch.Tensor, total: int) -> None:
        """Take an optimizer step on one effective batch; if memory is full, with smaller micro-batches."""
        tail, position = self.task.tail, self.position
        tail.train()
        statistics = {name: value.clone() for name, value in tail.statistics().items()}
        while True:
            try:
                self._clear_gradients()
                loss, right = self._gradients(places, raw)
                break
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error) or position.micro_batch <= 1:
                    raise
                tail.restore(statistics)
            self._halve()
        loss, right = self._agree(loss, right)
        self._update(places, loss, right, raw, total)

    def _halve(self) -> None:
        """After running out of memory, halve the micro-batches; the effective batch stays the same."""
        self._clear_gradients()
        if self.task.device.type == "cuda":
            torch.cuda.empty_cache()
        self.position.micro_batch = -(-self.position.micro_batch // 2)
        self.reporter.decided(
            f"micro-batches of {self.position.micro_batch}",
            f"memory was full; the effective batch stays {self.settings.effective_batch}",
            "--micro-batch",
        )

    def _clear_gradients(self) -> None:
        for parameter in self.task.tail.parameters():
            parameter.grad = None

    def _gradients(self, places: Places, raw: torch.Tensor) -> tuple[float, float]:
        """Sum the gradients of a batch over its micro-batches; returns the summed loss and number correct.

        Each image's loss is divided by the weight of the whole effective batch, so the sum over micro-batches
        and processes is the gradient of that batch.
        """
        task, settings, position = self.task, self.settings, self.position
        own = self.own(places)
        values = task.train.prepare(raw, own)
        labels = torch.from_numpy(task.labels[places]).to(values.device)
        mix = draw_mix(settings, len(own), seed=task.seed, phase=position.phase, step=position.step)
        values, share = mix_values(values, mix)
        targets = mix_targets(make_targets(labels, task.num_classes, settings), mix, share)
        weights = targets @ self._class_weights.to(targets.device) if settings.class_weights else None
        whole = float(weights.sum()) if weights is not None else float(len(places))
        mine = slice(self._rank, None, self._world)
        if self._world > 1:
            targets, labels = targets[mine], labels[mine]
            weights = weights[mine] if weights is not None else None
            values = values[mine] if self._is_mixed else values
        loss, right = 0.0, 0.0
        share_beside = settings.auxiliary_weight or 0.0
        for start in range(0, len(values), position.micro_batch):
            part = slice(start, start + position.micro_batch)
            torch.manual_seed(
                torch_seed(task.seed, "dropout", position.phase, position.step, self._rank, start)
            )
            logits, *beside = self.logits(values[part])
            losses = soft_cross_entropy(logits, targets[part])
            for auxiliary in beside:
                losses = losses + share_beside * soft_cross_entropy(auxiliary, targets[part])
            losses = losses if weights is None else losses * weights[part]
            (losses.sum() / whole).backward()  # type: ignore[no-untyped-call]
            loss += float(losses.detach().sum()) * len(places) / whole
            right += float((logits.detach().argmax(dim=1) == labels[part]).sum())
        return loss, right

    @cached_property
    def _class_weights(self) -> torch.Tensor:
        """`(K,)`: `N / (K n_k)`, so that every class has the same total weight (King & Zeng 2001)."""
        counts = np.bincount(self.task.labels, minlength=self.task.num_classes)
        present = counts > 0
        weights = np.where(present, len(self.task.labels) / (present.sum() * np.maximum(counts, 1)), 0.0)
        return torch.from_numpy(weights.astype(np.float32))

    def _agree(self, loss: float, right: float) -> tuple[float, float]:
        """Sum gradients, loss and number correct over all processes; once per step, not per micro-batch."""
        if self._world == 1:
            return loss, right
        gradients = []
        for group in self.groups:
            for parameter in group.parameters:
                if parameter.grad is None:  # this process has no image of the batch
                    parameter.grad = torch.zeros_like(parameter)
                gradients.append(parameter.grad)
        sums = torch.tensor([loss, right], device=self.task.device)
        add_up([*gradients, sums])
        return float(sums[0]), float(sums[1])

    def _update(self, places: Places, loss: float, right: float, raw: torch.Tensor, total: int) -> None:
        settings, position, sums = self.settings, self.position, self.position.sums
        if settings.gradient_noise:
            add_gradient_noise(
                self.groups,
                settings.gradient_noise,
                seed=self.task.seed,
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
            follow(self.average, self.task.tail, settings.ema, position.step)
        sums.images, sums.loss, sums.right = (
            sums.images + len(places),
            sums.loss + loss,
            sums.right + right,
        )
        sums.steps += 1
        for name, value in norms.items():
            sums.norms[name] = sums.norms.get(name, 0.0) + value

    @torch.no_grad()
    def _diagnosis(self, loss: float, norm: float, places: Places, raw: torch.Tensor) -> str:
        """A message that says which values became infinite first, and what may help."""
        settings, position = self.settings, self.position
        values = self.task.train.prepare(raw, self.own(places))
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
            for name, stage in zip(self.task.tail.names, self.task.tail.stages, strict=True):
                weights = all(bool(p.isfinite().all()) for p in stage.parameters())
                yield f"the weights of stage {name}", weights
                values = stage(values)
                yield f"the output of stage {name}", bool(values.isfinite().all())
            yield "the output of the head", bool(self.task.tail.head(values).isfinite().all())


def learning_rate(settings: TrainSettings, position: Position, total: int) -> float:
    """The largest learning rate of a step."""
    assert settings.lr is not None
    factor = SCHEDULES[settings.schedule](position.step, total, settings.warmup)
    return settings.lr * factor * (position.plateau.factor if settings.schedule == "plateau" else 1.0)
