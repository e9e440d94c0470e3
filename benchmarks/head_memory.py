"""Peak memory of heads on many synthetic rows, one process a head, with the rows of `solve_scale.py`.

What a head holds is its peak minus what the process took before. `times_rows` is that as a multiple of the
rows in half precision, as the store has them.

Run: python benchmarks/head_memory.py [--rows 100000] [--columns 1024] [--kinds centroid,labels]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from common import earlier, save
from solve_scale import opened

from regraft.heads.fitting import fit_head, import_libraries
from regraft.heads.rows import TrainingRows
from regraft.tasks.multilabel import Multilabel
from regraft.tasks.regression import Regression

KINDS = ("ridge", "logistic", "linear-svm", "rbf-svm", "centroid", "head2toe", "labels", "numbers")
CLASSES = 10
IDENTITY = ("rows", "columns", "head")


def peak_mb() -> float:
    """The largest resident size; unlike `ru_maxrss`, it begins anew with the program."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def labelled(data: TrainingRows) -> TrainingRows:
    """Ten labels instead of ten classes: each image has its class's and some others; a tenth is unknown."""
    draws = np.random.default_rng(1).random((len(data.keys), CLASSES))
    targets = (draws < 0.05).astype(np.float32)
    targets[np.arange(len(draws)), data.targets] = 1
    targets[draws > 0.9] = np.nan
    return replace(data, targets=targets, task=Multilabel(outputs=tuple(map(str, range(CLASSES)))))


def numbered(data: TrainingRows) -> TrainingRows:
    """A number instead of the class: the class's number with noise."""
    noise = np.random.default_rng(1).standard_normal(len(data.keys))
    return replace(data, targets=data.targets + noise, task=Regression())


def one(folder: Path, count: int, columns: int, name: str) -> None:
    data = opened(folder, count, columns, CLASSES)
    kind: Any = {"labels": "logistic", "numbers": "ridge"}.get(name, name)
    data = {"labels": labelled, "numbers": numbered}.get(name, lambda rows: rows)(data)
    import_libraries(kind)
    before, started = peak_mb(), time.process_time()
    fitted = fit_head(data, kind, [data.features.layout])
    taken, peak = time.process_time() - started, peak_mb()
    known = data.targets if fitted.sample is None else data.targets[fitted.sample]
    record = {
        "rows": count,
        "columns": columns,
        "head": name,
        "processor_s": round(taken, 1),
        "before_mb": round(before),
        "peak_mb": round(peak),
        "times_rows": round((peak - before) / (2 * count * columns / 1e6), 2),
        "goodness": round(float(data.task.goodness(fitted.out_of_fold, known).mean()), 4),
    }
    print(json.dumps(record))


def main(asked: argparse.Namespace) -> None:
    rows = earlier("head_memory")
    with tempfile.TemporaryDirectory(dir=asked.folder) as place:
        opened(Path(place), asked.rows, asked.columns, CLASSES)
        for name in asked.kinds.split(","):
            command = [sys.executable, __file__, "--one", name, "--rows", str(asked.rows)]
            command += ["--columns", str(asked.columns), "--folder", place]
            output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            row = json.loads(output.splitlines()[-1])
            rows = [r for r in rows if any(r[key] != row[key] for key in IDENTITY)] + [row]
            save("head_memory", {"rows": rows})
            print(row, flush=True)


if __name__ == "__main__":
    reader = argparse.ArgumentParser()
    reader.add_argument("--one")
    reader.add_argument("--rows", type=int, default=100_000)
    reader.add_argument("--columns", type=int, default=1_024)
    reader.add_argument("--kinds", default=",".join(KINDS))
    reader.add_argument("--folder", default=None)
    given = reader.parse_args()
    if given.one:
        one(Path(given.folder), given.rows, given.columns, given.one)
    else:
        main(given)
