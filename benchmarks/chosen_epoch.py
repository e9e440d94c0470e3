"""Which epoch's weights to keep: validation and test scores of every epoch of the same trainings.

`--strategy last-blocks`, mobilenetv1_100, at two learning rates, and with a moving average of the weights.
The test images are looked at after every epoch here, which `fit` never does; it sees them once, at the end.

Run: python benchmarks/chosen_epoch.py
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from common import commit, earlier, save, shared
from few_images import drawn

import regraft
from regraft.training.loop.engine import Trainer
from regraft.training.start import setup
from regraft.training.start.setup import Order

SETS = [
    ("clothing", None, (0, 1)), ("brain_mri", 15, (0, 1, 2)), ("trash6", 40, (0, 1)),
    ("clothing", 40, (0, 1)),
]  # fmt: skip
WAYS: dict[str, dict[str, Any]] = {
    "0.001": {"lr": 1e-3}, "0.0003": {"lr": 3e-4}, "average": {"lr": 1e-3, "ema": 0.98},
}  # fmt: skip
Epochs = Sequence[tuple[float, float, float, float]]
"""Validation accuracy and loss, test accuracy and loss, of each epoch."""


def best_by(key: Callable[[Any], Any]) -> Callable[[Epochs], float]:
    """The test accuracy of the last of the epochs that are largest by a key."""
    return lambda epochs: max(enumerate(epochs), key=lambda one: (key(one[1]), one[0]))[1][2]


RULES: dict[str, Callable[[Epochs], float]] = {
    "accuracy, then loss": best_by(lambda epoch: (epoch[0], -epoch[1])),
    "accuracy, then later": best_by(lambda epoch: epoch[0]),
    "loss": best_by(lambda epoch: -epoch[1]),
    "last": best_by(lambda _: 0),
    "the best on the test images": best_by(lambda epoch: epoch[2]),
}


def watched(seen: dict[str, Any]) -> None:
    """Let the engine look at the test images after every epoch, too."""
    sources, row = setup._sources, Trainer._row

    def with_test(order: Order, network: Any, count: int, runtime: Any, sides: Any, *rest: Any) -> Any:
        made = sources(order, network, count, runtime, sides, *rest)
        test = order.dataset.rows("test")
        seen["source"] = sources(order, network, count, runtime, [sides[0], test], *rest)[1]
        seen["targets"] = order.dataset.truth(test)
        return made

    def with_score(self: Trainer, score: Any) -> Any:
        result, training = row(self, score), self.training
        self.training = replace(training, validation=seen["source"], validation_targets=seen["targets"])
        test = self._evaluate()
        self.training = training
        assert test is not None
        seen.setdefault("epochs", []).append((score.goodness, score.loss, test.goodness, test.loss))
        return result

    setup._sources, Trainer._row = with_test, with_score  # type: ignore[method-assign]


START: dict[str, Any] = {
    "network": "mobilenetv1_100", "weights": str(shared("weights")), "strategy": "last-blocks",
}  # fmt: skip


def main() -> None:
    rows, seen = earlier("chosen_epoch"), dict[str, Any]()
    watched(seen)
    done = {(row["data"], row["per_class"], row["draw"], row["way"]) for row in rows}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["REGRAFT_CACHE"] = folder
        for way, how in WAYS.items():
            for data, per_class, draws in SETS:
                for draw in (one for one in draws if (data, per_class, one, way) not in done):
                    seen.clear()
                    images = drawn(data, per_class, draw, Path(folder))
                    model = regraft.fit(images, seed=draw, **START, **how)
                    assert model.test_scores is not None
                    kept = model.test_scores.accuracy.value
                    row = {"commit": commit(), "data": data, "per_class": per_class, "draw": draw, "way": way}
                    rows.append({**row, "kept": kept, "epochs": seen["epochs"]})
                    save("chosen_epoch", {"tables": tables(rows), "rows": rows})


def tables(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean test accuracy over draws by each rule, for each data set and way."""
    result = []
    for key in dict.fromkeys((row["data"], row["per_class"], row["way"]) for row in rows):
        chosen = [row["epochs"] for row in rows if (row["data"], row["per_class"], row["way"]) == key]
        means = {name: float(np.mean([rule(epochs) for epochs in chosen])) for name, rule in RULES.items()}
        result.append({"data": key[0], "per_class": key[1], "way": key[2], "draws": len(chosen), **means})
    return result


if __name__ == "__main__":
    main()
