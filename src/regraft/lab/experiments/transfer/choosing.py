"""Small or large, similar or dissimilar: every strategy in every cell of the textbook's table."""

from __future__ import annotations

import copy

import torch
from torch import nn

from regraft.lab.bench.networks import convolutional
from regraft.lab.bench.sets import SIZE_PX, Labelled, SmallSet, chosen, gratings
from regraft.lab.bench.subject import Bench, value
from regraft.lab.bench.training import Small, evaluated, passed, settings, trained
from regraft.lab.results.experiment import Choices
from regraft.lab.results.rows import Value
from regraft.progress import Reporter

EARLY, LAST, BLOCKS = "head on an early stage", "head on the last stage", "last blocks"
FULL, SCRATCH = "whole network", "from scratch"
SIZES, KINDS = ("small", "large"), ("similar", "dissimilar")
CELLS = tuple(f"{size}, {kind}" for size in SIZES for kind in KINDS)
TEXTBOOK = {
    "small, similar": LAST,
    "small, dissimilar": EARLY,
    "large, similar": FULL,
    "large, dissimilar": FULL,
}
"""What CS231n's notes recommend."""
DISTANCE = "distance to the source"
_BATCH = 25
_CUTS = {EARLY: 2, LAST: 5, BLOCKS: 3, FULL: 0, SCRATCH: 0}


def carried_out(
    strategy: str, source: Small, train: Labelled, test: Labelled, *, steps: int, seed: int
) -> float:
    """The test accuracy of a strategy: a cut of the source network, and what is trained after it."""
    new = convolutional(int(train.targets.max()) + 1, seed=seed)
    stages = new.stages if strategy == SCRATCH else copy.deepcopy(source.stages)
    cut = _CUTS[strategy]
    frozen = [stage.module for stage in stages[:cut]]
    tail = () if strategy in (EARLY, LAST) else stages[cut:]
    if strategy == EARLY:
        new = Small(new.stages, _early_head(frozen, train, int(train.targets.max()) + 1))
    network = Small(tail, new.head)
    rate = 0.003 if tail else 0.01
    plan = settings(epochs=-(-steps // -(-len(train) // _BATCH)), lr=rate, effective_batch=_BATCH)
    trained(network, passed(frozen, train), plan, seed=seed)
    return evaluated([*frozen, network.whole], test)[1]


def _early_head(frozen: list[nn.Module], train: Labelled, classes: int) -> nn.Module:
    """A head on all values of an early map, since its mean over positions would lose where things are."""
    width = passed(frozen, Labelled(train.images[:1], train.targets[:1])).images.numel()
    linear = nn.Linear(width, classes)
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    return nn.Sequential(nn.Flatten(), linear)


@torch.no_grad()
def distance_to(source: Small, given: Labelled) -> float:
    """The distance of images to the source, in units of its spread, as its network's BatchNorms see them.

    The squared 2-Wasserstein distance of Gaussians over 4 variances, the mean over channels and layers.
    """
    found, values = list[torch.Tensor](), given.images
    for stage in source.stages:
        for module in stage.module.eval().children():
            if isinstance(module, nn.BatchNorm2d):
                assert module.running_mean is not None
                assert module.running_var is not None
                mean, spread = values.mean(dim=(0, 2, 3)), values.std(dim=(0, 2, 3))
                own = module.running_var.sqrt().clamp(min=1e-3)
                gap = (mean - module.running_mean).square() + (spread - own).square()
                found.append((gap / (4 * own.square())).clamp(max=1).mean())
            values = module(values)
    return float(torch.stack(found).mean())


def prepare(choices: Choices, reporter: Reporter) -> Bench:
    """A source of digits, its other digits as the similar target, and gratings as the dissimilar one."""
    few, many, before, steps = (4, 40, 15, 100) if choices.is_quick else (5, 80, 30, 400)
    data = chosen(choices.data, per_class=many, reporter=reporter, own_px=SIZE_PX, classes=4)
    half = data.classes // 2
    targets: dict[str, SmallSet] = {KINDS[0]: data.of(range(half, data.classes)), KINDS[1]: gratings()}
    facts = {
        "data": data.key, "dissimilar": targets[KINDS[1]].key, "images of a class": [few, many],
        "test images": 300, "epochs of the source": before, "steps": steps,
        "rates of heads and of networks": [0.01, 0.003], "batch": _BATCH,
    }  # fmt: skip
    kept: dict[int, Small] = {}

    def measured(arm: str, seed: int, reporter: Reporter) -> tuple[Value, ...]:
        del reporter
        if seed not in kept:
            kept.clear()
            own = data.of(range(half))
            kept[seed] = convolutional(own.classes, seed=seed)
            trained(
                kept[seed], own.sample(seed, per_class=many, test=1)[0], settings(epochs=before), seed=seed
            )
        found = []
        for cell in CELLS:
            size, kind = cell.split(", ")
            count = few if size == SIZES[0] else many
            train, test = targets[kind].sample(seed, per_class=count, test=300)
            reached = carried_out(arm, kept[seed], train, test, steps=steps, seed=1000 + seed)
            found.append(value(f"accuracy, {cell}", reached))
            if size == SIZES[1]:
                found.append(value(f"{DISTANCE}, {kind}", distance_to(kept[seed], test), "spreads"))
        return tuple(found)

    about = (
        f"{data.about}: the first half of the classes is the source, the other half the similar target; "
        f"the dissimilar target is {targets[KINDS[1]].about}"
    )
    return Bench(about, facts, measured)
