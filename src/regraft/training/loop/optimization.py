"""Optimizers, parameter groups, and operations on gradients and weights before and after a step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from regraft.randomness import torch_seed
from regraft.settings import TrainSettings
from regraft.training.loop.tail import Tail


@dataclass(frozen=True)
class Group:
    """Parameters of one part that have the same learning rate and the same regularisation."""

    part: str
    lr_factor: float
    """Factor of the largest learning rate: `lr_decay ** (stages between the part and the last)`."""
    shrinks: bool
    """Whether weight decay, L1 and L2-SP apply; not to normalisations and biases (He et al. 2019, section
    3.1)."""
    names: tuple[str, ...]
    parameters: tuple[nn.Parameter, ...]


def make_groups(tail: Tail, *, lr_decay: float) -> list[Group]:
    """The trained parameters, grouped by part and by whether they are regularised.

    Discriminative learning rates: each stage has `lr_decay` times the rate of the stage after it (Howard &
    Ruder 2018, section 3.2).
    """
    names = {id(parameter): name for name, parameter in tail.named_parameters()}
    groups = []
    for part, depth, module in tail.parts():
        for shrinks in (True, False):
            chosen = [p for p in module.parameters() if p.requires_grad and (p.ndim > 1) == shrinks]
            if chosen:
                own = tuple(names[id(parameter)] for parameter in chosen)
                groups.append(Group(part, lr_decay**depth, shrinks, own, tuple(chosen)))
    return groups


def make_optimizer(groups: Sequence[Group], settings: TrainSettings) -> torch.optim.Optimizer:
    """Fused AdamW or SGD over the groups; weight decay is applied by `shrink`, not by the optimizer."""
    parameters = [{"params": list(group.parameters), "lr": 0.0} for group in groups]
    if settings.optimizer == "sgd":
        return torch.optim.SGD(
            parameters, lr=0.0, momentum=settings.momentum, nesterov=settings.momentum > 0, fused=True
        )
    return torch.optim.AdamW(
        parameters, lr=0.0, betas=(settings.momentum, 0.999), weight_decay=0.0, fused=True
    )


@torch.no_grad()
def shrink(
    group: Group, lr: float, settings: TrainSettings, start: Mapping[str, torch.Tensor] | None = None
) -> None:
    """Decoupled regularisation of one group after a step, in place.

    - L2: `w <- w (1 - lr weight_decay)` (Loshchilov & Hutter 2019, equation 12);
    - L2-SP: `w <- w - lr l2_sp (w - w0)`, w0 the starting weights (Li et al. 2018, equation 4; decoupled
      here, part of the loss in the paper); the head has no pretrained weights, so it is exempt, as there;
    - L1: `w <- sign(w) max(|w| - lr l1, 0)`, the proximal step of `l1 |w|` (Beck & Teboulle 2009, equation
      2.6).
    """
    if not group.shrinks:
        return
    parameters: list[torch.Tensor] = list(group.parameters)
    if settings.weight_decay:
        torch._foreach_mul_(parameters, 1 - lr * settings.weight_decay)
    if settings.l2_sp and start is not None and group.part != "head":
        torch._foreach_lerp_(parameters, [start[name] for name in group.names], lr * settings.l2_sp)
    if settings.l1:
        for parameter in parameters:
            parameter.copy_(parameter.sign() * (parameter.abs() - lr * settings.l1).clamp_(min=0))


@torch.no_grad()
def add_gradient_noise(groups: Sequence[Group], eta: float, *, seed: int, phase: int, step: int) -> None:
    """Add noise of variance `eta / (1 + step)^0.55` to every gradient.

    Source: Neelakantan et al. 2015, equation 1.
    """
    spread = (eta / (1 + step) ** 0.55) ** 0.5
    for group in groups:
        for name, parameter in zip(group.names, group.parameters, strict=True):
            if parameter.grad is not None:
                source = torch.Generator(parameter.device)
                source.manual_seed(torch_seed(seed, "gradient noise", phase, step, name))
                parameter.grad.add_(torch.empty_like(parameter.grad).normal_(0, spread, generator=source))


def gradient_norms(groups: Sequence[Group]) -> dict[str, float]:
    """Euclidean norm of the gradient of each part."""
    squares: dict[str, torch.Tensor] = {}
    for group in groups:
        gradients = [p.grad for p in group.parameters if p.grad is not None]
        if gradients:
            total = torch.stack(torch._foreach_norm(gradients)).square().sum()
            squares[group.part] = squares.get(group.part, total.new_zeros(())) + total
    values = torch.stack(list(squares.values())).sqrt().tolist() if squares else []
    return dict(zip(squares, values, strict=True))


@torch.no_grad()
def clip(groups: Sequence[Group], norm: float, largest: float) -> None:
    """Scale all gradients so that their norm is at most `largest` (Pascanu et al. 2013, algorithm 1)."""
    if largest and norm > largest:
        gradients = [p.grad for group in groups for p in group.parameters if p.grad is not None]
        torch._foreach_mul_(gradients, largest / norm)


@torch.no_grad()
def follow(average: dict[str, torch.Tensor], tail: nn.Module, decay: float, step: int) -> None:
    """Update an exponential moving average of the weights after a step, in place.

    The decay starts lower, at `(1 + step) / (10 + step)`, so that the average soon forgets the starting
    weights (as in the released code of Szegedy et al. 2016). Buffers are copied.
    """
    now = min(decay, (1 + step) / (10 + step))
    for name, value in tail.state_dict().items():
        if value.is_floating_point() and "running_" not in name:
            average[name].lerp_(value, 1 - now)
        else:
            average[name].copy_(value)
