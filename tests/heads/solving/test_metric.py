from __future__ import annotations

import numpy as np
import pytest

from regraft.heads.solving import metric
from regraft.heads.solving.metric import RowMetric, metric_of
from regraft.heads.solving.row_blocks import RowBlocks
from regraft.heads.solving.solver import LinearProblems, solve


def spread_rows(count: int = 90, width: int = 30) -> np.ndarray:
    """Columns of very different spread."""
    return np.random.default_rng(0).normal(size=(count, width)) * np.geomspace(0.01, 1, width)


def test_the_metric_of_wide_rows_is_the_inverse_of_their_gram_matrix_and_a_floor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(metric, "_SQUARE_WIDTH", 10)
    rows = spread_rows()
    found = metric_of(rows)
    assert isinstance(found, RowMetric)
    longer = np.column_stack([rows, np.ones(len(rows))])
    gram = longer.T @ longer / len(rows) + found.floor * np.eye(31)
    for shape in ((31, 2), (4, 31, 2), (3, 31, 1)):
        vectors = np.random.default_rng(1).normal(size=shape)
        assert np.allclose(found @ vectors, np.linalg.inv(gram) @ vectors, atol=1e-8)


def test_the_square_metric_is_nearly_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = spread_rows()
    square = metric_of(rows)
    assert isinstance(square, np.ndarray)
    monkeypatch.setattr(metric, "_SQUARE_WIDTH", 10)
    wide = metric_of(rows) @ np.eye(31)
    assert np.allclose(wide, square, atol=0.1 * np.abs(square).max())


def test_blocks_give_the_metric_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    halves = spread_rows().astype(np.float16)
    blocks = RowBlocks(halves, np.zeros(30, np.float32), np.ones(30, np.float32))
    monkeypatch.setattr("regraft.heads.solving.row_blocks._BLOCK_NUMBERS", 30 * 7)
    assert np.allclose(metric_of(blocks), metric_of(halves.astype(np.float32)), rtol=1e-3)


def test_the_metric_of_wide_rows_leads_to_the_same_optimum(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = spread_rows(300)
    labels = (rows @ np.random.default_rng(2).normal(size=(30, 3))).argmax(axis=1)
    problems = LinearProblems(rows, labels, 3, np.ones((1, 300), dtype=bool))
    plain = solve(problems, 100.0, tolerance=1e-6)[0]
    monkeypatch.setattr(metric, "_SQUARE_WIDTH", 10)
    monkeypatch.setattr(metric, "_METRIC_ROWS", 40)
    found = solve(problems, 100.0, tolerance=1e-6, metric=metric_of(rows))[0]
    assert np.abs(rows @ (found - plain)[:-1]).max() < 1e-2 * np.abs(rows @ plain[:-1]).max()
