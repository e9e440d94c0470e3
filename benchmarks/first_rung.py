"""Ridge regression as the first rung: processor seconds, and when logistic regression takes its place.

Both heads are fitted on the last stage for the draws of `keeping_rule.py` and for all training images. A rule
sees the out-of-fold predictions only; its choice is evaluated on the test images. A cache named by
$REGRAFT_CACHE is used, so that features are computed once.

Run: python benchmarks/first_rung.py
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import save, shared
from few_images import drawn
from keeping_rule import CASES, NETWORKS, digits, rights_of

from regraft.advice.profile import read_by_probe
from regraft.data.splits import split_images
from regraft.features.extraction import extract
from regraft.features.opening import open_runtime
from regraft.heads.dataset import Dataset
from regraft.heads.fitting import fit_head
from regraft.heads.rows import TrainingRows, log_loss
from regraft.ladder.rungs import chance_better
from regraft.networks.weights.finding import find_weights
from regraft.progress import Silent
from regraft.records import Column, HeadKind, columns_of

KINDS: tuple[HeadKind, ...] = ("ridge", "logistic")
WHOLE = [("clothing", 100, 0), ("trash6", None, 0), ("brain_mri", None, 0), ("omniglot_small1", None, 0)]
SIZES = (800, 1_000)


def measured(network: str, data: str, count: int | None, draw: int, folder: Path) -> dict[str, Any]:
    """Which images each head predicts correctly (out of fold, test), and what fitting it takes."""
    images = drawn(data, count, draw, folder)
    weights = find_weights(network, weights=shared("weights"))
    runtime = open_runtime(weights, reporter=Silent())
    features = extract(images, runtime, weights.input_spec)
    dataset = Dataset(images, split_images(images, seed=draw), features, draw)
    rows, test = dataset.training_rows(), dataset.rows("test")
    columns = read_by_probe(columns_of(features.layout, [features.layout[-1].stage]))
    row: dict[str, Any] = {"network": network, "data": data, "per_class": count, "draw": draw}
    row |= {"images": len(rows.keys), "classes": rows.num_outputs, "heads": {}, "seconds": {}}
    for kind in KINDS:
        seconds, fitted = timed(rows, kind, columns)
        chances = dataset.predicted(fitted.head, test, "").values
        row["heads"][kind] = {
            "out_of_fold": rights_of(fitted.out_of_fold.argmax(axis=1) == rows.targets),
            "test": rights_of(chances.argmax(axis=1) == dataset.truth(test)),
            "test_log_loss": round(log_loss(chances, dataset.truth(test)), 4),
            **fitted.head.record.hyperparameters,
        }
        row["seconds"][kind] = {str(len(rows.keys)): seconds}
    if count is None or (data, count, draw) in WHOLE:
        for size in (size for size in SIZES if size < len(rows.keys)):
            for kind in KINDS:
                row["seconds"][kind][str(size)] = timed(rows.sample(size), kind, columns)[0]
    return row


def timed(rows: TrainingRows, kind: HeadKind, columns: tuple[Column, ...]) -> tuple[float, Any]:
    assert rows.folds is not None  # drawn before the clock starts, once for both heads
    started = time.process_time()
    fitted = fit_head(rows, kind, [columns])
    return round(time.process_time() - started, 3), fitted


def table(rows: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Mean test accuracy of each rule for keeping logistic regression, in per cent."""
    rules = {"always ridge": 1.1, "always logistic": -1.0, "0.5": 0.5, "0.25": 0.25, "0.1": 0.1}
    found = {}
    for name, needed in rules.items():
        kept = [rule(row, needed) for row in rows]
        shares = [digits(row["heads"][one]["test"]).mean() for row, one in zip(rows, kept, strict=True)]
        losses = [row["heads"][one]["test_log_loss"] for row, one in zip(rows, kept, strict=True)]
        found[name] = {
            "test accuracy": round(100 * float(np.mean(shares)), 2),
            "test log-loss": round(float(np.mean(losses)), 3),
            "ridge kept": kept.count("ridge"),
        }
    return found


def rule(row: dict[str, Any], needed: float) -> str:
    pair = [digits(row["heads"][kind]["out_of_fold"]) == 1 for kind in ("logistic", "ridge")]
    return "logistic" if chance_better(pair[0] * 1.0 - pair[1] * 1.0, 2.0) >= needed else "ridge"


if __name__ == "__main__":
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("REGRAFT_CACHE", folder)
        for network in NETWORKS:
            for case in (*WHOLE, *CASES):
                rows.append(measured(network, *case, Path(folder)))
                print(*case, rows[-1]["seconds"], flush=True)
    save("first_rung", {"rules": table(rows), "rows": rows})
    for name, one in table(rows).items():
        print(f"{name:<16} {one}")
