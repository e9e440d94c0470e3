"""Parquet files with images in their cells, as the Hugging Face hub keeps data sets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from regraft.data.findings.scan import scan
from regraft.data.images import find_images
from regraft.data.pictures.loading import read_file
from regraft.data.sources.candidates import Found
from regraft.data.sources.column_names import TableColumns
from regraft.data.sources.table_files import read_table
from regraft.errors import DataError, ImageError, NoImagesError
from tests.corpus import encoded, picture

IMAGES = [encoded(picture(20 + number, 12), "PNG") for number in range(10)]
NAMES = {
    "info": {
        "features": {"image": {"_type": "Image"}, "label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}
    }
}


def _rows(count: int = 10) -> dict[str, Any]:
    return {
        "image": [{"bytes": data, "path": f"{number}.png"} for number, data in enumerate(IMAGES[:count])],
        "label": [number % 2 for number in range(count)],
    }


def _written(path: Path, columns: dict[str, Any], *, metadata: Any = None) -> Path:
    table = pa.table(columns)
    if metadata is not None:
        table = table.replace_schema_metadata({"huggingface": json.dumps(metadata)})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=3)
    return path


def _bytes(found: Found) -> list[bytes]:
    return [read_file(one.file) for one in found.candidates]


def test_images_in_a_table_are_files(tmp_path: Path) -> None:
    found = find_images(_written(tmp_path / "t.parquet", _rows(), metadata=NAMES))
    assert _bytes(found) == IMAGES
    assert [one.label for one in found.candidates] == ["cat", "dog"] * 5
    assert found.candidates[3].path == "image/00000003.png"
    assert found.root == tmp_path / "t.parquet"


def test_images_are_read_in_any_order(tmp_path: Path) -> None:
    found = find_images(_written(tmp_path / "t.parquet", _rows()))
    order = [7, 0, 9, 3, 7, 1, 5]
    assert [read_file(found.candidates[place].file) for place in order] == [IMAGES[place] for place in order]


def test_a_column_of_bytes_holds_images_too(tmp_path: Path) -> None:
    found = find_images(_written(tmp_path / "t.parquet", {"img": IMAGES, "target": ["a", "b"] * 5}))
    assert _bytes(found) == IMAGES
    assert len(scan(found).items) == 10


def test_the_column_of_images_goes_before_one_of_names(tmp_path: Path) -> None:
    columns = {**_rows(), "file_name": [f"{number}.png" for number in range(10)]}
    assert _bytes(find_images(_written(tmp_path / "t.parquet", columns))) == IMAGES


def test_of_several_columns_of_images_one_is_chosen(tmp_path: Path) -> None:
    columns = {**_rows(), "mask": _rows()["image"][::-1]}
    path = _written(tmp_path / "t.parquet", columns)
    assert _bytes(find_images(path)) == IMAGES
    assert _bytes(find_images(path, columns=TableColumns(path="mask"))) == IMAGES[::-1]


def test_numbers_without_names_are_labels(tmp_path: Path) -> None:
    found = find_images(_written(tmp_path / "t.parquet", _rows(2)))
    assert [one.label for one in found.candidates] == ["0", "1"]


def test_minus_one_is_no_label_where_classes_have_names(tmp_path: Path) -> None:
    columns = {**_rows(3), "label": [0, -1, 1]}
    found = find_images(_written(tmp_path / "t.parquet", columns, metadata=NAMES))
    assert [one.label for one in found.candidates] == ["cat", "dog"]
    assert [file.reason for file in found.skipped] == ["no label"]


@pytest.mark.parametrize("cell", [None, {"bytes": None, "path": "a.png"}], ids=["no cell", "a name alone"])
def test_a_cell_without_an_image_is_skipped(tmp_path: Path, cell: Any) -> None:
    columns = {"image": [*_rows(9)["image"], cell], "label": [number % 2 for number in range(10)]}
    images = scan(find_images(_written(tmp_path / "t.parquet", columns)))
    assert len(images.items) == 9
    assert "holds no image" in images.skipped[0].reason


@pytest.mark.parametrize("pattern", ["data", "data/t*.parquet", "."])
def test_several_files_are_a_split_by_their_names(tmp_path: Path, pattern: str) -> None:
    for side, start, stop in (("train", 0, 6), ("test", 6, 10)):
        part = {name: cells[start:stop] for name, cells in _rows().items()}
        _written(tmp_path / "set" / "data" / f"{side}-00000-of-00001.parquet", part)
    (tmp_path / "set" / "README.md").write_text("# A data set")
    found = find_images(tmp_path / "set" / pattern)
    assert sorted(_bytes(found)) == sorted(IMAGES)
    assert {one.side for one in found.candidates} == {"train", "test"}


def test_files_with_other_columns_are_not_joined(tmp_path: Path) -> None:
    _written(tmp_path / "data" / "a.parquet", _rows())
    _written(tmp_path / "data" / "b.parquet", {**_rows(), "age": list(range(10))})
    with pytest.raises(DataError, match=r"files of one data set have the same columns"):
        find_images(tmp_path / "data")


def test_a_small_file_does_not_fill_the_memory(tmp_path: Path) -> None:
    """A thousand cells that are one image of 500 kB: kept once in the file, and once in memory."""
    large = IMAGES[0] + bytes(500_000)
    cells = pa.DictionaryArray.from_arrays(pa.array([0] * 1000), pa.array([large]))
    table = pa.table({"image": cells, "label": ["a", "b"] * 500})
    pq.write_table(table, tmp_path / "t.parquet", store_schema=False)
    found = find_images(tmp_path / "t.parquet")
    before = pa.default_memory_pool().bytes_allocated()
    assert read_file(found.candidates[200].file) == large
    assert pa.default_memory_pool().bytes_allocated() - before < 100_000_000


def test_text_that_is_kept_once_is_one_object(tmp_path: Path) -> None:
    """Paths and labels of 200 kB in 2,000 rows: 800 MB, if each row had its own."""
    long = pa.array(["x" * 200_000 + ".png"])
    paths = pa.DictionaryArray.from_arrays(pa.array([0] * 2000), long)
    image = pa.array([{"bytes": IMAGES[0], "path": "x" * 200_000 + ".PNG"}] * 3)
    pq.write_table(pa.table({"path": paths, "label": paths}), tmp_path / "t.parquet", store_schema=False)
    pq.write_table(pa.table({"image": image, "label": [1, 2, 3]}), tmp_path / "i.parquet", row_group_size=2)
    table = read_table(tmp_path / "t.parquet", ())
    cells = table.texts(0)
    assert (len(cells), len({id(cell) for cell in cells})) == (2000, 1)
    with pytest.raises(NoImagesError, match="1 x a path of 200,004 characters"):
        find_images(tmp_path / "t.parquet")
    assert [Path(one.path).suffix for one in find_images(tmp_path / "i.parquet").candidates] == [".png"] * 3


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = _written(tmp_path / "t.parquet", _rows())
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"can't read the table .*t\.parquet"):
        find_images(path)


def test_a_damaged_group_is_a_reason(tmp_path: Path) -> None:
    path = _written(tmp_path / "t.parquet", _rows())
    data = bytearray(path.read_bytes())
    data[20:200] = bytes(180)
    found = find_images(path)
    path.write_bytes(bytes(data))
    with pytest.raises(ImageError):
        [read_file(one.file) for one in found.candidates]
