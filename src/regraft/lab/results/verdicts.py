"""What an interval allows to say, so that sentences can be chosen by the result."""

from __future__ import annotations

from typing import Literal

from regraft.records import Estimate

Verdict = Literal["more", "less", "open", "single"]
"""Above a reference, below it, not decided, or a single draw without an interval."""


def verdict(one: Estimate, reference: float = 0.0) -> Verdict:
    """Where an interval lies.

    >>> verdict(Estimate(value=2.0, low=1.0, high=3.0)), verdict(Estimate(value=2.0, low=1.0, high=3.0), 2.0)
    ('more', 'open')
    """
    if one.low is None or one.high is None:
        return "single"
    return "more" if one.low > reference else "less" if one.high < reference else "open"


def points(one: Estimate) -> str:
    """A difference of shares in points, with its interval.

    >>> points(Estimate(value=0.021, low=-0.01, high=0.052))
    '+2.1 points [-1.0, +5.2]'
    """
    bounds = "" if one.low is None or one.high is None else f" [{_signed(one.low)}, {_signed(one.high)}]"
    return f"{_signed(one.value)} points{bounds}"


def _signed(value: float) -> str:
    return f"{round(100 * value, 1) + 0.0:+.1f}"  # without a minus before zero


def factor(one: Estimate) -> str:
    """A ratio with its interval, as a number.

    >>> factor(Estimate(value=8.04, low=6.5, high=10.0)), factor(Estimate(value=0.5))
    ('8.0 [6.5, 10.0]', '0.50')
    """
    form = ".2f" if one.value < 2 else ".1f"
    bounds = "" if one.low is None or one.high is None else f" [{one.low:{form}}, {one.high:{form}}]"
    return f"{one.value:{form}}{bounds}"


def times(one: Estimate) -> str:
    """A ratio with its interval.

    >>> times(Estimate(value=8.04, low=6.5, high=10.0)), times(Estimate(value=0.5))
    ('8.0 times as much [6.5, 10.0]', '0.50 times as much')
    """
    number, space, bounds = factor(one).partition(" ")
    return f"{number} times as much{space}{bounds}"
