from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from regraft.detection.maps import projected
from regraft.detection.maps.projected import ProjectedMaps
from regraft.detection.maps.projection import Projection, fit_projection
from regraft.progress import Silent
from regraft.records import MapLevel
from regraft.storage.rows import Rows, RowStore

LEVELS = (
    MapLevel(stage="a", stride=8, channels=70, height=8, width=12, start=0, stop=6720),
    MapLevel(stage="b", stride=32, channels=5, height=2, width=3, start=6720, stop=6750),
)
KEYS = [f"{number:064x}" for number in range(9)]


@pytest.fixture
def stored(tmp_path: Path) -> Rows:
    generator = np.random.default_rng(0)
    mixing = generator.normal(size=(70, 70)) * np.geomspace(1, 30, 70)
    rows = {}
    for key in KEYS:
        fine, coarse = generator.normal(size=(96, 70)) @ mixing, generator.normal(2, 3, (6, 5))
        coarse[:, 4] = 7.0  # a channel that is always the same
        rows[key] = np.concatenate([fine.ravel(), coarse.ravel()]).astype(np.float16)
    store = RowStore(tmp_path, width=6750, dtype=np.float16, facts={})
    return store.ensure(
        KEYS, lambda keys: ((key, rows[key]) for key in keys), reporter=Silent(), phase="testing"
    )


def test_components_are_those_of_a_singular_value_decomposition(stored: Rows) -> None:
    projection = fit_projection(LEVELS, stored, KEYS)
    matrix = stored.gather(KEYS).astype(float)
    for number, level in enumerate(LEVELS):
        cells = matrix[:, level.start : level.stop].reshape(-1, level.channels)
        spread = cells.std(axis=0)
        spread[spread == 0] = np.inf
        _, _, axes = np.linalg.svd((cells - cells.mean(axis=0)) / spread, full_matrices=False)
        width = min(64, level.channels)
        expected = ((cells - cells.mean(axis=0)) / spread) @ axes[:width].T
        found = projection.of(stored.gather(KEYS))[number]
        assert found.shape == (9, level.height, level.width, width)
        signs = np.sign((found.reshape(expected.shape) * expected).sum(axis=0))
        used = spread[np.isfinite(spread)].size if width == 5 else width
        assert found.reshape(expected.shape)[:, :used] == pytest.approx(
            (expected * signs)[:, :used], rel=1e-2, abs=2e-2
        )


def test_a_projection_survives_its_arrays(stored: Rows) -> None:
    projection = fit_projection(LEVELS, stored, KEYS)
    again = Projection.load(LEVELS, projection.arrays())
    rows = stored.gather(KEYS[:2])
    for one, other in zip(projection.of(rows), again.of(rows), strict=True):
        assert np.array_equal(one, other)


def test_the_order_of_the_pictures_changes_nothing(stored: Rows) -> None:
    one, other = (fit_projection(LEVELS, stored, keys) for keys in (KEYS, KEYS[::-1]))
    assert all(np.array_equal(a, b) for a, b in zip(one.axes, other.axes, strict=True))


def test_maps_are_the_same_whether_they_are_kept_in_memory(
    stored: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    projection = fit_projection(LEVELS, stored, KEYS)
    kept = ProjectedMaps(stored, projection, KEYS)
    monkeypatch.setattr(projected, "_MOST_BYTES", 0)
    not_kept = ProjectedMaps(stored, projection, KEYS)
    direct = projection.of(stored.gather(KEYS))
    for _ in range(2):
        for maps in (kept, not_kept):
            [(keys, values)] = maps.batches(KEYS)
            assert keys == KEYS
            assert all(np.array_equal(a, b) for a, b in zip(values, direct, strict=True))
