"""Which strategy wins with few images a class, on data unlike ImageNet; and what regularisation adds.

For each draw of N training images a class, every strategy trains on the same images and is tested on the
same test side (the suggested split's, by drawer or look-alike group). Differences to a reference are paired.
Rows measured before are kept: a run goes on where the last one stopped.

Run: python benchmarks/few_images.py strategies|regularisation|augmentation [DRAWS] [DATA ...]
"""

from __future__ import annotations

import csv
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import commit, earlier, save, shared

import regraft
from regraft.data.findings.image_set import Images
from regraft.evaluation.intervals.shares import wilson
from regraft.evaluation.scores import mean_interval

NETWORK = "mobilenetv1_100"
PLAIN = {"strategy": "last-blocks"}
# Regularisation is compared with nothing held out: few held-out images mostly choose the untrained start,
# and then every way gives the same model.
ALL = {**PLAIN, "validation_share": 0.0}
WAYS: dict[str, dict[str, dict[str, Any]]] = {
    "strategies": {
        "probe, last stage": {"strategy": "probe"},
        "svm, best stage": {"strategy": "svm"},
        "svm, many stages": {"strategy": "many-stages"},
        "last blocks": PLAIN,
        "whole network": {"strategy": "full"},
    },
    "regularisation": {
        "plain": ALL,
        "15 % held out to choose the epoch": PLAIN,
        "head from zero": {**ALL, "head_start": "zero"},
        "l2-sp": {**ALL, "l2_sp": 1.0},
        "dropout 0.5": {**ALL, "dropout": 0.5},
        "label smoothing 0.1": {**ALL, "label_smoothing": 0.1},
        "mixup at the cut": {**ALL, "mixup": 0.4},
        "noise at the cut": {**ALL, "input_noise": 0.2},
        "8 views, crops and flips": {**ALL, "augment": "crop-flip", "views": 8},
        "8 views, mixup, smoothing": {
            **ALL, "augment": "crop-flip", "views": 8, "mixup": 0.4, "label_smoothing": 0.1,
        },
    },
    "augmentation": {
        "none": {**PLAIN, "augment": "none"},
        "flips at the cut": {**PLAIN, "augment": "none", "activation_flip": True},
        "4 views kept": {**PLAIN, "augment": "crop-flip", "views": 4},
        "a view an epoch, kept": {**PLAIN, "augment": "crop-flip", "views": 12},
        "a view an epoch, on the fly": {**PLAIN, "augment": "crop-flip", "views": 12, "cache": "never"},
    },
}  # fmt: skip
LARGE = ("omniglot_small1",)  # 136 classes: one draw of all sizes takes about half an hour
# Data, and images a class; None takes all.
SETS: dict[str, list[tuple[str, int | None]]] = {
    "strategies": [
        ("brain_mri", 5), ("brain_mri", 10), ("brain_mri", 15), ("brain_mri", None),
        ("omniglot_small1", 5), ("omniglot_small1", 10), ("omniglot_small1", 15),
    ],
    "regularisation": [("clothing", 10), ("trash6", 20), ("brain_mri", 15)],
    "augmentation": [("clothing", 40), ("trash6", 40), ("brain_mri", None)],
}  # fmt: skip


def suggested(data: str) -> list[tuple[str, str, str, str]]:
    """`(path, label, group, side)` of every image, by the published or the suggested split."""
    if data == "clothing":
        root = shared("data/clothing")
        found = sorted(path for path in root.rglob("*") if path.suffix in (".jpg", ".jpeg", ".png"))
        return [(str(p.relative_to(root)), p.parent.name, str(p), p.parts[-3]) for p in found]
    with (shared("data/splits") / f"{data}.csv").open(newline="") as file:
        return [
            (row["path"], row["label"], row["group"], "test" if row["suggested_split"] == "test" else "train")
            for row in csv.DictReader(file)
        ]


def drawn(data: str, per_class: int | None, draw: int, folder: Path) -> Images:
    """The test side whole, and some training images of each class."""
    rows = suggested(data)
    generator = np.random.default_rng(draw)
    chosen = [row for row in rows if row[3] == "test"]
    for label in sorted({row[1] for row in rows}):
        train = [row for row in rows if row[1] == label and row[3] == "train"]
        order = generator.permutation(len(train))[:per_class]
        chosen += [train[place] for place in order]
    table = folder / f"{data}-{per_class}-{draw}.csv"
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label", "group", "split"), *chosen])
    settings = regraft.DataSettings(root=str(shared("data") / data))
    return regraft.load_images(table, settings)


def measured(images: Images, how: dict[str, Any], seed: int) -> dict[str, Any]:
    started = time.perf_counter()
    model = regraft.fit(images, network=NETWORK, weights=str(shared("weights")), seed=seed, **how)
    assert model.scores is not None
    assert model.scores.test is not None
    return {
        "test": model.scores.test.accuracy.value,
        "images": model.scores.test.images,
        "log_loss": model.scores.test.log_loss.value,
        "wall_s": round(time.perf_counter() - started, 1),
    }


def main(question: str, draws: int, wanted: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["REGRAFT_CACHE"] = folder
        for data in dict.fromkeys(data for data, _ in SETS[question] if not wanted or data in wanted):
            name = f"few_images_{question}_{data}"
            rows = earlier(name)
            done = {(row["per_class"], row["draw"], row["way"]) for row in rows}
            for per_class in (count for other, count in SETS[question] if other == data):
                for draw in range(1 if data in LARGE or per_class is None else draws):
                    images = drawn(data, per_class, draw, Path(folder))
                    for way, how in WAYS[question].items():
                        if (per_class, draw, way) in done:
                            continue
                        row = {"commit": commit(), "data": data, "per_class": per_class, "draw": draw}
                        rows.append({**row, "way": way, **measured(images, how, draw)})
                        print(json.dumps(rows[-1]), flush=True)
                tables = [summary(rows, data, n) for n in dict.fromkeys(row["per_class"] for row in rows)]
                save(name, {"network": NETWORK, "tables": tables, "rows": rows})


def summary(rows: list[dict[str, Any]], data: str, per_class: int | None) -> dict[str, Any]:
    """Mean accuracy of each way over the draws, and its paired difference to the first, with intervals."""
    chosen = [row for row in rows if row["data"] == data and row["per_class"] == per_class]
    by_way: dict[str, list[float]] = {}
    for row in chosen:
        by_way.setdefault(row["way"], []).append(row["test"])
    reference = next(iter(by_way.values()))
    result: dict[str, Any] = {"data": data, "per_class": per_class}
    for way, values in by_way.items():
        gain = mean_interval([a - b for a, b in zip(values, reference, strict=True)]).model_dump()
        images = chosen[0]["images"]
        test = wilson(round(values[0] * images), images) if len(values) == 1 else mean_interval(values)
        seconds = float(np.median([row["wall_s"] for row in chosen if row["way"] == way]))
        result[way] = {"test": test.model_dump(), "draws": len(values), "gain": gain, "median_s": seconds}
    return result


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3, sys.argv[3:])
