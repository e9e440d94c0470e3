from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from regraft.lab.digits import write_digits


def test_digits_are_written_pixel_by_pixel_with_ink_bright(tmp_path: Path) -> None:
    pairs = write_digits(tmp_path, (3,))
    path, label = pairs[0]
    number = int(Path(path).stem)
    written = np.asarray(Image.open(tmp_path / path)).astype(float)
    assert label == "3"
    assert len(pairs) == int((load_digits().target == 3).sum())
    assert np.abs(written / 255 - load_digits().images[number] / 16).max() <= 0.5 / 255
