"""Peak memory of fitting heads on 100,000 images: synthetic features of mobilenetv1_100's width.

Each head in a process of its own; the store (2.4 GB) is written once, by shards.

Run: python benchmarks/memory.py [IMAGES]
"""

from __future__ import annotations

import hashlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from common import save

from regraft.features.extraction import Features
from regraft.heads.fitting import fit_head
from regraft.heads.rows import TrainingRows
from regraft.networks.zoo.cards import cards
from regraft.records import Column
from regraft.storage.rows import RowStore
from regraft.tasks.classification import Classification

CLASSES = 10


def layout() -> tuple[Column, ...]:
    columns, start = [], 0
    for stage in cards()["mobilenetv1_100"].stages:
        for statistic in ("mean", "std"):
            columns.append(
                Column(stage=stage.name, statistic=statistic, start=start, stop=start + stage.shape[0])
            )
            start += stage.shape[0]
    return tuple(columns)


def label_of(key: str) -> int:
    return int(key[:8], 16) % CLASSES


def rows_of(keys: Sequence[str]) -> Iterator[tuple[str, np.ndarray]]:
    width = layout()[-1].stop
    centres = np.random.default_rng(0).normal(size=(CLASSES, width)) * 0.1
    for key in keys:
        noise = np.random.default_rng(int(key[:16], 16)).standard_normal(width, dtype=np.float32)
        yield key, (centres[label_of(key)] + noise).astype(np.float16)


def opened(folder: Path, count: int) -> TrainingRows:
    keys = tuple(hashlib.sha256(str(number).encode()).hexdigest() for number in range(count))
    store = RowStore(folder, width=layout()[-1].stop, dtype=np.float16, facts={"what": "synthetic"})
    features = Features(store.ensure(keys, rows_of), layout(), ())
    labels = np.array([label_of(key) for key in keys], dtype=np.int64)
    return TrainingRows(features, keys, labels, keys, Classification(outputs=tuple(map(str, range(CLASSES)))))


def one(folder: Path, count: int, kind: str, stages: int) -> None:
    data = opened(folder, count)
    names = list(dict.fromkeys(column.stage for column in layout()))[-stages:]
    columns = tuple(c for c in layout() if c.stage in names and (stages > 1 or c.statistic == "mean"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    fitted = fit_head(data, kind, [columns])
    taken = time.perf_counter() - started
    status = Path("/proc/self/status").read_text()
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    accuracy = float((fitted.out_of_fold.argmax(axis=1) == data.targets).mean())
    record = {"kind": kind, "stages": stages, "peak_mb": peak / 1024, "before_mb": before / 1024}
    print(json.dumps({**record, "wall_s": taken, "cross_validated": accuracy}))


def main(count: int) -> None:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        opened(Path(folder), count)
        for kind, stages in (
            ("logistic", 1),
            ("linear-svm", 1),
            ("centroid", 1),
            ("rbf-svm", 1),
            ("rbf-svm", 5),
        ):
            command = [sys.executable, __file__, "--one", folder, str(count), kind, str(stages)]
            output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            rows.append(json.loads(output.splitlines()[-1]))
            print(rows[-1], flush=True)
    save("memory", {"images": count, "rows": rows})


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        one(Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4], int(sys.argv[5]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
