from __future__ import annotations

from itertools import combinations

import pytest

from regraft.lab.experiments.rcnn import figures, next_steps
from regraft.lab.experiments.rcnn_findings import findings
from regraft.lab.regions.arms import FAST, FASTER, RCNN
from regraft.lab.regions.subject import RECALLED
from regraft.lab.results.experiment import Choices
from regraft.lab.results.results import Results
from tests.lab.examples import rows_of

NOISE = {
    "clear": dict.fromkeys((RCNN, FAST, FASTER), (-0.001, 0.0, 0.001)),
    "open": {RCNN: (-0.4, 0.0, 0.4), FAST: (0.4, 0.0, -0.4), FASTER: (0.9, -0.9, 0.0)},
    "single": dict.fromkeys((RCNN, FAST, FASTER), (0.0,)),
}
"""By how much the values of each draw differ from the mean."""
FIRST = {RCNN: 1.0, FAST: 0.5, FASTER: 0.25}


def results(network: dict[str, float], ap50: dict[str, float], noise: str = "clear") -> Results:
    """Results with these means."""

    def drawn(arm: str, value: float) -> list[float]:
        return [value * (1 + one) for one in NOISE[noise][arm]]

    return rows_of(
        {
            arm: {
                "seconds": drawn(arm, network[arm]),
                "seconds, network": drawn(arm, network[arm]),
                "seconds, proposals": drawn(arm, 0.5),
                "seconds, heads": drawn(arm, 0.1),
                "share of proposals": [min(1.0, one) for one in drawn(arm, 0.9 * network[arm])],
                "passes": drawn(arm, 150.0),
                "AP50": drawn(arm, ap50[arm]),
                **{f"recall of {most} proposals": drawn(arm, ap50[arm]) for most in RECALLED},
            }
            for arm in FIRST
        }
    )


SECOND = {RCNN: 0.2, FAST: 0.6, FASTER: 0.9}


def test_a_faster_and_worse_successor_is_said_so() -> None:
    said = findings(results(FIRST, FIRST))
    assert said[0].startswith("Sharing the network's maps saves time in the network")
    assert "2.0 times" in said[0]
    assert said[1].startswith("Even when the network is shared, selective search takes less than half: 45.0")
    assert said[2].startswith("Proposals from the shared maps save time")
    assert said[3].startswith("With 100 proposals a picture, those of selective search cover more")
    assert said[4].startswith("Fast R-CNN finds less than R-CNN")
    assert said[5].startswith("Faster R-CNN finds less than Fast R-CNN")


def test_a_slower_and_better_successor_is_said_so() -> None:
    said = findings(results(SECOND, SECOND))
    assert said[0].startswith("Sharing the network's maps does not save time here")
    assert said[1].startswith("Once the network is shared, most of the time goes into selective search: 54.0")
    assert said[2].startswith("Proposals from the shared maps do not save time here")
    assert said[3].startswith("With 100 proposals a picture, those of the maps cover more")
    assert said[4].startswith("Fast R-CNN finds more than R-CNN")
    assert said[5].startswith("Faster R-CNN finds more than Fast R-CNN")


def test_what_intervals_leave_open_is_called_undecided() -> None:
    assert all("is not decided" in one for one in findings(results(FIRST, FIRST, "open")))


def test_a_single_draw_claims_nothing() -> None:
    said = findings(results(FIRST, FIRST, "single"))
    assert all("n this single draw" in one for one in said)
    words = ("saves", "finds more", "finds less", "cover more")
    assert not [one for one in said for word in words if word in one]


@pytest.mark.parametrize("pair", list(combinations(["clear", "open", "single"], 2)), ids=str)
def test_every_result_has_its_own_sentences(pair: tuple[str, str]) -> None:
    one, other = (findings(results(FIRST, FIRST, noise)) for noise in pair)
    assert not set(one) & set(other)


def test_figures_have_a_row_for_each_arm() -> None:
    time, found, recalls = figures(results(FIRST, SECOND))
    assert [row[0] for row in time.rows] == [row[0] for row in found.rows] == [RCNN, FAST, FASTER]
    assert time.rows[0][-1] == "1.60"  # .5 for proposals, 1 for the network, .1 for heads
    assert [row[0] for row in recalls.rows][:2] == [
        "Selective search, 50 proposals",
        "Selective search, 100 proposals",
    ]


def test_next_steps_keep_the_users_data() -> None:
    steps = next_steps(results(FIRST, FIRST), Choices(data="my cells"), None)
    assert [step.command for step in steps] == ["lab rcnn --data 'my cells' --seeds 6", "fit 'my cells'"]


@pytest.mark.parametrize(("most", "expected"), [(None, 6), (4, 4), (3, None)], ids=str)
def test_no_more_draws_are_proposed_than_the_data_has(most: int | None, expected: int | None) -> None:
    """Three draws were measured."""
    commands = [step.command for step in next_steps(results(FIRST, FIRST), Choices(), most)]
    assert [one for one in commands if "--seeds" in one] == (
        [f"lab rcnn --seeds {expected}"] if expected else []
    )
