"""scikit-learn's 1,797 handwritten digits of 8 x 8 pixels as image files: nothing is downloaded.

Source: Alpaydin & Kaynak 1998, UCI Optical Recognition of Handwritten Digits, test part.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

SOURCE_DIGITS = (0, 1, 2, 3, 4)


def write_digits(folder: Path, digits: Sequence[int]) -> list[tuple[str, str]]:
    """Write scikit-learn's digits as PNG files, a folder per class; returns `(path, label)` pairs."""
    from sklearn.datasets import load_digits

    data = load_digits()
    written = []
    for number, (pixels, digit) in enumerate(zip(data.images, data.target, strict=True)):
        if digit not in digits:
            continue
        path = folder / str(digit) / f"{number:04d}.png"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            # 0 is paper and 16 is ink in the original; ink is bright here, as in LeNet's own data
            Image.fromarray((pixels * (255 / 16)).round().astype(np.uint8)).save(path)
        written.append((path.relative_to(folder).as_posix(), str(digit)))
    return written
