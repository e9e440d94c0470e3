"""What one range for a data set is worth: the same pictures with 8, 10 and 12 bits, in two ranges.

The copies of 10 and 12 bits are PNG files of 16 bits. The range 0:65535 is that of the container, by which
such files were divided before there was a range for the data set.

Run: python benchmarks/intensity.py [DATA]
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from common import commit, save, shared
from PIL import Image

import regraft
from regraft import DataSettings

NETWORK = "mobilenetv1_100"
WAYS = ((8, "auto"), (10, "0:65535"), (10, "auto"), (12, "0:65535"), (12, "auto"))
SEEDS = (0, 1, 2)


def copies(source: Path, target: Path, bits: int) -> None:
    """Grey copies of all pictures below a folder, with values up to the largest of the given bits."""
    for path in sorted(source.rglob("*")):
        if path.suffix.lower() not in (".jpg", ".jpeg", ".png"):
            continue
        grey = np.asarray(Image.open(path).convert("L"), dtype=np.float64)
        values = np.rint(grey * ((2**bits - 1) / 255)).astype(np.uint8 if bits == 8 else np.uint16)
        copy = (target / path.relative_to(source)).with_suffix(".png")
        copy.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values).save(copy)


def measured(folder: Path, chosen: str, seed: int) -> dict[str, Any]:
    """Accuracy of a probe by cross-validation and on the test images."""
    model = regraft.fit(
        folder, strategy="probe", network=NETWORK, weights=str(shared("weights")), seed=seed,
        data=DataSettings(range=chosen),
    )  # fmt: skip
    sheet = model.scores
    assert sheet is not None
    assert sheet.validation is not None
    assert sheet.test is not None
    return {
        "seed": seed,
        "validation": sheet.validation.accuracy.value,
        "test": sheet.test.accuracy.value,
        "images": [sheet.validation.images, sheet.test.images],
    }


def main(name: str = "data/brain_mri") -> None:
    """Measure every way with every seed, and print the means."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["REGRAFT_CACHE"] = f"{folder}/cache"
        for bits in sorted({bits for bits, _ in WAYS}):
            copies(shared(name), Path(folder, str(bits)), bits)
        for bits, chosen in WAYS:
            several = [measured(Path(folder, str(bits)), chosen, seed) for seed in SEEDS]
            rows.append({"bits": bits, "range": chosen, "seeds": several})
            means = [float(np.mean([one[side] for one in several])) for side in ("validation", "test")]
            print(f"{bits} bits, range {chosen}: validation {means[0]:.1%}, test {means[1]:.1%}", flush=True)
    save("intensity", {"commit": commit(), "data": name, "network": NETWORK, "rows": rows})


if __name__ == "__main__":
    main(*sys.argv[1:])
