"""The same training under several schedules of the learning rate, and a rate that is too large."""

from __future__ import annotations

import math
from typing import Any

from regraft.lab.bench.networks import convolutional
from regraft.lab.bench.sets import Labelled, chosen
from regraft.lab.bench.subject import Bench, value
from regraft.lab.bench.training import evaluated, settings, trained
from regraft.lab.results.experiment import Choices
from regraft.lab.results.rows import Value
from regraft.progress import Reporter

ACCURACY, LOSS, RATE = "accuracy", "training loss", "rate"
LOST = "share of draws that learned nothing"
CONSTANT, COSINE = "constant", "cosine"
HOT, WARMED = "SGD, too large, no warm-up", "SGD, too large, warm-up"
ADAM_HOT, ADAM_WARMED = "AdamW, too large, no warm-up", "AdamW, too large, warm-up"
LARGE = (HOT, WARMED, ADAM_HOT, ADAM_WARMED)
BASE, TOO_LARGE, ADAM_TOO_LARGE, MOST = 0.05, 0.2, 0.04, 6.0
_NOTHING = {"train_loss": MOST, "learning_rates": {"head": 0.0}}
_CHANGES: dict[str, dict[str, Any]] = {
    CONSTANT: {"schedule": "constant"},
    "step": {"schedule": "step"},
    COSINE: {"schedule": "cosine"},
    "warm-up and cosine": {"schedule": "warmup-cosine", "warmup": 0.2},
    "one cycle": {"schedule": "one-cycle", "warmup": 0.3},
    "plateau": {"schedule": "plateau"},
    HOT: {"schedule": "cosine", "lr": TOO_LARGE},
    WARMED: {"schedule": "warmup-cosine", "warmup": 0.4, "lr": TOO_LARGE},
    ADAM_HOT: {"schedule": "cosine", "lr": ADAM_TOO_LARGE, "optimizer": "adamw"},
    ADAM_WARMED: {
        "schedule": "warmup-cosine",
        "warmup": 0.4,
        "lr": ADAM_TOO_LARGE,
        "optimizer": "adamw",
    },
}
ABOUT = {
    CONSTANT: "the rate stays",
    "step": "a tenth after each third",
    COSINE: "half a cosine down to a hundredth",
    "warm-up and cosine": "a fifth of the steps rising, then the cosine",
    "one cycle": "up, then far down",
    "plateau": "0.3 times as much whenever the held-out loss has not improved for three epochs",
    HOT: f"a rate of {TOO_LARGE:g} from the first step on, then the cosine",
    WARMED: "the same rate, after a rise over two fifths of the steps",
    ADAM_HOT: f"AdamW with a rate of {ADAM_TOO_LARGE:g} from the first step on, then the cosine",
    ADAM_WARMED: "AdamW with the same rate, after a rise over two fifths of the steps",
}


def prepare(choices: Choices, reporter: Reporter) -> Bench:
    """The images, of which a fifth of those for training are held out to choose the epoch."""
    per_class, epochs = (20, 12) if choices.is_quick else (60, 40)
    data = chosen(choices.data, per_class=per_class, reporter=reporter)
    facts = {
        "data": data.key, "images of a class": per_class, "test images": 400, "epochs": epochs, "batch": 20,
        "learning rate": BASE, "settings": _CHANGES, "channels": [12, 12, 24, 24, 24], "momentum": 0.9,
    }  # fmt: skip

    def measured(arm: str, seed: int, reporter: Reporter) -> tuple[Value, ...]:
        del reporter
        train, test = data.sample(seed, per_class=per_class, test=400)
        count = len(train) // 5
        held = Labelled(train.images[:count], train.targets[:count])
        used = Labelled(train.images[count:], train.targets[count:])
        network = convolutional(data.classes, seed=seed, norm=False)
        plan = settings(
            **{"epochs": epochs, "lr": BASE, "optimizer": "sgd", "effective_batch": 20} | _CHANGES[arm]
        )
        rows = trained(network, used, plan, seed=seed, watched=held).history
        found = []
        for epoch in range(1, epochs + 1):
            row: dict[str, Any] = rows[min(epoch, len(rows)) - 1] if rows else _NOTHING
            loss = min(MOST, row["train_loss"]) if epoch <= len(rows) else MOST
            found.append(value(f"{LOSS}, epoch {epoch}", loss, "nats"))
            found.append(value(f"{RATE}, epoch {epoch}", row["learning_rates"]["head"], ""))
        is_lost = found[-2].value > 0.95 * _guessing(data.classes)
        end = value(LOST, is_lost)
        return (*found, end, value(ACCURACY, evaluated([network.whole], test)[1]))

    return Bench(data.about, facts, measured)


def _guessing(classes: int) -> float:
    """The cross-entropy of guessing."""
    return math.log(classes)
