"""What the experiment `choosing` shows and says."""

from __future__ import annotations

from regraft.lab.bench.subject import steps_of
from regraft.lab.experiments.transfer.choosing import (
    BLOCKS,
    CELLS,
    DISTANCE,
    EARLY,
    FULL,
    KINDS,
    LAST,
    SCRATCH,
    TEXTBOOK,
    prepare,
)
from regraft.lab.results.claims import said
from regraft.lab.results.curves import shades
from regraft.lab.results.experiment import Arm, Experiment, Paper, Step
from regraft.lab.results.figures import Figure, interval_bars, share, signed
from regraft.lab.results.results import Results
from regraft.lab.results.verdicts import points


def figures(results: Results) -> tuple[Figure, ...]:
    """The table, filled with what was measured, and each cell with its intervals."""
    cells = [f"accuracy, {cell}" for cell in CELLS]
    rows = [(arm, [results.estimate(arm, cell) for cell in cells]) for arm in results.arms]
    values = [one.value for _, own in rows for one in own]
    low, high = min(values), max(values)
    table = shades(
        "table",
        "Test accuracy of every strategy in every cell",
        CELLS,
        rows,
        form=share,
        strength=lambda one: (one - low) / max(high - low, 1e-9),
        note="The darker, the better. Columns: few or many images of each class, of a target that is "
        "similar to the source or dissimilar.",
        width=120,
    )
    each = tuple(
        interval_bars(
            cell.replace(", ", "-"),
            f"{cell.capitalize()}: the textbook says {TEXTBOOK[cell]}",
            "accuracy, %",
            [(arm, results.estimate(arm, f"accuracy, {cell}")) for arm in results.arms],
        )
        for cell in CELLS
    )
    return (table, *each)


def findings(results: Results) -> tuple[str, ...]:
    """The winner of each cell, and where the textbook's table is wrong."""
    near, far = (signed(results.estimate(results.arms[0], f"{DISTANCE}, {kind}")) for kind in KINDS)
    gap = results.within(results.arms[0], f"{DISTANCE}, {KINDS[1]}", f"{DISTANCE}, {KINDS[0]}")
    measured = said(
        gap, f"{far} and {near} in units of the source's own spread, a difference of {signed(gap)}",
        more="The dissimilar target is further from the source than the similar one, as the network's "
        "BatchNorms see it",
        less="The dissimilar target is nearer to the source than the similar one, as the network's "
        "BatchNorms see it",
        whether="the dissimilar target is further from the source",
    )  # fmt: skip
    return (measured, *(_cell(results, cell) for cell in CELLS))


def _cell(results: Results, cell: str) -> str:
    measure, book = f"accuracy, {cell}", TEXTBOOK[cell]
    winner, second, *_ = sorted(results.arms, key=lambda arm: -results.estimate(arm, measure).value)
    where = f"{cell[0].upper()}{cell[1:]}"
    reached = share(results.estimate(winner, measure))
    if winner == book:
        margin = points(results.difference(winner, second, measure))
        return (
            f"{where}: the textbook's choice, {book}, has the highest mean, {reached} %, {margin} above the "
            f"next, {second}."
        )
    gap = results.difference(winner, book, measure)
    facts = f"{winner} has {reached} %, {points(gap)} against {book}"
    return said(
        gap, facts,
        more=f"{where}: the textbook's table is wrong here",
        less=f"{where}: the textbook's table is right here",
        whether=f"the textbook's table is wrong where data is {cell.replace(', ', ' and ')}",
    )  # fmt: skip


CHOOSING = Experiment(
    name="choosing",
    title="Which mode of transfer, when",
    question="Few or many images, similar or dissimilar: what should be trained?",
    topic="transfer: choosing a strategy",
    minutes=4,
    seeds=5,
    version=1,
    arms=(
        Arm(
            EARLY, "the first two of five stages, frozen, with a linear classifier on all values of their map"
        ),
        Arm(LAST, "all stages, frozen, with a linear classifier on the last"),
        Arm(BLOCKS, "three stages frozen, two trained with a new head"),
        Arm(FULL, "everything is trained, from the source's weights"),
        Arm(SCRATCH, "everything is trained, from random weights"),
    ),
    papers=(
        Paper(
            "Few similar images: a linear classifier on the last features. Few dissimilar images: one on "
            "earlier features. Many images: fine-tune the whole network, similar or not.",
            "Karpathy et al. 2016, CS231n notes: Transfer learning, when and how to fine-tune",
        ),
        Paper(
            "Trained longer from random weights, detectors reach the accuracy of pretrained ones, even "
            "with 10 % of COCO's images (about 12,000).",
            "He, Girshick & Dollár 2019, Rethinking ImageNet pre-training, abstract",
        ),
    ),
    prepare=prepare,
    figures=figures,
    findings=findings,
    next_steps=steps_of("choosing", Step("the same question for your images, measured", "advise photos/")),
)
