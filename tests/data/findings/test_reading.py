"""New files are read once; files that are known in their present state are not read at all."""

from __future__ import annotations

import os
import shutil
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from regraft.data.findings import reading
from regraft.data.findings import scan as scan_module
from regraft.data.findings.image_set import Images
from regraft.data.findings.reading import KnownFiles
from regraft.data.findings.scan import ScanSettings, scan
from regraft.data.images import find_images
from regraft.data.pictures.loading import LoadLimits
from regraft.errors import TooManyBadFilesError
from regraft.storage import verified
from regraft.storage.verified import FileState

pytestmark = pytest.mark.usefixtures("own_cache")


class Files:
    """A data set in which files are counted as they are read; the clock can be put forward."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.read, self._patch = root, [], monkeypatch
        read_file = reading.read_file

        def counted(path: Path, limits: LoadLimits) -> bytes:
            self.read.append(Path(path).name)
            return read_file(path, limits)

        for module in (reading, scan_module):
            monkeypatch.setattr(module, "read_file", counted)

    def pass_time(self) -> None:
        now = time.time_ns
        self._patch.setattr(verified.time, "time_ns", lambda: now() + 60_000_000_000)

    def scanned(self, **how: Any) -> Images:
        self.read.clear()
        return scan(find_images(self.root), ScanSettings(**how))


@pytest.fixture
def files(photos: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    return Files(photos, monkeypatch)


def test_new_files_are_read_once(files: Files) -> None:
    files.scanned()
    assert len(files.read) == 24


def test_a_second_scan_reads_nothing_and_gives_the_same(files: Files) -> None:
    files.pass_time()
    first = files.scanned()
    assert files.scanned() == first
    assert files.read == []


def test_what_was_modified_a_moment_ago_is_read_again(files: Files) -> None:
    """A file system may give the same time to a change that follows at once, as git found out ("racy")."""
    first = files.scanned()
    assert files.scanned() == first
    assert len(files.read) == 24


def test_all_files_are_read_when_asked(files: Files) -> None:
    files.pass_time()
    first = files.scanned()
    assert files.scanned(reread_files=True) == first
    assert len(files.read) == 24
    files.scanned()
    assert files.read == []


def repainted(path: Path) -> bytes:
    """The content of a picture of the same size in bytes, with other pixels."""
    data = bytearray(path.read_bytes())
    other = path.with_name("other.png")
    for seed in range(100):
        pixels = np.random.default_rng(seed).integers(0, 80, (24, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(other)
        if other.stat().st_size == len(data):
            break
    content = other.read_bytes()
    other.unlink()
    assert len(content) == len(data)
    return content


def written_again(path: Path) -> None:
    path.write_bytes(repainted(path))


def with_its_time_set_back(path: Path) -> None:
    before = path.stat()
    written_again(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replaced_by_a_copy(path: Path) -> None:
    before, other = path.stat(), path.with_suffix(".new")
    other.write_bytes(repainted(path))
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(path)


@pytest.mark.parametrize("change", [written_again, with_its_time_set_back, replaced_by_a_copy])
def test_a_changed_file_of_the_same_size_is_read_again(files: Files, change: Callable[[Path], None]) -> None:
    files.pass_time()
    first = files.scanned()
    change(files.root / "dark" / "3.png")
    second = files.scanned()
    assert files.read == ["3.png"]
    changed = [a.path for a, b in zip(first.items, second.items, strict=True) if a.sha256 != b.sha256]
    assert changed == ["dark/3.png"]


def test_members_of_an_archive_are_known_as_long_as_it_is_the_same(files: Files, tmp_path: Path) -> None:
    folder, place = files.root, tmp_path / "photos.zip"

    def pack() -> None:
        with zipfile.ZipFile(place, "w") as packed:
            for path in sorted(folder.rglob("*.png")):
                packed.write(path, path.relative_to(folder).as_posix())

    pack()
    files.root = place
    files.pass_time()
    first = files.scanned()
    assert len(files.read) == 24
    assert files.scanned() == first
    assert files.read == []
    (folder / "dark" / "3.png").unlink()
    pack()
    assert len(files.scanned()) == 23
    assert len(files.read) == 23


def table() -> Path:
    (found,) = Path(os.environ["REGRAFT_CACHE"]).glob("scan/files/*.npz")
    return found


@pytest.mark.parametrize("damage", ["empty", "cut", "flip", "other"])
def test_a_damaged_table_costs_only_reading(files: Files, damage: str) -> None:
    files.pass_time()
    first = files.scanned()
    data = bytearray(table().read_bytes())
    data[len(data) // 2] ^= 1
    other = Path(os.environ["REGRAFT_CACHE"]) / "other.npz"
    np.savez(other, paths=np.zeros(3, np.uint8), numbers=np.zeros((9, 5), np.int64), hashes=np.zeros(3))
    contents = {"empty": b"", "cut": data[: len(data) // 2], "flip": data, "other": other.read_bytes()}
    table().write_bytes(contents[damage])
    assert files.scanned() == first
    assert len(files.read) == 24


def test_a_table_that_is_used_again_is_pruned_last(files: Files) -> None:
    files.pass_time()
    files.scanned()
    os.utime(table(), (0, 0))
    files.scanned()
    assert files.read == []
    assert table().stat().st_mtime > 0


def test_what_is_gone_is_forgotten(files: Files) -> None:
    files.pass_time()
    files.scanned()
    size = table().stat().st_size
    shutil.rmtree(files.root / "dark")
    (files.root / "other").mkdir()
    Image.radial_gradient("L").save(files.root / "other" / "a.png")
    files.scanned()
    assert files.read == ["a.png"]
    assert table().stat().st_size < size


def test_a_known_file_above_a_lower_limit_is_refused_as_before(files: Files) -> None:
    files.pass_time()
    limits = LoadLimits(max_file_mb=0.001)
    with pytest.raises(TooManyBadFilesError) as unknown:
        files.scanned(limits=limits)
    files.scanned()
    with pytest.raises(TooManyBadFilesError) as known:
        files.scanned(limits=limits)
    assert str(known.value) == str(unknown.value)
    assert files.read == []


def test_many_files_are_examined_in_parts(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = files.scanned()
    shutil.rmtree(os.environ["REGRAFT_CACHE"])
    monkeypatch.setattr(reading, "SHARD_ROWS", 5)
    monkeypatch.setattr(reading, "_MOST_HELD", 10)
    assert files.scanned() == whole
    assert len(files.read) == 24


def test_large_files_do_not_wait_in_memory(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = files.scanned()
    shutil.rmtree(os.environ["REGRAFT_CACHE"])
    monkeypatch.setattr(reading, "_LARGEST_HELD", 1000)
    assert files.scanned() == whole
    assert len(files.read) == 48


def test_a_table_keeps_any_name(tmp_path: Path) -> None:
    names = ["a/1.png", "caf\udce9.jpg", "line\nbreak.png", "a/1.png"]
    state, sha = FileState(3, 2**62, 5, 2**62), "0123456789abcdef" * 4
    first = KnownFiles(tmp_path / "table.npz")
    for name in names:
        first.add(name, state, sha, 3)
    first.save()
    second = KnownFiles(tmp_path / "table.npz")
    assert [second.find(name, state) for name in names] == [(sha, 3)] * 4
    assert second.find("a/1.png", state._replace(inode=1)) is None
    assert second.find("b/1.png", state) is None
