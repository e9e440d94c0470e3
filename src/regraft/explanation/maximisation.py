"""Images that excite a unit, made by gradient ascent from noise, regularised so that people can read them.

Source: Olah, Mordvintsev & Schubert, Feature Visualization, Distill 2017: the image is represented by its
Fourier coefficients, scaled by frequency, in decorrelated colours; every step shifts, scales and rotates it
slightly.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from regraft.data.pictures.loading import Pixels
from regraft.explanation.maps import as_maps
from regraft.prediction.graph import NetworkPart
from regraft.progress import Reporter, Silent

SIDE_PX = 128
STEPS = 96
_RATE = 0.05
# Square root of the covariance of colours in natural images (ImageNet), from the same source.
_COLOURS = torch.tensor([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]])


def maximised(
    part: NetworkPart,
    stage: str,
    channels: Sequence[int],
    *,
    steps: int = STEPS,
    side_px: int = SIDE_PX,
    seed: int = 0,
    reporter: Reporter | None = None,
) -> list[Pixels]:
    """For each channel, an image that increases the channel's mean activation.

    Args:
        part: the network.
        stage: name of the stage.
        channels: channels of the stage's activation.
        steps: number of steps of gradient ascent.
        side_px: side of the images.
        seed: random seed of the start and of the shifts.
        reporter: receives progress.

    Returns:
        `(side_px, side_px, 3 or 1) uint8`, one for each channel.
    """
    generator = torch.Generator().manual_seed(seed)
    bands = part.scale.numel()
    frequencies = torch.fft.rfft2(torch.zeros(side_px, side_px)).shape
    spectrum = 0.01 * torch.randn(len(channels), bands, *frequencies, 2, generator=generator)
    spectrum.requires_grad_(True)
    weights = _falloff(side_px)
    optimizer = torch.optim.Adam([spectrum], lr=_RATE)
    own = torch.arange(len(channels))
    with (reporter or Silent()).phase(f"images for {stage}", steps, "steps") as meter:
        for _ in range(steps):
            images = _image(spectrum, weights, side_px)
            seen = _jittered(images, generator)
            maps = as_maps(part.after(stage, seen * 255 * part.scale + part.shift))
            assert maps is not None
            loss = -maps[own, torch.tensor(list(channels))].mean(dim=(1, 2)).sum()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            meter.advance()
    shown = (_image(spectrum, weights, side_px).detach() * 255).round().permute(0, 2, 3, 1).numpy()
    return [np.asarray(one, dtype=np.uint8) for one in shown]


def _falloff(side_px: int) -> torch.Tensor:
    """The inverse of the frequency, as in the spectrum of natural images."""
    rows = torch.fft.fftfreq(side_px)[:, None]
    columns = torch.fft.rfftfreq(side_px)[None]
    frequency: torch.Tensor = (rows.square() + columns.square()).sqrt()
    return 1 / frequency.clamp_min(1 / side_px)


def _image(spectrum: torch.Tensor, weights: torch.Tensor, side_px: int) -> torch.Tensor:
    """Images `(N, C, side, side)` in [0, 1] from their Fourier coefficients."""
    waves = torch.view_as_complex(spectrum) * weights
    plain = torch.fft.irfft2(waves, s=(side_px, side_px), norm="ortho") / 4
    if plain.shape[1] == 3:
        plain = torch.einsum("nchw,dc->ndhw", plain, _COLOURS / _COLOURS.norm(dim=0).max())
    return torch.sigmoid(plain * 2)


def _jittered(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """All images, slightly shifted, scaled and rotated in the same way; edges are mirrored."""
    shift = (torch.rand(2, generator=generator) - 0.5) * 0.12
    scale = 1 + (torch.rand(1, generator=generator) - 0.5) * 0.2
    angle = (torch.rand(1, generator=generator) - 0.5) * 0.26  # radians: 7.5 degrees either way
    cosine, sine = (angle.cos() * scale).item(), (angle.sin() * scale).item()
    turn = torch.tensor([[cosine, -sine, shift[0].item()], [sine, cosine, shift[1].item()]])
    grid = nn.functional.affine_grid(turn.expand(len(images), 2, 3), list(images.shape), align_corners=False)
    return nn.functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
