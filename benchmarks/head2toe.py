"""Head2Toe against the heads that the ladder climbs, on the same features.

Run: python benchmarks/head2toe.py
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from common import save, shared
from few_images import drawn

from regraft.advice.profile import read_by_probe
from regraft.data.splits import split_images
from regraft.features.extraction import extract
from regraft.features.opening import open_runtime
from regraft.heads.dataset import Dataset
from regraft.heads.fitting import fit_head
from regraft.networks.weights.finding import find_weights
from regraft.progress import Silent
from regraft.records import HeadKind, columns_of, stages_of
from regraft.training.solved import set_sizes

CASES = [(data, count) for data in ("clothing", "trash6", "brain_mri") for count in (20, 100)]

if __name__ == "__main__":
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["REGRAFT_CACHE"] = folder
        weights = find_weights("mobilenetv1_100", weights=shared("weights"))
        runtime = open_runtime(weights, reporter=Silent())
        for data, count in CASES:
            for draw in (0, 1):
                images = drawn(data, count, draw, Path(folder))
                dataset = Dataset(
                    images, split_images(images), extract(images, runtime, weights.input_spec), draw
                )
                layout, test = runtime.layout, dataset.rows("test")
                stages = stages_of(layout)
                third = stages[-set_sizes(len(stages))[1] :]
                ways: dict[str, tuple[HeadKind, list[str]]] = {
                    "probe": ("logistic", stages[-1:]),
                    "logistic, a third": ("logistic", third),
                    "SVM, a third": ("rbf-svm", third),
                    "head2toe, all": ("head2toe", stages),
                }
                row: dict[str, object] = {"data": data, "per_class": count, "draw": draw}
                for name, (kind, several) in ways.items():
                    columns = columns_of(layout, several)
                    columns = read_by_probe(columns) if name == "probe" else columns
                    started = time.perf_counter()
                    head = fit_head(dataset.training_rows(), kind, [columns]).head
                    seconds = time.perf_counter() - started
                    said = dataset.predicted(head, test, "").values.argmax(axis=1)
                    accuracy = float((said == dataset.truth(test)).mean())
                    row[name] = {"test": round(accuracy, 4), "fit_s": round(seconds, 2)}
                rows.append(row)
                print(row, flush=True)
    save("head2toe", {"rows": rows})
