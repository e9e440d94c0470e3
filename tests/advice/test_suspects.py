from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import regraft
from regraft.advice.suspects import conflicting, label_suspects
from regraft.errors import DataError
from regraft.records import Finding


def test_a_confident_contradiction_is_a_suspect_and_doubt_is_not() -> None:
    """Thresholds by hand: class a (0.9 + 0.8 + 0.1) / 3 = 0.6, class b (0.9 + 0.9 + 0.45) / 3 = 0.75."""
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.1, 0.9], [0.1, 0.9], [0.55, 0.45]])
    truth = np.array([0, 0, 0, 1, 1, 1])
    found = label_suspects(probabilities, truth, ("a", "b"), [f"{n}.png" for n in range(6)])
    assert [(one.path, one.label, one.suggested) for one in found] == [("2.png", "a", "b")]


def test_planted_label_errors_are_found(digits: Path, tmp_path: Path) -> None:
    """One digit in twenty carries a wrong label; most of them are found, and few others."""
    from regraft.heads.fitting import fit_head
    from tests.heads.test_heads import columns, data

    rows, _ = data(tmp_path, count=600)
    planted = np.arange(0, 600, 20)
    wrong = rows.targets.copy()
    wrong[planted] = (wrong[planted] + 1) % 3
    from dataclasses import replace

    noisy = replace(rows, targets=wrong)
    fitted = fit_head(noisy, "logistic", [columns("signal")])
    found = label_suspects(fitted.out_of_fold, wrong, ("a", "b", "c"), [str(n) for n in range(600)])
    hits = {int(one.path) for one in found} & set(planted.tolist())
    assert len(hits) >= 0.8 * len(planted)
    assert len(hits) >= 0.5 * len(found)


def test_look_alikes_at_odds_are_suspects() -> None:
    finding = Finding("conflict", "the same picture under different labels", ("a/1.png", "b/2.png"))
    found = conflicting([finding], {"a/1.png": "a", "b/2.png": "b"})
    assert [(one.path, one.suggested) for one in found] == [("a/1.png", "b"), ("b/2.png", "a")]


def test_a_list_that_was_filled_in_is_obeyed(photos: Path, tmp_path: Path) -> None:
    table = tmp_path / "fixes.csv"
    table.write_text(
        "path,label,suggested,action\ndark/0.png,dark,light,relabel\ndark/1.png,dark,light,exclude\n"
        "dark/2.png,dark,light,\ndark/3.png,dark,light,keep\n"
    )
    images = regraft.load_images(photos, corrections=str(table))
    label_of = {item.path: item.label for item in images.items}
    assert label_of["dark/0.png"] == "light"
    assert "dark/1.png" not in label_of
    assert label_of["dark/2.png"] == label_of["dark/3.png"] == "dark"
    assert [file.reason for file in images.skipped] == ["excluded by fixes.csv"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("dark/0.png,dark,light,delete", "action 'delete' is not one of relabel, exclude, keep"),
        ("dark/99.png,dark,light,exclude", "no usable image 'dark/99.png'"),
        ("dark/0.png,light,dark,relabel", "is labelled 'dark', not 'light'"),
        ("dark/0.png,dark,ligth,relabel", "there is no class 'ligth' (did you mean light?)"),
    ],
)
def test_a_list_that_does_not_fit_is_refused(photos: Path, tmp_path: Path, line: str, said: str) -> None:
    table = tmp_path / "fixes.csv"
    table.write_text(f"path,label,suggested,action\n{line}\n")
    with pytest.raises(DataError, match=re.escape(said)):
        regraft.load_images(photos, corrections=str(table))


def test_a_list_of_other_columns_is_refused(photos: Path, tmp_path: Path) -> None:
    table = tmp_path / "fixes.csv"
    table.write_text("path,label\nx,y\n")
    with pytest.raises(DataError, match="lacks the columns action, suggested"):
        regraft.load_images(photos, corrections=str(table))
