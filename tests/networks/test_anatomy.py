from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from regraft.networks.anatomy import count_parts
from regraft.networks.counting import describe_network
from regraft.networks.zoo.cards import cards


def count_one(module: nn.Module, *shape: int) -> tuple[int, int, int]:
    count = count_parts([module.to("meta").eval()], shape)[0]
    return count.parameters, count.multiply_adds, count.trace.depth


def test_a_convolution_is_counted_as_by_hand() -> None:
    # 5 x 5 filters over 3 channels and a bias, for 8 maps of 14 x 14 positions (32 - 4 in steps of 2)
    assert count_one(nn.Conv2d(3, 8, 5, stride=2), 3, 32, 32) == (8 * (75 + 1), 8 * 75 * 14 * 14, 1)


def test_groups_divide_the_work() -> None:
    assert count_one(nn.Conv2d(8, 8, 3, groups=4, bias=False), 8, 10, 10) == (8 * 2 * 9, 8 * 2 * 9 * 64, 1)


def test_a_linear_layer_of_tokens_is_counted_for_each_token() -> None:
    assert count_one(nn.Linear(16, 32, bias=False), 10, 16) == (512, 5120, 1)


def test_the_longest_way_counts() -> None:
    class Fork(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.deep = nn.Sequential(*(nn.Conv2d(4, 4, 3, padding=1) for _ in range(3)))
            self.short = nn.Conv2d(4, 4, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.deep(x) + self.short(x)

    count = count_parts([Fork().to("meta")], (4, 8, 8))[0]
    assert count.trace.depth == 3
    assert count.trace.field_px == 7


@pytest.mark.parametrize(
    ("layers", "field"),
    [
        ([nn.Conv2d(1, 1, 3)], 3),
        ([nn.Conv2d(1, 1, 3, dilation=2)], 5),
        ([nn.Conv2d(1, 1, 3, stride=2), nn.Conv2d(1, 1, 3)], 7),
        ([nn.MaxPool2d(2), nn.Conv2d(1, 1, 3)], 6),
        ([nn.AvgPool2d(2), nn.AvgPool2d(2), nn.Conv2d(1, 1, 3)], 12),
    ],
    ids=["3x3", "dilated", "after a stride", "after a pool", "after two pools"],
)
def test_receptive_fields_are_as_by_hand(layers: list[nn.Module], field: int) -> None:
    module = nn.Sequential(*layers).to("meta")
    assert count_parts([module], (1, 64, 64))[0].trace.field_px == field


# Araujo, Norris, Sim, "Computing Receptive Fields of Convolutional Neural Networks", Distill 2019, table.
# Its resnet has its strides in the 1 x 1 convolutions, and is not compared.
@pytest.mark.parametrize(
    ("name", "stage", "field"),
    [
        ("alexnet", "features.10", 195),
        ("vgg16", "features.28", 212),
        ("inception_v3", "Mixed_7c", 1311),
        ("mobilenetv1_100", "blocks.4.1", 315),
    ],
)
def test_receptive_fields_are_those_that_others_computed(name: str, stage: str, field: int) -> None:
    assert {one.name: one.field_px for one in cards()[name].stages}[stage] == field


def test_attention_sees_everything() -> None:
    stages = cards()["vit_small_patch16_224"].stages
    assert [stage.field_px for stage in stages[:2]] == [16, None]


def test_counting_draws_no_weights() -> None:
    state = torch.random.get_rng_state()
    assert describe_network("resnet10t").depth == 12  # its stem has three convolutions
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_gate_is_no_receptive_field() -> None:
    class Gate(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.gate = nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.conv(x)
            return x * self.gate(x.mean((2, 3), keepdim=True)).sigmoid()

    trace = count_parts([Gate().to("meta")], (4, 9, 9))[0].trace
    assert (trace.field_px, trace.depth) == (3, 2)
    assert not math.isinf(trace.field_px)
