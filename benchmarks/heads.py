"""Linear heads by `heads/solving/solver.py` against scikit-learn: objective reached, and time.

Real features: the last stage of mobilenetv1_100 on trash6 and clothing.
Run: python benchmarks/heads.py [ROUNDS]
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from common import save, shared
from sklearn.linear_model import LogisticRegression

from regraft.features.extraction import extract
from regraft.features.openvino_runtime import OpenVinoRuntime
from regraft.heads.solving.solver import LinearProblems, _evaluate, solve
from regraft.networks.weights.finding import find_weights
from regraft.workflow.check import load_images


def timed(dataset: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    result = dataset()
    return time.perf_counter() - started, result


def features(name: str) -> tuple[np.ndarray, np.ndarray]:
    images = load_images(shared("data") / name)
    weights = find_weights("mobilenetv1_100", weights=shared("weights"))
    found = extract(images, OpenVinoRuntime(weights), weights.input_spec)
    column = [c for c in found.layout if c.statistic == "mean"][-1:]
    rows = found.matrix([item.sha256 for item in images.items], column)
    rows = (rows - rows.mean(axis=0)) / (rows.std(axis=0) + 1e-6) / rows.shape[1] ** 0.5
    return rows.astype(np.float32), np.array([images.labels.index(item.label) for item in images.items])


def main(rounds: int) -> None:
    warnings.simplefilter("ignore")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["REGRAFT_CACHE"] = folder
        for data in ("trash6", "clothing"):
            x, y = features(data)
            whole = LinearProblems(x, y, int(y.max()) + 1, np.ones((1, len(y)), dtype=bool))
            exact = LinearProblems(x.astype(np.float64), y, int(y.max()) + 1, whole.rows)
            masks = np.stack([np.arange(len(y)) % 5 != fold for fold in range(5)])
            folds = LinearProblems(x, y, int(y.max()) + 1, masks)
            for strength in (1.0, 10.0, 100.0, 1000.0):
                times: dict[str, list[float]] = {"ours": [], "five_folds": [], "scikit_learn": []}
                for _ in range(rounds):
                    taken, ours = timed(partial(solve, whole, strength))
                    times["ours"].append(taken)
                    model = LogisticRegression(C=strength, max_iter=10_000)
                    taken, theirs = timed(partial(model.fit, x, y))
                    times["scikit_learn"].append(taken)
                    times["five_folds"].append(timed(partial(solve, folds, strength))[0])
                peer = np.vstack([theirs.coef_.T, theirs.intercept_])[None]
                values = [
                    float(_evaluate(exact, w.astype(float), strength, np.arange(1))[0][0])
                    for w in (ours, peer)
                ]
                medians = {f"{key}_s": statistics.median(value) for key, value in times.items()}
                row = {
                    "data": data,
                    "C": strength,
                    "objective": values[0],
                    "objective_scikit_learn": values[1],
                }
                rows.append({**row, **medians, "ratio": medians["scikit_learn_s"] / medians["ours_s"]})
                print(rows[-1], flush=True)
    save("heads", {"rows": rows})


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
