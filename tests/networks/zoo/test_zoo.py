from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torchvision import models

from regraft.networks.architectures.building import build
from regraft.networks.counting import describe_network
from regraft.networks.zoo.cards import cards

# Millions of parameters as the papers print them; GoogLeNet: 5 without its classifier, 7 with it.
PUBLISHED = {
    "alexnet2012": (60, 61), "alexnet": (61, 61.2), "vgg11": (132.5, 133.5), "vgg13": (132.5, 133.5),
    "vgg16": (137.5, 138.5), "vgg19": (143.5, 144.5), "googlenet": (6.5, 7.5), "inception_v3": (23.5, 24.5),
    "resnet18": (11.6, 11.8), "resnet34": (21.7, 21.9), "resnet50": (25.5, 25.7), "resnet101": (44.5, 44.7),
    "resnet152": (59.5, 60.5), "xception": (22.8, 22.9), "mobilenetv1_100": (4.15, 4.25),
    "mobilenetv2_100": (3.35, 3.55), "mobilenetv3_small_100": (2.45, 2.95),
    "mobilenetv3_large_100": (5.35, 5.55), "efficientnet_b0": (5.25, 5.35), "efficientnet_b1": (7.75, 7.85),
    "efficientnet_b2": (9.05, 9.25), "efficientnet_b3": (11.5, 12.5), "efficientnet_b4": (18.5, 19.5),
    "efficientnet_b5": (29.5, 30.5), "efficientnet_b6": (42.5, 43.5), "efficientnet_b7": (65.5, 66.5),
    "vit_base_patch16_224": (85.5, 86.7), "cifar_resnet20": (0.265, 0.275), "cifar_resnet32": (0.455, 0.465),
    "cifar_resnet44": (0.655, 0.665), "cifar_resnet56": (0.845, 0.855), "cifar_resnet110": (1.65, 1.75),
}  # fmt: skip
DEPTHS = {
    "lenet5": 5, "alexnet2012": 8, "zfnet": 8, "googlenet": 22, "inception_v3": 48, "mobilenetv1_100": 28,
    **{f"vgg{depth}": depth for depth in (11, 13, 16, 19)},
    **{f"resnet{depth}": depth for depth in (18, 34, 50, 101, 152)},
    **{f"cifar_{kind}{depth}": depth for kind in ("resnet", "plain") for depth in (20, 32, 44, 56, 110)},
}  # fmt: skip
# Where timm and torchvision build the same network, torchvision states what it counted.
TWINS = {
    "resnet50": "resnet50", "vgg16": "vgg16", "googlenet": "googlenet", "mobilenetv2_100": "mobilenet_v2",
    "mobilenetv3_large_100": "mobilenet_v3_large", "efficientnet_b0": "efficientnet_b0",
    "vit_base_patch16_224": "vit_b_16", "convnext_tiny": "convnext_tiny", "inception_v3": "inception_v3",
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_the_papers(name: str) -> None:
    low, high = PUBLISHED[name]
    assert low <= cards()[name].parameters / 1e6 <= high


def test_googlenet_without_its_classifier_has_about_five_million() -> None:
    card = cards()["googlenet"]
    assert 5 <= (card.parameters - card.classifier.parameters) / 1e6 <= 6


@pytest.mark.parametrize("name", DEPTHS)
def test_depths_are_those_that_the_networks_are_named_after(name: str) -> None:
    assert cards()[name].depth == DEPTHS[name]


@pytest.mark.parametrize("name", TWINS)
def test_multiply_adds_are_those_that_torchvision_states(name: str) -> None:
    stated = models.get_model_weights(TWINS[name])["IMAGENET1K_V1"].meta["_ops"]
    assert cards()[name].multiply_adds / 1e9 == pytest.approx(stated, abs=0.0051)


@pytest.mark.parametrize("name", ["lenet5", "zfnet", "googlenet", "cifar_plain20", "mobilenetv3_small_100"])
def test_the_table_says_what_is_counted_now(name: str) -> None:
    assert describe_network(name) == cards()[name]


def test_parts_add_up() -> None:
    for card in cards().values():
        parts = [*card.stages, card.classifier]
        assert sum(part.parameters for part in parts) == card.parameters
        assert sum(part.multiply_adds for part in parts) == card.multiply_adds
        assert [part.depth for part in parts] == sorted(part.depth for part in parts)


def test_plain_networks_differ_from_residual_ones_in_shortcuts_alone() -> None:
    residual, plain = (build(cards()[f"cifar_{kind}20"].recipe) for kind in ("resnet", "plain"))
    plain.load_state_dict(residual.state_dict())
    for module in (residual, plain):  # a block whose own part is zero passes its input on, or nothing
        for name, parameter in module.named_parameters():
            if "norm2" in name:
                torch.nn.init.zeros_(parameter)
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        through = residual.layer1(residual.stem(images))  # type: ignore[operator]
        assert torch.equal(through, residual.stem(images))  # type: ignore[operator]
        assert not plain.layer1(plain.stem(images)).any()  # type: ignore[operator]


def test_the_widening_shortcut_takes_every_second_position_and_pads_channels() -> None:
    network = build(cards()["cifar_resnet20"].recipe)
    block = network.layer2[0]  # type: ignore[index]
    torch.nn.init.zeros_(block.norm2.weight)
    images = torch.rand(1, 16, 8, 8)
    with torch.no_grad():
        out = block(images)
    assert torch.equal(out[:, 8:24], images[:, :, ::2, ::2])
    assert not out[:, :8].any()
    assert not out[:, 24:].any()


def test_response_normalisation_is_the_papers_formula() -> None:
    norm = build(cards()["alexnet2012"].recipe).features.conv1[2]  # type: ignore[union-attr, index]
    values = torch.rand(1, 7, 1, 1)
    squares = [
        sum(float(values[0, j, 0, 0]) ** 2 for j in range(max(0, i - 2), min(7, i + 3))) for i in range(7)
    ]
    expected = [float(values[0, i, 0, 0]) / (2 + 1e-4 * squares[i]) ** 0.75 for i in range(7)]
    assert norm(values).flatten().tolist() == pytest.approx(expected, rel=1e-6)


def test_columns_of_alexnet_see_half_the_channels() -> None:
    features = build(cards()["alexnet2012"].recipe).features
    groups = [layer[0].groups for layer in features]  # type: ignore[union-attr, index]
    assert groups == [1, 2, 1, 2, 2]


@pytest.mark.parametrize(
    ("name", "shape"), [("zfnet", (256, 6, 6)), ("alexnet2012", (256, 6, 6)), ("cifar_resnet56", (64, 8, 8))]
)
def test_maps_are_as_large_as_in_the_papers_figures(name: str, shape: tuple[int, ...]) -> None:
    assert shape in [stage.shape for stage in cards()[name].stages]


@pytest.mark.children
def test_listing_the_zoo_imports_neither_torch_nor_timm() -> None:
    code = (
        "import sys; from regraft.cli.app import run; assert run(['zoo', '--sort', 'top1']) == 0; "
        "assert not {'torch', 'timm', 'torchvision'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize("name", ["mobilenetv1_100", "mobilenetv2_100", "squeezenet1_1"])
def test_weights_reach_the_accuracy_that_their_recipe_states(
    name: str, shared: Callable[[str], Path]
) -> None:
    """On the images listed there (one JPEG of each ImageNet class, in the order of their names)."""
    photos = sorted(shared("data/imagenet-sample-images").glob("*.JPEG"))
    from regraft.data.pictures.loading import load_input
    from regraft.networks.network import load_network
    from regraft.networks.weights.finding import find_weights

    weights = find_weights(name, weights=shared("weights"))
    spec = weights.input_spec
    network = load_network(weights)
    mean, std = (torch.tensor(value).view(3, 1, 1) for value in (spec.mean, spec.std))
    right = 0
    for label, photo in enumerate(photos):
        pixels = torch.from_numpy(load_input(photo, spec).copy()).permute(2, 0, 1) / 255
        with torch.inference_mode():
            right += int(network.forward(((pixels - mean) / std)[None]).argmax()) == label
    stated = json.loads((shared("weights") / f"{name}.json").read_text())["measured_1000"]
    assert 100 * right / len(photos) == pytest.approx(stated["from_this_file"]["top1"], abs=0.5)
