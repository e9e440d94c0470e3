"""Heads on a thousand to a million synthetic rows: processor time, peak memory, and how they grow.

The rows have the structure of features: 256 latent factors whose variance falls with their number, classes
that differ in all of them, and rectified columns in half precision. They are on disk, in a store. Each head
is fitted in a process of its own. The second table tells what choosing the strength on a sample costs: for
samples of several sizes the strength that they choose, and the log-loss on new rows of heads that are solved
on all rows at every strength.

Run: python benchmarks/solve_scale.py [--classes 100] [--columns 1024] [--most 100000] [--kinds ridge]
     python benchmarks/solve_scale.py --choice --rows 100000 --classes 20 --columns 512
     python benchmarks/solve_scale.py --passes --rows 24000 --classes 20 --columns 256
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from common import earlier, save

from regraft.features.extraction import Features
from regraft.heads import many_rows
from regraft.heads.fitting import fit_head, import_libraries
from regraft.heads.head import softmax
from regraft.heads.linear import solve_all
from regraft.heads.rows import TrainingRows, log_loss, standardised
from regraft.heads.solving import solver
from regraft.heads.solving.metric import metric_of
from regraft.heads.solving.solver import LinearProblems, solve
from regraft.records import Column
from regraft.storage.rows import RowStore
from regraft.tasks.classification import Classification

FACTORS = 256
SIZES = (1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000)
STRENGTHS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)
SAMPLES = (2_000, 5_000, 10_000, 20_000, 50_000)
SPREAD = 0.25  # of class centres, as a multiple of the spread within a class: about 80 % of 100 classes


def label_of(key: str, classes: int) -> int:
    return int(key[:8], 16) % classes


class Source:
    """Draws the rows of some keys; a row depends on the first key of its shard."""

    def __init__(self, columns: int, classes: int) -> None:
        draws = np.random.default_rng(0)
        self._classes, self._columns = classes, columns
        self._scale = np.arange(1, FACTORS + 1, dtype=np.float32) ** -0.5
        self._centres = (SPREAD * draws.standard_normal((classes, FACTORS))).astype(np.float32)
        self._mixing = (draws.standard_normal((FACTORS, columns)) / 2).astype(np.float32)

    def __call__(self, keys: Sequence[str]) -> Iterator[tuple[str, np.ndarray]]:
        draws = np.random.default_rng(int(keys[0][:16], 16))
        labels = [label_of(key, self._classes) for key in keys]
        factors = draws.standard_normal((len(keys), FACTORS), dtype=np.float32) + self._centres[labels]
        rows = (factors * self._scale) @ self._mixing
        rows += 0.2 * draws.standard_normal(rows.shape, dtype=np.float32) + 0.3
        yield from zip(keys, np.maximum(rows, 0).astype(np.float16), strict=True)


def opened(folder: Path, count: int, columns: int, classes: int, what: str = "train") -> TrainingRows:
    keys = tuple(hashlib.sha256(f"{what} {number}".encode()).hexdigest() for number in range(count))
    layout = (Column(stage="last", statistic="mean", start=0, stop=columns),)
    facts = {"what": "synthetic", "columns": columns, "classes": classes}
    store = RowStore(folder / f"{what}{columns}", width=columns, dtype=np.float16, facts=facts)
    features = Features(store.ensure(keys, Source(columns, classes)), layout, ())
    labels = np.array([label_of(key, classes) for key in keys], dtype=np.int64)
    task = Classification(outputs=tuple(map(str, range(classes))))
    return TrainingRows(features, keys, labels, keys, task)


def one(folder: Path, count: int, columns: int, classes: int, kind: Any, read: int, whole: bool) -> None:
    """Fit a head in this process, on the first `read` columns, and print what it took."""
    if whole:
        many_rows.MANY_ROWS = sys.maxsize  # every row is cross-validated, as of fewer than 20,000
    data, test = (
        opened(folder, count, columns, classes),
        opened(folder, 20_000, columns, classes, "test"),
    )
    own = (Column(stage="last", statistic="mean", start=0, stop=read),)
    import_libraries(kind)
    before_mb, started = peak_mb(), time.process_time()
    fitted = fit_head(data, kind, [own])
    taken = time.process_time() - started
    after_mb = peak_mb()
    chances = np.concatenate(
        [
            fitted.head.probabilities(test.features.matrix(test.keys[start : start + 4_096], own))
            for start in range(0, len(test.keys), 4_096)
        ]
    )
    known = data.targets if fitted.sample is None else data.targets[fitted.sample]
    record = {
        "rows": count,
        "columns": read,
        "classes": classes,
        "head": kind,
        "whole": whole,
        "processor_s": round(taken, 2),
        "peak_mb": round(after_mb),
        "before_mb": round(before_mb),
        "C": fitted.head.record.hyperparameters.get("C"),
        "validated_rows": len(known),
        "validated": round(float((fitted.out_of_fold.argmax(axis=1) == known).mean()), 4),
        "validated_log_loss": round(log_loss(fitted.out_of_fold, known), 4),
        "test": round(float((chances.argmax(axis=1) == test.targets).mean()), 4),
        "test_log_loss": round(log_loss(chances, test.targets), 4),
    }
    print(json.dumps(record))


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def with_exponents(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows, each with the exponent by which the time grew since the size before."""
    found: list[dict[str, Any]] = []
    for row in rows:
        same = [r for r in found if all(r[k] == row[k] for k in ("columns", "classes", "head", "whole"))]
        smaller = max((r for r in same if r["rows"] < row["rows"]), key=lambda r: r["rows"], default=None)
        exponent = None
        if smaller and smaller["processor_s"] > 0:
            ratio = row["processor_s"] / smaller["processor_s"]
            exponent = round(math.log(ratio) / math.log(row["rows"] / smaller["rows"]), 2)
        found.append({**row, "exponent": exponent})
    return found


def scale(asked: argparse.Namespace) -> None:
    rows = earlier("solve_scale")
    with tempfile.TemporaryDirectory(dir=asked.folder) as place:
        for count in [size for size in SIZES if asked.least <= size <= asked.most]:
            for kind in asked.kinds.split(","):
                command = [sys.executable, __file__, "--one", kind, "--rows", str(count), "--folder", place]
                command += ["--classes", str(asked.classes), "--columns", str(asked.columns)]
                command += ["--read", str(asked.read or asked.columns), *["--whole"] * asked.whole]
                started = subprocess.run(command, capture_output=True, text=True, check=True).stdout
                row = json.loads(started.splitlines()[-1])
                rows = [r for r in rows if any(r[key] != row[key] for key in IDENTITY)] + [row]
                save("solve_scale", {"rows": with_exponents(rows)})
                print(with_exponents(rows)[-1], flush=True)


IDENTITY = ("rows", "columns", "classes", "head", "whole")


def choice(asked: argparse.Namespace) -> None:
    """What strengths samples of several sizes choose, and the log-loss of all rows at every strength."""
    with tempfile.TemporaryDirectory(dir=asked.folder) as place:
        data = opened(Path(place), asked.rows, asked.columns, asked.classes)
        test = opened(Path(place), 20_000, asked.columns, asked.classes, "test")
        columns = data.features.layout
        standard, rows = standardised(data, columns)
        new = standard.apply(test.features.matrix(test.keys, columns))
        samples = []
        for size in [size for size in SAMPLES if 2 * size <= asked.rows]:
            searched = searched_on(data, rows, size)
            samples.append({"search": size, **searched})
            print(samples[-1], flush=True)
        weights, losses = None, {}
        for strength in STRENGTHS:
            started = time.process_time()
            start = None if weights is None else weights[None]
            weights = solve_all(data, rows, "softmax", strength, start=start)
            scores = new @ weights[:-1] + weights[-1]
            right = float((scores.argmax(axis=1) == test.targets).mean())
            losses[strength] = [round(log_loss(softmax(scores), test.targets), 4), round(right, 4)]
            print(strength, losses[strength], round(time.process_time() - started, 1), flush=True)
    name = f"{asked.rows} rows, {asked.columns} columns, {asked.classes} classes"
    kept = {name: {"samples": samples, "test log-loss and accuracy by strength": losses}}
    save(f"solve_choice_{asked.rows}_{asked.classes}", kept)


def searched_on(data: TrainingRows, rows: np.ndarray, size: int) -> dict[str, Any]:
    """The strength that a stratified sample chooses, validated on as many other rows (at most 20,000)."""
    chosen = np.random.default_rng(0).permutation(len(rows))
    own, held = chosen[:size], chosen[size : size + min(size, 20_000)]
    every = np.ones((1, size), dtype=bool)
    problems = LinearProblems(rows[own], data.targets[own], data.num_outputs, every)
    weights, losses = None, {}
    started = time.process_time()
    for strength in STRENGTHS:
        weights = solve(problems, strength, start=weights, tolerance=2e-3)
        scores = rows[held] @ weights[0, :-1] + weights[0, -1]
        losses[strength] = log_loss(softmax(scores), data.targets[held])
        if len(losses) > 2 and list(losses.values())[-3] < min(list(losses.values())[-2:]):
            break
    best = min(losses, key=lambda one: losses[one])
    return {"C": best, "log_loss": round(losses[best], 4), "s": round(time.process_time() - started, 1)}


def passes(asked: argparse.Namespace) -> None:
    """Passes over the rows that solves take with and without a metric, on the path of a head on many rows."""
    with tempfile.TemporaryDirectory(dir=asked.folder) as place:
        data = opened(Path(place), asked.rows, asked.columns, asked.classes)
        test = opened(Path(place), 10_000, asked.columns, asked.classes, "test")
        standard, rows = standardised(data, data.features.layout)
        new = standard.apply(test.features.matrix(test.keys, data.features.layout))
        order = np.random.default_rng(0).permutation(asked.rows)
        sample, others = order[: asked.rows // 6], order[: asked.rows * 5 // 6]
        found = []
        for name, metric in (("none", None), ("sample", metric_of(rows[sample]))):
            start = None
            steps = [(sample, one, 2e-3) for one in (1.0, 3.0, 10.0, 30.0)]
            for used, strength, tolerance in [*steps, (others, 10.0, 2e-3), (order, 10.0, 3e-4)]:
                marks = np.zeros((1, asked.rows), dtype=bool)
                marks[0, used] = True
                problems = LinearProblems(rows, data.targets, data.num_outputs, marks)
                COUNT.clear()
                start = solve(problems, strength, start=start, tolerance=tolerance, metric=metric)
                loss = log_loss(softmax(new @ start[0, :-1] + start[0, -1]), test.targets)
                row = {"metric": name, "rows": len(used), "C": strength, "tolerance": tolerance}
                found.append({**row, "passes": len(COUNT), "test_log_loss": round(loss, 4)})
                print(found[-1], flush=True)
    save("solve_passes", {"columns": asked.columns, "classes": asked.classes, "rows": found})


COUNT: list[int] = []


def counted(evaluate: Callable[..., Any]) -> Callable[..., Any]:
    def again(*given: Any) -> Any:
        COUNT.append(0)
        return evaluate(*given)

    return again


def main() -> None:
    reader = argparse.ArgumentParser()
    reader.add_argument("--one")
    reader.add_argument("--choice", action="store_true")
    reader.add_argument("--passes", action="store_true")
    reader.add_argument("--whole", action="store_true", help="cross-validate all rows, however many")
    reader.add_argument("--kinds", default="ridge,logistic")
    reader.add_argument("--rows", type=int, default=100_000)
    reader.add_argument("--classes", type=int, default=100)
    reader.add_argument("--columns", type=int, default=1_024)
    reader.add_argument("--read", type=int, default=0, help="columns that heads read; 0 means all")
    reader.add_argument("--least", type=int, default=1_000)
    reader.add_argument("--most", type=int, default=100_000)
    reader.add_argument("--folder", default=None)
    asked = reader.parse_args()
    if asked.one:
        read = asked.read or asked.columns
        one(Path(asked.folder), asked.rows, asked.columns, asked.classes, asked.one, read, asked.whole)
    elif asked.choice:
        choice(asked)
    elif asked.passes:
        solver._evaluate = counted(solver._evaluate)
        passes(asked)
    else:
        scale(asked)


if __name__ == "__main__":
    main()
