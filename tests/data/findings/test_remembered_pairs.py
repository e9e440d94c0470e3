"""The pairs of look-alikes among many images are kept, and found by the content of thumbnails and labels."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from regraft.data.findings import look_alikes
from regraft.data.findings.duplicates import Ints, near_duplicates
from regraft.data.findings.look_alikes import Thumbnails, compared

pytestmark = pytest.mark.usefixtures("own_cache")
LABELS = ["a", "b"] * 20


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many thumbnails were compared, each time that it was done."""
    done: list[int] = []

    def counted(thumbnails: npt.NDArray[np.uint8], **_: object) -> Iterator[Ints]:
        done.append(len(thumbnails))
        return near_duplicates(thumbnails)

    monkeypatch.setattr(look_alikes, "near_duplicates", counted)
    monkeypatch.setattr(look_alikes, "_FEW", 30)
    return done


def pictures() -> npt.NDArray[np.uint8]:
    """Forty thumbnails; the first ones come twice, with the same label and with the other."""
    found = np.random.default_rng(0).integers(0, 256, (40, 256), dtype=np.uint8)
    found[[20, 31]] = found[[0, 2]]
    return found


def facts(found: Thumbnails) -> tuple[list[list[int]], list[list[int]], tuple[int, int]]:
    return found.within.tolist(), found.across.tolist(), found.counts


def saved() -> Path:
    (path,) = Path(os.environ["REGRAFT_CACHE"]).glob("scan/pairs/*.npz")
    return path


def test_the_same_images_are_compared_once(searches: list[int]) -> None:
    first = compared(pictures(), LABELS)
    assert facts(first) == ([[0, 20]], [[2, 31]], (1, 1))
    assert facts(compared(pictures(), LABELS)) == facts(first)
    assert searches == [40]


def test_pairs_that_are_used_again_are_pruned_last(searches: list[int]) -> None:
    compared(pictures(), LABELS)
    os.utime(saved(), (0, 0))
    compared(pictures(), LABELS)
    assert saved().stat().st_mtime > 0
    assert searches == [40]


def test_other_images_and_other_labels_are_compared_again(searches: list[int]) -> None:
    compared(pictures(), LABELS)
    compared(pictures()[::-1], LABELS)
    relabelled = compared(pictures(), ["a"] * 40)
    assert relabelled.counts == (2, 0)
    assert searches == [40, 40, 40]


@pytest.mark.parametrize("damage", ["flip", "cut", "empty"])
def test_damaged_pairs_are_found_again(searches: list[int], damage: str) -> None:
    first = compared(pictures(), LABELS)
    data = bytearray(saved().read_bytes())
    data[data.find(b"\x93NUMPY") + 130] ^= 1
    saved().write_bytes({"flip": data, "cut": data[:200], "empty": b""}[damage])
    assert facts(compared(pictures(), LABELS)) == facts(first)
    assert searches == [40, 40]


def test_few_images_leave_no_file(searches: list[int]) -> None:
    compared(pictures()[:30], LABELS[:30])
    assert searches == [30]
    assert not (Path(os.environ["REGRAFT_CACHE"]) / "scan").exists()


def test_very_many_pairs_are_not_kept(searches: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(look_alikes, "_MOST_KEPT", 1)
    compared(pictures(), LABELS)
    compared(pictures(), LABELS)
    assert searches == [40, 40]
