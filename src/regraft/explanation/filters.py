"""The filters of a network's first layer, as pictures."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from regraft.data.pictures.loading import Pixels
from regraft.prediction.graph import NetworkPart


def first_filters(part: NetworkPart) -> list[Pixels]:
    """The filters of the first spatial convolution, each `(k, k, 1 or 3) uint8`.

    Each filter is scaled to its own range around mid-grey, so the strengths of filters can't be compared. The
    list is empty for a network without such a layer.
    """
    for module in part.stages.modules():
        if isinstance(module, nn.Conv2d) and module.weight.shape[-1] > 1:
            weight = module.weight.detach()
            if weight.shape[1] != 3:
                weight = weight.mean(dim=1, keepdim=True)
            return [_as_picture(one) for one in weight]
    return []


def _as_picture(weight: torch.Tensor) -> Pixels:
    top = float(weight.abs().max()) or 1.0
    shown = 127.5 + 127.5 * (weight / top).permute(1, 2, 0).numpy()
    return np.asarray(shown.round(), dtype=np.uint8)
