"""The sentences of the experiment `rcnn`, chosen by what was measured."""

from __future__ import annotations

from regraft.lab.regions.arms import FAST, FASTER, RCNN
from regraft.lab.results.figures import share, written
from regraft.lab.results.results import Results
from regraft.lab.results.verdicts import points, times, verdict

_HALF = 0.5


def findings(results: Results) -> tuple[str, ...]:
    """What was found; every comparison has a sentence for each way in which it can end."""
    return (
        _network(results),
        _share(results),
        _whole(results),
        _recall(results),
        _precision(results, FAST, RCNN, "with regions from shared maps", "with a pass for each region"),
        _precision(results, FASTER, FAST, "with proposals of the maps", "with proposals of selective search"),
    )


def _network(results: Results) -> str:
    ratio = results.ratio(RCNN, FAST, "seconds, network")
    passes = results.estimate(RCNN, "passes").value
    slow, fast = (written(results.estimate(arm, "seconds, network")) for arm in (RCNN, FAST))
    facts = (
        f"{slow} processor seconds a picture in R-CNN's {passes:.0f} passes, {fast} in the one pass of "
        "Fast R-CNN"
    )
    return {
        "more": f"Sharing the network's maps saves time in the network: {facts}, {times(ratio)}.",
        "less": f"Sharing the network's maps does not save time here: {facts}, {times(ratio)}.",
        "open": f"Whether sharing the maps saves network time is not decided: {facts}, {times(ratio)}, "
        "and the interval contains 1.",
        "single": f"In this single draw the network takes {facts}: {times(ratio)}.",
    }[verdict(ratio, 1.0)]


def _share(results: Results) -> str:
    own = results.estimate(FAST, "share of proposals")
    before = results.estimate(RCNN, "share of proposals")
    facts = f"{share(own)} % of the processor time of a picture in Fast R-CNN, {share(before)} % in R-CNN"
    return {
        "more": f"Once the network is shared, most of the time goes into selective search: {facts}.",
        "less": f"Even when the network is shared, selective search takes less than half: {facts}.",
        "open": f"Whether selective search takes most of the time is not decided: {facts}.",
        "single": f"In this single draw selective search takes {facts}.",
    }[verdict(own, _HALF)]


def _whole(results: Results) -> str:
    ratio = results.ratio(FAST, FASTER, "seconds")
    slow, fast = (written(results.estimate(arm, "seconds")) for arm in (FAST, FASTER))
    facts = f"{slow} processor seconds a picture with selective search, {fast} with proposals of the maps"
    return {
        "more": f"Proposals from the shared maps save time: {facts}, {times(ratio)}.",
        "less": f"Proposals from the shared maps do not save time here: {facts}, {times(ratio)}.",
        "open": f"Whether proposals from the maps save time is not decided: {facts}, {times(ratio)}, "
        "and the interval contains 1.",
        "single": f"In this single draw everything together takes {facts}: {times(ratio)}.",
    }[verdict(ratio, 1.0)]


def _recall(results: Results) -> str:
    measure = "recall of 100 proposals"
    gap = results.difference(FASTER, RCNN, measure)
    maps, search = (share(results.estimate(arm, measure)) for arm in (FASTER, RCNN))
    facts = f"{maps} % with the maps, {search} % with selective search, a difference of {points(gap)}"
    start = "With 100 proposals a picture,"
    return {
        "more": f"{start} those of the maps cover more objects: {facts}.",
        "less": f"{start} those of selective search cover more objects: {facts}.",
        "open": f"{start} which of the two covers more objects is not decided: {facts}.",
        "single": f"{start} in this single draw the share of objects that are covered is {facts}.",
    }[verdict(gap)]


def _precision(results: Results, arm: str, other: str, how: str, than: str) -> str:
    gap = results.difference(arm, other, "AP50")
    own, theirs = (share(results.estimate(one, "AP50")) for one in (arm, other))
    facts = f"AP50 of {own} % {how}, {theirs} % {than}, a difference of {points(gap)}"
    return {
        "more": f"{arm} finds more than {other}: {facts}.",
        "less": f"{arm} finds less than {other}: {facts}.",
        "open": f"Whether {arm} or {other} finds more is not decided: {facts}.",
        "single": f"In this single draw {arm} has an {facts}; one draw gives the difference no interval.",
    }[verdict(gap)]
