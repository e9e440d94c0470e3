"""Small data sets that are told apart by colour, for situations that people have reported elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

_COLOURS = ((220, 40, 40), (40, 180, 60), (50, 70, 220), (230, 210, 40), (200, 60, 200))


def picture(kind: int, number: int, size: tuple[int, int] = (96, 96)) -> Image.Image:
    """A soft random background with a square or disc in the kind's colour; no two look alike."""
    draws = np.random.default_rng([kind, number])
    noise = draws.integers(60, 196, (6, 6, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)
    side = min(size) * draws.uniform(0.25, 0.4)
    x, y = (draws.uniform(0.6 * side, length - 0.6 * side) for length in size)
    pen = ImageDraw.Draw(image)
    shape = pen.ellipse if kind % 2 else pen.rectangle
    shape((x - side / 2, y - side / 2, x + side / 2, y + side / 2), fill=_COLOURS[kind % len(_COLOURS)])
    return image


def folder(
    root: Path,
    labels: Sequence[str] = ("cat", "dog"),
    *,
    count: int = 12,
    start: int = 0,
    extension: str = ".jpg",
    draw: Callable[[int, int], Image.Image] = picture,
) -> Path:
    """Write a folder per class below `root`; pictures are numbered from `start`."""
    for kind, label in enumerate(labels):
        (root / label).mkdir(parents=True, exist_ok=True)
        for number in range(start, start + count):
            draw(kind, number).save(root / label / f"{number:03d}{extension}")
    return root


def table(
    path: Path,
    rows: Iterable[Sequence[object]],
    *,
    header: Sequence[str] = ("path", "label"),
    separator: str = ",",
    encoding: str = "utf-8",
) -> Path:
    """Write a table as other programs do: no quoting, any separator and encoding."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [separator.join(map(str, cells)) for cells in (header, *rows)]
    path.write_text("\n".join(lines) + "\n", encoding=encoding)
    return path


def labelled(root: Path) -> list[tuple[str, str]]:
    """`(path, label)` of all pictures below `root`, with paths relative to it; the label is the folder."""
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return [(path.relative_to(root).as_posix(), path.parent.name) for path in files]
