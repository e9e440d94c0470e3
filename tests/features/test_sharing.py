"""Several processes extract features of the same images, three of which are damaged."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.nursery import Nursery, opened

SLOW_EXTRACTION = """
import os, sys, time
from pathlib import Path
import regraft.storage.rows
from regraft.data.findings.image_set import Images
from regraft.features.extraction import Decoding, extract
from regraft.records import ImageItem, InputSpec
from regraft.storage.files import sha256_of_file

regraft.storage.rows.SHARD_ROWS = 32
decode = Decoding.decode

def noted(self, key):
    os.write(1, f"{key}\\n".encode())  # in one piece, whichever thread
    return decode(self, key)

Decoding.decode = noted

class Means:
    layout, maps, width, precision, facts = (), (), 3, "fp32", {"runtime": "means"}

    def run(self, images):
        for key, pixels in images:
            time.sleep(0.0005)
            yield key, pixels.reshape(-1, 3).mean(0)

paths = sorted(Path(sys.argv[1]).iterdir())
items = tuple(ImageItem(path.name, "", sha256_of_file(path)) for path in paths)
spec = InputSpec(size_px=8, mean=(0, 0, 0), std=(1, 1, 1))
features = extract(Images(sys.argv[1], items), Means(), spec, workers=2)
print(*(file.path for file in features.skipped))
"""


@pytest.fixture(scope="module")
def children() -> Iterator[Nursery]:
    with opened("regraft.features.extraction") as parent:
        yield parent


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """A folder of 300 small images, of which three are cut off."""
    folder = tmp_path / "images"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (300, 8, 8, 3), dtype=np.uint8)
    for number, one in enumerate(pixels):
        path = folder / f"{number:03}.png"
        Image.fromarray(one).save(path)
        if number in (7, 150, 299):
            path.write_bytes(path.read_bytes()[:100])
    return folder


@pytest.mark.children
def test_staggered_processes_try_each_image_once(children: Nursery, damaged: Path) -> None:
    cache = str(damaged.parent / "cache")
    processes = []
    for name in "abc":
        processes.append(
            children.start(
                SLOW_EXTRACTION, str(damaged), folder=damaged.parent, output=name, REGRAFT_CACHE=cache
            )
        )
        time.sleep(0.05)
    assert [process.wait() for process in processes] == [0, 0, 0]
    lines = [process.output.read_text().splitlines() for process in processes]
    assert [one[-1] for one in lines] == ["007.png 150.png 299.png"] * 3
    tried = Counter(key for one in lines for key in one[:-1])
    assert len(tried) == 300
    assert set(tried.values()) == {1}
