from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.networks import sample
from tests.networks.sample import EVERY, TURNS, WAYS


def git(folder: Path, *words: str) -> None:
    who = ["-c", "user.name=nobody", "-c", "user.email=nobody@localhost", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)


def test_ten_turns_see_every_network_and_each_of_them_every_way_to_be_cut() -> None:
    turns = [sample.sample(turn) for turn in range(TURNS)]
    assert set.union(*turns) == set(EVERY)
    assert all(set(WAYS.values()) <= turn for turn in turns)


def test_ten_commits_in_a_row_are_ten_turns(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    turns = []
    for number in range(TURNS):
        git(tmp_path, "commit", "-q", "--allow-empty", "-m", str(number))
        turns.append(sample.turn_of(tmp_path))
    assert sorted(turns) == list(range(TURNS))


def test_without_git_it_is_the_first_turn(tmp_path: Path) -> None:
    assert sample.turn_of(tmp_path) == 0


def test_a_turn_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGRAFT_SAMPLE", "27")
    assert sample.current_turn() == 7
