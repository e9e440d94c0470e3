"""Answers are written block by block; an interruption changes no byte of the file."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from regraft.errors import SettingsError
from regraft.outputs.answers import AnswerFile, AnswerKind
from regraft.outputs.files import PREDICTION_LINES, PREDICTION_TABLE, PREDICTIONS, output_file
from regraft.storage.tables import csv_bytes
from regraft.tasks.classification import Classification
from regraft.tasks.multilabel import Multilabel
from regraft.tasks.regression import Regression
from regraft.tasks.task import Task

_LABELS = ("dog, or wolf", "=cat")
BLOCKS = [
    [{"path": f"{block}/{row}.jpg", "label": _LABELS[row], "probability": f"0.{row}5"} for row in range(2)]
    for block in range(3)
]
HEADER = ("path", "label", "probability")
SKIPPED = [[], [("1/x.jpg", "empty file")], []]


def _lines(block: int) -> bytes:
    return "".join(f'{{"path": "{row["path"]}"}}\n' for row in BLOCKS[block]).encode()


def _add(answers: AnswerFile, blocks: range) -> None:
    for block in blocks:
        answers.add(block, BLOCKS[block], _lines(block), SKIPPED[block])


def _whole(path: Path, kind: AnswerKind) -> AnswerFile:
    answers = AnswerFile(path, kind, "a" * 64, HEADER)
    _add(answers, range(3))
    answers.finish()
    return answers


def test_csv_is_what_it_would_be_in_one_piece(tmp_path: Path) -> None:
    _whole(tmp_path / "p.csv", "csv")
    rows = [row for block in BLOCKS for row in block]
    expected = csv_bytes(list(rows[0]), [list(row.values()) for row in rows])
    assert (tmp_path / "p.csv").read_bytes() == expected
    assert (tmp_path / "p.csv.skipped.csv").read_text() == "path,reason\n1/x.jpg,empty file\n"


def test_lines_of_json_are_joined(tmp_path: Path) -> None:
    _whole(tmp_path / "p.jsonl", "jsonl")
    assert (tmp_path / "p.jsonl").read_bytes() == b"".join(map(_lines, range(3)))


def test_parquet_holds_numbers(tmp_path: Path) -> None:
    _whole(tmp_path / "p.parquet", "parquet")
    table = pq.read_table(tmp_path / "p.parquet")
    assert table.column_names == ["path", "label", "probability"]
    assert table.column("label").to_pylist()[:2] == ["dog, or wolf", "=cat"]
    assert table.column("probability").to_pylist()[:2] == [0.05, 0.15]
    assert output_file(tmp_path / "p.parquet", PREDICTION_TABLE) == tmp_path / "p.parquet"


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("done", [1, 2, 3])
def test_an_interruption_changes_no_byte(tmp_path: Path, kind: AnswerKind, done: int) -> None:
    _whole(tmp_path / f"whole.{kind}", kind)
    path = tmp_path / f"again.{kind}"
    _add(AnswerFile(path, kind, "a" * 64, HEADER), range(done))
    assert not path.exists()
    resumed = AnswerFile(path, kind, "a" * 64, HEADER)
    assert resumed.blocks.done == done
    _add(resumed, range(done, 3))
    resumed.finish()
    assert path.read_bytes() == (tmp_path / f"whole.{kind}").read_bytes()


def test_answers_of_another_command_are_not_taken_over(tmp_path: Path) -> None:
    _add(AnswerFile(tmp_path / "p.csv", "csv", "a" * 64, HEADER), range(2))
    assert AnswerFile(tmp_path / "p.csv", "csv", "b" * 64, HEADER).blocks.done == 0


def test_nothing_but_the_files_is_left(tmp_path: Path) -> None:
    _add(AnswerFile(tmp_path / "p.csv", "csv", "b" * 64, HEADER), range(2))
    _whole(tmp_path / "p.csv", "csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p.csv", "p.csv.skipped.csv"]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_blocks_without_answers_are_blocks(tmp_path: Path, kind: AnswerKind) -> None:
    answers = AnswerFile(tmp_path / "p", kind, "a" * 64, HEADER)
    answers.add(0, [], b"", [("x", "empty file")])
    answers.add(1, BLOCKS[1], _lines(1), [])
    answers.finish()
    if kind == "csv":
        rows = list(csv.DictReader((tmp_path / "p").read_text().splitlines()))
        assert [row["label"] for row in rows] == ["dog, or wolf", "'=cat"]
    if kind == "parquet":
        assert len(pq.read_table(tmp_path / "p")) == 2


def test_a_rejected_class_is_text_in_a_table_with_types(tmp_path: Path) -> None:
    header = ("path", "label", "probability", "rejected")
    answers = AnswerFile(tmp_path / "p.parquet", "parquet", "a" * 64, header)
    answers.add(0, [dict(zip(header, ("1.jpg", "", "0.4", "cat"), strict=True))], b"", [])
    answers.finish()
    assert pq.read_table(tmp_path / "p.parquet").to_pylist() == [
        {"path": "1.jpg", "label": "", "probability": 0.4, "rejected": "cat"}
    ]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_columns_are_there_without_any_answer(tmp_path: Path, kind: AnswerKind) -> None:
    answers = AnswerFile(tmp_path / f"p.{kind}", kind, "a" * 64, HEADER)
    answers.add(0, [], b"", [("x", "empty file")])
    answers.finish()
    if kind == "csv":
        assert answers.path.read_text() == "path,label,probability\n"
    else:
        assert tuple(pq.read_table(answers.path).column_names) == HEADER


def test_the_list_of_skipped_files_of_an_earlier_command_goes(tmp_path: Path) -> None:
    _whole(tmp_path / "p.csv", "csv")
    answers = AnswerFile(tmp_path / "p.csv", "csv", "b" * 64, HEADER)
    answers.add(0, BLOCKS[0], b"", [])
    answers.finish()
    assert [path.name for path in tmp_path.iterdir()] == ["p.csv"]


def test_names_with_brackets_are_cleaned_up_too(tmp_path: Path) -> None:
    _whole(tmp_path / "p[1].csv", "csv")
    assert not list(tmp_path.glob(".*"))


TASKS: list[Task] = [
    Classification(outputs=("cat", "dog"), reject_below=0.9),
    Multilabel(outputs=("cat", "dog")),
    Regression(outputs=("age",)),
]


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
@pytest.mark.parametrize("top", [1, 2])
def test_answers_of_any_task_are_recognised(tmp_path: Path, task: Task, top: int) -> None:
    answer = task.answer(np.full(len(task.outputs), 0.5), top=top)
    table, lines = tmp_path / "p.csv", tmp_path / "p.jsonl"
    table.write_bytes(csv_bytes(["path", *answer.cells], [["1.jpg", *answer.cells.values()]]))
    lines.write_text(json.dumps({"path": "1.jpg", **answer.facts}) + "\n")
    assert output_file(table, PREDICTIONS) == table
    assert output_file(lines, PREDICTION_LINES) == lines


@pytest.mark.parametrize("text", ["path,labels\n1.jpg,a|b\n", "path,labels,split\n1.jpg,a|b,train\n"])
def test_a_table_of_labels_is_no_answer(tmp_path: Path, text: str) -> None:
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(SettingsError, match="it is not predictions as CSV that regraft wrote"):
        output_file(tmp_path / "p.csv", PREDICTIONS)
