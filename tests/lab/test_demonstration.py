from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from regraft import load_model
from regraft.lab import demonstration
from regraft.lab.demonstration import (
    BEST,
    LAST,
    MAJORITY,
    NETWORK,
    SCRATCH,
    TEST_PER_CLASS,
    Demonstration,
    demonstrate,
)
from regraft.storage import read_json
from regraft.workflow import load_images

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Demonstration:
    return demonstrate(tmp_path_factory.mktemp("demonstration"), draws=1, per_class=4)


def test_every_task_has_every_contender_and_as_many_images_as_it_says(found: Demonstration) -> None:
    for comparison, classes in zip(found.comparisons, (10, 2), strict=True):
        assert [one.name for one in comparison.contenders] == list(demonstration.CONTENDERS)
        assert comparison.classes == classes
        assert comparison.labelled_images == 4 * classes
        assert comparison.test_images == TEST_PER_CLASS * classes
        assert comparison.contender(MAJORITY).accuracy.value == 1 / classes


def test_the_best_stage_and_the_last_are_read_off_the_depth_profile(found: Demonstration) -> None:
    for comparison in found.comparisons:
        depths = {depth.stage: depth.accuracy.value for depth in comparison.depths}
        assert comparison.contender(LAST).accuracy.value == list(depths.values())[-1]
        assert comparison.contender(BEST).accuracy.value == depths[comparison.first_choice]


def test_differences_are_taken_draw_by_draw(found: Demonstration) -> None:
    for comparison in found.comparisons:
        scratch = comparison.contender(SCRATCH)
        for one in comparison.contenders:
            difference = one.accuracy.value - scratch.accuracy.value
            assert one.over_scratch.value == pytest.approx(difference)


def test_the_run_that_is_left_scores_what_the_table_says(found: Demonstration) -> None:
    assert load_model(found.run_folder).weights.network == NETWORK
    test = read_json(found.run_folder / "scores.json")["test"]
    assert test["images"] == 10 * TEST_PER_CLASS
    assert test["accuracy"]["value"] == found.comparisons[0].contender(BEST).accuracy.value


def test_draws_share_test_images_and_differ_in_training_images(tmp_path: Path) -> None:
    demonstration.TASKS[1].write(tmp_path)
    images = load_images(tmp_path)
    sides = []
    for draw in (0, 1):
        drawn = demonstration._drawn_images(images, draw=draw, per_class=5)
        sides.append({side: {i.path for i in drawn.items if i.side == side} for side in ("train", "test")})
    assert sides[0]["test"] == sides[1]["test"]
    assert sides[0]["train"] != sides[1]["train"]
    assert not sides[0]["train"] & sides[0]["test"]
    assert np.array([len(one["train"]) for one in sides]).tolist() == [10, 10]
