"""Greedy layer-wise unsupervised pretraining: a stack of convolutional autoencoders, one stage at a time.

Stage k learns to reconstruct its input, the output of stage k - 1, from a noisy copy of it: the stage's
output goes through a decoder (a 3 x 3 convolution after upsampling, or a linear layer), whose mean squared
error against the standardised, noise-free input is minimised. Then the stage is frozen, and the next one
learns from its output. Decoders are discarded.

Source: Bengio et al. 2007, "Greedy layer-wise training of deep networks", section 4 (autoencoders); Vincent
et al. 2008 (noise); Masci et al. 2011 (convolutions). Deviation: the decoder is a single linear map with
weights of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from regraft.errors import NetworkError, WeightsError
from regraft.networks.stages import Stage
from regraft.networks.weights.states import load_state, save_state
from regraft.progress import Meter, Reporter
from regraft.randomness import generator, torch_seed
from regraft.training.loop.batches import Places, Source, fetched
from regraft.training.loop.tail import channels_last

_NOISE = 0.3
_RATE = 1e-3


class Autoencoder(nn.Module):
    """A stage with a decoder: from `(N, ...)` to the reconstruction error, as a share of the variance."""

    def __init__(self, name: str, stage: nn.Module, given: torch.Tensor) -> None:
        super().__init__()
        self.stage = stage
        with torch.no_grad():
            code = stage.eval()(given)
        if code.ndim not in (2, 4):
            raise NetworkError(
                f"the output of stage {name} has shape {tuple(code.shape)}, but layer-wise pretraining needs "
                "a feature map or a vector. Use another --init"
            )
        is_map = code.ndim == given.ndim == 4
        self.decoder: nn.Module = (
            nn.Conv2d(code.shape[1], given.shape[1], 3, padding=1)
            if is_map
            else nn.Linear(code[0].numel(), given[0].numel())
        )

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        clean = (given - given.mean()) / given.std().clamp(min=1e-6)
        code = self.stage(given + _NOISE * given.std() * torch.randn_like(given))
        if isinstance(self.decoder, nn.Linear):
            back = self.decoder(code.flatten(1)).reshape(clean.shape)
        else:
            size = list(given.shape[2:])
            back = self.decoder(functional.interpolate(code, size=size, mode="bilinear", align_corners=False))
        return functional.mse_loss(back, clean)


def pretrain(
    stages: Sequence[Stage],
    source: Source,
    *,
    epochs: int,
    batch: int,
    seed: int,
    folder: Path,
    reporter: Reporter,
) -> list[tuple[float, float]]:
    """Pretrain stages in place, one after the other; returns the first and last error of each.

    Args:
        stages: the stages, in the order in which they run.
        source: where the images come from.
        epochs: number of epochs for each stage.
        batch: images in a step.
        seed: random seed of the order, the noise and the decoders.
        folder: folder for finished stages, so that an interrupted pretraining resumes with the next one.
        reporter: receives progress.

    Raises:
        NetworkError: the output of a stage is neither a map nor a vector.
    """
    errors = []
    for number, stage in enumerate(stages):
        channels_last(stage.module)
        kept = folder / f"pretrained-{number}.safetensors"
        if _is_loaded(stage.module, kept):
            continue
        with reporter.phase(f"pretraining {stage.name}", epochs * len(source)) as meter:
            before = [one.module for one in stages[:number]]
            history = _pretrain_one(before, stage, source, epochs, batch, (seed, number), reporter, meter)
        save_state(stage.module.state_dict(), kept)
        errors.append((history[0], history[-1]))
        reporter.note(
            f"autoencoder {stage.name}: error {history[0]:.2f} -> {history[-1]:.2f} of the variance"
        )
    return errors


def _is_loaded(module: nn.Module, path: Path) -> bool:
    if not path.exists():
        return False
    try:
        load_state(module, path)
    except WeightsError:
        return False
    return True


def _pretrain_one(
    before: Sequence[nn.Module],
    stage: Stage,
    source: Source,
    epochs: int,
    batch: int,
    purpose: tuple[int, int],
    reporter: Reporter,
    meter: Meter,
) -> list[float]:
    """The error of one stage after each epoch."""

    def entering(raw: torch.Tensor, places: Places) -> torch.Tensor:
        with torch.no_grad():
            value = source.prepare(raw, places)
            for module in before:
                value = module(value)
        return value

    source.begin(0, reporter)
    first = np.zeros(1, dtype=np.int64)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch_seed(*purpose, "decoder"))
        coder = Autoencoder(stage.name, stage.module, entering(source.fetch(first), first))
        coder.requires_grad_(True).train()
        optimizer = torch.optim.AdamW(coder.parameters(), lr=_RATE)
        history = []
        for epoch in range(epochs):
            source.begin(epoch, reporter)
            order = generator(*purpose, "autoencoder", epoch).permutation(len(source)).astype(np.int64)
            batches = np.array_split(order, -(-len(source) // batch))
            total = 0.0
            for step, (places, raw) in enumerate(zip(batches, fetched(source, batches), strict=True)):
                torch.manual_seed(torch_seed(*purpose, "autoencoder noise", epoch, step))
                loss = coder(entering(raw, places))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                total += float(loss.detach()) * len(places)
                meter.advance(len(places))
            history.append(total / len(source))
    stage.module.requires_grad_(False).eval()
    return history
