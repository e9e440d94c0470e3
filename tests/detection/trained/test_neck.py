from __future__ import annotations

import pytest
import torch
from torch import nn

from regraft.detection.trained.neck import channels_normalised


def test_channels_are_normalised_as_by_layer_normalisation() -> None:
    draws = torch.Generator().manual_seed(0)
    maps, norm = torch.randn(2, 24, 5, 7, generator=draws) * 3 + 1, nn.LayerNorm(24)
    with torch.no_grad():
        norm.weight.copy_(torch.randn(24, generator=draws))
        norm.bias.copy_(torch.randn(24, generator=draws))
        expected = norm(maps.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        found = channels_normalised(maps, norm)
    assert found.numpy() == pytest.approx(expected.numpy(), abs=1e-5)
