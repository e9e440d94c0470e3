"""Auxiliary classifiers in the middle of a network, which help its first stages to learn.

Source: Szegedy et al., "Going Deeper with Convolutions", arXiv:1409.4842, section 5: two classifiers, whose
losses count 0.3 each; Szegedy et al., arXiv:1512.00567, section 4, keep one, as a regulariser.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from regraft.networks.zoo.cards import card
from regraft.randomness import torch_seed
from regraft.records import Recipe

if TYPE_CHECKING:  # a plan only asks whether there are any, and solved heads do without torch
    from torch import nn

# Networks of torchvision with their auxiliary modules, and the stages whose output these read.
_PLACES = {
    "googlenet": {"aux1": "inception4a", "aux2": "inception4d"},
    "inception_v3": {"AuxLogits": "Mixed_6e"},
}


def has_auxiliaries(network: str) -> bool:
    """Whether the network of that name is built with auxiliary classifiers."""
    known = card(network)
    return bool(known and known.recipe.library == "torchvision" and known.recipe.name in _PLACES)


def find_auxiliaries(network: nn.Module, recipe: Recipe) -> tuple[tuple[str, nn.Module], ...]:
    """The auxiliary classifiers of a network, each with the name of the stage whose output it reads."""
    from torch import nn

    places = _PLACES.get(recipe.name, {}) if recipe.library == "torchvision" else {}
    found = [(stage, getattr(network, name, None)) for name, stage in places.items()]
    return tuple((stage, module) for stage, module in found if isinstance(module, nn.Module))


def with_classes(auxiliary: nn.Module, num_classes: int, *, seed: int) -> nn.Module:
    """A copy of an auxiliary classifier for other classes; its last layer starts near zero.

    Args:
        auxiliary: from activations `(N, C, H, W)` to logits.
        num_classes: number of classes of the copy.
        seed: random seed of the last layer's weights, normal with a standard deviation of 0.01.
    """
    import torch
    from torch import nn

    fresh = copy.deepcopy(auxiliary)
    name, last = [(n, m) for n, m in fresh.named_modules() if isinstance(m, nn.Linear)][-1]
    layer = nn.Linear(last.in_features, num_classes)
    draws = torch.Generator().manual_seed(torch_seed(seed, "auxiliary", num_classes))
    with torch.no_grad():
        layer.weight.normal_(std=0.01, generator=draws)
        layer.bias.zero_()
    fresh.set_submodule(name, layer)
    return fresh
