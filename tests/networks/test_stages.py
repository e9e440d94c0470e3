from __future__ import annotations

import pytest
import torch

from regraft.errors import NetworkError
from regraft.networks.architectures.building import build
from regraft.networks.cuts import cut_count
from regraft.networks.network import Network, load_network, stages_of
from regraft.networks.stages import split_into_stages
from regraft.networks.weights.finding import find_weights
from regraft.networks.zoo.cards import cards
from regraft.networks.zoo.catalogues import find_recipe, torchvision_input
from regraft.records import InputSpec, Recipe, WeightsSource
from tests.networks.families import small_side
from tests.networks.sample import by_turns, in_turn

FINE = ["resnet50", "vit_tiny_patch16_224", "convnext_tiny", "vgg16", "googlenet"]
TORCHVISION = ["shufflenet_v2_x0_5", "mnasnet0_5", "densenet121", "swin_t", "regnet_y_400mf", "maxvit_t"]


def staged_output(recipe: Recipe, spec: InputSpec) -> tuple[torch.Tensor, torch.Tensor, int]:
    """What the stages give one after another, what the network gives, and the number of stages."""
    torch.manual_seed(0)
    module = build(recipe)
    staged, uncut = stages_of(module, recipe)
    assert not uncut
    side = small_side(recipe, spec)
    value = images = torch.randn(2, spec.channels, side, side, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        for stage in staged.stages:
            value = stage.module(value)
        return staged.classifier(value), module(images), len(staged.stages)


@pytest.mark.slow
@pytest.mark.parametrize("name", by_turns())
def test_composing_the_stages_gives_the_networks_own_output_bit_for_bit(name: str) -> None:
    composed, own, count = staged_output(*find_recipe(name))
    assert torch.equal(composed, own)
    assert count >= 4


@pytest.mark.slow
@pytest.mark.parametrize("name", in_turn(TORCHVISION, 2))
def test_networks_of_torchvision_are_staged_too(name: str) -> None:
    recipe = Recipe(library="torchvision", name=name)
    composed, own, _ = staged_output(recipe, torchvision_input(name))
    assert torch.equal(composed, own)


@pytest.mark.slow
@pytest.mark.parametrize("name", in_turn(FINE, 2))
def test_fine_stages_compose_to_the_same(name: str) -> None:
    recipe, spec = find_recipe(name)
    composed, own, count = staged_output(recipe.model_copy(update={"stages": "fine"}), spec)
    assert torch.equal(composed, own)
    assert count >= len(cards()[name].stages)


def test_fine_stages_of_a_residual_network_are_its_blocks() -> None:
    with torch.device("meta"):
        module = build(Recipe(library="timm", name="resnet18"))
    names = [stage.name for stage in split_into_stages(module, fine=True).stages]
    assert names == ["stem", *(f"layer{group}.{block}" for group in (1, 2, 3, 4) for block in (0, 1))]


def test_a_network_is_cut_anywhere() -> None:
    card = cards()["resnet18"]
    module = build(card.recipe)
    staged = split_into_stages(module)
    source = WeightsSource(where="random", sha256="0" * 64, licence="none")
    network = Network("resnet18", card.input_spec, source, staged.stages, staged.classifier, module)
    batch = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(network.forward(batch), module(batch))
        for place in (0, 1, len(staged.stages)):
            prefix, tail = network.cut(place)
            assert torch.equal(staged.classifier(tail(prefix(batch))), module(batch))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["crossvit_tiny_240", "vit_tiny_patch16_dinov3_qkvb"])
def test_a_network_that_cant_be_cut_works_as_one_stage_and_says_why(name: str) -> None:
    recipe, spec = find_recipe(name)
    module = build(recipe)
    staged, uncut = stages_of(module, recipe)
    batch = torch.randn(1, 3, spec.size_px, spec.size_px)
    with torch.inference_mode():
        assert torch.equal(staged.classifier(staged.stages[0].module(batch)), module(batch))
    assert [stage.name for stage in staged.stages] == ["network"]
    assert "can't be" in uncut


class Optional(torch.nn.Module):
    """Its forward pass has an option, which tracing must leave at its default."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = torch.nn.Conv2d(3, 4, 3), torch.nn.Conv2d(4, 4, 3)
        self.fc = torch.nn.Linear(4, 2)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        x = self.one(x)
        if mask is not None:
            x = x * mask
        return self.fc(self.two(x).mean(dim=(2, 3)))


def test_options_of_the_forward_pass_keep_their_defaults() -> None:
    network = Optional().eval()
    staged = split_into_stages(network)
    images = torch.randn(1, 3, 8, 8)
    value = images
    for stage in staged.stages:
        value = stage.module(value)
    assert torch.equal(staged.classifier(value), network(images))
    assert type(network) is Optional


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

    with pytest.raises(NetworkError, match="Moody can't be divided into stages"):
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
