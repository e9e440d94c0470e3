"""How transferable each layer is: AnB, AnB+, BnB and BnB+ at every cut, on two halves of the classes."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from regraft.lab.bench.networks import convolutional
from regraft.lab.bench.sets import Labelled, SmallSet, chosen
from regraft.lab.bench.subject import value
from regraft.lab.bench.training import Small, accuracy, evaluated, passed, settings, trained
from regraft.lab.results.experiment import Choices
from regraft.lab.results.rows import Value
from regraft.progress import Reporter
from regraft.randomness import generator
from regraft.settings import TrainSettings

ANB, ANB_TUNED, BNB, BNB_TUNED = "AnB", "AnB+", "BnB", "BnB+"
CUTS = 5
"""The number of layers below the head."""


@dataclass(frozen=True)
class Bases:
    """Two networks, each trained on one half of the classes, and the data of the second half."""

    a: Small
    b: Small
    train: Labelled
    test: Labelled
    classes: int
    """Classes of half B."""


def transferred(arm: str, cut: int, bases: Bases, plan: TrainSettings, *, seed: int) -> float:
    """The accuracy on half B with the first layers of a base: kept as they are, or trained with the others.

    Args:
        arm: which base the first layers come from, and whether they are trained.
        cut: how many layers are taken from it; the others and the head are new.
        bases: the two networks.
        plan: settings of the training.
        seed: random seed of the new layers and of the training.
    """
    base = copy.deepcopy(bases.a if arm in (ANB, ANB_TUNED) else bases.b)
    new = convolutional(bases.classes, seed=seed)
    taken, rest = base.stages[:cut], new.stages[cut:]
    if arm in (ANB_TUNED, BNB_TUNED):
        network = Small((*taken, *rest), new.head)
        trained(network, bases.train, plan, seed=seed)
        return accuracy(network, bases.test)
    frozen = [stage.module for stage in taken]
    network = Small(rest, new.head)
    trained(network, passed(frozen, bases.train), plan, seed=seed)
    return evaluated([*frozen, network.whole], bases.test)[1]


@dataclass
class Halves:
    """The subject: a set of images, whose classes are divided anew by each seed."""

    data: SmallSet
    per_class: int
    plan: TrainSettings
    about: str
    facts: Mapping[str, Any]
    most_seeds: int | None = None
    _last: dict[int, Bases] = field(default_factory=dict, repr=False)

    def measure(self, arm: str, seed: int, reporter: Reporter) -> tuple[Value, ...]:
        """The accuracies of one arm at every cut; cut 0 is a network of half B from scratch."""
        del reporter
        bases = self.bases(seed)
        cuts = [
            value(f"accuracy, cut {cut}", transferred(arm, cut, bases, self.plan, seed=1000 + seed))
            for cut in range(1, CUTS + 1)
        ]
        return value("accuracy, cut 0", accuracy(bases.b, bases.test)), *cuts

    def bases(self, seed: int) -> Bases:
        """The two base networks of a seed; those of the last seed are kept."""
        if seed not in self._last:
            order = generator(seed, "halves").permutation(self.data.classes).tolist()
            half = self.data.classes // 2
            found = []
            for number, classes in enumerate((order[:half], order[half:])):
                own = self.data.of(np.sort(classes).tolist())
                train, test = own.sample(seed, per_class=self.per_class, test=400)
                network = convolutional(own.classes, seed=2 * seed + number)
                trained(network, train, self.plan, seed=seed)
                found.append((network, train, test, own.classes))
            self._last = {seed: Bases(found[0][0], *found[1])}
        return self._last[seed]


def prepare(choices: Choices, reporter: Reporter) -> Halves:
    """The images, whose classes are divided into two halves."""
    per_class, epochs = (25, 15) if choices.is_quick else (60, 60)
    data = chosen(choices.data, per_class=per_class, reporter=reporter, classes=4)
    facts: dict[str, Any] = {
        "data": data.key, "images of a class": per_class, "test images": 400, "epochs": epochs, "batch": 30,
        "channels": [12, 12, 24, 24, 24], "learning rate": 0.01,
    }  # fmt: skip
    plan = settings(epochs=epochs, lr=0.01, effective_batch=30)
    about = f"{data.about}; half of the classes, drawn anew each time, is task A, the others are task B"
    return Halves(data, per_class, plan, about, facts)
