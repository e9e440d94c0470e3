"""Write src/regraft/networks/zoo.json: builds every network of the table and counts.

Run: python scripts/build_zoo.py
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from regraft.networks.building import build
from regraft.networks.stages import split_into_stages
from regraft.networks.zoo import Card, StageCard
from regraft.records import InputSpec, Recipe
from regraft.storage import write_json

_TV = "https://download.pytorch.org/models/"
# name, family, year, paper, library, module levels for stages
TYPED = [
    ("lenet5", "LeNet", 1998, "LeCun et al., Proc. IEEE 86(11)", "regraft", 0),
    ("vgg16", "VGG", 2014, "Simonyan & Zisserman, arXiv:1409.1556", "timm", 0),
    ("resnet18", "ResNet", 2015, "He et al., arXiv:1512.03385", "timm", 0),
    ("resnet34", "ResNet", 2015, "He et al., arXiv:1512.03385", "timm", 0),
    ("resnet50", "ResNet", 2015, "He et al., arXiv:1512.03385", "timm", 0),
    ("squeezenet1_1", "SqueezeNet", 2016, "Iandola et al., arXiv:1602.07360", "torchvision", 0),
    ("mobilenetv1_100", "MobileNet", 2017, "Howard et al., arXiv:1704.04861", "timm", 1),
    ("mobilenetv2_100", "MobileNet", 2018, "Sandler et al., arXiv:1801.04381", "timm", 1),
    ("efficientnet_b0", "EfficientNet", 2019, "Tan & Le, arXiv:1905.11946", "timm", 1),
    ("vit_small_patch16_224", "ViT", 2020, "Dosovitskiy et al., arXiv:2010.11929", "timm", 0),
    ("convnext_tiny", "ConvNeXt", 2022, "Liu et al., arXiv:2201.03545", "timm", 0),
]
OWN_INPUT = InputSpec(
    size_px=32, channels=1, mean=(0.0,), std=(1.0,), interpolation="bilinear", crop_share=1.0
)


def published(name: str, library: str) -> tuple[str | None, str, InputSpec]:
    """Where the weights are published, under which licence, and for which input."""
    if library == "regraft":
        return None, "Apache-2.0", OWN_INPUT
    if library == "torchvision":
        from torchvision.models import get_model_weights

        weights = get_model_weights(name).DEFAULT
        crop, resize = weights.transforms().crop_size[0], weights.transforms().resize_size[0]
        spec = InputSpec(size_px=crop, interpolation="bilinear", crop_share=crop / resize)
        return weights.url, "BSD-3-Clause", spec
    from timm.models import get_pretrained_cfg

    from regraft.networks.building import _timm_input

    config = get_pretrained_cfg(name)
    return config.hf_hub_id, config.license or "apache-2.0", _timm_input(name)


def compute_card(name: str, family: str, year: int, paper: str, library: str, levels: int) -> Card:
    hub, licence, spec = published(name, library)
    arguments = {"num_classes": 5} if library == "regraft" else {}
    recipe = Recipe(library=library, name=name, kwargs=arguments)
    network = build(recipe)
    staged = split_into_stages(network, extra_levels=levels)
    image = torch.zeros(1, spec.channels, spec.size_px, spec.size_px)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(image)
    stages, value = [], image
    with torch.no_grad():
        for stage in staged.stages:
            value = stage.module(value)
            count = sum(parameter.numel() for parameter in stage.module.parameters())
            stages.append(StageCard(name=stage.name, shape=tuple(value.shape[1:]), parameters=count))
    return Card(
        name=name,
        family=family,
        year=year,
        paper=paper,
        recipe=recipe,
        hub=hub,
        licence=licence,
        input_spec=spec,
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        multiply_adds=counter.get_total_flops() // 2,
        stage_levels=levels,
        stages=tuple(stages),
    )


if __name__ == "__main__":
    target = Path(__file__).parents[1] / "src" / "regraft" / "networks" / "zoo.json"
    write_json(target, [compute_card(*row).model_dump(mode="json") for row in TYPED])
    print(f"wrote {target}")
