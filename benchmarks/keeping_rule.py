"""When to keep a dearer head: rules compared by what they lose on test images against the best of five heads.

Five solved heads are fitted on few and on more images of each data set; a rule sees their out-of-fold
predictions only. The draws are not those of `regret.py`, for which the rule was chosen here.

Run: python benchmarks/keeping_rule.py
"""

from __future__ import annotations

import os
import tempfile
from math import erf
from pathlib import Path
from typing import Any

import numpy as np
from common import earlier, save, shared
from few_images import drawn

from regraft.advice.profile import depth_profile, read_by_probe
from regraft.data.splits import split_images
from regraft.features.extraction import extract
from regraft.features.opening import open_runtime
from regraft.heads.dataset import Dataset
from regraft.heads.fitting import fit_head
from regraft.ladder.rungs import chance_better
from regraft.networks.weights.finding import find_weights
from regraft.progress import Silent
from regraft.records import columns_of, stages_of
from regraft.training.solved import set_sizes

NETWORKS = ("mobilenetv1_100", "mobilenetv2_100")
CASES = [
    (d, n, draw) for d in ("clothing", "trash6", "brain_mri") for n in (5, 20, 100) for draw in (7, 8, 9)
]
CASES += [("omniglot_small1", 5, 7)]
HEADS = ("probe", "logistic, a third of the stages", "SVM, one stage", "SVM, a third", "SVM, two thirds")
VOTE = "probe + logistic, a third of the stages"


def measured(network: str, data: str, count: int, draw: int) -> dict[str, Any]:
    """Out-of-fold and test predictions of each head, as digits: which images were right."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["REGRAFT_CACHE"] = folder
        images = drawn(data, count, draw, Path(folder))
        weights = find_weights(network, weights=shared("weights"))
        runtime = open_runtime(weights, reporter=Silent())
        features = extract(images, runtime, weights.input_spec)
        dataset = Dataset(images, split_images(images, seed=draw), features, draw)
        rows, layout, test = dataset.training_rows(), features.layout, dataset.rows("test")
        stages = stages_of(layout)
        third, most = (stages[-size:] for size in set_sizes(len(stages)) if 1 < size < len(stages))
        peak = [depth_profile(rows, layout).peak.stage]
        kinds = ("logistic", "logistic", "rbf-svm", "rbf-svm", "rbf-svm")
        read = dict(zip(HEADS, zip(kinds, (stages[-1:], third, peak, third, most), strict=True), strict=True))
        chances = {}
        for name, (kind, several) in read.items():
            columns = columns_of(layout, several)
            columns = read_by_probe(columns) if name == "probe" else columns
            fitted = fit_head(rows, kind, [columns])
            chances[name] = (fitted.out_of_fold, dataset.predicted(fitted.head, test, "").values)
        pair = [chances[name] for name in HEADS[:2]]
        chances[VOTE] = tuple(np.mean([one[side] for one in pair], axis=0) for side in (0, 1))
        truths = (rows.targets, dataset.truth(test))
        case = {"network": network, "data": data, "per_class": count, "draw": draw}
        return {
            **case,
            "heads": {
                name: [
                    "".join(map(str, (p.argmax(axis=1) == t).astype(int)))
                    for p, t in zip(both, truths, strict=True)
                ]
                for name, both in chances.items()
            },
        }


def rights_of(is_right: np.ndarray) -> str:
    return "".join("1" if right else "0" for right in is_right)


def digits(text: str) -> np.ndarray:
    return np.array([digit == "1" for digit in text])


def plain_chance(won: int, lost: int) -> float:
    """Normal approximation of a sign test, without a prior."""
    return 0.5 + 0.5 * erf((won - lost) / max((won + lost) * 2, 1) ** 0.5)


def climbed(row: dict[str, Any], order: tuple[str, ...], needed: float, scale: float | None) -> str:
    """Who is kept when the heads of an order challenge each other in turn."""
    kept = order[0]
    for name in order[1:]:
        new, old = (digits(row["heads"][one][0]) for one in (name, kept))
        gains = new * 1.0 - old * 1.0
        won, lost = int((gains > 0).sum()), int((gains < 0).sum())
        chance = plain_chance(won, lost) if scale is None else chance_better(gains, scale)
        kept = name if chance > needed else kept
    return kept


def loss(row: dict[str, Any], name: str) -> float:
    best = max(digits(row["heads"][head][1]).mean() for head in HEADS)
    return 100 * float(best - digits(row["heads"][name][1]).mean())


def table(rows: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Mean loss in points of each rule, by training images a class."""
    rules = {f"always {name}": [name] * len(rows) for name in (*HEADS, VOTE)}
    for needed in (0.6, 0.75, 0.9):
        rules[f"from the probe, no prior, {needed:g}"] = [climbed(row, HEADS, needed, None) for row in rows]
        for scale in (1.0, 2.0, 3.0, 5.0):
            for start, order in (("probe", HEADS), ("vote", (VOTE, *HEADS[1:]))):
                name = f"from the {start}, prior {scale:g}, {needed:g}"
                rules[name] = [climbed(row, order, needed, scale) for row in rows]
    found = {}
    for name, kept in rules.items():
        losses = [(row["per_class"], loss(row, one)) for row, one in zip(rows, kept, strict=True)]
        by_size = {n: np.mean([value for count, value in losses if count == n]) for n in (5, 20, 100)}
        every = float(np.mean([value for _, value in losses]))
        found[name] = {
            **{f"{n} a class": round(float(v), 2) for n, v in by_size.items()},
            "all": round(every, 2),
        }
    return found


if __name__ == "__main__":
    rows = earlier("keeping_rule")
    done = {(row["network"], row["data"], row["per_class"], row["draw"]) for row in rows}
    for network in NETWORKS:
        for case in CASES:
            if (network, *case) not in done:
                rows.append(measured(network, *case))
                save("keeping_rule", {"loss": table(rows), "rows": rows})
    for name, losses in table(rows).items():
        print(f"{name:<60} {losses}")
