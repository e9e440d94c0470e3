"""From a recipe to a network in memory: the only door to timm's and torchvision's models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import nn

from regraft.errors import NetworkError, WeightsError
from regraft.networks.lenet import LeNet5
from regraft.networks.zoo import card, cards, unknown
from regraft.records import InputSpec, Recipe

_OWN = {"lenet5": LeNet5}
# What a recipe may ask for: sizes and numerical details of a registered network. Everything else
# (checkpoint paths, layer classes, ...) is refused, because recipes arrive beside files from elsewhere.
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
            "weights",
            "aux_logits",
            "transform_input",
            "width_mult",
            "image_size",
            "stochastic_depth_prob",
        }
    ),
    "regraft": frozenset({"num_classes"}),
}


def check_recipe(recipe: Recipe) -> None:
    """Refuse a recipe with an argument that is not on the list.

    Raises:
        WeightsError: names the argument and what is accepted.
    """
    allowed = _ALLOWED[recipe.library]
    for name, value in recipe.kwargs.items():
        if name not in allowed:
            raise WeightsError(
                f"the recipe of {recipe.name} has the argument {name}={value!r}; "
                f"accepted for {recipe.library} are {', '.join(sorted(allowed))}"
            )
    if recipe.kwargs.get("weights") is not None:
        raise WeightsError(f"the recipe of {recipe.name} asks for weights of its own; weights must be null")


def build(recipe: Recipe) -> nn.Module:
    """The network of a recipe, with random weights, in evaluation mode.

    Raises:
        UnknownNetworkError: the name is not registered.
        WeightsError: the recipe asks for something that is not allowed.
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
            arguments["init_weights"] = False  # minutes of truncated normal numbers, overwritten anyway
        return _as_module(models.get_model(recipe.name, **{**arguments, "weights": None}))
    import timm

    if not timm.is_model(recipe.name):
        raise unknown(recipe.name, timm.list_models())
    return _as_module(timm.create_model(recipe.name, pretrained=False, **arguments))


def with_drop_path(recipe: Recipe, rate: float) -> Recipe:
    """The recipe with a rate of stochastic depth.

    Raises:
        NetworkError: a network without it.
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
    raise NetworkError(f"{recipe.name} has no stochastic depth (--drop-path {rate:g}); try --dropout")


def _has_drop_path(network: nn.Module) -> bool:
    return any(type(module).__name__ in ("DropPath", "StochasticDepth") for module in network.modules())


def _as_module(network: Any) -> nn.Module:
    assert isinstance(network, nn.Module)
    return network.eval()


def find_recipe(name: str) -> tuple[Recipe, InputSpec]:
    """How to build the network of that name, and what it expects to see; asks timm, then torchvision.

    Raises:
        UnknownNetworkError: neither has it.
    """
    known = card(name)
    if known:
        return known.recipe, known.input_spec
    import timm
    from torchvision import models

    if timm.is_model(name):
        return Recipe(library="timm", name=name), _timm_input(name)
    if name in models.list_models(module=models):
        return Recipe(library="torchvision", name=name), InputSpec(interpolation="bilinear")
    raise unknown(name, [*cards(), *timm.list_models(), *models.list_models(module=models)])


def _timm_input(name: str) -> InputSpec:
    from timm.data import resolve_data_config
    from timm.models import get_pretrained_cfg

    published = get_pretrained_cfg(name)
    config = resolve_data_config(pretrained_cfg=published.to_dict() if published else {})
    channels, size = config["input_size"][0], config["input_size"][1]
    return InputSpec.model_validate(
        {
            "size_px": size,
            "channels": channels,
            "mean": tuple(config["mean"]),
            "std": tuple(config["std"]),
            "interpolation": config["interpolation"],
            "crop_share": config["crop_pct"],
        }
    )


def hub_of(name: str) -> str | None:
    """Where timm publishes the default weights of a network (`timm/NAME.TAG`), or None."""
    known = card(name)
    if known:
        return known.hub
    from timm.models import get_pretrained_cfg

    published = get_pretrained_cfg(name)
    return str(published.hf_hub_id) if published and published.hf_hub_id else None


def load_state(network: nn.Module, path: Path) -> None:
    """Load a safetensors file into a network, strictly, casting to the network's own types.

    Raises:
        WeightsError: unreadable, or names or shapes don't match; the first few differences are named.
    """
    try:
        state = safetensors.torch.load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise WeightsError(f"can't read weights from {path}: {error}") from error
    own = network.state_dict()
    problems = [f"{name} is missing" for name in own if name not in state]
    problems += [f"{name} is unknown to the network" for name in state if name not in own]
    problems += [
        f"{name} has shape {tuple(state[name].shape)}, expected {tuple(own[name].shape)}"
        for name in own
        if name in state and state[name].shape != own[name].shape
    ]
    if problems:
        more = f" and {len(problems) - 4} more" if len(problems) > 4 else ""
        raise WeightsError(f"{path} doesn't fit {type(network).__name__}: {'; '.join(problems[:4])}{more}")
    network.load_state_dict(state)


def to_safetensors(source: Path, target: Path) -> None:
    """Convert a PyTorch checkpoint to safetensors; only tensors are read from it (`weights_only=True`).

    Raises:
        WeightsError: not a plain state dictionary.
    """
    try:
        state = torch.load(source, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling a hostile or foreign file fails in many ways, all of them final
        raise WeightsError(
            f"{source} is not a plain PyTorch state dictionary ({str(error).splitlines()[0][:200]}). "
            "Convert it to safetensors where you trust it"
        ) from error
    for key in ("state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise WeightsError(f"{source} holds something else than a state dictionary of tensors")
    save_state({name.removeprefix("module."): value for name, value in state.items()}, target)


def save_state(state: dict[str, torch.Tensor], target: Path) -> None:
    """Write a state dictionary as safetensors, atomically."""
    from regraft.storage import write_atomically

    tensors = {name: value.detach().contiguous().clone() for name, value in state.items()}
    write_atomically(target, safetensors.torch.save(tensors))
