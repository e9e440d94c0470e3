from __future__ import annotations

import pytest
import torch

from regraft.errors import NetworkError
from regraft.networks.building import build
from regraft.networks.cuts import cut_count
from regraft.networks.network import Network, load_network
from regraft.networks.stages import split_into_stages
from regraft.networks.weights import find_weights
from regraft.networks.zoo import cards
from regraft.records import InputSpec, Recipe, WeightsSource

# Architectures beyond the table, the smallest member of each family.
OTHERS = [
    ("timm", "resnet10t"),
    ("timm", "densenet121"),
    ("timm", "mobilenetv3_small_050"),
    ("timm", "regnetx_002"),
    ("timm", "swin_tiny_patch4_window7_224"),
    ("timm", "mixer_s32_224"),
    ("timm", "inception_v3"),
    ("timm", "deit_tiny_distilled_patch16_224"),
    ("torchvision", "alexnet"),
    ("torchvision", "shufflenet_v2_x0_5"),
    ("torchvision", "mnasnet0_5"),
    ("torchvision", "googlenet"),
]


def images(spec: InputSpec) -> torch.Tensor:
    size = 299 if spec.size_px > 224 else spec.size_px
    return torch.randn(2, spec.channels, size, size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", sorted(cards()))
def test_composing_the_stages_gives_the_networks_own_output_bit_for_bit(name: str) -> None:
    card = cards()[name]
    torch.manual_seed(0)
    module = build(card.recipe)
    staged = split_into_stages(module, extra_levels=card.stage_levels)
    source = WeightsSource(where="random", sha256="0" * 64, licence="none")
    network = Network(name, card.input_spec, source, staged.stages, staged.classifier, module)
    batch = images(card.input_spec)
    with torch.inference_mode():
        assert torch.equal(network.forward(batch), module(batch))
        for place in (0, 1, len(staged.stages)):
            prefix, tail = network.cut(place)
            assert torch.equal(staged.classifier(tail(prefix(batch))), module(batch))


@pytest.mark.parametrize("name", sorted(cards()))
def test_the_table_names_the_stages_that_the_network_has(name: str) -> None:
    card = cards()[name]
    staged = split_into_stages(build(card.recipe), extra_levels=card.stage_levels)
    assert [stage.name for stage in staged.stages] == [stage.name for stage in card.stages]


@pytest.mark.parametrize(("library", "name"), OTHERS)
def test_other_networks_are_staged_too(library: str, name: str) -> None:
    arguments = {"aux_logits": False} if name == "googlenet" else {}
    torch.manual_seed(0)
    module = build(Recipe.model_validate({"library": library, "name": name, "kwargs": arguments}))
    staged = split_into_stages(module)
    batch = images(InputSpec(size_px=299 if name == "inception_v3" else 224))
    assert len(staged.stages) >= 4
    with torch.inference_mode():
        value = batch
        for stage in staged.stages:
            value = stage.module(value)
        assert torch.equal(staged.classifier(value), module(batch))


def test_stages_hold_every_parameter_once() -> None:
    module = build(cards()["resnet18"].recipe)
    staged = split_into_stages(module)
    parts = [*(stage.module for stage in staged.stages), staged.classifier]
    held = [id(parameter) for part in parts for parameter in part.parameters()]
    assert sorted(held) == sorted(id(parameter) for parameter in module.parameters())


def test_a_network_that_depends_on_values_says_so() -> None:
    class Moody(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(NetworkError, match="Moody can't be staged"):
        split_into_stages(Moody())


def test_loading_leaves_nothing_to_train() -> None:
    network = load_network(find_weights("lenet5"))
    modules = [stage.module for stage in network.stages]
    assert not any(p.requires_grad for module in modules for p in module.parameters())
    assert not any(module.training for module in modules)


@pytest.mark.parametrize(
    ("place", "count"), [("layer2", 2), (0, 0), ("3", 3), ("100%", 3), ("67%", 2), (" 1 ", 1)], ids=str
)
def test_cuts_are_understood(place: str | int, count: int) -> None:
    assert cut_count(["layer1", "layer2", "layer3"], place) == count


@pytest.mark.parametrize("place", ["layer9", "4", "-1", "101%", "x%"])
def test_impossible_cuts_say_what_is_accepted(place: str) -> None:
    with pytest.raises(NetworkError, match=r"accepted are a count from 0 to 3, .* layer1, layer2, layer3"):
        cut_count(["layer1", "layer2", "layer3"], place)
