"""An effective batch of 256 images from four of 64: when it is the same training, and when not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from regraft.lab.bench.networks import convolutional
from regraft.lab.bench.sets import Labelled, chosen
from regraft.lab.bench.subject import Bench, value
from regraft.lab.bench.training import Small, evaluated, settings, trained
from regraft.lab.results.experiment import Choices
from regraft.lab.results.rows import Value
from regraft.progress import Reporter

FROZEN, TRAINED = "statistics frozen", "statistics of batches"
WHOLE_FROZEN, PARTS_FROZEN = f"256 at once, {FROZEN}", f"4 x 64, {FROZEN}"
WHOLE, PARTS, SMALL = f"256 at once, {TRAINED}", f"4 x 64, {TRAINED}", f"64 at once, {TRAINED}"
_SIZES = {
    WHOLE_FROZEN: (256, 256),
    PARTS_FROZEN: (256, 64),
    WHOLE: (256, 256),
    PARTS: (256, 64),
    SMALL: (64, 64),
}
APART, ACCURACY, LOSS = "distance of the weights to 256 at once", "accuracy", "training loss"
_FEW = 2  # epochs of two steps: later, rounding grows like everything in a training that is not yet settled
SAME = -4.0
"""log10 of the distance below which two trainings are the same up to rounding."""


@dataclass(frozen=True)
class Ended:
    """A training that ended."""

    network: Small
    rows: list[dict[str, Any]]
    moved: float
    """The distance of the weights to where they started."""


def run(arm: str, train: Labelled, classes: int, *, epochs: int, seed: int) -> Ended:
    """One training of an arm, all with the same start, order of images and learning rate."""
    batch, micro = _SIZES[arm]
    network = convolutional(classes, seed=seed)
    before = weights(network)
    plan = settings(
        epochs=epochs, lr=0.03, optimizer="sgd", schedule="constant", effective_batch=batch,
        micro_batch=micro,
        batchnorm="frozen" if arm.endswith(FROZEN) else "trained",
    )  # fmt: skip
    rows = trained(network, train, plan, seed=seed).history
    return Ended(network, rows, float((weights(network) - before).norm()))


def weights(network: Small) -> torch.Tensor:
    """All parameters in one vector."""
    return torch.cat([one.detach().double().flatten() for one in network.whole.parameters()])


def distance(one: Ended, other: Ended) -> float:
    """How far apart two trainings ended, as a share of the way that the second one went."""
    return float((weights(one.network) - weights(other.network)).norm()) / other.moved


def prepare(choices: Choices, reporter: Reporter) -> Bench:
    """Two batches of 256 images, or fewer where there are fewer images."""
    epochs = 12 if choices.is_quick else 30
    data = chosen(choices.data, per_class=8, reporter=reporter)
    per_class = min(max(8, 512 // data.classes), data.smallest_class - 2)
    facts = {
        "data": data.key, "images of a class": per_class, "test images": 400, "epochs": epochs,
        "learning rate": 0.03, "epochs of the comparison": _FEW, "momentum": 0.9,
        "channels": [12, 12, 24, 24, 24],
    }  # fmt: skip

    def measured(arm: str, seed: int, reporter: Reporter) -> tuple[Value, ...]:
        del reporter
        train, test = data.sample(seed, per_class=per_class, test=400)
        own = run(arm, train, data.classes, epochs=epochs, seed=seed)
        other = WHOLE_FROZEN if arm.endswith(FROZEN) else WHOLE
        short = [
            run(name, train, data.classes, epochs=_FEW, seed=seed) for name in dict.fromkeys((arm, other))
        ]
        apart = distance(short[0], short[-1])
        losses = [value(f"{LOSS}, epoch {row['epoch']}", row["train_loss"], "nats") for row in own.rows]
        found = evaluated([own.network.whole], test)[1]
        return (*losses, value(APART, apart, "share of the way"), value(ACCURACY, found))

    return Bench(data.about, facts, measured)
