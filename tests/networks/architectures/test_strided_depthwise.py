from __future__ import annotations

import pytest
import torch
from timm.layers import Conv2dSame
from torch import nn

from regraft.networks.architectures.strided_depthwise import StridedDepthwise, quicken


def convolutions() -> dict[str, nn.Module]:
    return {
        "padded": nn.Conv2d(6, 6, 3, stride=2, padding=1, groups=6, bias=False),
        "five": nn.Conv2d(6, 6, 5, stride=2, padding=2, groups=6, bias=False),
        "three apart": nn.Conv2d(6, 6, 3, stride=3, groups=6, bias=False),
        "same": Conv2dSame(6, 6, 3, stride=2, groups=6, bias=False),
    }


@pytest.mark.parametrize("kind", convolutions())
@pytest.mark.parametrize("size", [(9, 9), (8, 11), (16, 13)], ids=str)
def test_in_bf16_output_and_gradients_are_those_of_fp32(kind: str, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    module = convolutions()[kind]
    images = torch.randn(2, 6, *size).bfloat16().float()
    module.weight.data = module.weight.data.bfloat16().float()
    results = []
    for is_quick in (False, True):
        if is_quick:
            assert quicken(nn.Sequential(module)) == 1
        given = images.clone().requires_grad_()
        module.weight.grad = None
        with torch.autocast("cpu", torch.bfloat16, enabled=is_quick):
            out = module(given).float()
        (out * torch.arange(out.numel()).reshape(out.shape).sin()).sum().backward()
        results.append((out, given.grad, module.weight.grad))
    for one, other in zip(*results, strict=True):
        assert float(((one - other).norm() / one.norm()).detach()) < 0.01


def test_in_fp32_torchs_own_code_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    module = convolutions()["padded"]
    quicken(module)
    monkeypatch.setattr(StridedDepthwise, "apply", None)
    module(torch.randn(1, 6, 8, 8)).sum().backward()


def test_the_gradient_is_the_numerical_one() -> None:
    torch.manual_seed(0)
    images = torch.randn(1, 3, 6, 7, dtype=torch.double, requires_grad=True)
    weight = torch.randn(3, 1, 3, 3, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, w: StridedDepthwise.apply(x, w, 2), (images, weight))


def test_other_convolutions_are_left_alone() -> None:
    others = nn.Sequential(
        nn.Conv2d(6, 6, 3, groups=6), nn.Conv2d(6, 6, 3, stride=2), nn.Conv2d(6, 12, 3, stride=2, groups=6)
    )
    assert quicken(others) == 0


def test_autocast_is_followed() -> None:
    module = convolutions()["padded"]
    quicken(module)
    with torch.autocast("cpu", torch.bfloat16):
        out = module(torch.randn(1, 6, 8, 8))
    assert out.dtype == torch.bfloat16
    out.float().sum().backward()
    assert module.weight.grad.dtype == torch.float32  # type: ignore[union-attr]
