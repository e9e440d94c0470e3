"""What a measure and a goal are worth where one class is rare: 3 % of the images.

Of the photos of rubbish, `trash` (what belongs to no other bin) is to be found among glass, paper, cardboard,
plastic and metal. Each draw takes all of these and 3 % of `trash`, chosen at random, and splits them anew.

- before: models are compared by accuracy, and the more probable class is the answer.
- after: models are compared by balanced accuracy, and the threshold reaches a specificity of .90 on
  out-of-fold predictions of the training images.

Run: python benchmarks/rare.py [DRAWS]
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from common import commit, save, shared

import regraft
from regraft import DataSettings
from regraft.evaluation.scores import mean_interval
from regraft.records import Estimate, Rates, Scores

DATA, POSITIVE, SHARE = "data/trash6", "trash", 0.03
NETWORK, STRATEGY = "mobilenetv1_100", "probe"
GOAL = "specificity=0.9"
MEASURES = ("accuracy", "balanced", "auroc", "log-loss")


def drawn(folder: Path, draw: int) -> Path:
    """A table of all other images, and of 3 % of them from the rare class."""
    rows = [
        line.split(",")[:2] for line in (shared("data/splits") / "trash6.csv").read_text().splitlines()[1:]
    ]
    others = [path for path, label in rows if label != POSITIVE]
    rare = [path for path, label in rows if label == POSITIVE]
    count = round(len(others) * SHARE / (1 - SHARE))
    chosen = np.random.default_rng(draw).permutation(len(rare))[:count]
    lines = [f"{path},other" for path in others] + [f"{rare[place]},{POSITIVE}" for place in sorted(chosen)]
    table = folder / f"draw-{draw}.csv"
    table.write_text("path,label\n" + "\n".join(lines) + "\n")
    return table


def described(estimate: Estimate | None) -> list[float | None] | None:
    """A value with its bounds."""
    return None if estimate is None else [estimate.value, estimate.low, estimate.high]


def rates(one: Rates | None) -> dict[str, Any] | None:
    """The four rates, and the counts that they are of."""
    if one is None:
        return None
    names = ("sensitivity", "specificity", "ppv", "npv")
    counts = {name: getattr(one, name) for name in ("threshold", "found", "missed", "false_alarms", "passed")}
    return {**{name: described(getattr(one, name)) for name in names}, **counts}


def fitted(table: Path, draw: int, measure: str) -> dict[str, Any]:
    """The scores of a fit by one measure, with a threshold for the goal."""
    model = regraft.fit(
        table, data=DataSettings(root=str(shared(DATA))), network=NETWORK, weights=str(shared("weights")),
        strategy=STRATEGY, seed=draw, measure=measure, positive=POSITIVE, goal=GOAL,
    )  # fmt: skip
    assert model.scores is not None
    scores, trivial = model.scores.test, model.scores.baseline
    assert isinstance(scores, Scores)
    assert isinstance(trivial, Scores)
    two = scores.two_classes
    assert two is not None
    return {
        "draw": draw,
        "measure": measure,
        "images": [scores.images, two.positives],
        "head": dict(model.head.record.hyperparameters),
        "accuracy": described(scores.accuracy),
        "always_no": trivial.accuracy.value,
        "balanced_accuracy": described(scores.balanced_accuracy),
        "auroc": described(scores.auroc),
        "average_precision": described(two.average_precision),
        "largest": rates(two.largest),
        "chosen": rates(two.chosen),
    }


def mean(rows: list[dict[str, Any]], *names: str) -> list[float | None]:
    """The mean over draws, with its interval by Student's t."""
    values = []
    for row in rows:
        value: Any = row
        for name in names:
            value = value[name]
        values.append(value[0] if isinstance(value, list) else value)
    found = mean_interval([float(value) for value in values])
    return [found.value, found.low, found.high]


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over draws, of each measure: at the more probable class, and at the threshold for the goal."""
    found = {}
    for measure in MEASURES:
        own = [row for row in rows if row["measure"] == measure]
        found[measure] = {
            **{name: mean(own, name) for name in ("accuracy", "always_no", "auroc", "average_precision")},
            "largest": {name: mean(own, "largest", name) for name in ("sensitivity", "specificity")},
            "chosen": {name: mean(own, "chosen", name) for name in ("sensitivity", "specificity")},
        }
    return found


def main(draws: str = "10") -> None:
    """Measure every draw with every measure, and print the means."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["REGRAFT_CACHE"] = f"{folder}/cache"
        for draw in range(int(draws)):
            table = drawn(Path(folder), draw)
            for measure in MEASURES:
                row = fitted(table, draw, measure)
                rows.append(row)
                print(
                    f"draw {draw}, {measure}: accuracy {row['accuracy'][0]:.3f} (always no "
                    f"{row['always_no']:.3f}), AUROC {row['auroc'][0]:.3f}, sensitivity "
                    f"{row['largest']['sensitivity'][0]:.2f} -> {row['chosen']['sensitivity'][0]:.2f}, "
                    f"specificity {row['largest']['specificity'][0]:.3f} -> "
                    f"{row['chosen']['specificity'][0]:.3f}",
                    flush=True,
                )
    means = summary(rows)
    for measure, one in means.items():
        print(measure, {name: one[name] for name in ("accuracy", "auroc")}, one["largest"], one["chosen"])
    facts = {"commit": commit(), "data": DATA, "positive": POSITIVE, "share": SHARE, "goal": GOAL}
    save("rare", {**facts, "network": NETWORK, "strategy": STRATEGY, "means": means, "rows": rows})


if __name__ == "__main__":
    main(*sys.argv[1:])
