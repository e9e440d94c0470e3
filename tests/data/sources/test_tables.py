from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from regraft.data.images import find_images
from regraft.data.sources.candidates import Found
from regraft.data.sources.column_names import TableColumns
from regraft.errors import DataError, NoImagesError
from regraft.records import Side


def table(root: Path, text: str | bytes, *files: str, name: str = "t.csv") -> Path:
    """A table, and the files that it names."""
    root.mkdir(parents=True, exist_ok=True)
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(b"x")
    (root / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return root / name


def parquet(root: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), root / "t.parquet")
    return root / "t.parquet"


def rows(found: Found) -> list[tuple[str, str]]:
    return [(candidate.path, candidate.label) for candidate in found.candidates]


def reasons(found: Found) -> list[tuple[str, str]]:
    return [(file.path, file.reason) for file in found.skipped]


FILES = ("a.jpg", "b.jpg")


def test_a_csv_gives_sides_and_groups(tmp_path: Path) -> None:
    text = 'path,label,split,group\n"a, b.jpg",007,train,g1\nc.jpg,NA,test,\n'
    found = find_images(table(tmp_path, text, "a, b.jpg", "c.jpg"))
    assert [(c.path, c.label, c.side, c.group) for c in found.candidates] == [
        ("a, b.jpg", "007", "train", "g1"),
        ("c.jpg", "NA", "test", None),
    ]


def test_a_parquet_table_is_read(tmp_path: Path) -> None:
    table(tmp_path, "", *FILES)
    assert rows(find_images(parquet(tmp_path, path=FILES, label=[1, 2]))) == [("a.jpg", "1"), ("b.jpg", "2")]


def test_other_columns_can_be_named(tmp_path: Path) -> None:
    place = table(
        tmp_path / "x",
        "file,kind,suggested\na.jpg,x,test\nb.jpg,y,train\n",
        "a.jpg",
        "../d/a.jpg",
        "../d/b.jpg",
    )
    columns = TableColumns(path="file", label="kind", split="suggested")
    found = find_images(place, root=tmp_path / "d", columns=columns)
    assert [(c.file, c.side) for c in found.candidates] == [
        (str(tmp_path / "d" / "a.jpg"), "test"),
        (str(tmp_path / "d" / "b.jpg"), "train"),
    ]


def test_a_missing_column_is_named_with_close_ones(tmp_path: Path) -> None:
    place = table(tmp_path, "path,lable,size\na.jpg,x,1\n")
    with pytest.raises(
        DataError, match=r"no column label \(did you mean lable\?\); it has path, lable, size"
    ):
        find_images(place)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (TableColumns(label="kinds"), r"no column kinds \(did you mean kind\?\).*label_column"),
        (TableColumns(path="src"), "no column src.*path_column"),
        (TableColumns(split="fold"), "no column fold.*split_column"),
        (TableColumns(path="kind", label="kind"), "kind can't hold both the paths and the labels"),
    ],
    ids=["label", "path", "split", "both"],
)
def test_a_column_that_was_asked_for_must_be_there(
    tmp_path: Path, columns: TableColumns, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        find_images(table(tmp_path, "path,label,kind\na.jpg,x,y\n", "a.jpg"), columns=columns)


def test_rows_that_can_not_be_used_are_listed(tmp_path: Path) -> None:
    text = "path,label\na.jpg,x\nb.jpg,x\nb.jpg,y\n,z\n../../etc/passwd,x\nc.jpg,\nnowhere.jpg,x\n"
    found = find_images(table(tmp_path, text, "a.jpg", "b.jpg", "c.jpg"))
    assert rows(found) == [("a.jpg", "x")]
    assert set(reasons(found)) == {
        ("b.jpg", "has several labels (x, y)"),
        ("row 5 of t.csv", "no path"),
        ("../../etc/passwd", f"path outside of {tmp_path}"),
        ("c.jpg", "no label"),
        ("nowhere.jpg", f"no such file below {tmp_path}"),
    }


def test_rows_that_disagree_about_sides_or_groups_are_listed(tmp_path: Path) -> None:
    text = "path,label,split,group\na.jpg,x,train,1\na.jpg,x,test,1\nb.jpg,x,,1\nb.jpg,x,,2\nc.jpg,x,test,\n"
    found = find_images(table(tmp_path, text, *FILES, "c.jpg"))
    assert reasons(found) == [
        ("a.jpg", "is on several sides of the split (test, train)"),
        ("b.jpg", "is in several groups (1, 2)"),
    ]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("holdin", "row 3: split 'holdin' is not one of train"),
        ("1", "row 3: split '1' does not say which side"),
    ],
)
def test_an_unknown_side_is_an_error_with_its_row(tmp_path: Path, value: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        find_images(table(tmp_path, f"path,label,split\na.jpg,x,train\nb.jpg,y,{value}\n", *FILES))


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"]
)
@pytest.mark.parametrize(
    "separator", [",", ";", "\t", "|", " "], ids=["comma", "semicolon", "tab", "bar", "blank"]
)
def test_any_usual_encoding_and_separator_is_read(tmp_path: Path, encoding: str, separator: str) -> None:
    lines = [("path", "label"), ("Hüte/a.jpg", "Käfer"), ("b.jpg", "x")]
    text = "".join(separator.join(line) + "\r\n" for line in lines).encode(encoding)
    found = find_images(table(tmp_path, text, "Hüte/a.jpg", "b.jpg"))
    assert rows(found) == [("Hüte/a.jpg", "Käfer"), ("b.jpg", "x")]


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("path;label\na.jpg;0,5\nb.jpg;1,5\n", "0,5"),
        ("path;note;label\na.jpg;1, 2, 3;x\nb.jpg;1, 2, 3;x\n", "x"),
        ("sep=;\npath;label\na.jpg;x\nb.jpg;x\n", "x"),
        ("path,label,,\na.jpg,x,,\nb.jpg,x,,\n,,,\n\n", "x"),
        ('path, label\na.jpg, "x, y"\nb.jpg, x\n', "x, y"),
        ("path\tlabel\na.jpg\tx; y\nb.jpg\tx\n", "x; y"),
    ],
    ids=[
        "decimal comma",
        "commas in text",
        "sep line",
        "empty columns",
        "blank after comma",
        "tabs in a csv",
    ],
)
def test_separators_are_not_confused(tmp_path: Path, text: str, label: str) -> None:
    assert rows(find_images(table(tmp_path, text, *FILES)))[0] == ("a.jpg", label)


@pytest.mark.parametrize(
    ("header", "labels"),
    [("filename,class", "class"), ("Image_ID,Species", "Species"), ("file_name,anything", "anything"),
     ("IMG PATH,image_id,target", "target")],
)  # fmt: skip
def test_usual_names_of_columns_are_recognised_and_said(tmp_path: Path, header: str, labels: str) -> None:
    cells = ["a.jpg"] + ["k"] * header.count(",")
    found = find_images(table(tmp_path, f"{header}\n{','.join(cells)}\n", *FILES))
    assert rows(found) == [("a.jpg", "k")]
    assert found.layout.endswith(f"paths in {header.split(',')[0]}, labels in {labels}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "file,filename,label\na.jpg,a.jpg,x\n",
            "file and filename could both be it; choose one with path_column",
        ),
        ("path,label,label\na.jpg,x,y\n", "has 2 columns called label"),
        ("path,label\n", "has no rows, only the columns path, label"),
        ("", "is empty"),
        ("a.jpg,x,y\nb.jpg,z,y\n", "has no column label; it has path, column_2, column_3"),
        ("a.jpg,x,y\nb,z,y\nc,z,y\n", "no line with the names of its columns: the first line is a.jpg,x,y"),
        ('path,label\na.jpg,"x\nb.jpg,y\n', "quotation mark is not closed"),
        (b"PK\x03\x04rest", "workbook, not text; save it as CSV"),
    ],
    ids=[
        "two paths",
        "twice",
        "no rows",
        "empty",
        "no header and two labels",
        "paths in few rows",
        "open quote",
        "workbook",
    ],
)
def test_a_table_that_can_not_be_understood_says_why(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        find_images(table(tmp_path, text, *FILES))


@pytest.mark.parametrize(
    ("text", "sides"),
    [
        ("a.jpg,cat\nb.jpg,dog\n", [None, None]),
        ("cat;a.jpg\ndog;b.jpg\n", [None, None]),
        ("a.jpg,train,cat\nb.jpg,test,dog\n", ["train", "test"]),
        ("\n a.jpg ,cat\nb.jpg,dog\n", [None, None]),
    ],
    ids=["comma", "labels first", "split", "blanks"],
)
def test_a_table_without_a_line_of_names_is_understood(
    tmp_path: Path, text: str, sides: list[Side | None]
) -> None:
    found = find_images(table(tmp_path, text, *FILES))
    assert rows(found) == [("a.jpg", "cat"), ("b.jpg", "dog")]
    assert [one.side for one in found.candidates] == sides
    assert "without a line of names" in found.layout


def test_columns_without_names_can_be_chosen(tmp_path: Path) -> None:
    found = find_images(
        table(tmp_path, "a.jpg,x,cat\nb.jpg,x,dog\n", *FILES), columns=TableColumns(label="column_3")
    )
    assert rows(found) == [("a.jpg", "cat"), ("b.jpg", "dog")]


@pytest.mark.parametrize(
    ("header", "hint"),
    [
        ("datei,klasse", "The column datei holds names of images: add path_column datei label_column klasse"),
        ("datei,rasse,klasse", "holds names of images: add path_column datei label_column NAME"),
    ],
)
def test_the_column_of_images_is_found_by_its_cells(tmp_path: Path, header: str, hint: str) -> None:
    cells = ["a.jpg"] + ["k"] * header.count(",")
    with pytest.raises(DataError, match=hint):
        find_images(table(tmp_path, f"{header}\n{','.join(cells)}\n", *FILES))


def test_a_row_with_too_many_cells_is_listed(tmp_path: Path) -> None:
    found = find_images(table(tmp_path, "path,label\na.jpg,x\nb, c.jpg,y\n", *FILES))
    assert rows(found) == [("a.jpg", "x")]
    assert reasons(found)[0][0] == "row 3 of t.csv"
    assert reasons(found)[0][1].startswith("more cells than columns")


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        (r"img\cat\0.JPG", "img/cat/0.JPG"),
        (r".\img\cat\0.JPG", "img/cat/0.JPG"),
        ("img/cat/0.jpg", "img/cat/0.JPG"),
        ("./img/cat/0", "img/cat/0.JPG"),
        ("IMG/CAT/0", "img/cat/0.JPG"),
        ("img//cat/../cat/0.JPG", "img/cat/0.JPG"),
        (" img/cat/0.JPG ", "img/cat/0.JPG"),
        ("img/pâté.png", "img/pa\u0302te\u0301.png"),
        ("ISIC_1.5", "ISIC_1.5.tif"),
    ],
)
def test_a_path_finds_its_file_as_it_is_spelled_on_disk(tmp_path: Path, cell: str, found: str) -> None:
    place = table(
        tmp_path, f"path,label\n{cell},x\n", "img/cat/0.JPG", "img/pa\u0302te\u0301.png", "ISIC_1.5.tif"
    )
    assert rows(find_images(place)) == [(found, "x")]


def test_a_name_without_extension_must_mean_one_file(tmp_path: Path) -> None:
    found = find_images(
        table(tmp_path, "path,label\n1,x\n2,y\n", "1.jpg", "1.png", "2.jpg", "2.txt", "2.json")
    )
    assert rows(found) == [("2.jpg", "y")]
    assert reasons(found) == [("1", "several files could be it, such as 1.jpg and 1.png")]


@pytest.mark.parametrize("is_root_linked", [False, True], ids=["table by its place", "table by the link"])
@pytest.mark.parametrize("is_path_linked", [False, True], ids=["paths by their place", "paths by the link"])
def test_absolute_paths_are_found_through_links(
    tmp_path: Path, is_root_linked: bool, is_path_linked: bool
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    folder = tmp_path / ("link" if is_path_linked else "real")
    table(tmp_path / "real", f"path,label\n{folder}/img/a.jpg,x\n", "img/a.jpg")
    found = find_images(tmp_path / ("link" if is_root_linked else "real") / "t.csv")
    assert rows(found) == [("img/a.jpg", "x")]


def test_an_image_that_links_into_a_store_is_below_the_root(tmp_path: Path) -> None:
    table(tmp_path / "store", "", "abc")
    place = table(tmp_path / "data", f"path,label\n{tmp_path}/data/a.jpg,x\nb.jpg,y\n")
    for name in FILES:
        (tmp_path / "data" / name).symlink_to(tmp_path / "store" / "abc")
    assert rows(find_images(place)) == [("a.jpg", "x"), ("b.jpg", "y")]


@pytest.mark.parametrize(
    ("cell", "hint"),
    [
        ("cat/0.jpg", "with root data/img they would be found"),
        ("data/img/cat/0.jpg", "with root . they would be found"),
        ("{}/other/9.jpg", "with root {}/other they would be found"),
        ("https://example.org/0.jpg", "an address, not a path"),
        ("gone.jpg", "gone.jpg was looked for at {}/data/gone.jpg"),
    ],
    ids=["below", "above", "elsewhere", "address", "gone"],
)
def test_a_refusal_says_where_the_files_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cell: str, hint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    table(tmp_path, "", "other/9.jpg")
    place = table(tmp_path / "data", f"path,label\n{cell.format(tmp_path)},x\n", "img/cat/0.jpg")
    with pytest.raises(NoImagesError) as caught:
        find_images(place.relative_to(tmp_path))
    assert hint.format(tmp_path) in str(caught.value)
    assert all(flag in str(caught.value) for flag in ("root", "path_column", "label_column"))


@pytest.mark.parametrize(
    ("start", "text"),
    [("/home/ann/", "/home/ann/"), ("C:\\data\\", "C:/data/"), ("\\\\host\\share\\", "//host/share/")],
    ids=["home", "drive", "share"],
)
def test_paths_of_another_machine_are_found_by_their_ends(tmp_path: Path, start: str, text: str) -> None:
    cells = [f"{start}{name}" for name in ("img/cat/0.jpg", "img/dog/0.jpg", "img/dog/1.jpg")]
    place = table(
        tmp_path, "path,label\n" + "".join(f"{cell},x\n" for cell in cells), "img/cat/0.jpg", "img/dog/0.jpg"
    )
    found = find_images(place)
    assert rows(found) == [("img/cat/0.jpg", "x"), ("img/dog/0.jpg", "x")]
    assert reasons(found)[0][0] == cells[2]
    note = f"paths in the table begin with {text} of another machine, and were found without it"
    assert [(one.message, len(one.paths)) for one in found.findings if one.kind == "note"] == [(note, 2)]


def test_paths_of_another_machine_must_begin_alike(tmp_path: Path) -> None:
    text = "path,label\n/home/ann/train/0.jpg,x\n/home/ann/test/0.jpg,y\n/home/bob/train/0.jpg,x\n"
    found = find_images(table(tmp_path, text, "train/0.jpg", "0.jpg"))
    assert rows(found) == [("train/0.jpg", "x")]
    assert [path for path, _ in reasons(found)] == ["/home/ann/test/0.jpg", "/home/bob/train/0.jpg"]


def test_several_columns_of_yes_and_no_are_suggested_as_labels(tmp_path: Path) -> None:
    text = "path,rain,snow,age\na.jpg,1,0,3\nb.jpg,0,1,4\n"
    with pytest.raises(DataError, match=r"2 columns hold nothing but 0 and 1: .* label_columns rain,snow$"):
        find_images(table(tmp_path, text, *FILES))


def test_a_quoted_path_may_be_followed_by_text_of_several_lines(tmp_path: Path) -> None:
    found = find_images(table(tmp_path, 'path,note,label\na.jpg,"one\ntwo",x\nb.jpg,,y\n', *FILES))
    assert rows(found) == [("a.jpg", "x"), ("b.jpg", "y")]


@pytest.mark.parametrize("cells", [("2024-05-01", "2024-05-02"), ("0.10", "1.5"), ("007", "7")])
def test_labels_are_kept_as_they_are_written(tmp_path: Path, cells: tuple[str, str]) -> None:
    found = find_images(table(tmp_path, f"path,label\na.jpg,{cells[0]}\nb.jpg,{cells[1]}\n", *FILES))
    assert tuple(label for _, label in rows(found)) == cells


def test_a_workbook_is_refused_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "labels.xlsx").write_bytes(b"PK\x03\x04" + bytes(100))
    with pytest.raises(DataError, match="Save As, CSV UTF-8"):
        find_images(tmp_path / "labels.xlsx")


def test_a_table_with_a_row_for_each_label_of_an_image_is_explained(tmp_path: Path) -> None:
    with pytest.raises(
        NoImagesError, match=r"1 x has several labels \(x, y\)\. A classification has one label"
    ):
        find_images(table(tmp_path, "path,label\na.jpg,x\na.jpg,y\n", *FILES))


def test_equal_reasons_are_counted_together(tmp_path: Path) -> None:
    text = "path,label\n" + "".join(f"{n}.jpg,x\n" for n in range(30)) + "a.jpg,\nb.jpg,\n"
    with pytest.raises(NoImagesError, match=r"30 x no such file below .*; 2 x no label"):
        find_images(table(tmp_path, text, *FILES))


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        (pa.array([0.0, float("nan")]), ["0"]),
        (pa.array([1.0, 0.5]), ["1", "0.5"]),
        (pa.array([0.1, 2.0], pa.float32()), ["0.1", "2"]),
        (pa.array([True, False]), ["True", "False"]),
        (pa.array([Decimal("1.00"), Decimal("2.50")]), ["1", "2.5"]),
        (pa.array(["x", None]), ["x"]),
        (pa.array(["1.0", "nan"]), ["1"]),
        (pa.array(["x ", "y"]).dictionary_encode(), ["x", "y"]),
        (pa.array([-1, 1], pa.int8()), ["-1", "1"]),
    ],
    ids=[
        "nan",
        "decimals",
        "float32",
        "booleans",
        "exact",
        "null",
        "numbers as text",
        "categories",
        "signed",
    ],
)
def test_labels_of_any_type_of_number_or_text_are_read(
    tmp_path: Path, values: Any, labels: list[str]
) -> None:
    table(tmp_path, "", *FILES)
    found = find_images(parquet(tmp_path, path=FILES, label=values))
    assert [label for _, label in rows(found)] == labels
    assert [reason for _, reason in reasons(found)] == ["no label"] * (2 - len(labels))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"path": FILES, "label": [["a"], ["b"]]}, r"label holds list<.*one label for each image"),
        ({"path": FILES, "label": [{"x": 1}, {"x": 2}]}, "label holds struct<.*label_column"),
        ({"path": FILES, "label": [b"a", b"b"]}, "label holds binary"),
        ({"path": [1, 2], "label": ["a", "b"]}, "path holds int64, but paths are text.*path_column"),
    ],
    ids=["lists", "structs", "bytes", "numbers as paths"],
)
def test_columns_of_other_types_are_refused_by_their_type(
    tmp_path: Path, columns: dict[str, Any], message: str
) -> None:
    table(tmp_path, "", *FILES)
    with pytest.raises(DataError, match=message):
        find_images(parquet(tmp_path, **columns))


def test_labels_that_were_unified_are_a_note(tmp_path: Path) -> None:
    found = find_images(table(tmp_path, "path,label\na.jpg,cat \nb.jpg,cat\n", *FILES))
    assert rows(found) == [("a.jpg", "cat"), ("b.jpg", "cat")]
    assert [(f.kind, f.paths) for f in found.findings] == [("note", ("a.jpg",))]
    assert "'cat ' became 'cat'" in found.findings[0].message


def test_two_columns_of_one_name_in_parquet_are_refused(tmp_path: Path) -> None:
    twice = pa.Table.from_arrays([pa.array(["a.jpg"])] * 3, names=["path", "label", "label"])
    pq.write_table(twice, tmp_path / "t.parquet")
    with pytest.raises(DataError, match="has 2 columns called label"):
        find_images(tmp_path / "t.parquet")


def test_a_parquet_table_in_several_files_is_read(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").mkdir()
    for name in FILES:
        table(tmp_path, "", name)
        parquet(tmp_path / "t.parquet", path=[name], label=["x"]).rename(
            tmp_path / "t.parquet" / f"{name}.parquet"
        )
    assert rows(find_images(tmp_path / "t.parquet")) == [("a.jpg", "x"), ("b.jpg", "x")]


def test_a_side_without_labels_is_set_aside(tmp_path: Path) -> None:
    found = find_images(table(tmp_path, "path,label,split\na.jpg,x,train\nb.jpg,,test\n", *FILES))
    assert [(c.path, c.side) for c in found.candidates] == [("a.jpg", None)]
    assert found.skipped == ()
    assert [(f.kind, f.paths) for f in found.findings] == [("unlabelled", ("b.jpg",))]


def test_a_column_that_only_names_sides_is_the_split(tmp_path: Path) -> None:
    found = find_images(table(tmp_path, "path,label,subset,set\na.jpg,x,train,1\nb.jpg,x,test,2\n", *FILES))
    assert [c.side for c in found.candidates] == ["train", "test"]
    assert "sides in subset" in found.layout


def test_file_names_that_are_not_utf8_are_found_from_a_table_in_their_encoding(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.jpg")
    assert rows(find_images(table(tmp_path, b"path,label\ncaf\xe9.jpg,x\n", name))) == [(name, "x")]
