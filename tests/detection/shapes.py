"""Data sets of coloured shapes with boxes, drawn in the tests; small enough to be fitted in seconds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from regraft.data import splits

COLOURS = {"disc": (220, 40, 40), "square": (40, 60, 220)}
SETTINGS = {"network": "test_efficientnet", "weights": "random", "runtime": "torch", "image_size": 96}
"""How the shapes are fitted: a small network of random weights sees colours well enough."""


@contextmanager
def drawn_anew() -> Iterator[None]:
    """A split is drawn, whatever other tests have saved for the same pictures with other classes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(splits, "saved_sides", lambda _: {})
        yield


def draw_shapes(
    root: Path, objects: Sequence[Sequence[str]], *, sides: Sequence[str] | None = None, seed: int = 0
) -> Path:
    """Pictures of 96 x 64 pixels and a table of boxes.

    Args:
        root: the new folder.
        objects: the classes of the shapes in each picture.
        sides: the side of each picture in a published split.
        seed: random seed of places and sizes.
    """
    generator = np.random.default_rng(seed)
    (root / "images").mkdir(parents=True)
    rows = ["path,label,x_min,y_min,x_max,y_max" + (",split" if sides else "")]
    for number, labels in enumerate(objects):
        image = Image.fromarray(generator.integers(90, 130, (64, 96, 3), dtype=np.uint8))
        after = f",{sides[number]}" if sides else ""
        path = f"images/{number:02d}.png"
        for place, label in enumerate(labels):
            side = int(generator.integers(18, 30))
            x, y = int(generator.integers(0, 48 - side)) + 48 * place, int(generator.integers(0, 64 - side))
            draw = ImageDraw.Draw(image)
            shape = draw.ellipse if label == "disc" else draw.rectangle
            shape([x, y, x + side - 1, y + side - 1], fill=COLOURS.get(label, (30, 200, 30)))
            rows.append(f"{path},{label},{x},{y},{x + side},{y + side}{after}")
        if not labels:
            rows.append(f"{path},,,,,{after}")
        image.save(root / path)
    (root / "boxes.csv").write_text("\n".join(rows) + "\n")
    return root


USUAL = [[], [], *([["disc"], ["square"], ["disc", "square"], ["square", "disc"]] * 4)]
"""Two backgrounds and sixteen pictures with one or two shapes."""


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a run but the log, which holds times, and temporary files."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "log.jsonl")
    files = (path for path in files if path.suffix != ".tmp")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
