from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from regraft.lab import demonstration
from regraft.workflow.check import load_images

pytestmark = pytest.mark.slow


def test_draws_share_test_images_and_differ_in_training_images(tmp_path: Path) -> None:
    demonstration.TASKS[1].write(tmp_path)
    images = load_images(tmp_path)
    sides = []
    for draw in (0, 1):
        drawn = demonstration._drawn_images(images, draw=draw, per_class=5)
        sides.append({side: {i.path for i in drawn.items if i.side == side} for side in ("train", "test")})
    assert sides[0]["test"] == sides[1]["test"]
    assert sides[0]["train"] != sides[1]["train"]
    assert not sides[0]["train"] & sides[0]["test"]
    assert np.array([len(one["train"]) for one in sides]).tolist() == [10, 10]
