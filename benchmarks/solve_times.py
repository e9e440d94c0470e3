"""What solving heads takes, against what the ladder would predict on a machine that it has not measured yet.

Ridge and logistic regression and an RBF SVM on the last stage, a third and two thirds of the stages, for
parts of four data sets. The prediction is units of work (`ladder/costs/solve_cost.py`) at the first guess of
a unit's seconds, which the first solve of a kind corrects on the user's machine. Units that describe the work
well have the same ratio of taken to predicted everywhere.

Run: python benchmarks/solve_times.py
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from common import save, shared
from few_images import drawn

from regraft.data.splits import split_images
from regraft.features.extraction import extract
from regraft.features.opening import open_runtime
from regraft.heads.dataset import Dataset
from regraft.heads.fitting import fit_head, import_libraries
from regraft.ladder.costs.solve_cost import solve_cost
from regraft.networks.weights.finding import find_weights
from regraft.plans.cost_book import CostBook
from regraft.plans.costs import Amounts
from regraft.progress import Silent
from regraft.records import HeadKind, stages_of, width_of
from regraft.training.solved import set_sizes

NETWORK = "mobilenetv1_100"
CASES = [
    ("brain_mri", 50),
    ("brain_mri", None),
    ("trash6", 30),
    ("trash6", None),
    ("clothing", 30),
    ("clothing", None),
    ("omniglot_small1", 8),
    ("omniglot_small1", None),
]
_LEAST_S = 0.3
KINDS: tuple[HeadKind, ...] = ("ridge", "logistic", "rbf-svm")


def timed(data: str, per_class: int | None, folder: Path) -> Iterator[dict[str, Any]]:
    images = drawn(data, per_class, 0, folder)
    weights = find_weights(NETWORK, weights=shared("weights"))
    features = extract(images, open_runtime(weights, reporter=Silent()), weights.input_spec)
    dataset = Dataset(images, split_images(images, seed=0), features, 0)
    rows = dataset.training_rows()
    stages = stages_of(features.layout)
    amounts = Amounts(train=len(rows.keys), held=0, classes=rows.num_outputs, folds=int(rows.folds.max()) + 1)
    guesses = CostBook(folder / "no-costs", load=lambda: 1.0)
    for size in sorted({1, *set_sizes(len(stages))}):
        if size >= len(stages):
            continue
        columns = tuple(column for column in features.layout if column.stage in stages[-size:])
        width = width_of(columns)
        for kind in KINDS:
            import_libraries(kind)
            predicted = solve_cost(kind, amounts, width, guesses).cost.seconds
            started, used = time.perf_counter(), time.process_time()
            fit_head(rows, kind, [columns])
            seconds, used = time.perf_counter() - started, time.process_time() - used
            yield {
                "data": data,
                "images": amounts.train,
                "classes": amounts.classes,
                "folds": amounts.folds,
                "stages": size,
                "columns": width,
                "head": kind,
                "seconds": round(seconds, 3),
                "processor_s": round(used, 3),
                "predicted_s": round(predicted, 3),
                "ratio": round(seconds / predicted, 2),
            }


if __name__ == "__main__":
    table: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as place:
        os.environ["REGRAFT_CACHE"] = f"{place}/cache"
        for case in CASES:
            for row in timed(*case, Path(place)):
                table.append(row)
                print(row, flush=True)
    summary = {}
    for kind in KINDS:
        ratios = [row["ratio"] for row in table if row["head"] == kind and row["seconds"] >= _LEAST_S]
        summary[kind] = {
            "solves": len(ratios),
            "median_ratio": round(median(ratios), 2),
            "median_factor": round(median(max(ratio, 1 / ratio) for ratio in ratios), 2),
            "worst_factor": round(max(max(ratio, 1 / ratio) for ratio in ratios), 2),
        }
        print(kind, summary[kind])
    save("solve_times", {"network": NETWORK, "summary": summary, "rows": table})
