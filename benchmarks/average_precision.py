"""Average precision compared with pycocotools and faster-coco-eval: agreement, and seconds with intervals.

Run: python benchmarks/average_precision.py [random data sets] [repetitions]
"""

from __future__ import annotations

import contextlib
import io
import statistics
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import faster_coco_eval
import numpy as np
from common import save
from pycocotools import coco
from pycocotools.cocoeval import COCOeval

from regraft.evaluation.average_precision import average_precision, recall
from regraft.evaluation.boxes import detections, true_boxes
from regraft.evaluation.detection_errors import detection_errors
from regraft.evaluation.detection_scores import score_detections
from regraft.evaluation.paired_detectors import compare_detectors
from regraft.evaluation.resampling import bootstrap_counts

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.evaluation.box_sets import BoxSet, drawn, reference

LIBRARIES: dict[str, tuple[Any, Any]] = {
    "pycocotools": (coco, COCOeval),
    "faster-coco-eval": (faster_coco_eval, faster_coco_eval.COCOeval_faster),
}
IMAGES, BOXES, DRAWS = 400, 5_000, 1_000


def largest_difference(data: BoxSet, library: str) -> float:
    """The largest difference of any precision or recall; infinite where only one of both is defined."""
    expected, matches = reference(data, *LIBRARIES[library]), data.matches()
    pairs = (
        (average_precision(matches)[0], np.moveaxis(expected.precision[..., 2].mean(axis=1), 2, 0)),
        (recall(matches)[0], np.transpose(expected.recall, (3, 2, 0, 1))),
    )
    worst = 0.0
    for ours, theirs in pairs:
        if not np.array_equal(np.isnan(ours), np.isnan(theirs)):
            return float("inf")
        worst = max(worst, float(np.nan_to_num(np.abs(ours - theirs)).max(initial=0)))
    return worst


def large(classes: int, found: int) -> BoxSet:
    """A data set of a usual size: detections near true boxes, and as many on the background."""
    draws = np.random.default_rng(classes + found)
    images, kinds = draws.integers(0, IMAGES, BOXES), draws.integers(0, classes, BOXES)

    def anywhere(count: int) -> np.ndarray:
        low = draws.random((count, 2)) * 400
        return np.concatenate([low, low + 4 + draws.random((count, 2)) ** 2 * 150], axis=1)

    corners = anywhere(BOXES)
    of = draws.integers(0, BOXES, found)
    is_near = draws.random(found) < 0.5
    near = corners[of] + draws.normal(0, 0.05, (found, 4)) * np.tile(
        corners[of][:, 2:] - corners[of][:, :2], 2
    )
    near[:, 2:] = np.maximum(near[:, 2:], near[:, :2])
    scores = np.clip(np.where(is_near, 0.6, 0.3) + draws.normal(0, 0.2, found), 0.001, 0.999)
    wrong = draws.random(found) < 0.1
    return BoxSet(
        true_boxes(images, kinds, corners),
        detections(
            np.where(is_near, images[of], draws.integers(0, IMAGES, found)),
            np.where(wrong, draws.integers(0, classes, found), kinds[of]),
            np.where(is_near[:, None], near, anywhere(found)),
            scores,
        ),
        IMAGES,
        classes,
    )


def seconds(work: Callable[[], object], repetitions: int) -> dict[str, float]:
    """Median processor and wall seconds."""
    spent, passed = [], []
    for _ in range(repetitions):
        started, begun = time.process_time(), time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):
            work()
        spent.append(time.process_time() - started)
        passed.append(time.perf_counter() - begun)
    return {"cpu_s": round(statistics.median(spent), 3), "wall_s": round(statistics.median(passed), 3)}


def timings(classes: int, found: int, repetitions: int) -> dict[str, Any]:
    data, other = large(classes, found), large(classes, found)
    matches = data.matches()
    labels, thresholds = [str(number) for number in range(classes)], np.full(classes, 0.5)
    counts = np.concatenate(list(bootstrap_counts(IMAGES, draws=DRAWS, seed=0)))
    works: dict[str, Callable[[], object]] = {
        "matching": data.matches,
        "average precision and recall": lambda: (average_precision(matches), recall(matches)),
        "map, 1,000 draws": lambda: average_precision(matches, counts, sizes=["all"]),
        "map and sizes, 1,000 draws": lambda: average_precision(matches, counts),
        "all scores with intervals": lambda: score_detections(matches, labels, thresholds, method=""),
        "kinds of error": lambda: detection_errors(matches, data.truth, data.found),
        "comparison of two": lambda: compare_detectors(matches, other.matches()),
        **{name: lambda name=name: reference(data, *LIBRARIES[name]) for name in LIBRARIES},
    }
    row: dict[str, Any] = {
        "images": IMAGES,
        "true_boxes": BOXES,
        "classes": classes,
        "detections": found,
        "map": round(float(np.nanmean(average_precision(matches)[0, 0])), 4),
        "agrees_to": {name: largest_difference(data, name) for name in LIBRARIES},
    }
    for name, work in works.items():
        row[name] = seconds(work, repetitions)
    print(row, flush=True)
    return row


if __name__ == "__main__":
    sets = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
    repetitions = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    agreement = {
        name: max(largest_difference(drawn(seed), name) for seed in range(sets)) for name in LIBRARIES
    }
    print(agreement, flush=True)
    save(
        "average_precision",
        {
            "libraries": {name: metadata.version(name) for name in LIBRARIES},
            "random_sets": sets,
            "largest_difference": agreement,
            "rows": [timings(*size, repetitions) for size in ((3, 15_000), (3, 40_000), (20, 15_000))],
        },
    )
