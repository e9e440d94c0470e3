"""Write src/regraft/networks/zoo/zoo.json: builds every network of the table without values, and counts.

Run: python scripts/build_zoo.py
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import torch
from torchvision import models

from regraft.networks.anatomy import count_parts
from regraft.networks.counting import describe_network
from regraft.networks.zoo import cards
from regraft.networks.zoo.cards import Card, Published
from regraft.networks.zoo.catalogues import timm_input, torchvision_input
from regraft.records import InputSpec, Recipe
from regraft.storage.files import write_atomically

HERE = Path(__file__).parent
TARGET = HERE.parent / "src" / "regraft" / "networks" / "zoo" / "zoo.json"
GREY = InputSpec(size_px=32, channels=1, mean=(0.0,), std=(1.0,), interpolation="bilinear", crop_share=1.0)
SMALL = InputSpec(size_px=32, interpolation="bicubic", crop_share=1.0)
LARGE = InputSpec(interpolation="bilinear")
OURS = {"lenet5": "Apache-2.0"}  # weights that the package ships


def compute_card(name: str, family: str, facts: dict[str, Any], options: dict[str, Any]) -> Card:
    """One network's card from what is typed about it."""
    library = options.get("library", "timm")
    recipe = Recipe(
        library=library,
        name=options.get("recipe", name),
        kwargs=options.get("kwargs", {}),
        stages=options.get("stages", "coarse"),
    )
    ilsvrc, top1 = options.get("ilsvrc"), options.get("top1")
    card = describe_network(name, recipe=recipe, input_spec=input_of(recipe))
    typed: dict[str, Any] = {
        "family": family,
        "year": options.get("year", facts["year"]),
        "paper": facts["paper"],
        "ilsvrc_top5": Published(value=ilsvrc[0], source=ilsvrc[1]) if ilsvrc else None,
        "imagenet_top1": Published(value=top1[0], source=top1[1]) if top1 else measured(options),
    }
    if library == "regraft":
        typed["licence"] = OURS.get(name, "none published")
    return card.model_copy(update=typed)


def input_of(recipe: Recipe) -> InputSpec:
    """What a network of the table expects to see."""
    if recipe.library == "regraft":
        return GREY if recipe.name == "lenet5" else SMALL if "cifar" in recipe.name else LARGE
    return timm_input(recipe.name) if recipe.library == "timm" else torchvision_input(recipe.name)


def measured(known: dict[str, Any]) -> Published | None:
    """What torchvision measured for its first weights of a network, and what that network costs."""
    name = known.get("torchvision")
    if name is None:
        return None
    weights = models.get_model_weights(name)["IMAGENET1K_V1"]
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    with torch.device("meta"):
        network = models.get_model(name, **options)
    side = weights.transforms().crop_size[0]
    cost = count_parts([network.eval()], (3, side, side))[0].multiply_adds
    value = weights.meta["_metrics"]["ImageNet-1K"]["acc@1"]
    return Published(value=value, source=f"torchvision, {weights}", multiply_adds=cost)


def main() -> None:
    facts = tomllib.loads((HERE / "zoo_facts.toml").read_text(encoding="utf-8"))
    cards.cards = dict  # type: ignore[assignment] # cards are computed without looking at old ones
    lines = []
    for family, shared in facts.items():
        for name, options in shared["networks"].items():
            card = compute_card(name, family, shared, options)
            lines.append(json.dumps(card.model_dump(mode="json"), separators=(",", ":")))
            print(f"{name}: {card.parameters:,} parameters, depth {card.depth}, {len(card.stages)} stages")
    write_atomically(TARGET, ("[\n" + ",\n".join(lines) + "\n]\n").encode())
    print(f"wrote {TARGET}")


if __name__ == "__main__":
    main()
