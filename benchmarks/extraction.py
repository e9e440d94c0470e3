"""Share of the machine's limits that extraction reaches: 1,000 photos, mobilenetv1_100, all stages.

In turns, in one process: decoding alone on all cores (the guarded loader: read, hash, decode, scale),
the forward pass alone on ready tensors, and the full pass with an empty feature store. Also the
multiply-add rate of the forward pass against that of a large matrix product on the same cores.

Run: python benchmarks/extraction.py [ROUNDS] [fp32|bf16]
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from common import save, shared

from regraft.data.pictures.loading import load_input, read_file
from regraft.features.extraction import extract
from regraft.features.openvino_runtime import OpenVinoRuntime
from regraft.networks.weights.finding import find_weights
from regraft.networks.zoo.cards import cards
from regraft.parallel import in_order
from regraft.storage.files import sha256_of
from regraft.workflow.check import load_images

CORES = os.cpu_count() or 1


def rate(job: Callable[[], object], count: int) -> float:
    started = time.perf_counter()
    job()
    return count / (time.perf_counter() - started)


def matrix_rate() -> float:
    """Multiply-adds a second of a 2048-square fp32 product (numpy's BLAS, all cores)."""
    a = np.random.default_rng(0).normal(size=(2048, 2048)).astype(np.float32)
    a @ a
    return rate(lambda: [a @ a for _ in range(8)], 8 * 2048**3)


def main(rounds: int, precision: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["REGRAFT_CACHE"] = folder
        images = load_images(shared("data/clothing"))
        images = replace(images, items=tuple(item for item in images.items if item.side == "train"))
        weights = find_weights("mobilenetv1_100", weights=shared("weights"))
        spec, count = weights.input_spec, len(images)
        runtime = OpenVinoRuntime(weights, precision=precision)
        paths = [Path(images.root, item.path) for item in images.items]

        def decode(path: Path) -> np.ndarray:
            data = read_file(path)
            sha256_of(data)
            return load_input(data, spec)

        ready = list(in_order(decode, paths, workers=CORES, ahead=8 * CORES))
        list(runtime.run(enumerate(ready[:64])))
        rows = []
        for number in range(rounds):
            decoding = rate(lambda: list(in_order(decode, paths, workers=CORES, ahead=8 * CORES)), count)
            forward = rate(lambda: list(runtime.run(enumerate(ready))), count)
            os.environ["REGRAFT_CACHE"] = f"{folder}/{number}"  # nothing cached
            full = rate(lambda: extract(images, runtime, spec), count)
            row = {
                "decoding": decoding,
                "forward": forward,
                "full": full,
                "share_of_slower_limit": full / min(decoding, forward),
                "share_of_both_on_these_cores": full * (1 / decoding + 1 / forward),
                "matrix_product_macs": matrix_rate(),
            }
            rows.append(row)
            print({key: round(value, 3) for key, value in row.items()}, flush=True)
        macs = cards()["mobilenetv1_100"].multiply_adds
        medians = {key: statistics.median(row[key] for row in rows) for key in rows[0]}
        medians["forward_share_of_matrix_product"] = (
            medians["forward"] * macs / medians["matrix_product_macs"]
        )
        print(medians)
        save(f"extraction_{precision}", {"images": count, "rounds": rows, "medians": medians})


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5, sys.argv[2] if len(sys.argv) > 2 else "fp32")
