from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from regraft.detection.maps.found import Found
from regraft.detection.results.drawings import drawing_places, write_drawings
from regraft.detection.results.marked import MarkedSet, found_boxes
from regraft.errors import SettingsError
from tests.detection.results.examples import save

PATHS = ("a/1.jpg", "b/1.jpg", "2.png", "3.bmp")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for path in PATHS:
        save(tmp_path / "photos", path, 90, 60)
    return tmp_path / "photos"


def marked(paths: tuple[str, ...] = PATHS) -> MarkedSet:
    found = Found.of([[20, 20, 70, 50]], [0], [0.8])
    return found_boxes([(path, 90, 60, found) for path in paths], ["cat"])


def test_each_drawing_has_the_path_of_its_picture(photos: Path, tmp_path: Path) -> None:
    before = {path: (photos / path).read_bytes() for path in PATHS}
    done = write_drawings(marked(), tmp_path / "drawn", root=photos)
    names = [file.relative_to(tmp_path / "drawn").as_posix() for file in done.files]
    assert names == ["a/1.jpg", "b/1.jpg", "2.png", "3.bmp.png"]
    assert before == {path: (photos / path).read_bytes() for path in PATHS}
    assert tuple(np.asarray(Image.open(done.files[2]))[40, 20]) == (0, 204, 0)


def test_drawings_of_an_earlier_call_are_replaced_and_nothing_else(photos: Path, tmp_path: Path) -> None:
    write_drawings(marked(), tmp_path / "drawn", root=photos)
    assert len(write_drawings(marked(), tmp_path / "drawn", root=photos).files) == 4
    save(tmp_path / "drawn", "2.png", 9, 9)
    with pytest.raises(SettingsError, match=r"2\.png exists, and it is not a picture with boxes"):
        write_drawings(marked(), tmp_path / "drawn", root=photos)
    assert len(write_drawings(marked(), tmp_path / "drawn", root=photos, overwrite=True).files) == 4


@pytest.mark.parametrize("folder", ["photos", "photos/drawn"])
def test_nothing_is_drawn_among_the_pictures(folder: str, photos: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"lies in|never replaced"):
        write_drawings(marked(), tmp_path / folder, root=photos, overwrite=True)


def test_an_original_is_never_replaced_even_by_a_link(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "drawn").symlink_to(photos)
    monkeypatch.chdir(photos)
    with pytest.raises(SettingsError, match="one of the pictures that boxes are drawn on"):
        write_drawings(marked(), tmp_path / "drawn", overwrite=True)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_picture_is_drawn_upright(orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (90, 60)).save(tmp_path / "photos" / "1.jpg", exif=exif)
    size = (60, 90) if orientation >= 5 else (90, 60)
    found = found_boxes([("1.jpg", *size, Found.of([[10, 30, 50, 58]], [0], [0.8]))], ["cat"])
    (file,) = write_drawings(found, tmp_path / "drawn", root=tmp_path / "photos").files
    with Image.open(file) as image:
        assert image.size == size
        assert image.getexif().get(0x0112, 1) == 1


def test_a_picture_that_cannot_be_read_is_skipped(photos: Path, tmp_path: Path) -> None:
    (photos / "2.png").write_bytes(b"no picture")
    done = write_drawings(marked(), tmp_path / "drawn", root=photos)
    assert [file.path for file in done.skipped] == ["2.png"]
    assert len(done.files) == 3


def test_paths_from_anywhere_get_places_of_their_own() -> None:
    names = ["/home/me/a/1.jpg", "/home/me/b/1.jpg"]
    places = drawing_places([], names, Path("drawn"))
    assert [str(place) for place in places] == ["drawn/a/1.jpg", "drawn/b/1.jpg"]
    places = drawing_places([], ["3.bmp", "3.bmp.png"], Path("drawn"))
    assert [str(place) for place in places] == ["drawn/3.bmp.png", "drawn/3.bmp_2.png"]
