"""Hashes of heads that were fitted on real features, by which two versions of the code can be compared.

Run it with PYTHONPATH set to the source of the one version and of the other, and the same cache:
    python benchmarks/solve_bits.py NAME
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from common import RESULTS, machine, shared

import regraft
from regraft import load_images
from regraft.data.splits import fold_numbers, split_images
from regraft.features.extraction import extract
from regraft.features.opening import open_runtime
from regraft.heads.dataset import Dataset
from regraft.heads.fitting import fit_head
from regraft.networks.weights.finding import find_weights
from regraft.progress import Silent
from regraft.records import HeadKind, stages_of

CASES = (("brain_mri", "mobilenetv1_100"), ("clothing", "lenet5"), ("omniglot_small1", "lenet5"))
KINDS: tuple[HeadKind, ...] = ("ridge", "logistic", "linear-svm", "rbf-svm", "centroid")


def hash_of(arrays: list[np.ndarray]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype} {array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def heads_of(data: str, network: str) -> dict[str, str]:
    images = load_images(shared(f"data/{data}"))
    folder = None if network == "lenet5" else shared("weights")
    weights = find_weights(network, weights=folder)
    features = extract(images, open_runtime(weights, reporter=Silent()), weights.input_spec)
    rows = Dataset(images, split_images(images, seed=0, save=False), features, 0).training_rows()
    stages = stages_of(features.layout)
    found = {}
    for count in (1, 3):
        columns = tuple(column for column in features.layout if column.stage in stages[-count:])
        for kind in KINDS:
            fitted = fit_head(rows, kind, [columns])
            arrays = [fitted.head.arrays[name] for name in sorted(fitted.head.arrays)]
            record = fitted.head.record.model_dump_json().encode()
            record_array = np.frombuffer(record, dtype=np.uint8)
            found[f"{data}, {count} stages, {kind}"] = hash_of([*arrays, fitted.out_of_fold, record_array])
            print(data, count, kind, len(rows.keys), found[f"{data}, {count} stages, {kind}"], flush=True)
    return found


def drawn_folds() -> dict[str, str]:
    """Folds of images in groups of many sizes."""
    found = {}
    for seed in range(5):
        draws = np.random.default_rng(seed)
        labels = draws.integers(0, 7, 3_000)
        groups = [str(one) for one in draws.geometric(0.003, 3_000)] if seed else list(map(str, range(3_000)))
        numbers = fold_numbers(labels, groups, folds=5, seed=seed)
        found[f"folds, seed {seed}"] = hash_of([numbers])
    return found


def main(name: str) -> None:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    path = RESULTS / "solve_bits.json"
    known: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"machine": machine()}
    found = drawn_folds()
    for data, network in CASES:
        found |= heads_of(data, network)
    known[name] = {"source": Path(regraft.__file__).parents[1].name, "hashes": found}
    path.write_text(json.dumps(known, indent=1) + "\n")
    others = [one for one in known if one not in ("machine", name)]
    for other in others:
        same = known[other]["hashes"] == found
        print(f"{name} and {other}: {'the same' if same else 'DIFFERENT'} ({len(found)} hashes)")


if __name__ == "__main__":
    main(sys.argv[1])
