"""The accuracy on the source task while a network is fine-tuned on another one."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from torch import nn

from regraft.lab.bench.networks import convolutional, head, small
from regraft.lab.bench.sets import Labelled, SmallSet, chosen
from regraft.lab.bench.subject import Bench, value
from regraft.lab.bench.training import Small, evaluated, passed, settings, trained
from regraft.lab.results.experiment import Choices
from regraft.lab.results.rows import Value
from regraft.progress import Reporter
from regraft.training.loop.batches import TensorSource

RATES = (0.001, 0.003, 0.01, 0.03, 0.1)
FROZEN, GRADUAL, ANCHORED = "frozen", "gradual unfreezing", "L2-SP"
SOURCE, TARGET = "source accuracy", "target accuracy"
ARMS: dict[str, dict[str, Any]] = {
    **{f"rate {rate:g}": {"lr": rate} for rate in RATES},
    FROZEN: {"lr": RATES[-1]},
    GRADUAL: {"lr": RATES[-2], "phases": 3},
    ANCHORED: {"lr": RATES[-2], "l2_sp": 3.0},
}


class WatchedSource(TensorSource):
    """The training images; before each epoch, something is looked at.

    Args:
        images: the images.
        look: receives the number of epochs that are done.
    """

    def __init__(self, images: Any, look: Callable[[int], None]) -> None:
        super().__init__(images)
        self._look = look

    def begin(self, epoch: int, reporter: Reporter) -> None:
        del reporter
        self._look(epoch)


def tuned(
    source: Small, arm: str, train: Labelled, look: Callable[[Small, int], None], *, epochs: int, seed: int
) -> None:
    """Fine-tune a copy of a network with a new head; `look` receives it after each number of epochs."""
    classes = int(train.targets.max()) + 1
    stages = copy.deepcopy(source.stages)
    width = [module for module in source.head.modules() if isinstance(module, nn.Linear)][-1].in_features
    network = Small(stages, small([], head(width, classes), seed=seed).head)
    plan = settings(
        **{
            "epochs": epochs, "optimizer": "sgd", "schedule": "constant", "effective_batch": 25,
            "batchnorm": "frozen",
            "clip_norm": 1.0,
        } | ARMS[arm]
    )  # fmt: skip
    seen = passed([stage.module for stage in stages], train) if arm == FROZEN else train
    part = Small((), network.head) if arm == FROZEN else network
    trained(
        part, seen, plan, seed=seed, source=WatchedSource(seen.images, lambda epoch: look(network, epoch))
    )
    look(network, epochs)


def prepare(choices: Choices, reporter: Reporter) -> Bench:
    """Two halves of the classes: the source, and the target."""
    per_class, before, epochs = (40, 15, 20) if choices.is_quick else (80, 30, 30)
    data = chosen(choices.data, per_class=per_class, reporter=reporter, classes=4)
    half = data.classes // 2
    parts: tuple[SmallSet, SmallSet] = (data.of(range(half)), data.of(range(half, data.classes)))
    facts = {
        "data": data.key, "images of a class": [per_class, per_class // 4], "test images": 300,
        "epochs": [before, epochs], "settings": ARMS, "momentum": 0.9, "batch": 25, "largest gradient": 1.0,
    }  # fmt: skip
    kept: dict[int, tuple[Small, Labelled]] = {}

    def source_of(seed: int) -> tuple[Small, Labelled]:
        if seed not in kept:
            train, test = parts[0].sample(seed, per_class=per_class, test=300)
            network = convolutional(parts[0].classes, seed=seed)
            trained(network, train, settings(epochs=before), seed=seed)
            kept.clear()
            kept[seed] = network, test
        return kept[seed]

    def measured(arm: str, seed: int, reporter: Reporter) -> tuple[Value, ...]:
        del reporter
        source, old = source_of(seed)
        train, new = parts[1].sample(seed, per_class=per_class // 4, test=300)
        seen: dict[int, tuple[float, float]] = {}

        def look(network: Small, epoch: int) -> None:
            body = [stage.module for stage in network.stages]
            seen[epoch] = evaluated([*body, source.head], old)[1], evaluated([*body, network.head], new)[1]

        tuned(source, arm, train, look, epochs=epochs, seed=seed)
        found = []
        for number, what in enumerate((SOURCE, TARGET)):
            found += [value(f"{what}, epoch {epoch}", one[number]) for epoch, one in sorted(seen.items())]
            found.append(value(what, seen[epochs][number]))
        return (*found, value("source accuracy before", seen[0][0]))

    about = (
        f"{data.about}; the source is the first half of the classes, the target the other half, with few "
        "images"
    )
    return Bench(about, facts, measured)
