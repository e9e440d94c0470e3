"""Logistic regression on several stages: in the coordinates of the images' span against all columns.

Cross-validating the strength on the last third of the stages, both ways in turns, and the accuracy that each
says. Beside them scikit-learn's `LogisticRegression` for one strength on one fold's training images.

Run: python benchmarks/row_space.py [ROUNDS]
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from common import save, shared
from few_images import drawn
from sklearn.linear_model import LogisticRegression

from regraft.data.splits import split_images
from regraft.features.extraction import extract
from regraft.features.opening import open_runtime
from regraft.heads.dataset import Dataset
from regraft.heads.linear import choose_strength
from regraft.heads.rows import accuracy, standardised
from regraft.heads.solving.row_space import row_space
from regraft.networks.weights.finding import find_weights
from regraft.progress import Silent
from regraft.records import columns_of, stages_of
from regraft.training.refit import refit_plan

NETWORK = "mobilenetv1_100"
CASES = [("brain_mri", 100), ("trash6", 100), ("clothing", 100), ("trash6", None), ("omniglot_small1", None)]
PLENTY = 10**9  # products: the coordinates are taken always


def compared(data: str, per_class: int | None, rounds: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["REGRAFT_CACHE"] = folder
        images = drawn(data, per_class, 0, Path(folder))
        weights = find_weights(NETWORK, weights=shared("weights"))
        features = extract(images, open_runtime(weights, reporter=Silent()), weights.input_spec)
        dataset = Dataset(images, split_images(images, seed=0), features, 0)
        rows = dataset.training_rows(dataset.rows("train"))
        stages = refit_plan(stages_of(features.layout)).stages
        columns = columns_of(features.layout, stages)
        values = standardised(rows, columns)[1]
    times: dict[str, list[float]] = {"columns": [], "span": []}
    found: dict[str, tuple[float, float]] = {}
    for turn in range(rounds):
        for way in ("columns", "span") if turn % 2 else ("span", "columns"):
            started = time.perf_counter()
            used = values if way == "columns" else row_space(values, PLENTY).rows
            strength, scores = choose_strength(rows, used, "softmax")
            times[way].append(time.perf_counter() - started)
            found[way] = (strength, accuracy(scores, rows.targets))
    trained = rows.folds != 0
    started = time.perf_counter()
    LogisticRegression(C=found["span"][0], max_iter=1_000).fit(values[trained], rows.targets[trained])
    peer = time.perf_counter() - started
    medians = {way: round(float(np.median(seconds)), 2) for way, seconds in times.items()}
    return {
        "data": data,
        "images": len(values),
        "columns": values.shape[1],
        "classes": rows.num_outputs,
        "median_s": medians,
        "ratio": round(medians["columns"] / medians["span"], 1),
        "strength_and_accuracy": found,
        "scikit_learn_one_fit_s": round(peer, 2),
    }


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    table = []
    for case in CASES:
        table.append(compared(*case, int(sys.argv[1]) if len(sys.argv) > 1 else 3))
        print(table[-1], flush=True)
        save("row_space", {"network": NETWORK, "rows": table})
