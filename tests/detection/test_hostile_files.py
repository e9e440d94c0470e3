"""Broken and hostile annotation files: each is refused or found with a reason, and none stops the others."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from regraft.detection.annotations.reading import read_boxes
from regraft.detection.annotations.recognition import FORMATS, sheets_in
from regraft.detection.sources import documents
from regraft.detection.sources.documents import json_of, number_of, xml_of
from regraft.errors import DataError, NoImagesError
from tests.detection.examples import found, one_picture, voc
from tests.detection.test_formats import ONE

BOX = ("cat", 1, 2, 30, 40)
BOMB = '<!DOCTYPE a [<!ENTITY b "x"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>'
EXTERNAL = '<!DOCTYPE annotation [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
COCO_HEAD = '{"images": [{"id": 1, "file_name": "a.png", "width": 100, "height": 80}], '
COCO_CLASSES = '"categories": [{"id": 1, "name": "cat"}], '


def coco(annotations: str, head: str = COCO_HEAD, classes: str = COCO_CLASSES) -> str:
    return f'{head}{classes}"annotations": [{annotations}]}}'


def labelme(shape: str) -> str:
    return f'{{"version": "5", "shapes": [{shape}], "imagePath": "a.png"}}'


def cvat(inner: str) -> str:
    return f"<annotations><image name='a.png' width='100' height='80'>{inner}</image></annotations>"


def create_ml(inner: str) -> str:
    return f'[{{"image": "a.png", "annotations": [{inner}], "coordinates": 0}}]'


def csv(row: str) -> bytes:
    return f"path,label,x_min,y_min,x_max,y_max\na.png,dog,1,2,30,40\n{row}\n".encode()


REFUSED = {
    "entity bomb": ("a.xml", BOMB + voc(BOX), "<!DOCTYPE"),
    "entity of a file": ("a.xml", EXTERNAL + voc(("&x;", 1, 2, 3, 4)), "<!DOCTYPE"),
    "entity bomb in UTF-16": ("a.xml", (BOMB + voc(BOX)).encode("utf-16"), "<!DOCTYPE"),
    "entity without a type": ("a.xml", '<annotation><!ENTITY a "b"><size/></annotation>', "<!ENTITY"),
    "undefined entity": ("a.xml", voc(("&lol;", 1, 2, 3, 4)), "undefined entity"),
    "XML 100,000 deep": ("a.xml", "<annotation><object>" + "<a>" * 100_000, "levels deep"),
    "XML cut off": ("a.xml", voc(BOX)[:-30], "not valid XML"),
    "XML of two roots": ("a.xml", voc(BOX) + voc(BOX), "not valid XML"),
    "XML with a NUL": ("a.xml", voc(BOX).encode() + b"\0", "NUL"),
    "XML in Latin-1 without saying so": ("a.xml", voc(("chât", 1, 2, 3, 4)).encode("latin-1"), "UTF-8"),
    "XML in an unknown encoding": ("a.xml", '<?xml version="1.0" encoding="x-no"?>' + voc(BOX), "x-no"),
    "XML with another root": ("a.xml", "<x><annotation/><object/></x>", "root element is 'x'"),
    "COCO 100,000 deep": ("x.json", '{"images": 1, "categories": ' + "[" * 100_000, "levels deep"),
    "COCO cut off": ("x.json", coco("")[:-1], "not valid JSON"),
    "COCO with NaN": ("x.json", coco('{"image_id": 1, "category_id": 1, "bbox": [NaN, 1, 2, 3]}'), "NaN"),
    "COCO with Infinity": ("x.json", coco('{"bbox": [Infinity, 1, 2, 3]}'), "Infinity"),
    "COCO with a key twice": ("x.json", coco('{"image_id": 1, "image_id": 2}'), "'image_id' twice"),
    "COCO with an id twice": (
        "x.json",
        coco("", head='{"images": [{"id": 1}, {"id": 1}], '),
        "two entries of images have the id 1",
    ),
    "COCO with a class twice": (
        "x.json",
        coco("", classes='"categories": [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}], '),
        "two entries of categories have the id 1",
    ),
    "COCO with images of text": ("x.json", '{"images": "a", "categories": []}', "images is 'a', not a list"),
    "COCO without annotations": ("x.json", '{"images": [], "categories": []}', "annotations is missing"),
    "COCO with a number of 5,000 digits": (
        "x.json",
        coco('{"bbox": [' + "9" * 5000 + "]}"),
        "not valid JSON",
    ),
    "COCO in Latin-1": (
        "x.json",
        coco("").replace('"cat"', '"ch\xe2t"').encode("latin-1"),
        "save it as UTF-8",
    ),
    "LabelMe with shapes of text": ("a.json", '{"shapes": "", "imagePath": "a.png"}', "shapes is ''"),
    "Create ML as text": ("x.json", '"coordinates" "annotations"', "not valid JSON"),
    "Create ML of numbers": ("x.json", '[1, {"coordinates": 1, "annotations": []}]', "entry 1 is a number"),
    "CVAT of a video": ("x.xml", "<annotations><track id='0'/></annotations>", "tracks of a video"),
    "YOLO with a NUL": ("a.txt", b"0 0.5 0.5 0.1 0.1\n\0", "NUL"),
    "YOLO in Latin-1": ("a.txt", b"0 0.5 0.5 0.1 0.1\n\xe9\xe9\n", "UTF-8"),
    "CSV with an open quotation mark": ("x.csv", csv('"a.png,cat'), "quotation mark"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_the_file_is_refused_and_the_others_are_read(case: str, tmp_path: Path) -> None:
    name, data, reason = REFUSED[case]
    folder = one_picture(tmp_path, {name: data})
    good = one_picture(tmp_path / "good", {"a.xml": voc(BOX)})
    (good / "a.png").rename(good / "b.png")
    (good / "a.xml").rename(good / "b.xml")
    kind = {"a.xml": "voc", "a.txt": "yolo", "x.csv": "csv"}.get(name)
    if kind == "voc":  # the good file is of the same format
        boxes = read_boxes(folder, wanted="voc")
        assert [picture.path for picture in boxes.pictures if picture.boxes] == ["good/b.png"]
        assert [reason in file.reason for file in boxes.skipped] == [True], boxes.skipped
    else:
        (good / "b.xml").unlink()
        with pytest.raises(NoImagesError) as error:
            read_boxes(folder)
        assert reason in str(error.value)


FOUND = {
    "NaN": ("a.xml", voc(BOX, ("a", "nan", 1, 2, 3)), "unreadable-box", "xmin is 'nan', not a number"),
    "infinity": ("a.xml", voc(BOX, ("a", "1e999", 1, 2, 3)), "unreadable-box", "accepted are numbers up to"),
    "1e308": ("a.xml", voc(BOX, ("a", 1, 1, "1e308", 3)), "unreadable-box", "numbers up to 10,000,000"),
    "underscores": ("a.xml", voc(BOX, ("a", "1_0", 1, 2, 3)), "unreadable-box", "'1_0', not a number"),
    "hexadecimal": ("a.xml", voc(BOX, ("a", "0x1", 1, 2, 3)), "unreadable-box", "'0x1', not a number"),
    "missing corner": ("a.xml", voc(BOX, ("a", "", 1, 2, 3)), "unreadable-box", "object 2: xmin is missing"),
    "no box": ("a.xml", voc(BOX, more="<object><name>a</name></object>"), "unreadable-box", "no bndbox"),
    "no label": ("a.xml", voc(BOX, ("", 1, 2, 3, 4)), "unreadable-box", "name is missing"),
    "long label": ("a.xml", voc(BOX, ("a" * 400, 1, 2, 3, 4)), "label", "400 characters"),
    "longer label": ("a.xml", voc(BOX, ("a" * 4000, 1, 2, 3, 4)), "unreadable-box", "4,000 characters"),
    "negative size": (
        "x.json",
        coco('{"image_id": 1, "category_id": 1, "bbox": [30, 30, -9, 5]}'),
        "inverted",
        "right is less than left",
    ),
    "path outside": (
        "x.json",
        coco(
            "",
            head='{"images": [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "../../etc/x.png"}], ',
        ),
        "no-picture",
        "no picture of the data set is called ../../etc/x.png",
    ),
    "unknown picture": (
        "x.json",
        coco('{"image_id": 9, "category_id": 1, "bbox": [1, 1, 2, 2]}'),
        "no-picture",
        "picture with the id 9; its 1 box can't be used",
    ),
    "unknown class": (
        "x.json",
        coco('{"image_id": 1, "category_id": 8, "bbox": [1, 1, 2, 2]}'),
        "unreadable-box",
        "category_id 8 is not in categories",
    ),
    "box of text": (
        "x.json",
        coco('{"image_id": 1, "category_id": 1, "bbox": "1234"}'),
        "unreadable-box",
        "x, y, width, height are expected, not '1234'",
    ),
    "box of three": (
        "x.json",
        coco('{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3]}'),
        "unreadable-box",
        "a list of 3 entries",
    ),
    "box of truth": (
        "x.json",
        coco('{"image_id": 1, "category_id": 1, "bbox": [true, 2, 3, 4]}'),
        "unreadable-box",
        "x is True, not a number",
    ),
    "annotation of null": ("x.json", coco("null"), "unreadable-box", "annotation 1 is missing"),
    "LabelMe point": (
        "a.json",
        labelme('{"label": "a", "shape_type": "point", "points": [[1, 2]]}'),
        "unreadable-box",
        "'point' encloses nothing",
    ),
    "LabelMe single corner": (
        "a.json",
        labelme('{"label": "a", "shape_type": "rectangle", "points": [[1, 2]]}'),
        "unreadable-box",
        "a shape of 1 points",
    ),
    "CVAT without a corner": ("x.xml", cvat("<box label='a' xtl='1'/>"), "unreadable-box", "ytl is missing"),
    "CVAT ellipse": ("x.xml", cvat("<ellipse label='a' cx='1'/>"), "unreadable-box", "neither a box nor"),
    "Create ML without numbers": (
        "x.json",
        create_ml('{"label": "a", "coordinates": {"x": 1}}'),
        "unreadable-box",
        "y is missing",
    ),
    "Label Studio without a label": (
        "x.json",
        '[{"data": {"image": "a.png"}, "annotations": [{"result": '
        '[{"type": "rectanglelabels", "value": {}}]}]}]',
        "unreadable-box",
        "without a rectangle and its label",
    ),
    "regions of text": (
        "x.json",
        '{"cat": {"a": [0.1, 0.1, 0.2, 0.2], "b": "c"}}',
        "unreadable-box",
        "not 'c'",
    ),
    "YOLO id beyond": ("a.txt", "0 .5 .5 .1 .1\n3 .5 .5 .1 .1", "unreadable-box", "class 3 has no name"),
    "YOLO negative id": ("a.txt", "0 .5 .5 .1 .1\n-1 .5 .5 .1 .1", "unreadable-box", "line 2: the number of"),
    "YOLO short row": ("a.txt", "0 .5 .5 .1 .1\n0 .5 .5", "unreadable-box", "2 numbers follow the class"),
    "YOLO odd polygon": ("a.txt", "0 .5 .5 .1 .1\n0 .1 .1 .2 .2 .3 .3 .4", "unreadable-box", "7 numbers"),
    "YOLO of words": ("a.txt", "0 .5 .5 .1 .1\n0 x y z w", "unreadable-box", "'x', not a number"),
    "CSV formula": ("x.csv", csv("a.png,cat,=1+1,2,3,4"), "unreadable-box", "'=1+1', not a number"),
    "CSV short row": ("x.csv", csv("a.png,cat,1"), "unreadable-box", "row 3: y_min is missing"),
    "CSV without a path": ("x.csv", csv(",cat,1,2,3,4"), "no-picture", "row 3 without a path"),
}


@pytest.mark.parametrize("case", FOUND)
def test_the_box_is_found_with_a_reason(case: str, tmp_path: Path) -> None:
    name, data, kind, text = FOUND[case]
    folder = one_picture(tmp_path, {name: data, "classes.txt": "cat\ndog\nbird\n"})
    assert any(text in message for message in found(folder).get(kind, [])), found(folder)


def test_a_file_of_too_many_boxes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regraft.detection.sources.yolo.MAX_MARKS", 100)
    folder = one_picture(tmp_path, {"a.txt": "0 .5 .5 .1 .1\n" * 101})
    with pytest.raises(NoImagesError, match=r"has 101 lines; at most 100"):
        read_boxes(folder)


def test_a_large_file_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regraft.detection.annotations.recognition.MAX_TABLE_MB", 1e-4)
    with pytest.raises(NoImagesError, match="above the limit"):
        read_boxes(one_picture(tmp_path, {"x.csv": csv("a.png,cat,1,2,3,4\n" * 20)}))


def test_many_faults_stay_bounded(tmp_path: Path) -> None:
    rows = "\n".join(f"a.png,cat,{n % 90},1,{n % 90},2" for n in range(12_000))
    kinds = found(one_picture(tmp_path, {"x.csv": csv(rows)}))
    assert len(kinds["zero-area"]) == 10_001
    assert kinds["zero-area"][-1] == "2,000 more findings of this kind are not listed"


def test_names_never_reach_outside(tmp_path: Path) -> None:
    one_picture(tmp_path / "outside", {})
    inside = one_picture(tmp_path / "inside", {"a.xml": voc(BOX)})
    text = coco('{"image_id": 1, "category_id": 1, "bbox": [1, 1, 2, 2]}')
    (inside / "x.json").write_text(text.replace("a.png", str(tmp_path / "outside" / "b.png")))
    (tmp_path / "outside" / "a.png").rename(tmp_path / "outside" / "b.png")
    with pytest.raises(NoImagesError, match="no picture of the data set is called"):
        read_boxes(inside, wanted="coco")


def test_a_fifo_is_no_annotation(tmp_path: Path) -> None:
    import os

    folder = one_picture(tmp_path, {"a.xml": voc(BOX)})
    os.mkfifo(folder / "b.xml")
    assert len(read_boxes(folder).pictures) == 1


ODD = (None, 7, -1.5, True, "", "x", [], [[]], {}, {"a": 1}, [1, 2, 3, 4], [None], "9" * 400)


def mutants(value: Any) -> Iterator[Any]:
    """A JSON value with each of its parts replaced by each odd value, and left out."""
    yield from ODD
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in list(parts):
        for other in mutants(part):
            copy = value.copy()
            copy[key] = other
            yield copy
        copy = value.copy()
        del copy[key]
        yield copy


@pytest.mark.parametrize("kind", [kind for kind in ONE if any(name.endswith(".json") for name in ONE[kind])])
def test_whatever_stands_in_place_of_a_value_is_refused_or_read(kind: str, tmp_path: Path) -> None:
    (text,) = ONE[kind].values()
    name = next(name for name in FORMATS if kind.startswith(name))
    file = tmp_path / "a.json"
    for mutant in mutants(json_of(text if isinstance(text, bytes) else text.encode())):
        file.write_text(json.dumps(mutant))
        with contextlib.suppress(DataError):
            assert isinstance(sheets_in(file, "a.json", name, None), list)


def test_depth_within_text_is_no_nesting() -> None:
    assert json_of(b'["' + b"[" * 1000 + b'"]') == ["[" * 1000]


@pytest.mark.parametrize("value", ["", None, "1e400", "-inf", True, [1], "１２", 10**400])
def test_what_is_not_a_number_is_refused(value: object) -> None:
    with pytest.raises(DataError):
        number_of(value, "x")


def test_xml_may_declare_its_encoding() -> None:
    text = '<?xml version="1.0" encoding="ISO-8859-1"?><a>ch\xe2t</a>'
    assert xml_of(text.encode("latin-1")).text == "ch\xe2t"
    assert documents.text_of(b"\xef\xbb\xbfa") == "a"
