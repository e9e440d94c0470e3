"""Sentences that claim what an interval shows, in either direction, and no more."""

from __future__ import annotations

from collections.abc import Sequence

from regraft.lab.results.figures import share
from regraft.lab.results.results import Results
from regraft.lab.results.verdicts import points, verdict
from regraft.records import Estimate


def said(one: Estimate, facts: str, *, more: str, less: str, whether: str, reference: float = 0.0) -> str:
    """The sentence that an interval allows, and its facts.

    Args:
        one: the estimate.
        facts: the numbers, in words.
        more: the clause if the interval is above the reference.
        less: the clause if it is below.
        whether: the question, as in "It is not decided whether ...".
        reference: what the interval is compared with.

    >>> said(Estimate(value=2.0, low=1.0, high=3.0), "2",
    ...      more="It rises", less="It falls", whether="it rises")
    'It rises: 2.'
    >>> said(Estimate(value=2.0, low=-1.0, high=3.0), "2",
    ...      more="It rises", less="It falls", whether="it rises")
    'It is not decided whether it rises: 2.'
    """
    return {
        "more": f"{more}: {facts}.",
        "less": f"{less}: {facts}.",
        "open": f"It is not decided whether {whether}: {facts}.",
        "single": f"A single draw can't decide whether {whether}: {facts}.",
    }[verdict(one, reference)]


def compared(
    results: Results,
    arms: tuple[str, str],
    measure: str,
    *,
    more: str,
    less: str,
    whether: str,
    what: str = "",
) -> str:
    """The sentence about the difference of a share between two arms.

    Args:
        results: what was measured.
        arms: the arm, and the one that it is compared with.
        measure: a measure that is a share.
        more: the clause if the first has more.
        less: the clause if it has less.
        whether: the question.
        what: what the measure is called in the sentence; None means its own name.
    """
    arm, other = arms
    gap = results.difference(arm, other, measure)
    own, theirs = (share(results.estimate(one, measure)) for one in arms)
    facts = f"{what or measure} {own} % ({arm}) and {theirs} % ({other}), a difference of {points(gap)}"
    return said(gap, facts, more=more, less=less, whether=whether)


def best(results: Results, arms: Sequence[str], measure: str, *, what: str) -> str:
    """The sentence about the arm with the largest share, and whether it can be told from the next.

    Args:
        results: what was measured.
        arms: at least two arms.
        measure: a measure that is a share.
        what: what the measure is called in the sentence.
    """
    ordered = sorted(arms, key=lambda arm: -results.estimate(arm, measure).value)
    first, second = ordered[:2]
    gap = results.difference(first, second, measure)
    facts = (
        f"{share(results.estimate(first, measure))} %, {points(gap)} above the next, {second} "
        f"({share(results.estimate(second, measure))} %)"
    )
    ends = {
        "more": f"The highest {what} is that of {first}: {facts}.",
        "single": f"In this single draw the highest {what} is that of {first}: {facts}.",
    }
    return ends.get(
        verdict(gap),
        f"It is not decided what has the highest {what}: the first is {first} with {facts}, "
        "which may be chance.",
    )
