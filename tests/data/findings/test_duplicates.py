"""The pairs of images that look alike are the same, however they are found."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from regraft.data.findings import duplicates
from regraft.data.findings.duplicates import near_duplicates


def thumbnails(count: int, *, roughness: float, copies: int) -> npt.NDArray[np.uint8]:
    """Smooth random pictures of 16 x 16 pixels, some of them copies of others, but for light and noise."""
    generator = np.random.default_rng(0)
    coarse = generator.normal(0, 30, (count, 4, 4)).repeat(4, axis=1).repeat(4, axis=2)
    pictures = 128 + (coarse + generator.normal(0, roughness, coarse.shape)).reshape(count, 256)
    originals = generator.integers(0, count, copies)
    pictures[generator.permutation(count)[:copies]] = (
        0.8 * pictures[originals] + 10 + generator.normal(0, 2, (copies, 256))
    )
    return pictures.clip(0, 255).astype(np.uint8)


def pairs(pictures: npt.NDArray[np.uint8]) -> list[tuple[int, ...]]:
    found = [*near_duplicates(pictures)]
    for some in found:
        assert (np.diff(some[:, 0]) >= 0).all()
    return sorted(tuple(pair) for some in found for pair in some.tolist())


@pytest.mark.parametrize("many", [0.02, 0.0])
@pytest.mark.parametrize("roughness", [0.5, 10.0])
def test_a_tree_finds_the_pairs_that_comparing_all_finds(
    monkeypatch: pytest.MonkeyPatch, roughness: float, many: float
) -> None:
    """With a share of 0 each block has too many close pairs for the tree, and is compared with all."""
    pictures = thumbnails(3_000, roughness=roughness, copies=700)
    pictures[[5, 1_000, 2_999]] = 7  # flat ones look like nothing
    expected = pairs(pictures)
    monkeypatch.setattr(duplicates, "_FEW", 100)
    monkeypatch.setattr(duplicates, "_BLOCK", 512)
    monkeypatch.setattr(duplicates, "_PAIRS", 64)
    monkeypatch.setattr(duplicates, "_MANY", many)
    assert pairs(pictures) == expected
    assert len(expected) > 500
    assert not {5, 1_000, 2_999} & {number for pair in expected for number in pair}


def test_pictures_that_are_all_alike_are_all_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "_FEW", 10)
    same = np.tile(thumbnails(1, roughness=5, copies=0), (300, 1))
    assert len(pairs(same)) == 300 * 299 // 2
    assert [*near_duplicates(np.zeros((0, 256), dtype=np.uint8))] == []
