"""Where a model looks: heat maps over one image, by five methods.

Most methods explain the model's score of one output, such as a class. The score is taken before the link: a
softmax would mix in all other classes. Of a model with several networks, the network of its own head is
explained.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from regraft.data.pictures.loading import Pixels
from regraft.errors import SettingsError
from regraft.explanation.occlusion import occlusion
from regraft.prediction.graph import ModelGraph, NetworkPart

Method = Literal["grad-cam", "grad-cam++", "rollout", "occlusion", "integrated-gradients"]
METHODS: tuple[Method, ...] = ("grad-cam", "grad-cam++", "rollout", "occlusion", "integrated-gradients")
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class HeatMap:
    """How much each position of the input contributes, according to one method."""

    method: Method
    values: Floats
    """`(size_px, size_px)`, in [0, 1]; all 0 if nothing supports the output."""
    stage: str
    """The stage whose activations were weighted; empty for methods that work on the pixels."""


def heat_map(
    graph: ModelGraph, pixels: Pixels, output: int, method: Method, *, stage: str | None = None
) -> HeatMap:
    """Where in an image the model sees evidence for an output: for a class, or for a larger number.

    Args:
        graph: the model.
        pixels: `(H, W, C) uint8` at the network's input size.
        output: number of the output to explain.
        method: one of `METHODS`.
        stage: for Grad-CAM, the stage whose activations are weighted; None means the last one with at least
            3 x 3 positions that the score depends on.

    Raises:
        SettingsError: the method does not work with this network; the message names one that does.
    """
    if method == "grad-cam" or method == "grad-cam++":
        return _grad_cam(graph, pixels, output, method, stage)
    if method == "rollout":
        return HeatMap(method, attention_rollout(graph.first, pixels), "")
    if method == "occlusion":
        return HeatMap(method, occlusion(pixels, _outputs(graph, output)), "")
    if method == "integrated-gradients":
        return HeatMap(method, integrated_gradients(graph.first, pixels, output), "")
    raise SettingsError(f"unknown method {method!r}; accepted are {', '.join(METHODS)}")


def _grad_cam(graph: ModelGraph, pixels: Pixels, output: int, method: Method, stage: str | None) -> HeatMap:
    """Selvaraju et al. 2017, eqs. 1-2; `grad-cam++`: Chattopadhay et al. 2018, eq. 19, for exp(score)."""
    name, activation, gradient = _weighed(graph.first, pixels, output, stage)
    if method == "grad-cam":
        weights = gradient.mean(dim=(1, 2), keepdim=True)
    else:
        squared, cubed = gradient**2, gradient**3
        below = 2 * squared + activation.sum(dim=(1, 2), keepdim=True) * cubed
        alpha = torch.where(below.abs() > 1e-12, squared / below, torch.zeros_like(below))
        weights = (alpha * gradient.clamp_min(0)).sum(dim=(1, 2), keepdim=True)
    heat = (weights * activation).sum(dim=0).clamp_min(0)
    return HeatMap(method, _at_input_size(heat, pixels), name)


def _weighed(
    part: NetworkPart, pixels: Pixels, output: int, stage: str | None
) -> tuple[str, torch.Tensor, torch.Tensor]:
    """A stage with its activation and gradient: the given one, or the last map that the score depends on.

    A head that reads the class token depends only on the patches of earlier blocks.
    """
    places = [stage] if stage else reversed(maps_of(part, pixels))
    for name in places:
        activation, gradient = _activation_and_gradient(part, pixels, output, name)
        if stage or gradient.any():
            break
    return name, activation, gradient


def maps_of(part: NetworkPart, pixels: Pixels) -> list[str]:
    """The stages whose activations have at least 3 x 3 positions.

    Raises:
        SettingsError: there is no such stage.
    """
    found: list[str] = []
    with torch.inference_mode():
        value = part.normalised(_batch(pixels))
        for name, stage in zip(part.names, part.stages, strict=True):
            value = stage(value)
            maps = as_maps(value)
            if maps is not None and min(maps.shape[-2:]) >= 3:
                found.append(name)
    if not found:
        raise SettingsError("no stage of this network has a spatial map; use --methods occlusion")
    return found


def as_maps(value: torch.Tensor) -> torch.Tensor | None:
    """An activation as `(N, C, H, W)`: maps as they are, patches of a token sequence as a square."""
    if value.ndim == 4:
        is_last = value.shape[1] == value.shape[2] != value.shape[3]
        return value.permute(0, 3, 1, 2) if is_last else value
    if value.ndim == 3:
        side = int(value.shape[1] ** 0.5)
        patches = value[:, value.shape[1] - side * side :]
        return patches.transpose(1, 2).reshape(len(value), -1, side, side)
    return None


def _activation_and_gradient(
    part: NetworkPart, pixels: Pixels, number: int, name: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """A stage's activation and the gradient of an output's score, both `(C, H, W)`."""
    if name not in part.names:
        raise SettingsError(f"stage {name!r} is not read by this model; accepted are {', '.join(part.names)}")
    kept: list[torch.Tensor] = []

    def keep(_module: nn.Module, _inputs: Any, output: torch.Tensor) -> torch.Tensor:
        kept.append(output.detach().requires_grad_(True))
        return kept[0]

    handle = part.stages[part.names.index(name)].register_forward_hook(keep)
    try:
        score = scores(part, part.normalised(_batch(pixels)))[0, number]
        (gradient,) = torch.autograd.grad(score, kept[0])
    finally:
        handle.remove()
    maps, slopes = as_maps(kept[0].detach()), as_maps(gradient)
    if maps is None or slopes is None:
        raise SettingsError(f"stage {name} has no spatial map; choose an earlier one with --stage")
    return maps[0], slopes[0]


def scores(part: NetworkPart, images: torch.Tensor) -> torch.Tensor:
    """`(N, K)` scores before the link, averaged over the heads that read this network."""
    return torch.stack(part.scores(part.features(images))).mean(dim=0)


class _Attention(TorchFunctionMode):
    """Records the weights of every scaled dot-product attention, averaged over heads."""

    def __init__(self) -> None:
        super().__init__()
        self.weights: list[torch.Tensor] = []

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if function is torch.nn.functional.scaled_dot_product_attention:
            query, key = args[0], args[1]
            scale = kwargs.get("scale") or query.shape[-1] ** -0.5
            weights = torch.softmax(query @ key.transpose(-2, -1) * scale, dim=-1)
            self.weights.append(weights.mean(dim=1)[0])
        return function(*args, **kwargs)


def attention_rollout(part: NetworkPart, pixels: Pixels) -> Floats:
    """The flow of each patch into the class token, over all blocks (Abnar & Zuidema 2020, section 3).

    It does not depend on an output. Without a class token, the mean over all tokens is taken.
    """
    with torch.inference_mode(), _Attention() as seen:
        part.features(part.normalised(_batch(pixels)))
    sizes = {tuple(weights.shape) for weights in seen.weights}
    if len(sizes) != 1 or len(seen.weights[0]) != seen.weights[0].shape[1]:
        what = "no attention" if not sizes else "attention within windows"
        raise SettingsError(
            f"rollout needs attention between all patches (ViT, DeiT); this network has {what}. "
            "Use grad-cam or occlusion"
        )
    length = len(seen.weights[0])
    flow = torch.eye(length)
    for weights in seen.weights:
        mixed = 0.5 * weights.float() + 0.5 * torch.eye(length)
        flow = mixed / mixed.sum(dim=-1, keepdim=True) @ flow
    side = int(length**0.5)
    prefix = length - side * side
    heat = (flow[0] if prefix else flow.mean(dim=0))[prefix:].reshape(side, side)
    return _at_input_size(heat - heat.min(), pixels)


def _outputs(graph: ModelGraph, number: int) -> Callable[[Pixels], Floats]:
    """One of the model's outputs for a batch of pixels: a probability, or a number."""

    def of(batch: Pixels) -> Floats:
        with torch.inference_mode():
            found: Floats = graph(torch.from_numpy(batch.copy()))[:, number].numpy()
        return found

    return of


def integrated_gradients(part: NetworkPart, pixels: Pixels, output: int) -> Floats:
    """Each pixel's contribution to the score, relative to a grey image (Sundararajan et al. 2017; captum).

    Raises:
        SettingsError: captum is not installed.
    """
    try:
        from captum.attr import IntegratedGradients
    except ImportError as error:
        raise SettingsError(
            "method integrated-gradients needs captum: pip install 'regraft[explain]'; other methods don't"
        ) from error
    images = part.normalised(_batch(pixels))
    grey = images.mean(dim=(2, 3), keepdim=True).expand_as(images).contiguous()
    method = IntegratedGradients(lambda batch: scores(part, batch))
    shares = method.attribute(images, grey, target=output, n_steps=32, internal_batch_size=8)
    speaking = shares[0].sum(dim=0).clamp_min(0)[None, None]
    window = 2 * (pixels.shape[0] // 40) + 1  # single pixels are too small to see
    smooth = nn.functional.avg_pool2d(speaking, window, stride=1, padding=window // 2)
    return _scaled(smooth[0, 0].detach().numpy())


def _batch(pixels: Pixels) -> torch.Tensor:
    return torch.from_numpy(pixels.copy())[None]


def _at_input_size(heat: torch.Tensor, pixels: Pixels) -> Floats:
    size = pixels.shape[:2]
    larger = nn.functional.interpolate(
        heat[None, None].float(), size=size, mode="bilinear", align_corners=False
    )
    return _scaled(larger[0, 0].detach().numpy())


def _scaled(heat: npt.NDArray[Any]) -> Floats:
    top = float(heat.max())
    return cast("Floats", (heat / top if top > 1e-12 else np.zeros_like(heat)).astype(np.float32))


@contextmanager
def randomised(part: NetworkPart, *, seed: int = 0) -> Iterator[None]:
    """Replace the weights by random ones within this context (sanity check of Adebayo et al. 2018)."""
    generator = torch.Generator().manual_seed(seed)
    state = {name: value.clone() for name, value in part.stages.state_dict().items()}
    try:
        with torch.no_grad():
            for parameter in part.stages.parameters():
                spread = float(parameter.std()) if parameter.numel() > 1 else 1.0
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * spread)
        yield
    finally:
        part.stages.load_state_dict(state)
