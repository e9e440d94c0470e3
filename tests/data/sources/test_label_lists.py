from __future__ import annotations

import re
from pathlib import Path

import pytest

from regraft.data.images import find_images
from regraft.data.sources.candidates import Found
from regraft.data.sources.column_names import TableColumns
from regraft.errors import DataError, NoImagesError, SettingsError
from regraft.records import TaskName
from regraft.settings import DataSettings
from tests.data.sources.test_tables import reasons, rows, table


def read(root: Path, text: str, task: TaskName, *columns: str) -> Found:
    file = table(root, text, "1.png", "2.png", "3.png")
    return find_images(file, columns=TableColumns(labels=columns), task=task)


def test_a_cell_of_several_labels_is_sorted_and_an_empty_one_names_none(tmp_path: Path) -> None:
    found = read(tmp_path, "path,label\n1.png,rain| cat\n2.png,\n3.png,cat\n", "multilabel")
    assert rows(found) == [("1.png", "cat|rain"), ("2.png", ""), ("3.png", "cat")]


def test_a_row_for_each_label_of_an_image_is_one_image_with_all_of_them(tmp_path: Path) -> None:
    found = read(tmp_path, "path,label\n1.png,cat\n1.png,rain\n2.png,cat\n", "multilabel")
    assert rows(found) == [("1.png", "cat|rain"), ("2.png", "cat")]


def test_a_list_may_be_longer_than_a_single_label(tmp_path: Path) -> None:
    names = "|".join(f"label{number:03d}" for number in range(100))
    assert rows(read(tmp_path, f"path,label\n1.png,{names}\n", "multilabel")) == [("1.png", names)]


def test_columns_of_one_and_zero_are_labels_and_empty_cells_are_unknown(tmp_path: Path) -> None:
    found = read(tmp_path, "path,cat,rain\n1.png,1,\n2.png,0,1\n3.png,0,0\n", "multilabel", "cat", "rain")
    assert rows(found) == [("1.png", "cat|?rain"), ("2.png", "rain"), ("3.png", "")]
    assert found.source.endswith("t.csv#cat,rain")


def test_a_column_saved_with_gaps_as_decimals_is_read_alike(tmp_path: Path) -> None:
    found = read(tmp_path, "path,cat,rain\n1.png,1.0,nan\n2.png,0.0,1.0\n", "multilabel", "cat", "rain")
    assert rows(found) == [("1.png", "cat|?rain"), ("2.png", "rain")]


def test_rows_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    found = read(tmp_path, "path,a,b\n1.png,1,0\n1.png,0,1\n2.png,1,1\n", "multilabel", "a", "b")
    assert reasons(found) == [("1.png", "has several labels (a, b)")]


def test_a_column_that_is_never_one_is_a_finding(tmp_path: Path) -> None:
    found = read(tmp_path, "path,a,b\n1.png,1,0\n2.png,0,0\n", "multilabel", "a", "b")
    assert [one.message for one in found.findings if one.kind == "never-present"] == [
        "no image has the label b, so the model does not predict it"
    ]


def test_yes_and_no_in_a_column_of_labels_are_explained(tmp_path: Path) -> None:
    with pytest.raises(NoImagesError, match=r"cat is 'yes'; accepted are 1 \(present\), 0 \(absent\)"):
        read(tmp_path, "path,cat,rain\n1.png,yes,no\n2.png,yes,no\n", "multilabel", "cat", "rain")


def test_a_missing_column_of_labels_is_named_with_a_close_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no column cats.*cat.*Name a column for each label"):
        read(tmp_path, "path,cat,rain\n1.png,1,0\n", "multilabel", "cats", "rain")


def test_lists_that_are_all_of_one_name_are_remarked(tmp_path: Path) -> None:
    found = read(tmp_path, "path,label\n1.png,yes\n2.png,no\n", "multilabel")
    assert ["each image has exactly one label" in one.message for one in found.findings] == [True]


def test_an_empty_cell_beside_lists_is_explained_to_a_classification(tmp_path: Path) -> None:
    found = read(tmp_path, "path,label\n1.png,a|b\n2.png,\n3.png,a\n", "classification")
    assert reasons(found) == [
        (
            "2.png",
            "no label (with --task multilabel, an empty cell means that the image has none of the labels)",
        )
    ]


def test_numbers_have_one_form_and_other_texts_are_skipped_with_the_reason(tmp_path: Path) -> None:
    found = read(tmp_path, 'path,label\n1.png,"2,50"\n2.png,1e3\n3.png,old\n', "regression")
    assert rows(found) == [("1.png", "2.5"), ("2.png", "1000")]
    assert "the label 'old' is not a finite number" in reasons(found)[0][1]


def test_an_image_without_a_number_is_skipped(tmp_path: Path) -> None:
    found = read(tmp_path, "path,label\n1.png,1.5\n2.png,\n3.png,nan\n", "regression")
    assert reasons(found) == [("2.png", "no label"), ("3.png", "no label")]


def test_columns_of_labels_need_a_table(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "1.png").write_bytes(b"x")
    with pytest.raises(DataError, match="is a folder, whose labels are the names of its folders"):
        find_images(tmp_path, columns=TableColumns(labels=("cat", "rain")), task="multilabel")


@pytest.mark.parametrize(
    ("settings", "task"),
    [
        ({}, "classification"),
        ({"label_columns": "a, b"}, "multilabel"),
        ({"task": "any-of"}, "multilabel"),
        ({"task": "number"}, "regression"),
    ],
    ids=["nothing", "columns", "any-of", "number"],
)
def test_the_task_follows_from_the_settings(settings: dict[str, str], task: TaskName) -> None:
    assert DataSettings(**settings).task_name == task  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"task": "number", "label_columns": ("a", "b")}, "--label-columns is for several labels an image"),
        ({"label_column": "y", "label_columns": ("a", "b")}, "--label-column y and --label-columns a,b"),
        ({"label_columns": ("a", "a")}, "names a twice"),
        ({"task": "numbers"}, "'numbers'.*number"),
        ({"label_columns": 3}, "--label-columns is 3"),
    ],
    ids=["another task", "both", "twice", "misspelt", "no names"],
)
def test_settings_that_contradict_each_other_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError) as error:
        DataSettings(**settings)  # type: ignore[arg-type]
    assert re.search(message, error.value.with_flags)


def test_a_row_for_each_label_is_no_repetition(tmp_path: Path) -> None:
    found = read(tmp_path, "path,label\n1.png,cat\n1.png,rain\n2.png,\n", "multilabel")
    assert [one.kind for one in found.findings if one.kind == "repeated"] == []
