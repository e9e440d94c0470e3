"""A LeNet-5 that learned the digits 0-4, transferred to the digits 5-9: the table of docs/lenet-transfer.md.

Run: python benchmarks/lenet_transfer.py [DRAWS]
"""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from common import save

from regraft.lab.lenet_transfer import compare

PER_CLASS = 10

if __name__ == "__main__":
    draws = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    with tempfile.TemporaryDirectory() as folder:
        os.environ["REGRAFT_CACHE"] = f"{folder}/cache"
        found = compare(Path(folder), draws=draws, per_class=PER_CLASS)
    rows = []
    for one in found.contenders:
        estimates = {"accuracy": one.accuracy.model_dump(), "over_scratch": one.over_scratch.model_dump()}
        rows.append({**asdict(one), **estimates})
        low, high = one.accuracy.low or 0, one.accuracy.high or 0
        cells = [f"{100 * one.accuracy.value:.1f} [{100 * low:.1f}, {100 * high:.1f}]"]
        low, high = one.over_scratch.low or 0, one.over_scratch.high or 0
        cells.append(f"{100 * one.over_scratch.value:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]")
        print(f"| {one.name} | {' | '.join(cells)} |")
    facts = {"draws": draws, "train_images": found.train_images, "test_images": found.test_images}
    save("lenet_transfer", {**facts, "rows": rows})
