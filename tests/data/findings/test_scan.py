from __future__ import annotations

import csv
import shutil
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageEnhance

from regraft.data.findings import scan as scan_module
from regraft.data.findings.image_set import Images
from regraft.data.findings.scan import ScanSettings, scan
from regraft.data.images import find_images
from regraft.data.pictures import guards
from regraft.data.pictures.loading import Picture
from regraft.errors import DataError, ImageError, TooManyBadFilesError
from regraft.parallel import in_order

pytestmark = pytest.mark.usefixtures("own_cache")


def scanned(root: Path, max_bad_share: float = 0.2) -> Images:
    return scan(find_images(root), ScanSettings(max_bad_share=max_bad_share))


def findings(images: Images, kind: str) -> list[tuple[str, ...]]:
    return [finding.paths for finding in images.findings if finding.kind == kind]


def test_a_bad_file_is_skipped_with_its_reason(photos: Path) -> None:
    (photos / "dark" / "bad.jpg").write_bytes(b"GIF89a")
    images = scanned(photos)
    assert len(images) == 24
    assert images.skipped[0].path == "dark/bad.jpg"
    assert "decoded" in images.skipped[0].reason or "not an image" in images.skipped[0].reason


class Decoder:
    """Counts the images that are decoded."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, error: Exception | None = None) -> None:
        self.count, self._decode, self._error = 0, scan_module.decode, error
        monkeypatch.setattr(scan_module, "decode", self)

    def __call__(self, data: bytes, **how: Any) -> Picture:
        self.count += 1
        if self._error is not None:
            raise ImageError("can't be decoded: out of memory") from self._error
        return self._decode(data, **how)


def cut_image(photos: Path) -> None:
    (photos / "dark" / "cut.png").write_bytes((photos / "dark" / "0.png").read_bytes()[:-60])


def test_an_unusable_image_is_not_decoded_again_unless_asked(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_image(photos)
    before = scanned(photos)
    decoder = Decoder(monkeypatch)
    assert scanned(photos) == before
    assert [file.path for file in before.skipped] == ["dark/cut.png"]
    assert decoder.count == 0
    again = scan(find_images(photos), ScanSettings(retry_failed=True))
    assert again == before
    assert decoder.count == 1


def test_an_unusable_image_is_decoded_again_by_another_decoder(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_image(photos)
    scanned(photos)
    decoder = Decoder(monkeypatch)
    monkeypatch.setattr(guards, "_decoders", lambda: {"pillow": "99.0"})
    scanned(photos)
    assert decoder.count == 1


def test_an_image_for_which_memory_was_short_is_decoded_again(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Decoder(monkeypatch, MemoryError())
    with pytest.raises(TooManyBadFilesError, match="out of memory"):
        scanned(photos)
    monkeypatch.undo()
    monkeypatch.setenv("REGRAFT_CACHE", str(photos.parent / "cache"))
    assert len(scanned(photos)) == 24


def test_too_many_bad_files_stop_with_counts(photos: Path) -> None:
    for number in range(7):
        (photos / "dark" / f"bad{number}.jpg").write_bytes(b"")
    with pytest.raises(TooManyBadFilesError, match=r"7 of 31 files .*7 x empty file.*max_bad_share"):
        scanned(photos)
    assert len(scanned(photos, max_bad_share=0.5)) == 24


def test_one_class_is_not_enough(photos: Path) -> None:
    shutil.rmtree(photos / "light")
    with pytest.raises(DataError, match=r"found 1 class \(dark\) among 12 usable images"):
        scanned(photos)


def test_copies_are_found_and_grouped(photos: Path) -> None:
    shutil.copy(photos / "dark" / "0.png", photos / "dark" / "copy.png")
    images = scanned(photos)
    groups = {item.path: item.group for item in images.items}
    assert findings(images, "duplicate") == [("dark/0.png", "dark/copy.png")]
    assert groups["dark/0.png"] == groups["dark/copy.png"]


def test_copies_with_different_labels_are_a_conflict(photos: Path) -> None:
    shutil.copy(photos / "dark" / "0.png", photos / "light" / "copy.png")
    assert findings(scanned(photos), "conflict") == [("dark/0.png", "light/copy.png")]


def test_recompressed_and_brightened_copies_are_near_duplicates(photos: Path) -> None:
    ramp = Image.radial_gradient("L").convert("RGB").resize((200, 150))
    ramp.save(photos / "dark" / "ramp.png")
    ramp.save(photos / "dark" / "ramp.jpg", quality=60)
    ImageEnhance.Brightness(ramp).enhance(0.8).resize((100, 75)).save(photos / "dark" / "ramp small.webp")
    images = scanned(photos)
    groups = {item.path: item.group for item in images.items if "ramp" in item.path}
    assert len(set(groups.values())) == 1


def test_wrong_extensions_work_and_are_reported(photos: Path) -> None:
    shutil.move(photos / "dark" / "0.png", photos / "dark" / "0.jpg")
    images = scanned(photos)
    assert len(images) == 24
    assert findings(images, "extension") == [("dark/0.jpg",)]


def test_a_second_scan_gives_the_same(photos: Path) -> None:
    assert scanned(photos) == scanned(photos)


def test_groups_of_a_table_are_kept_together(photos: Path) -> None:
    rows = [f"{label}/{n}.png,{label},g{n // 3}" for label in ("dark", "light") for n in range(12)]
    (photos / "t.csv").write_text("path,label,group\n" + "\n".join(rows))
    images = scan(find_images(photos / "t.csv"))
    assert len({item.group for item in images.items}) == 4


def test_published_near_duplicate_groups_are_found(shared: Callable[[str], Path]) -> None:
    """Pairs that an independent list groups: at least 9 in 10 of those are grouped here too."""
    images = scanned(shared("data/brain_mri"))
    ours = {item.path: item.group for item in images.items}
    with shared("data/splits/brain_mri.csv").open(newline="") as file:
        theirs: dict[str, list[str]] = {}
        for row in csv.DictReader(file):
            theirs.setdefault(row["group"], []).append(row["path"])
    pairs = [(a, b) for paths in theirs.values() for a, b in pairwise(paths)]
    found = sum(ours[a] == ours[b] for a, b in pairs)
    assert len(pairs) > 20
    assert found / len(pairs) >= 0.9


def test_results_keep_their_order_whatever_finishes_first() -> None:
    def wait(number: int) -> int:
        time.sleep(0.01 * (number % 3 == 0))
        return number

    assert list(in_order(wait, range(50), workers=4, ahead=8)) == list(range(50))


def test_no_more_than_ahead_items_wait() -> None:
    taken: list[int] = []

    def items() -> object:
        for number in range(100):
            taken.append(number)
            yield number

    results = in_order(lambda number: number, items(), workers=2, ahead=5)  # type: ignore[arg-type]
    next(results)
    assert len(taken) == 6
