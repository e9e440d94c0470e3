"""A solved head on the stages of a fine-tuned network, against the head that was trained with it.

Heads are solved on the trained network's features of the images that it was trained on, and tested on others.
Run: python benchmarks/refit.py
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from common import save, shared
from few_images import drawn

import regraft
from regraft.data.splits import split_images
from regraft.features.extraction import extract
from regraft.features.opening import open_runtime
from regraft.heads.dataset import Dataset
from regraft.heads.fitting import fit_head
from regraft.progress import Silent
from regraft.records import columns_of, stages_of
from regraft.training.solved import set_sizes

CASES = [("clothing", 100), ("trash6", 100), ("brain_mri", 100)]

if __name__ == "__main__":
    rows = []
    for data, count in CASES:
        for seed in (0,):
            with tempfile.TemporaryDirectory() as folder:
                os.environ["REGRAFT_CACHE"] = folder
                images = drawn(data, count, seed, Path(folder))
                how = {"network": "mobilenetv1_100", "weights": str(shared("weights")), "seed": seed}
                model = regraft.fit(images, strategy="last-blocks", cut="50%", **how)
                runtime = open_runtime(model.weights, reporter=Silent())
                features = extract(images, runtime, model.weights.input_spec)
                dataset = Dataset(images, split_images(images, seed=seed), features, seed)
                kept, _, _ = dataset.held_out(0.15)
                stages = stages_of(features.layout)
                third = stages[-set_sizes(len(stages))[1] :]
                columns = columns_of(features.layout, third)
                test = dataset.rows("test")
                row = {"data": data, "seed": seed, "trained head": model.test_scores.accuracy.value}
                for kind in ("logistic", "rbf-svm"):
                    head = fit_head(dataset.training_rows(kept), kind, [columns]).head
                    said = dataset.predicted(head, test, "").values.argmax(axis=1)
                    row[f"{kind} on a third of the stages"] = float((said == dataset.truth(test)).mean())
                rows.append(row)
                print(row, flush=True)
    save("refit", {"rows": rows})
