"""Initial weights of networks that are trained from scratch.

A network is built with its library's own initial weights. Then the weights of every convolution and linear
layer are drawn by the chosen rule, biases are set to zero, and normalisations to the identity.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from regraft.errors import NetworkError
from regraft.networks.architectures.building import build
from regraft.networks.reshaping import adapted_recipe
from regraft.networks.weights.finding import Weights
from regraft.networks.weights.states import save_state
from regraft.networks.zoo.catalogues import find_recipe
from regraft.randomness import torch_seed
from regraft.records import WeightsSource
from regraft.settings import InitName
from regraft.storage.files import key_of, sha256_of_file
from regraft.storage.places import cache_folder

_WEIGHTED = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)


def initial_weights(
    network: str, init: InitName, *, seed: int, channels: int | None = None, size_px: int | None = None
) -> Weights:
    """The initial weights of a network, kept in the cache like any other weights.

    Args:
        network: a name of the zoo, timm or torchvision.
        init: the rule; `layerwise` starts from `he`, and continues with the images.
        seed: random seed.
        channels: number of channels of the images; None means the network's own.
        size_px: side of the input; None means the network's own.

    Raises:
        UnknownNetworkError: there is no such network.
        NetworkError: the network's first layer is not a convolution (for `gabor`).
    """
    recipe, spec = adapted_recipe(*find_recipe(network), channels=channels, size_px=size_px)
    rule: InitName = "he" if init == "layerwise" else init
    facts = {
        "what": "initial weights",
        "recipe": recipe.model_dump(),
        "init": rule,
        "seed": seed,
        "version": 1,
    }
    path = cache_folder() / "weights" / f"{rule}-{key_of(facts)[:24]}.safetensors"
    if not path.exists():
        module = build(recipe)
        initialise(module, rule, seed=seed)
        save_state(module.state_dict(), path)
    sha256 = sha256_of_file(path)
    source = WeightsSource(
        where=f"initial weights ({rule}, seed {seed})", sha256=sha256, licence="none needed"
    )
    return Weights(network, path, sha256, recipe, spec, source)


@torch.no_grad()
def initialise(network: nn.Module, init: InitName, *, seed: int) -> None:
    """Draw new weights for a network, in place.

    - `he`: normal, variance 2 / fan-in (He et al. 2015, equation 10);
    - `glorot`: uniform, variance 2 / (fan-in + fan-out) (Glorot & Bengio 2010, equation 16);
    - `orthogonal`: orthonormal rows or columns, times the square root of 2 (Saxe et al. 2014, section 3);
    - `gabor`: as `he`, with a first convolution of Gabor and colour-opponent filters (`gabor_bank`).
    """
    generator = torch.Generator().manual_seed(torch_seed(seed, "initial weights"))
    for module in network.modules():
        weight, bias = getattr(module, "weight", None), getattr(module, "bias", None)
        if isinstance(module, _WEIGHTED):
            _draw(module.weight, init, generator)
        elif isinstance(weight, torch.Tensor) and "Norm" in type(module).__name__:
            weight.fill_(1)
        else:
            continue
        if isinstance(bias, torch.Tensor):
            bias.zero_()
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.reset_running_stats()
    if init == "gabor":
        _put_gabor(network)


def _draw(weight: torch.Tensor, init: InitName, generator: torch.Generator) -> None:
    if init == "glorot":
        nn.init.xavier_uniform_(weight, generator=generator)
    elif init == "orthogonal":
        nn.init.orthogonal_(weight, gain=math.sqrt(2), generator=generator)
    else:
        nn.init.kaiming_normal_(weight, nonlinearity="relu", generator=generator)


def _put_gabor(network: nn.Module) -> None:
    first = next((m for m in network.modules() if isinstance(m, _WEIGHTED)), None)
    if not isinstance(first, nn.Conv2d):
        raise NetworkError(
            f"{type(network).__name__} doesn't start with a convolution, so --init gabor can't be used"
        )
    filters, channels, height, width = first.weight.shape
    size = min(height, width)
    bank = gabor_bank(filters, channels, size)
    spread = math.sqrt(2 / (channels * size * size))  # as in `he`
    first.weight.zero_()
    first.weight[:, :, :size, :size] = bank * (spread / bank.std().clamp(min=1e-9))


def gabor_bank(filters: int, channels: int, size: int) -> torch.Tensor:
    """Hand-designed filters for a first layer, `(filters, channels, size, size) float32`, each of mean zero.

    Two thirds are grey Gabor filters, `exp(-(x'^2 + y'^2 / 4) / 2 s^2) cos(2 pi x' / l + phase)`: eight
    orientations, two phases, wavelengths l of half the size and shorter (Daugman 1985); the others, where
    there are three channels, colour-opponent blobs: a Gaussian times red-green, blue-yellow, or light-dark
    weights (Hurvich & Jameson 1957). This is what the first layers of trained networks look like (Krizhevsky
    et al. 2012, figure 3).
    """
    grid = torch.arange(size, dtype=torch.float32) - (size - 1) / 2
    y, x = torch.meshgrid(grid, grid, indexing="ij")
    opponent = ((1.0, -1.0, 0.0), (-0.5, -0.5, 1.0), (1.0, 1.0, 1.0))
    coloured = filters // 3 if channels == 3 else 0
    bank = []
    for number in range(filters - coloured):
        angle = math.pi * (number % 8) / 8
        phase = math.pi / 2 * (number // 8 % 2)
        wavelength = size / (1.5 + number // 16 * 0.75)
        along = x * math.cos(angle) + y * math.sin(angle)
        across = -x * math.sin(angle) + y * math.cos(angle)
        envelope = torch.exp(-(along**2 + across**2 / 4) / (2 * (size / 4) ** 2))
        wave = torch.cos(2 * math.pi * along / wavelength + phase)
        bank.append((envelope * wave).expand(channels, size, size))
    for number in range(coloured):
        width = size / (4 + 2 * (number // 6))
        blob = torch.exp(-(x**2 + y**2) / (2 * width**2))
        blob = blob - blob.mean()
        weights = torch.tensor(opponent[number % 3]) * (-1) ** (number // 3)
        bank.append(weights[:, None, None] * blob)
    stacked = torch.stack(bank)
    stacked = stacked - stacked.mean(dim=(1, 2, 3), keepdim=True)
    norms: torch.Tensor = stacked.flatten(1).norm(dim=1).clamp(min=1e-9)
    return stacked / norms[:, None, None, None]
