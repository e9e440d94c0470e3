from __future__ import annotations

import re

import pytest

from regraft.errors import SettingsError
from regraft.goal import Goal
from regraft.settings import FitSettings


@pytest.mark.parametrize(
    ("text", "goal"),
    [
        ("recall=0.95", Goal("recall", 0.95)),
        (" precision = .9 ", Goal("precision", 0.9)),
        ("recall=1", Goal("recall", 1.0)),
        ("sensitivity=0.95", Goal("sensitivity", 0.95)),
        ("npv=.99", Goal("npv", 0.99)),
    ],
)
def test_a_goal_is_read_as_it_is_written(text: str, goal: Goal) -> None:
    assert Goal.parse(text) == goal
    assert Goal.parse(str(goal)) == goal
    assert FitSettings(goal=text).goal == str(goal)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("recal=0.9", "goal recal=0.9 is not understood (did you mean recall?); accepted are recall=0.95"),
        ("accuracy=0.9", "goal accuracy=0.9 is not understood; accepted are recall=0.95 and precision"),
        ("sensitivity=95", "95 % is sensitivity=0.95"),
        ("recall", "goal recall lacks a number"),
        ("recall=", "goal recall= lacks a number"),
        ("recall=nan", "goal recall=nan lacks a number"),
        ("recall=0.9=1", "goal recall=0.9=1 lacks a number"),
        ("recall=95", "goal recall=95 is out of range; accepted are recall=0.95 and precision=0.9 (a share"),
        ("recall=95", "95 % is recall=0.95"),
        ("precision=0", "goal precision=0 is out of range"),
        ("recall=-0.5", "goal recall=-0.5 lacks a number"),
    ],
)
def test_what_is_no_goal_is_explained(text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(message)):
        FitSettings(goal=text)
