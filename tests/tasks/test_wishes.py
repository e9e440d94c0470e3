from __future__ import annotations

import re
from typing import Any

import pytest

from regraft.errors import SettingsError
from regraft.progress import Silent
from regraft.settings import FitSettings
from regraft.tasks.classification import Classification
from regraft.tasks.multilabel import Multilabel
from regraft.tasks.task import Task
from regraft.tasks.wishes import rejecting, with_wishes

TWO = Classification(outputs=("defect", "good"))
FIVE = Classification(outputs=tuple("abcde"))


class Listening(Silent):
    """Remembers what was decided."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def decided(self, what: str, because: str, override: str) -> None:
        self.said.append(f"{what}, because {because} ({override})")


def wished(task: Task, labels: str, **settings: Any) -> tuple[Classification, list[str]]:
    """A task with wishes, from one letter for each training image, and what was said."""
    reporter = Listening()
    names = {name[0]: name for name in task.outputs}
    found = with_wishes(task, FitSettings(**settings), [names[one] for one in labels], reporter)
    assert isinstance(found, Classification)
    return found, reporter.said


def test_the_rarer_class_is_positive_and_said() -> None:
    found, said = wished(TWO, "dggg")
    assert found.positive == "defect"
    assert said == [
        "positive class defect, because it is the rarer one, with 1 of 4 training images (--positive)"
    ]
    assert wished(TWO, "ddg")[0].positive == "good"
    assert wished(TWO, "dg")[0].positive == "good"  # the second by name


def test_what_the_user_says_is_not_said_again() -> None:
    found, said = wished(TWO, "dggg", positive="good", measure="auroc", goal="npv=0.9", prevalence=0.02)
    assert (found.positive, found.measure, found.goal) == ("good", "auroc", "npv=0.9")
    assert said == []


@pytest.mark.parametrize(("labels", "measure"), [("d" + 20 * "g", "balanced"), ("d" + 19 * "g", "accuracy")])
def test_a_class_with_under_a_tenth_of_its_share_asks_for_balanced_accuracy(
    labels: str, measure: str
) -> None:
    found, said = wished(TWO, labels, positive="defect")
    assert found.measure == measure
    assert len(said) == (measure == "balanced")
    assert all("less than a tenth of an even share" in line for line in said)


def test_classes_without_wishes_stay_as_they_are() -> None:
    assert wished(FIVE, "abcde") == (FIVE, [])


@pytest.mark.parametrize(
    ("task", "settings", "message"),
    [
        (
            TWO,
            {"positive": "defekt"},
            "--positive defekt is not a class (did you mean defect?); accepted are ",
        ),
        (FIVE, {"positive": "a"}, "--positive needs two classes, but there are 5 (a, b, c, d, e), each of"),
        (FIVE, {"goal": "npv=0.9", "positive": "a"}, "--goal, --positive need two classes"),
        (FIVE, {"ordered": ("a", "b")}, "--ordered a,b: c, d, e are missing"),
        (
            TWO,
            {"reject_below": 0.5},
            "--reject-below 0.5 has no use: the largest of 2 probabilities is between",
        ),
    ],
)
def test_a_wish_that_does_not_fit_is_explained(
    task: Classification, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingsError) as error:
        wished(task, "", **settings)
    assert re.search(re.escape(message), error.value.with_flags)


def test_wishes_about_classes_are_refused_for_other_labels() -> None:
    with pytest.raises(SettingsError, match=r"measure is for labels that are classes .* task multilabel"):
        with_wishes(Multilabel(outputs=("a",)), FitSettings(measure="auroc"), ["a"], Silent())
    with pytest.raises(
        SettingsError, match=r"reject_below 0\.7 is for classes, but this model predicts 1 labels"
    ):
        rejecting(Multilabel(outputs=("a",)), 0.7)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"prevalence": 2},
            "prevalence 2 is out of range; accepted are shares between 0 and 1, such as 0.02; 2 % ",
        ),
        ({"prevalence": 0}, "prevalence 0 is out of range"),
        ({"reject_below": 80}, "reject_below 80 is out of range; accepted are 0 to 1"),
        (
            {"measure": "balance"},
            "measure is 'balance' (did you mean balanced?); accepted are auto, accuracy",
        ),
        ({"ordered": "low"}, "ordered low names 1 classes; accepted are all classes with commas"),
    ],
)
def test_settings_out_of_range_are_explained(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(message)):
        FitSettings(**settings)


def test_ordered_classes_are_read_with_commas() -> None:
    assert FitSettings(ordered=("low, mid,high",)).ordered == ("low", "mid", "high")
