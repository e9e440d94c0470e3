"""Tables as other programs and people write them, from the command line."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.cases.conftest import QUICK, Command
from tests.cases.pictures import folder, labelled, table

Rows = list[tuple[str, str]]
HALVES = {"cat": 14, "dog": 14}


@pytest.fixture
def photos(tmp_path: Path) -> Rows:
    """14 cats and 14 dogs in folders of an image folder, as the rows of a table."""
    folder(tmp_path / "img", count=14)
    return labelled(tmp_path)


def checked(command: Command, *words: str | Path) -> dict[str, Any]:
    ran = command("check", "--json", *words)
    assert ran.code == 0, ran.err
    record: dict[str, Any] = json.loads(ran.out)
    return record


def messages(record: dict[str, Any], kind: str) -> list[str]:
    return [finding["message"] for finding in record["findings"] if finding["kind"] == kind]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("separator", [";", "\t", "|"], ids=["semicolon", "tab", "bar"])
def test_a_table_of_any_spreadsheet_is_read(
    regraft_command: Command, photos: Rows, separator: str, encoding: str
) -> None:
    table(Path("t.csv"), [(path, label, "é") for path, label in photos],
          header=("path", "label", "note"), separator=separator, encoding=encoding)  # fmt: skip
    assert checked(regraft_command, "t.csv")["classes"] == HALVES


@pytest.mark.parametrize("how", ["backslashes", "no extension", "capitals", "absolute", "through a link"])
def test_paths_that_are_written_otherwise_are_found(regraft_command: Command, photos: Rows, how: str) -> None:
    here = Path.cwd()
    (here.parent / f"{here.name} link").symlink_to(here)
    change = {
        "backslashes": lambda path: path.replace("/", "\\"),
        "no extension": lambda path: path.removesuffix(".jpg"),
        "capitals": lambda path: path.upper(),
        "absolute": lambda path: f"{here}/{path}",
        "through a link": lambda path: f"{here.parent}/{here.name} link/{path}",
    }[how]
    table(Path("t.csv"), [(change(path), label) for path, label in photos])
    assert checked(regraft_command, "t.csv")["classes"] == HALVES


@pytest.mark.parametrize(
    ("path", "label"), [("filename", "class"), ("Image", "Category"), ("img", "species")]
)
def test_usual_columns_need_no_flags(regraft_command: Command, photos: Rows, path: str, label: str) -> None:
    table(Path("t.csv"), photos, header=(path, label))
    assert checked(regraft_command, "t.csv")["classes"] == HALVES


def test_columns_that_are_not_recognised_are_refused_with_the_flags(
    regraft_command: Command, photos: Rows
) -> None:
    table(Path("t.csv"), [(*row, 1) for row in photos], header=("path", "what", "size"))
    ran = regraft_command("check", "t.csv")
    assert ran.code == 1
    assert "no column label" in ran.err
    assert "--label-column" in ran.err


def test_a_table_with_the_wrong_root_names_the_right_one(regraft_command: Command, photos: Rows) -> None:
    table(Path("t.csv"), [(path.removeprefix("img/"), label) for path, label in photos])
    ran = regraft_command("check", "t.csv")
    assert ran.code == 1
    assert f"cat/000.jpg was looked for at {Path.cwd()}/cat/000.jpg" in ran.err
    assert "with --root img they would be found" in ran.err
    assert checked(regraft_command, "t.csv", "--root", "img")["classes"] == HALVES


def test_some_missing_files_are_refused_for_one_reason(regraft_command: Command, photos: Rows) -> None:
    table(Path("t.csv"), [*photos, *((f"gone/{n}.jpg", "cat") for n in range(20))])
    ran = regraft_command("check", "t.csv")
    assert ran.code == 1
    assert (
        f"20 of 48 files can't be used (42%, the limit is 20%): 20 x no such file below {Path.cwd()}"
        in ran.err
    )


def test_repeated_rows_are_one_image_and_never_bad(regraft_command: Command, photos: Rows) -> None:
    rows = [row for row in photos for _ in range(3 if row[1] == "cat" else 1)]
    table(Path("t.csv"), rows)
    record = checked(regraft_command, "t.csv", "--max-bad-share", "0")
    assert (record["classes"], record["skipped"]) == (HALVES, [])
    (message,) = messages(record, "repeated")
    assert "28, for 14 images" in message
    assert "--balanced" in message


def test_rows_with_another_label_are_a_fault_of_the_data(regraft_command: Command, photos: Rows) -> None:
    table(Path("t.csv"), [*photos, (photos[0][0], "dog")])
    record = checked(regraft_command, "t.csv")
    assert record["skipped"] == [{"path": photos[0][0], "reason": "has several labels (cat, dog)"}]
    assert record["classes"] == {"cat": 13, "dog": 14}


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_a_column_of_numbers_with_gaps_has_two_classes(
    regraft_command: Command, photos: Rows, kind: str
) -> None:
    values = [None if n in (3, 20) else float(label == "dog") for n, (_, label) in enumerate(photos)]
    paths = [path for path, _ in photos]
    if kind == "parquet":
        numbers = [float("nan") if value is None else value for value in values]
        pq.write_table(pa.table({"path": paths, "label": numbers}), "t.parquet")
    else:
        table(Path("t.csv"), zip(paths, ["" if v is None else v for v in values], strict=True))
    record = checked(regraft_command, f"t.{kind}")
    assert record["classes"] == {"0": 13, "1": 13}
    assert Counter(file["reason"] for file in record["skipped"]) == {"no label": 2}


def respelled(rows: Rows, ways: Sequence[str]) -> Rows:
    return [(path, ways[n % len(ways)].format(label)) for n, (path, label) in enumerate(rows)]


def test_blanks_around_labels_do_not_make_classes(regraft_command: Command, photos: Rows) -> None:
    table(Path("t.csv"), respelled(photos, ["{}", "{} ", "\u00a0{}"]))
    assert checked(regraft_command, "t.csv")["classes"] == HALVES


def test_spellings_of_labels_are_named_by_check_and_fit(regraft_command: Command, photos: Rows) -> None:
    rows = [(path, [label, label.title(), label.upper()][n % 3]) for n, (path, label) in enumerate(photos)]
    table(Path("t.csv"), rows)
    expected = "6 classes are 3 spellings each of cat and dog (CAT, Cat, cat; DOG, Dog, dog)"
    assert messages(checked(regraft_command, "t.csv"), "spelling")[0].startswith(expected)
    assert expected in regraft_command("fit", "t.csv", *QUICK).err


def test_spellings_that_divide_official_sides_stop(regraft_command: Command, photos: Rows) -> None:
    rows = [
        (path, label.title() if n % 4 == 0 else label, "test" if n % 4 == 0 else "train")
        for n, (path, label) in enumerate(photos)
    ]
    table(Path("t.csv"), rows, header=("path", "label", "split"))
    ran = regraft_command("check", "t.csv")
    assert ran.code == 1
    assert "train has cat, test has Cat; train has dog, test has Dog" in ran.err


@pytest.mark.parametrize("joint", [" ", "|", ";", "_"], ids=["blanks", "bars", "semicolons", "underscores"])
def test_several_labels_for_each_image_are_hinted_at(
    regraft_command: Command, photos: Rows, joint: str
) -> None:
    tags = [joint.join([label, ["sun", "rain", "snow"][n % 3], ["day", "night"][n % 2]])
            for n, (_, label) in enumerate(photos)]  # fmt: skip
    table(Path("t.csv"), [(path, tag) for (path, _), tag in zip(photos, tags, strict=True)])
    (hint,) = messages(checked(regraft_command, "t.csv"), "label-hint")
    assert "which looks like several labels for each image" in hint
    assert "--task multilabel" in hint


def test_quantities_are_hinted_at(regraft_command: Command, photos: Rows) -> None:
    table(Path("t.csv"), [(path, f"{n / 7:.4f}") for n, (path, _) in enumerate(photos, start=1)])
    (hint,) = messages(checked(regraft_command, "t.csv"), "label-hint")
    assert "decimal numbers" in hint


@pytest.mark.parametrize(("low", "high"), [("-1", "1"), ("-0.5", "+0.5"), ("-1e3", "5")])
def test_numbers_as_labels_stay_as_they_are_in_every_file(
    regraft_command: Command, photos: Rows, low: str, high: str
) -> None:
    table(Path("t.csv"), [(path, low if label == "cat" else high) for path, label in photos])
    assert regraft_command("fit", "t.csv", *QUICK, "--out", "run").code == 0
    written = regraft_command("predict", "run", *(path for path, _ in photos)).out
    for text in [written, *(path.read_text() for path in Path("run").glob("*.csv"))]:
        assert "'" not in text
    header, first, second = Path("run/confusion.csv").read_text().splitlines()
    assert header.split(",")[1:] == [first.split(",")[0], second.split(",")[0]] == sorted([low, high])


def sides(run: str) -> dict[str, str]:
    lines = Path(run, "split.csv").read_text().splitlines()[1:]
    return {line.split(",")[0]: line.split(",")[2] for line in lines}


def test_the_split_does_not_depend_on_other_tables(
    regraft_command: Command, photos: Rows, warm_cache: Path
) -> None:
    table(Path("coarse.csv"), photos)
    table(Path("fine.csv"), [(path, f"{label}-{n % 14 // 2}") for n, (path, label) in enumerate(photos)])
    for number, names in enumerate([["fine"], ["coarse", "fine"]]):
        shutil.rmtree(warm_cache / "splits", ignore_errors=True)
        for name in names:
            assert regraft_command("fit", f"{name}.csv", *QUICK, "--out", f"{name}-{number}").code == 0
    assert sides("fine-0") == sides("fine-1") == dict.fromkeys(sides("fine-0"), "train")


def test_two_columns_of_one_table_have_splits_of_their_own(regraft_command: Command, photos: Rows) -> None:
    rows = [(path, label, f"{label}-{n % 14 // 2}") for n, (path, label) in enumerate(photos)]
    table(Path("t.csv"), rows, header=("path", "genus", "species"))
    assert checked(regraft_command, "t.csv", "--label-column", "genus")["sides"] == {"train": 22, "test": 6}
    assert checked(regraft_command, "t.csv", "--label-column", "species")["sides"] == {"train": 28}


def test_reuse_of_a_split_is_said(regraft_command: Command, photos: Rows) -> None:
    table(Path("t.csv"), photos)
    assert "split of an earlier run" not in regraft_command("fit", "t.csv", *QUICK, "--out", "one").text
    assert "split of an earlier run reused" in regraft_command("fit", "t.csv", *QUICK, "--out", "two").text
    assert Path("one/split.json").read_bytes() == Path("two/split.json").read_bytes()


def test_a_list_of_corrections_comes_back_from_a_spreadsheet(regraft_command: Command, photos: Rows) -> None:
    table(Path("t.csv"), [(path, {"cat": "-1", "dog": "1"}[label]) for path, label in photos])
    lines = [(photos[0][0], "'-1", "1", "Relabel"), (photos[1][0], "-1", "1", "exclude")]
    table(
        Path("fixed.csv"),
        lines,
        header=("path", "label", "suggested", "action"),
        separator=";",
        encoding="utf-8-sig",
    )
    assert checked(regraft_command, "t.csv", "--corrections", "fixed.csv")["classes"] == {"-1": 12, "1": 15}
