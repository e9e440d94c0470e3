"""Tables in JSON: lists of objects, columns, and a line for each object."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from regraft.data.images import find_images
from regraft.errors import DataError
from tests.corpus import encoded, picture

PAIRS = [("a.jpg", "cat"), ("b.jpg", "dog")]


def _place(folder: Path, name: str, text: str | bytes) -> Path:
    for file, _ in PAIRS:
        (folder / file).write_bytes(encoded(picture(), "JPEG"))
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder / name


_OBJECTS = [{"file_name": path, "label": label, "size": [1, 2]} for path, label in PAIRS]


@pytest.mark.parametrize(
    ("name", "text", "noun"),
    [
        ("t.jsonl", "\n".join(map(json.dumps, _OBJECTS)) + "\n\n", "JSON lines table"),
        ("t.ndjson", b"\xef\xbb\xbf" + "\r\n".join(map(json.dumps, _OBJECTS)).encode(), "JSON lines table"),
        ("t.json", json.dumps(_OBJECTS), "JSON table"),
        ("t.json", json.dumps(_OBJECTS).encode("utf-16"), "JSON table"),
        ("t.json", json.dumps({"path": ["a.jpg", "b.jpg"], "label": ["cat", "dog"]}), "JSON table"),
        (
            "t.json",
            json.dumps({"path": {"0": "a.jpg", "1": "b.jpg"}, "label": {"0": "cat", "1": "dog"}}),
            "JSON",
        ),
    ],
    ids=["lines", "lines with a mark", "list", "utf-16", "columns", "pandas"],
)
def test_a_table_in_json_is_read(tmp_path: Path, name: str, text: str | bytes, noun: str) -> None:
    found = find_images(_place(tmp_path, name, text))
    assert [(one.path, one.label) for one in found.candidates] == PAIRS
    assert found.layout.startswith(noun)


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([1, 2], ["1", "2"]),
        ([1.0, 2.5], ["1", "2.5"]),
        ([True, False], ["True", "False"]),
        (["1.0", 2], ["1.0", "2"]),
    ],
)
def test_labels_in_json_are_of_any_type(tmp_path: Path, values: list[object], labels: list[str]) -> None:
    rows = [{"path": path, "label": value} for (path, _), value in zip(PAIRS, values, strict=True)]
    found = find_images(_place(tmp_path, "t.json", json.dumps(rows)))
    assert [one.label for one in found.candidates] == labels


def test_a_label_that_is_a_list_is_skipped_with_its_reason(tmp_path: Path) -> None:
    rows = [{"path": "a.jpg", "label": ["x"]}, {"path": "b.jpg", "label": "y"}]
    found = find_images(_place(tmp_path, "t.json", json.dumps(rows)))
    assert [one.path for one in found.candidates] == ["b.jpg"]
    assert "a label of type list" in found.skipped[0].reason


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("t.json", "{", "can't read the table"),
        ("t.json", "[" * 100_000, "can't read the table"),
        ("t.json", '"text"', "is no table: accepted is a list"),
        ("t.json", '{"path": ["a.jpg"], "label": []}', "is no table"),
        ("t.json", "[]", "has no rows"),
        ("t.json", '[{"path": "a.jpg", "path": "b.jpg"}]', "has path twice"),
        ("t.json", "[" + "9" * 5000 + "]", "can't read the table"),
        ("t.jsonl", '{"path": "a.jpg", "label": "x"}\n[1]\n', "line 2 is no object"),
        ("t.jsonl", '{"path": "a.jpg", "label": "x"}\n{"path"\n', "line 2"),
        ("t.json", b"\x80\x81", "not UTF-8"),
    ],
)  # fmt: skip
def test_what_is_no_table_in_json_says_why(
    tmp_path: Path, name: str, text: str | bytes, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        find_images(_place(tmp_path, name, text))
