"""What a training step does to a batch before it enters the tail: mixup, cutmix, flips, noise.

All random draws are made for the whole effective batch from counters (`randomness`), so they do not depend
on micro-batches, processes or interruptions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from regraft.randomness import generator, torch_seed
from regraft.settings import TrainSettings


@dataclass(frozen=True)
class Mix:
    """The random draws that are applied to one effective batch of N images."""

    partners: torch.Tensor | None
    """`(N,)`: the image that each image is mixed with; None for no mixing."""
    share: float
    """Weight of the image itself, in [0, 1]; its partner has the rest."""
    box: tuple[float, float, float, float] | None
    """For cutmix: top, left, height and width of the box that the partner covers, as shares of the side."""
    flips: torch.Tensor | None
    """`(N,) bool`: which activations are flipped horizontally; None for no flips."""
    noise: float
    noise_seed: int


def draw_mix(settings: TrainSettings, count: int, *, seed: int, phase: int, step: int) -> Mix:
    """The random draws of one step.

    Mixup (Zhang et al. 2018, equation 1) draws one share from Beta(alpha, alpha) per batch; cutmix (Yun et
    al. 2019, section 3.1) covers a box of `1 - share` of the area, at a uniformly random place. If both are
    set, one of them is chosen with equal probability.
    """
    draws = generator(seed, "mix", phase, step)
    use_cutmix = bool(settings.cutmix) and (not settings.mixup or draws.random() < 0.5)
    alpha = settings.cutmix if use_cutmix else settings.mixup
    share = float(draws.beta(alpha, alpha)) if alpha else 1.0
    partners = torch.from_numpy(draws.permutation(count)) if alpha else None
    box = _box(draws, share) if use_cutmix else None
    flips = torch.from_numpy(draws.random(count) < 0.5) if settings.activation_flip else None
    return Mix(partners, share, box, flips, settings.input_noise, torch_seed(seed, "noise", phase, step))


def _box(draws: np.random.Generator, share: float) -> tuple[float, float, float, float]:
    side = (1 - share) ** 0.5
    return float(draws.random()) * (1 - side), float(draws.random()) * (1 - side), side, side


def mix_values(values: torch.Tensor, mix: Mix) -> tuple[torch.Tensor, float]:
    """The mixed input of the tail, and the share that each image kept, which its aims keep as well.

    Args:
        values: `(N, ...) float32` of the whole effective batch.
        mix: the draws to apply.
    """
    share = mix.share
    if mix.flips is not None and values.ndim == 4:
        flips = mix.flips.to(values.device)[:, None, None, None]
        values = torch.where(flips, values.flip(3), values)
    if mix.partners is not None:
        others = values[mix.partners.to(values.device)]
        if mix.box is not None and values.ndim == 4:
            values, share = _covered(values, others, mix.box)
        else:
            values = values * share + others * (1 - share)
    if mix.noise:
        source = torch.Generator(values.device).manual_seed(mix.noise_seed)
        noise = torch.empty_like(values).normal_(generator=source)
        values = values + noise * (mix.noise * values.std())
    return values, share


def _covered(
    values: torch.Tensor, others: torch.Tensor, box: tuple[float, float, float, float]
) -> tuple[torch.Tensor, float]:
    height, width = values.shape[2:]
    top, left = round(box[0] * height), round(box[1] * width)
    bottom, right = min(height, top + round(box[2] * height)), min(width, left + round(box[3] * width))
    values = values.clone()
    values[:, :, top:bottom, left:right] = others[:, :, top:bottom, left:right]
    return values, 1 - (bottom - top) * (right - left) / (height * width)


def mix_aims(aims: torch.Tensor, mix: Mix, share: float) -> torch.Tensor:
    """The aims of a mixed batch: `share` of an image's own and the rest of its partner's."""
    if mix.partners is None:
        return aims
    return aims * share + aims[mix.partners.to(aims.device)] * (1 - share)
