"""Build the network of a recipe, without pretrained weights."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

from regraft.errors import NetworkError, WeightsError
from regraft.networks.architectures.alexnet import AlexNet2012, ZFNet
from regraft.networks.architectures.cifar import CifarResNet
from regraft.networks.architectures.lenet import LeNet5
from regraft.networks.zoo.cards import unknown
from regraft.records import Recipe

_CIFAR_DEPTHS = (20, 32, 44, 56, 110)
_OWN: dict[str, Callable[..., nn.Module]] = {
    "lenet5": LeNet5,
    "alexnet2012": AlexNet2012,
    "zfnet": ZFNet,
    **{f"cifar_resnet{depth}": partial(CifarResNet, depth) for depth in _CIFAR_DEPTHS},
    **{f"cifar_plain{depth}": partial(CifarResNet, depth, shortcuts=False) for depth in _CIFAR_DEPTHS},
}
# Arguments that a recipe may have: sizes and numerical details of a registered network. All others
# (checkpoint paths, layer classes, ...) are refused, because recipes come with files from other people.
_ALLOWED = {
    "timm": frozenset(
        {
            "num_classes",
            "in_chans",
            "img_size",
            "global_pool",
            "pad_type",
            "bn_eps",
            "bn_momentum",
            "drop_path_rate",
            "init_values",
            "output_stride",
        }
    ),
    "torchvision": frozenset(
        {
            "num_classes",
            "in_chans",
            "weights",
            "aux_logits",
            "transform_input",
            "width_mult",
            "image_size",
            "stochastic_depth_prob",
        }
    ),
    "regraft": frozenset({"num_classes", "in_chans"}),
}


def check_recipe(recipe: Recipe) -> None:
    """Refuse a recipe with an argument that is not allowed.

    Raises:
        WeightsError: an argument is not allowed; the message lists the accepted ones.
    """
    allowed = _ALLOWED[recipe.library]
    for name, value in recipe.kwargs.items():
        if name not in allowed:
            raise WeightsError(
                f"the recipe of {recipe.name} has the argument {name}={value!r}; "
                f"accepted for {recipe.library} are {', '.join(sorted(allowed))}"
            )
    if recipe.kwargs.get("weights") is not None:
        raise WeightsError(f"the recipe of {recipe.name} names weights of its own; weights must be null")


def build(recipe: Recipe) -> nn.Module:
    """The network of a recipe, with random weights, in evaluation mode.

    Raises:
        UnknownNetworkError: no such network is registered.
        WeightsError: the recipe has an argument that is not allowed.
    """
    check_recipe(recipe)
    arguments: dict[str, Any] = dict(recipe.kwargs)
    if recipe.library == "regraft":
        if recipe.name not in _OWN:
            raise unknown(recipe.name, list(_OWN))
        return _OWN[recipe.name](**arguments).eval()
    if recipe.library == "torchvision":
        from torchvision import models

        if recipe.name not in models.list_models(module=models):
            raise unknown(recipe.name, models.list_models(module=models))
        if recipe.name in ("googlenet", "inception_v3"):
            arguments["init_weights"] = False  # it takes minutes, and the weights are overwritten anyway
        channels = arguments.pop("in_chans", 3)
        module = _as_module(models.get_model(recipe.name, **{**arguments, "weights": None}))
        return module if channels == 3 else _with_channels(module, channels)
    import timm

    if not timm.is_model(recipe.name):
        raise unknown(recipe.name, timm.list_models())
    return _as_module(timm.create_model(recipe.name, pretrained=False, **arguments))


def _with_channels(network: nn.Module, channels: int) -> nn.Module:
    """The network with a new first convolution for another number of channels."""
    name, old = next((n, m) for n, m in network.named_modules() if isinstance(m, nn.Conv2d))
    new = nn.Conv2d(
        channels,
        old.out_channels,
        old.kernel_size,  # type: ignore[arg-type]
        stride=old.stride,  # type: ignore[arg-type]
        padding=old.padding,  # type: ignore[arg-type]
        bias=old.bias is not None,
    )
    network.set_submodule(name, new)
    return network.eval()


def with_drop_path(recipe: Recipe, rate: float) -> Recipe:
    """The recipe with a rate of stochastic depth.

    Raises:
        NetworkError: the network has no stochastic depth.
    """
    if not rate:
        return recipe
    name = {"timm": "drop_path_rate", "torchvision": "stochastic_depth_prob"}.get(recipe.library)
    changed = recipe.model_copy(update={"kwargs": {**recipe.kwargs, str(name): rate}})
    try:
        if name is not None and _has_drop_path(build(changed)):
            return changed
    except TypeError:  # the constructor has no such argument
        pass
    raise NetworkError(
        f"{recipe.name} has no stochastic depth, so --drop-path {rate:g} can't be used; try --dropout"
    )


def _has_drop_path(network: nn.Module) -> bool:
    return any(type(module).__name__ in ("DropPath", "StochasticDepth") for module in network.modules())


def _as_module(network: Any) -> nn.Module:
    assert isinstance(network, nn.Module)
    return network.eval()
