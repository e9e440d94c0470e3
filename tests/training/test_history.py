from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from regraft.progress import Silent
from regraft.training.history import History
from regraft.training.loop.engine import Trainer
from regraft.training.movement import Movement
from tests.training.examples import small_training


@pytest.fixture(scope="module")
def history() -> History:
    position = Trainer(small_training(epochs=3, phases=2), Silent()).run()
    return History(position.history, [Movement("one", 0.5, 0.9)])


def test_the_table_and_the_lines_say_the_same(history: History, tmp_path: Path) -> None:
    history.write(tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    with (tmp_path / "metrics.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [float(row["train_loss"]) for row in table] == [line["train_loss"] for line in lines]
    assert table[0]["lr one"] == ""  # stage one stood still in the first phase
    assert float(table[-1]["lr one"]) == lines[-1]["learning_rates"]["one"]
    assert float(table[-1]["gradient norm head"]) > 0


def test_the_stages_that_moved_are_listed(history: History, tmp_path: Path) -> None:
    history.write(tmp_path)
    expected = "stage,relative_weight_change,feature_similarity_cka\none,0.5,0.9\n"
    assert (tmp_path / "stages.csv").read_text() == expected


def test_tensorboard_events_are_written_once(history: History, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="the extra regraft[tensorboard] is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for _ in range(2):
        history.write(tmp_path)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    values = [event.value for event in events.Scalars("train_loss")]
    assert values == pytest.approx([row["train_loss"] for row in history.rows])
