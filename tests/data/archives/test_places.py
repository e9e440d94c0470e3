"""Files in archives are read like any file; archives made to do harm are refused with a reason."""

from __future__ import annotations

import gzip
import os
import re
from pathlib import Path

import pytest

from regraft.data.archives import members, packed_tars, zip_files
from regraft.data.archives.places import archive_kind, find_inside, is_inside, names_in, open_archive
from regraft.data.pictures.file_kinds import first_bytes
from regraft.data.pictures.loading import LoadLimits, read_file
from regraft.errors import DataError, ImageError
from tests.data.archives.made import (
    HOSTILE,
    JPEG,
    PNG,
    Hostile,
    tar_of,
    zip_by_macos,
    zip_by_windows,
    zip_named_twice,
    zip_of,
)

FILES = {"cat/1.png": PNG, "cat/Käse 2.jpg": JPEG, "dog/3.png": PNG}


def _reasons(path: Path) -> str:
    """All reasons why an archive, or anything in it, is refused."""
    try:
        archive = open_archive(path)
    except DataError as error:
        return str(error)
    reasons = [file.reason for file in archive.contents.refused]
    for member in archive.contents.members.values():
        try:
            archive.read(member)
        except ImageError as error:
            reasons.append(str(error))
    return "; ".join(reasons)


@pytest.mark.parametrize("case", HOSTILE, ids=lambda case: case.name)
def test_hostile_archives_are_refused_with_a_reason(case: Hostile, tmp_path: Path, own_cache: Path) -> None:
    (tmp_path / case.name).write_bytes(case.make())
    assert re.search(case.reason, _reasons(tmp_path / case.name))


def test_there_are_at_least_forty_of_them() -> None:
    assert len({case.name for case in HOSTILE}) >= 40


@pytest.mark.parametrize("case", HOSTILE, ids=lambda case: case.name)
def test_hostile_archives_write_nothing(case: Hostile, tmp_path: Path, own_cache: Path) -> None:
    folder = tmp_path / "only" / "here"
    folder.mkdir(parents=True)
    (folder / case.name).write_bytes(case.make())
    _reasons(folder / case.name)
    there = {path for path in tmp_path.rglob("*") if own_cache not in (path, *path.parents)}
    assert there == {tmp_path / "only", folder, folder / case.name}


def test_entries_are_counted_whatever_number_the_archive_states(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = zip_of(*((f"a/{number}.png", PNG) for number in range(10)))
    (tmp_path / "a.zip").write_bytes(data[:-14] + b"\1\0\1\0" + data[-10:])
    assert len(open_archive(tmp_path / "a.zip").contents.members) == 10
    monkeypatch.setattr(zip_files, "MOST_MEMBERS", 9)
    (tmp_path / "b.zip").write_bytes((tmp_path / "a.zip").read_bytes())
    with pytest.raises(DataError, match="10 members; at most 9 are read"):
        open_archive(tmp_path / "b.zip")


@pytest.mark.parametrize("name", ["a.zip", "a.tar"])
def test_folders_are_counted_too(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "MOST_MEMBERS", 20)
    files = [(f"{number}/" * 12 + "x.png", PNG) for number in range(2)]
    (tmp_path / name).write_bytes((zip_of if name == "a.zip" else tar_of)(*files))
    with pytest.raises(DataError, match="more than 20 folders"):
        open_archive(tmp_path / name)


def test_a_name_in_two_codes_is_the_one_in_unicode(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(zip_named_twice("猫/1.png", b"?/1.png"))
    assert list(open_archive(tmp_path / "a.zip").contents.members) == ["猫/1.png"]
    (tmp_path / "b.zip").write_bytes(zip_named_twice("../1.png", b"a/1.png"))
    assert _reasons(tmp_path / "b.zip") == "its name in the archive leads out of it (..)"


def test_a_compressed_tar_may_be_called_tar(tmp_path: Path, own_cache: Path) -> None:
    (tmp_path / "photos.tar").write_bytes(gzip.compress(tar_of(*FILES.items())))
    assert read_file(tmp_path / "photos.tar" / "cat" / "1.png") == PNG


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("photos.zip", zip_of(*FILES.items())),
        ("stored.zip", zip_of(*FILES.items(), method=0)),
        ("windows.zip", zip_by_windows(FILES)),
        ("macos.zip", zip_by_macos(FILES)),
        ("photos.tar", tar_of(*FILES.items())),
        ("dots.tar", tar_of(*((f"./{name}", data) for name, data in FILES.items()))),
        ("photos.tar.gz", gzip.compress(tar_of(*FILES.items()))),
    ],
)
def test_a_member_has_the_bytes_of_its_file(name: str, data: bytes, tmp_path: Path, own_cache: Path) -> None:
    (tmp_path / name).write_bytes(data)
    archive = open_archive(tmp_path / name)
    assert archive.contents.refused == ()
    assert {inner: read_file(tmp_path / name / inner) for inner in archive.contents.members} == FILES


def test_the_first_bytes_of_a_member_come_without_the_rest(tmp_path: Path) -> None:
    data = bytes(range(256)) * 500
    for name, packed in (("a.zip", zip_of(("a/x.bin", data))), ("a.tar", tar_of(("a/x.bin", data)))):
        (tmp_path / name).write_bytes(packed)
        assert first_bytes(tmp_path / name / "a" / "x.bin") == data[:1024]


def test_a_member_that_is_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(zip_of(("a/x.png", bytes(3_000_000))))
    with pytest.raises(ImageError, match="file of 3 MB, above the limit of 1 MB"):
        read_file(tmp_path / "a.zip" / "a/x.png", LoadLimits(max_file_mb=1))


def test_an_empty_member_is_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(tar_of(("a/x.png", b"")))
    with pytest.raises(ImageError, match=r"^empty file$"):
        read_file(tmp_path / "a.tar" / "a/x.png")


def test_a_path_into_no_archive_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "text.csv").write_text("path,label\n")
    for path in ("text.csv/x.png", "nowhere/x.png"):
        assert find_inside(tmp_path / path) is None
        with pytest.raises(ImageError, match="can't be opened"):
            read_file(tmp_path / path)


def test_a_file_that_is_not_in_the_archive_is_named_so(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(zip_of(("a/x.png", PNG)))
    assert is_inside(tmp_path / "a.zip" / "a/x.png")
    assert not is_inside(tmp_path / "a.zip" / "a/y.png")
    with pytest.raises(ImageError, match="holds no such file"):
        read_file(tmp_path / "a.zip" / "a/y.png")


def test_an_archive_that_changed_is_indexed_again(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(zip_of(("a/x.png", PNG)))
    assert read_file(path / "a/x.png") == PNG
    path.write_bytes(zip_of(("a/x.png", JPEG)))
    os.utime(path, ns=(1, 1))
    assert read_file(path / "a/x.png") == JPEG


def test_folders_of_an_archive_have_names(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(tar_of(("b/c/x.png", PNG), ("b/y.png", PNG)))
    assert names_in(tmp_path / "a.tar") == ["b"]
    assert names_in(tmp_path / "a.tar" / "b") == ["c", "y.png"]
    assert names_in(tmp_path / "a.tar" / "none") == []


@pytest.mark.parametrize("name", ["weights.npz", "table.xlsx", "letter.docx"])
def test_zip_files_with_another_purpose_are_no_archives(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(zip_of(("a/x.png", PNG)))
    assert archive_kind(tmp_path / name) is None


def test_a_compressed_tar_is_unpacked_once(tmp_path: Path, own_cache: Path) -> None:
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(tar_of(("a/x.png", PNG), ("a/y.png", JPEG))))
    assert (read_file(path / "a/x.png"), read_file(path / "a/y.png")) == (PNG, JPEG)
    assert len(list(own_cache.rglob("*.tar"))) == 1


def test_a_compressed_tar_is_unpacked_again_after_the_cache_was_cleared(
    tmp_path: Path, own_cache: Path
) -> None:
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(tar_of(("a/x.png", PNG))))
    read_file(path / "a/x.png")
    next(own_cache.rglob("*.tar")).unlink()
    assert read_file(path / "a/x.png") == PNG


def test_a_compressed_tar_that_is_a_bomb_is_refused(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed_tars, "_SMALL_BYTES", 1_000_000)
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(bytes(9_000_000)))
    with pytest.raises(DataError, match="made to fill a disk"):
        open_archive(tmp_path / "a.tar.gz")
    assert not [path for path in own_cache.rglob("*") if path.is_file() and path.suffix != ".lock"]
