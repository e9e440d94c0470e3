"""What lies between pictures and is none, and pictures in formats that are not read: neither is damage."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from regraft.data.pictures.file_kinds import foreign_file, foreign_format
from regraft.data.pictures.loading import decode
from regraft.data.pictures.side_files import side_file
from regraft.errors import ImageError
from tests.cases.conftest import QUICK, Command
from tests.cases.pictures import folder, picture

pytestmark = pytest.mark.usefixtures("without_readers")
HEIC = b"\0\0\0\x24ftypheic\0\0\0\0mif1MiHEmiafheic" + bytes(200)
DICOM = bytes(128) + b"DICM" + bytes(200)
FOREIGN = {
    "IMG_1.HEIC": (HEIC, "HEIC photo"),
    "named as.jpg": (HEIC, "HEIC photo"),
    "sequence.heif": (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic" + bytes(60), "HEIC photo"),
    "scan.dcm": (DICOM, "DICOM file"),
    "IM-0001-0001": (DICOM, "DICOM file"),
    "a.jxl": (b"\xff\x0a" + bytes(60), "JPEG XL image"),
    "box.jxl": (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(60), "JPEG XL image"),
    "tile.jp2": (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(60), "JPEG 2000 image"),
    "raw.CR2": (b"II*\0\x10\0\0\0CR\x02\0" + bytes(60), "camera RAW photo"),
    "new.cr3": (b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom" + bytes(60), "camera RAW photo"),
    "art.psd": (b"8BPS\0\x01" + bytes(60), "Photoshop file"),
    "logo.svg": (b"<?xml version='1.0'?>\n<!-- a -->\n<svg xmlns='x'/>", "SVG drawing"),
    "figure.pdf": (b"%PDF-1.7\n", "PDF document"),
    "figure.eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n", "EPS drawing"),
    "clip.MOV": (b"\0\0\0\x14ftypqt  " + bytes(60), "video"),
    "clip.mp4": (b"\0\0\0\x18ftypisom\0\0\0\x01isomavc1", "video"),
    "clip.avi": (b"RIFF\0\0\0\0AVI LIST" + bytes(60), "video"),
    "head.nii.gz": (b"\x1f\x8b\x08" + bytes(60), "NIfTI volume"),
    "light.exr": (b"v/1\x01" + bytes(60), "OpenEXR image"),
}  # fmt: skip


def kinds_of(findings: list[dict[str, object]]) -> list[object]:
    """The kinds of findings, apart from those about the size of these small sets."""
    return [one["kind"] for one in findings if one["kind"] != "tiny-class"]


@pytest.mark.parametrize("name", FOREIGN)
def test_pictures_in_other_formats_are_named_and_are_no_damage(
    regraft_command: Command, tmp_path: Path, name: str
) -> None:
    data, (content, kind) = folder(tmp_path / "set", count=3), FOREIGN[name]
    for number in range(6):
        (data / "cat" / f"more {number}").mkdir()
        (data / "cat" / f"more {number}" / name).write_bytes(content)
    found = json.loads(regraft_command("check", data, "--json").out)
    assert (found["images"], found["skipped"]) == (6, [])
    assert kinds_of(found["findings"]) == ["format"]
    assert found["findings"][0]["message"].startswith(f"6 {kind}s are not read; ")
    assert len(found["findings"][0]["paths"]) == 6


@pytest.mark.parametrize("name", [name for name in FOREIGN if not name.endswith(".gz")])
def test_the_loader_names_the_format_of_a_foreign_file(name: str) -> None:
    content, kind = FOREIGN[name]
    with pytest.raises(ImageError, match=rf"not an image of an accepted format \(JPEG.*\): {kind}; "):
        decode(content)


SIDE_FILES = (
    "1.jpg:Zone.Identifier", "1.jpg\uf03aZone.Identifier", "1.jpg:com.dropbox.attrs", "1.jpg.xmp", "IMG.AAE",
    "Thumbs.db", "Desktop.ini", "._1.jpg", ".DS_Store", "notes.txt", "labels.csv", "1.jpg.dvc", "Icon\r",
    "movie.THM", "1.pp3", "1.jpg.part", "LICENSE", "events.out.tfevents.1.x",
)  # fmt: skip


def test_notes_next_to_photos_are_ignored_and_counted(regraft_command: Command, tmp_path: Path) -> None:
    data = folder(tmp_path / "set", count=4)
    for name in SIDE_FILES:
        (data / "cat" / name).write_bytes(b"[ZoneTransfer]\nZoneId=3\n")
    found = json.loads(regraft_command("check", data, "--json").out)
    assert (found["images"], found["skipped"]) == (8, [])
    finding = found["findings"][0]
    assert kinds_of(found["findings"]) == ["ignored"]
    assert len(finding["paths"]) == len(SIDE_FILES)
    assert finding["message"].startswith(f"{len(SIDE_FILES)} files were ignored")


@pytest.mark.parametrize("name", ["12:30:05.jpg", "a.2023:05.jpg", "x#1.png", "thumbs.jpg", "train.tif"])
def test_names_of_pictures_are_no_side_files(name: str) -> None:
    assert side_file(name) is None


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("1.jpg", b"\0\5\26\7" + bytes(80)),
        ("README.first", b"How these were taken"),
        ("taken by", b"a colleague"),
        ("clip.xyz", bytes(90)),
    ],
)
def test_what_is_no_picture_by_its_content_is_no_damage(
    regraft_command: Command, tmp_path: Path, name: str, content: bytes
) -> None:
    data = folder(tmp_path / "set", count=2)
    for label in ("cat", "dog"):
        (data / label / name).write_bytes(content)
    found = json.loads(regraft_command("check", data, "--json").out)
    assert (found["images"], found["skipped"]) == (4, [])
    assert kinds_of(found["findings"]) == ["ignored"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"../../.git/annex/objects/SHA256E-s0--0.jpg", "git annex get"),
        (b"<!DOCTYPE html><html>404", "HTML page"),
        (b"", "empty file"),
        (b"\xff\xd8\xff\xe0 cut", "can't be decoded|not an image"),
    ],
)
def test_photos_that_are_missing_or_damaged_still_stop(
    regraft_command: Command, tmp_path: Path, content: bytes, reason: str
) -> None:
    data = folder(tmp_path / "set", count=2)
    for number in range(2):
        (data / "cat" / f"bad {number}.jpg").write_bytes(content)
    shown = regraft_command("check", data)
    assert shown.code == 1
    assert "2 of 6 files can't be used" in shown.err
    assert any(word in shown.err for word in reason.split("|"))


def test_a_class_without_a_usable_image_is_named(regraft_command: Command, tmp_path: Path) -> None:
    data = folder(tmp_path / "set", count=6)
    (data / "fox").mkdir()
    (data / "fox" / "IMG.HEIC").write_bytes(HEIC)
    found = json.loads(regraft_command("check", data, "--json").out)
    assert set(found["classes"]) == {"cat", "dog"}
    assert kinds_of(found["findings"]) == ["format", "empty-class"]


def test_a_folder_of_foreign_formats_says_the_way_out(regraft_command: Command, tmp_path: Path) -> None:
    for label in ("cat", "dog"):
        (tmp_path / "phone" / label).mkdir(parents=True)
        (tmp_path / "phone" / label / "IMG.HEIC").write_bytes(HEIC)
    shown = regraft_command("fit", tmp_path / "phone", *QUICK)
    assert shown.code == 1
    assert (
        "2 HEIC photos are not read; install what reads them, with pip install 'regraft[heic]'" in shown.err
    )


def jpeg() -> bytes:
    file = io.BytesIO()
    picture(0, 0).save(file, "JPEG")
    return file.getvalue()


def test_a_jpeg_that_is_called_heic_is_used(regraft_command: Command, tmp_path: Path) -> None:
    data = folder(tmp_path / "set", count=2)
    (data / "cat" / "IMG.HEIC").write_bytes(jpeg())
    assert json.loads(regraft_command("check", data, "--json").out)["images"] == 5


def test_the_preview_in_a_raw_photo_is_not_taken_for_the_photo(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((12, 16, 3), np.uint8)).save(tmp_path / "1.tif")
    (tmp_path / "1.tif").rename(tmp_path / "1.NEF")
    found = foreign_file(tmp_path / "1.NEF")
    assert found is not None
    assert found.name == "camera RAW photo"


def test_formats_that_are_read_are_never_foreign(tmp_path: Path) -> None:
    for name in ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "AVIF", "PPM"):
        file = io.BytesIO()
        picture(0, 0).save(file, name)
        assert foreign_format(file.getvalue()) is None, name


def test_predictions_name_the_format_of_a_file_that_is_not_read(
    regraft_command: Command, tmp_path: Path
) -> None:
    data = folder(tmp_path / "set")
    regraft_command("fit", data, *QUICK, "--out", "run")
    (tmp_path / "new.jpg").write_bytes(HEIC)
    shown = regraft_command("predict", "run", data / "cat/000.jpg", tmp_path / "new.jpg")
    assert "new.jpg: not an image of an accepted format" in shown.err
    assert "HEIC photo; install what reads them, with pip install 'regraft[heic]', or convert to" in shown.err
