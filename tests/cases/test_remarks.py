"""Pictures that every viewer opens, and about whose metadata Pillow has something to remark."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import regraft
from tests.cases.conftest import QUICK, Command
from tests.cases.pictures import folder
from tests.data.remarks import FAR_AWAY, SIDEWAYS, exif, jpeg_with, remarked, tiff_with


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Two classes, and in them a camera's damaged photographs and a microscope's TIFF file."""
    root = folder(tmp_path / "photographs")
    (root / "cat" / "camera.jpg").write_bytes(jpeg_with(0xE1, b"Exif\0\0" + exif(FAR_AWAY)))
    (root / "cat" / "sideways.jpg").write_bytes(jpeg_with(0xE1, b"Exif\0\0" + exif(FAR_AWAY, SIDEWAYS)))
    (root / "dog" / "scope.tif").write_bytes(tiff_with((282, 5, 2, bytes([72, 0, 0, 0, 1, 0, 0, 0]) * 2)))
    return root


def test_photographs_with_damaged_metadata_are_used_and_noted(
    photographs: Path, regraft_command: Command
) -> None:
    ran = regraft_command("check", photographs)
    assert ran.code == 0
    assert "27 images in 2 classes" in ran.out
    assert "skipped" not in ran.text
    assert ran.out.count("note") == 2


def test_a_folder_of_nothing_else_is_fitted(tmp_path: Path, regraft_command: Command) -> None:
    root = folder(tmp_path / "data", count=6)
    for number, (name, data, _) in enumerate(remarked()):
        (root / ("cat", "dog")[number % 2] / name).write_bytes(data)
    ran = regraft_command("fit", root, *QUICK, "--out", tmp_path / "run")
    assert ran.code == 0
    assert "skipped" not in ran.text


@pytest.mark.parametrize("action", ["ignore", "error", "default"])
@pytest.mark.usefixtures("own_cache")
def test_the_callers_filters_change_nothing(photographs: Path, action: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter(action)  # type: ignore[arg-type]
        images = regraft.load_images(photographs)
    assert len(images) == 27
    assert len([finding for finding in images.findings if finding.kind == "note"]) == 2


PROGRAM = """
import sys, warnings
from pathlib import Path
from PIL import Image
import regraft, regraft.workflow.fit   # other libraries set filters of their own while they are imported
before, limit = list(warnings.filters), Image.MAX_IMAGE_PIXELS
regraft.load_images(sys.argv[1])
assert (warnings.filters, Image.MAX_IMAGE_PIXELS) == (before, limit)
with warnings.catch_warnings(record=True) as given:
    warnings.simplefilter("always")
    Image.open(Path(sys.argv[1], "dog", "scope.tif")).load()
assert len(given) == 1, given
warnings.simplefilter("ignore")
Image.open(Path(sys.argv[1], "dog", "scope.tif")).load()
"""


@pytest.mark.children
@pytest.mark.usefixtures("own_cache")
def test_a_programs_own_use_of_pillow_is_as_before(photographs: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(photographs)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.usefixtures("own_cache")
def test_incomplete_files_that_a_program_accepts_do_not_reach_the_command_line(
    photographs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = (photographs / "cat" / "000.jpg").read_bytes()
    (photographs / "cat" / "cut.jpg").write_bytes(whole[: len(whole) * 3 // 4])
    with monkeypatch.context() as program:
        program.setattr("PIL.ImageFile.LOAD_TRUNCATED_IMAGES", True)
        assert len(regraft.load_images(photographs)) == 28
    assert [file.path for file in regraft.load_images(photographs).skipped] == ["cat/cut.jpg"]
