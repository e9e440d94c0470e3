"""How long it takes to find images that look alike, by comparing all pairs and by a k-d tree.

The thumbnails are of random parts of the real photographs in the evaluation data, so that they have the
statistics of photographs and a few of them look alike. For each number of images: processor seconds of
`near_duplicates` as it is and, up to 50,000, of comparing all pairs; the number of pairs, and whether both
ways find the same. At the end, the exponent by which the time grows.

Run: python benchmarks/look_alikes.py [LARGEST]
"""

from __future__ import annotations

import math
import resource
import sys
import time
from typing import Any

import numpy as np
import numpy.typing as npt
from common import commit, save, shared
from PIL import Image

from regraft.data.findings import duplicates

SIZES = (1_000, 10_000, 20_001, 50_000, 113_000, 300_000, 1_000_000)
ALL_UP_TO = 50_000
SETS = ("clothing", "trash6", "brain_mri", "cherry_hemlock")
SIDE, PARTS_PX = 96, (40, 96)


def photographs() -> list[Image.Image]:
    """The photographs of some data sets, grey, small and square."""
    files = [file for name in SETS for file in sorted((shared("data") / name).rglob("*.jpg"))]
    found = []
    for file in files:
        with Image.open(file) as image:
            image.draft("L", (SIDE, SIDE))
            found.append(image.convert("L").resize((SIDE, SIDE)))
    return found


def thumbnails(images: list[Image.Image], count: int) -> npt.NDArray[np.uint8]:
    """Random parts of random photographs, as the scan makes its thumbnails."""
    generator = np.random.default_rng(0)
    made = np.empty((count, 256), dtype=np.uint8)
    for number in range(count):
        side = int(generator.integers(*PARTS_PX, endpoint=True))
        left, top = generator.integers(0, SIDE - side, 2, endpoint=True).tolist()
        part = images[int(generator.integers(len(images)))].crop((left, top, left + side, top + side))
        if generator.random() < 0.5:
            part = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        made[number] = np.asarray(part.resize((16, 16), Image.Resampling.BOX)).reshape(-1)
    return made


def found_in(pictures: npt.NDArray[np.uint8], few: int) -> tuple[npt.NDArray[np.int64], float]:
    """The pairs, sorted, and processor seconds, if all pairs of up to `few` images are compared."""
    duplicates._FEW = few
    started = time.process_time()
    pairs = np.concatenate([np.zeros((0, 2), dtype=np.int64), *duplicates.near_duplicates(pictures)])
    took = time.process_time() - started
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))], took


def main(largest: int) -> None:
    usual = duplicates._FEW
    sizes = [size for size in SIZES if size <= largest]
    every = thumbnails(photographs(), sizes[-1])
    rows: list[dict[str, Any]] = []
    for size in sizes:
        pairs, took = found_in(every[:size], usual)
        row: dict[str, Any] = {"commit": commit(), "images": size, "pairs": len(pairs), "processor_s": took}
        row["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        if usual < size <= ALL_UP_TO:
            expected, row["all_pairs_s"] = found_in(every[:size], size)
            row["same_pairs"] = bool(np.array_equal(pairs, expected))
        rows.append(row)
        print({name: round(value, 1) if isinstance(value, float) else value for name, value in row.items()})
    by_tree = [row for row in rows if row["images"] > usual]
    if len(by_tree) > 1:
        first, last = by_tree[0], by_tree[-1]
        grown = math.log(last["processor_s"] / first["processor_s"])
        print("grows with the power", round(grown / math.log(last["images"] / first["images"]), 2))
    save("look_alikes", {"rows": rows})


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else SIZES[-1])
