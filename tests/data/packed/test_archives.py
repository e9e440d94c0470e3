"""Data sets in archives are what they are as folders: the same images, labels, sides and inputs."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from regraft.data.findings.image_set import Images
from regraft.data.findings.scan import scan
from regraft.data.image_like import read_image_likes
from regraft.data.images import find_images
from regraft.data.pictures.loading import LoadLimits
from regraft.data.sources.column_names import TableColumns
from regraft.data.splits import split_images
from regraft.errors import DataError, NoImagesError
from regraft.features.extraction import input_decoding
from regraft.records import InputSpec
from tests.data.archives.made import special, tar_of, zip_by_macos, zip_by_windows, zip_of


def _png(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (24, 32, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


PHOTOS = {f"{label}/{number}.png": _png(10 * place + number)
          for place, label in enumerate(("cat", "dog", "Käse")) for number in range(8)}  # fmt: skip
SAMPLES = {
    **{f"{number:04d}.png": _png(number) for number in range(8)},
    **{f"{number:04d}.cls": str(number % 2).encode() for number in range(8)},
}


def _folder(root: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def _images(source: Path) -> Images:
    return scan(find_images(source))


def _inputs(images: Images) -> list[tuple[str, bytes]]:
    """The pixels that a network gets of each image, by the key of the cache."""
    decoding = input_decoding(images, InputSpec(size_px=32), LoadLimits())
    return [(key, pixels.tobytes()) for key, pixels in decoding.ahead(list(decoding.files), 1)]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("photos.tar", tar_of(*PHOTOS.items())),
        ("nested.tar", tar_of(*((f"photos/{name}", data) for name, data in PHOTOS.items()))),
        ("photos.zip", zip_of(*reversed(PHOTOS.items()))),
        ("windows.zip", zip_by_windows(PHOTOS)),
        ("macos.zip", zip_by_macos(PHOTOS)),
    ],
)
def test_an_archive_is_its_folder(name: str, data: bytes, tmp_path: Path, own_cache: Path) -> None:
    (tmp_path / name).write_bytes(data)
    packed, plain = _images(tmp_path / name), _images(_folder(tmp_path / "photos", PHOTOS))
    seen = [[(item.label, item.sha256) for item in one.items] for one in (packed, plain)]
    assert seen[0] == seen[1]
    assert _inputs(packed) == _inputs(plain)
    sides = [[row.side for row in split_images(one, seed=0, test_share=0.2).rows] for one in (packed, plain)]
    assert sides[0] == sides[1]


@pytest.mark.parametrize("make", [zip_by_windows, zip_by_macos], ids=["windows", "macos"])
def test_notes_of_systems_are_left_out_in_silence(make, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "a.zip").write_bytes(make(PHOTOS))
    found = find_images(tmp_path / "a.zip")
    assert (found.skipped, found.findings) == ((), ())
    assert found.layout == "zip archive: a folder per class"


def test_the_sides_of_a_split_in_an_archive_are_kept(tmp_path: Path) -> None:
    files = {f"{side}/{name}": data for side in ("train", "test") for name, data in PHOTOS.items()}
    (tmp_path / "a.tar").write_bytes(tar_of(*files.items()))
    found = find_images(tmp_path / "a.tar")
    assert {candidate.side for candidate in found.candidates} == {"train", "test"}


def test_a_refused_member_is_a_skipped_file(tmp_path: Path) -> None:
    link = ("cat/link.png", special(tarfile.SYMTYPE, "1.png"))
    (tmp_path / "a.tar").write_bytes(tar_of(*PHOTOS.items(), link))
    skipped = find_images(tmp_path / "a.tar").skipped
    assert [(file.path, file.reason) for file in skipped] == [("cat/link.png", "a link in the archive")]


def test_an_archive_in_an_archive_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(zip_of(("cat.zip", zip_of(("cat/1.png", _png(1))))))
    with pytest.raises(NoImagesError, match=r"it holds the archive cat\.zip: take it out"):
        find_images(tmp_path / "a.zip")


def test_a_table_reads_images_in_an_archive(tmp_path: Path) -> None:
    (tmp_path / "photos.zip").write_bytes(zip_of(*PHOTOS.items()))
    (tmp_path / "labels.csv").write_text("path,label\ncat/1.png,tabby\nDOG/2,poodle\ncat/none.png,x\n")
    found = find_images(tmp_path / "labels.csv", root=tmp_path / "photos.zip")
    assert [(c.path, c.label) for c in found.candidates] == [("cat/1.png", "tabby"), ("dog/2.png", "poodle")]
    assert [file.path for file in found.skipped] == ["cat/none.png"]


def test_an_archive_with_a_table_says_how_to_use_it(tmp_path: Path) -> None:
    (tmp_path / "k.zip").write_bytes(zip_of(("train.csv", b"id,label\n"), ("1.png", _png(1))))
    with pytest.raises(NoImagesError, match=r"train\.csv.* root k\.zip"):
        find_images(tmp_path / "k.zip")


def test_label_columns_are_not_for_archives(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(zip_of(*PHOTOS.items()))
    with pytest.raises(DataError, match="is an archive, whose labels are the names of its folders"):
        find_images(tmp_path / "a.zip", columns=TableColumns(labels=("a",)), task="multilabel")


def test_an_archive_that_is_not_read_says_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.7z").write_bytes(b"7z\xbc\xaf\x27\x1c" + bytes(50))
    with pytest.raises(NoImagesError, match=r"a 7-Zip archive; unpack it, for example with `7z x a\.7z`"):
        find_images(tmp_path / "a.7z")


def test_samples_with_labels_beside_them_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(tar_of(*sorted(SAMPLES.items())))
    found = find_images(tmp_path / "a.tar")
    assert [(c.path, c.label) for c in found.candidates[:2]] == [("0000.png", "0"), ("0001.png", "1")]
    assert len(found.candidates) == 8


def test_labels_of_samples_may_be_in_json(tmp_path: Path) -> None:
    files = {name: data for name, data in SAMPLES.items() if name.endswith(".png")}
    files |= {f"{n:04d}.json": json.dumps({"label": "ab"[n % 2], "box": [1]}).encode() for n in range(8)}
    files["0007.json"] = b"[" * 100_000
    (tmp_path / "a.tar").write_bytes(tar_of(*files.items()))
    found = find_images(tmp_path / "a.tar")
    assert [candidate.label for candidate in found.candidates] == ["a", "b", "a", "b", "a", "b", "a"]
    assert "can't be read" in found.skipped[0].reason


def _shards(folder: Path, names: tuple[str, ...]) -> None:
    folder.mkdir(exist_ok=True)
    for place, name in enumerate(names):
        part = {key: data for key, data in SAMPLES.items() if int(key[:4]) % len(names) == place}
        (folder / name).write_bytes(tar_of(*sorted(part.items())))


@pytest.mark.parametrize("pattern", ["s/s-{000..001}.tar", "s/s-*.tar", "s", "s/{s-000,s-001}.tar"])
def test_shards_are_one_data_set(pattern: str, tmp_path: Path) -> None:
    _shards(tmp_path / "s", ("s-000.tar", "s-001.tar"))
    found = find_images(tmp_path / pattern)
    assert found.root == tmp_path / "s"
    assert {c.path for c in found.candidates} == {f"s-{n % 2:03d}.tar/{n:04d}.png" for n in range(8)}
    assert len(_inputs(scan(found))) == 8


def test_shards_that_are_called_like_sides_are_a_split(tmp_path: Path) -> None:
    _shards(tmp_path / "s", ("train-000.tar", "val-000.tar"))
    assert {c.side for c in find_images(tmp_path / "s").candidates} == {"train", "validation"}


def test_classes_may_be_spread_over_shards(tmp_path: Path) -> None:
    for number, label in enumerate(("cat", "dog")):
        part = [(name, data) for name, data in PHOTOS.items() if name.startswith(label)]
        (tmp_path / f"p-{number}.tar").write_bytes(tar_of(*part))
    found = find_images(tmp_path / "p-{0..1}.tar")
    assert {candidate.label for candidate in found.candidates} == {"cat", "dog"}


def test_a_pattern_without_files_is_said_to_be_one(tmp_path: Path) -> None:
    with pytest.raises(NoImagesError, match=r"s-\*\.tar is a pattern that no file fits"):
        find_images(tmp_path / "s-*.tar")


def test_missing_shards_are_counted(tmp_path: Path) -> None:
    _shards(tmp_path / "s", ("s-000.tar", "s-001.tar"))
    with pytest.raises(NoImagesError, match=r"of the 5 files .* names, 3 are not there, .*s-002\.tar"):
        find_images(tmp_path / "s" / "s-{000..004}.tar")


def test_images_to_predict_may_be_in_an_archive(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(zip_by_macos(PHOTOS))
    sources = read_image_likes(str(tmp_path / "a.zip"))
    assert [Path(source.name).relative_to(tmp_path / "a.zip").as_posix() for source in sources] == sorted(
        PHOTOS
    )
