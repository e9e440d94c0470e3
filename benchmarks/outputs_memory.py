"""Peak memory of predictions, votes and scores for 200,000 test images of 100 and 1,000 classes.

Features are 64 random columns in memory and the head is random, since only sizes matter. Every number of
classes has a process of its own; what a step holds is the largest resident size during it minus that before.

Run: python benchmarks/outputs_memory.py [--name after] [--images 200000] [--classes 100,1000]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from common import RESULTS, machine

from regraft.features.extraction import Features
from regraft.heads.dataset import Dataset, on_average
from regraft.heads.head import Head
from regraft.heads.rows import best_temperature
from regraft.records import Column, HeadRecord
from regraft.storage.rows import Rows
from regraft.tasks.classification import Classification

WIDTH = 64
LAYOUT = (Column(stage="last", statistic="mean", start=0, stop=WIDTH),)


def resident_mb(what: str) -> float:
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith(what))


def opened(images: int, classes: int) -> Dataset:
    """As many test images and five times as many training images, of which labels and features are known."""
    count = 6 * images
    keys = [f"{number:064x}" for number in range(count)]
    rows = []
    for number, key in enumerate(keys):
        side = "test" if number < images else "train"
        rows.append(SimpleNamespace(sha256=key, side=side, label=str(number % classes), group=key))
    stored = np.random.default_rng(0).standard_normal((images, WIDTH)).astype(np.float16)
    store = Rows([stored], {key: (0, number % images) for number, key in enumerate(keys)})
    task = Classification(outputs=tuple(sorted(map(str, range(classes)))))
    parts: tuple[Any, Any] = (SimpleNamespace(task=task), SimpleNamespace(rows=rows))
    return Dataset(*parts, Features(store, LAYOUT, ()), 0)


def random_head(classes: int) -> Head:
    record = HeadRecord(kind="logistic", columns=LAYOUT, hyperparameters={"C": 1.0}, temperature=2.0)
    draws, ones = np.random.default_rng(1), np.ones(WIDTH, dtype=np.float32)
    weights = draws.standard_normal((WIDTH, classes)).astype(np.float32) / 4
    return Head(record, {"mean": 0 * ones, "scale": ones, "weights": weights, "intercepts": weights[0]})


def one(images: int, classes: int) -> None:
    dataset, head = opened(images, classes), random_head(classes)
    rows = dataset.rows("test")
    held: dict[str, float] = {}

    def measured(name: str, step: Callable[[], Any]) -> Any:
        Path("/proc/self/clear_refs").write_text("5")  # the largest resident size begins anew
        before = resident_mb("VmRSS")
        result = step()
        held[name] = round(resident_mb("VmHWM") - before)
        return result

    outputs = measured("predictions", lambda: dataset.predicted(head, rows, "held-out test images"))
    measured("vote of one", lambda: on_average([outputs]))
    measured("vote of two", lambda: on_average([outputs, outputs]))
    measured("scores", lambda: dataset.evaluate(None, outputs))
    scores = cast("Any", head.scores(dataset.features.matrix(dataset.keys(rows[:20_000]), LAYOUT)))
    measured("temperature of 20,000", lambda: best_temperature(scores, dataset.truth(rows[:20_000])))
    print(json.dumps({"classes": classes, "images": images, "whole_mb": 8 * images * classes >> 20, **held}))


def main(asked: argparse.Namespace) -> None:
    path = RESULTS / "outputs_memory.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    found = []
    for classes in asked.classes.split(","):
        command = [sys.executable, __file__, "--one", "--images", str(asked.images), "--classes", classes]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found.append(json.loads(done.stdout.splitlines()[-1]))
        print(found[-1], flush=True)
    path.write_text(json.dumps({**known, asked.name: {"machine": machine(), "rows": found}}, indent=1) + "\n")


if __name__ == "__main__":
    reader = argparse.ArgumentParser()
    reader.add_argument("--one", action="store_true")
    reader.add_argument("--name", default="after")
    reader.add_argument("--images", type=int, default=200_000)
    reader.add_argument("--classes", default="100,1000")
    given = reader.parse_args()
    if given.one:
        one(given.images, int(given.classes))
    else:
        main(given)
