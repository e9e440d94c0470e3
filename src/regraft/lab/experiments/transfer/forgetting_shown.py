"""What the experiment `forgetting` shows and says."""

from __future__ import annotations

from regraft.lab.bench.subject import steps_of
from regraft.lab.experiments.transfer.forgetting import (
    ANCHORED,
    ARMS,
    FROZEN,
    GRADUAL,
    RATES,
    SOURCE,
    TARGET,
    prepare,
)
from regraft.lab.results.claims import best, compared, said
from regraft.lab.results.curves import curves
from regraft.lab.results.experiment import Arm, Experiment, Paper, Step
from regraft.lab.results.figures import Figure, interval_bars
from regraft.lab.results.results import Results
from regraft.lab.results.verdicts import points

_SMALLEST, _MIDDLE, _LARGEST = (f"rate {RATES[place]:g}" for place in (0, -2, -1))
_DRAWN = (_SMALLEST, _MIDDLE, _LARGEST, FROZEN, GRADUAL, ANCHORED)


def figures(results: Results) -> tuple[Figure, ...]:
    """Both accuracies by epoch, and both at the end."""
    drawn = []
    for what in (SOURCE, TARGET):
        lines = [(arm, results.series(arm, f"{what}, epoch ")) for arm in _DRAWN]
        drawn.append(
            curves(
                what.split()[0],
                f"Accuracy on the {what.split()[0]} task while learning the target",
                ("epoch", f"{what}, %"),
                lines,
                times=100.0,
                y_range=(0.0, 100.0),
            )
        )
    rows = [
        (f"{arm}, {what.split()[0]}", results.estimate(arm, what))
        for arm in results.arms
        for what in (SOURCE, TARGET)
    ]
    return (*drawn, interval_bars("ends", "Both tasks after the last epoch", "accuracy, %", rows))


def findings(results: Results) -> tuple[str, ...]:
    """Whether the source is forgotten, and what keeps it."""
    lost = results.within(_LARGEST, SOURCE, "source accuracy before")
    return (
        said(
            lost, f"at the largest rate the accuracy on the source task changes by {points(lost)}",
            more="Nothing is forgotten: learning the target even improves the source",
            less="The source task is forgotten (catastrophic forgetting)",
            whether="the source task is forgotten at the largest rate",
        ),
        compared(
            results, (_SMALLEST, _LARGEST), SOURCE,
            more="A small rate forgets less than a large one",
            less="A small rate forgets more than a large one",
            whether="a small rate forgets less than a large one",
        ),
        compared(
            results, (ANCHORED, _MIDDLE), SOURCE,
            more="L2-SP, at the same rate, keeps more of the source",
            less="L2-SP, at the same rate, keeps less of the source",
            whether="L2-SP keeps more of the source at the same rate",
        ),
        compared(
            results, (GRADUAL, _MIDDLE), SOURCE,
            more="Gradual unfreezing, at the same rate, keeps more of the source",
            less="Gradual unfreezing, at the same rate, keeps less of the source",
            whether="gradual unfreezing keeps more of the source at the same rate",
        ),
        compared(
            results, (ANCHORED, _MIDDLE), TARGET,
            more="L2-SP is better on the target",
            less="L2-SP pays for that on the target", whether="L2-SP costs anything on the target",
        ),
        best(results, results.arms, TARGET, what="accuracy on the target"),
    )  # fmt: skip


def _about(arm: str) -> str:
    return {
        FROZEN: "only the new head is trained",
        GRADUAL: "the last third is trained first, then two thirds, then everything, at a rate of "
        f"{RATES[-2]:g}",
        ANCHORED: f"weights are drawn back to where they were, at a rate of {RATES[-2]:g}",
    }.get(arm, f"everything is trained, at a rate of {arm.split()[-1]}")


FORGETTING = Experiment(
    name="forgetting",
    title="What fine-tuning forgets",
    question="Why fine-tune with a small learning rate?",
    topic="transfer: fine-tuning",
    minutes=3,
    seeds=5,
    version=1,
    arms=tuple(Arm(name, _about(name)) for name in ARMS),
    papers=(
        Paper(
            "A network that learns one task after the other loses the first; weights that mattered for "
            "it can be held back.",
            "Kirkpatrick et al. 2017, Overcoming catastrophic forgetting in neural networks, figure 2",
        ),
        Paper(
            "A penalty on the distance to the pretrained weights is better than weight decay when "
            "fine-tuning, and keeps more of the source.",
            "Li, Grandvalet & Davoine 2018, Explicit inductive bias for transfer learning with "
            "convolutional networks, section 5",
        ),
        Paper(
            "Discriminative rates and gradual unfreezing keep fine-tuning from forgetting.",
            "Howard & Ruder 2018, Universal language model fine-tuning for text classification, section 3.3",
        ),
    ),
    prepare=prepare,
    figures=figures,
    findings=findings,
    next_steps=steps_of(
        "forgetting",
        Step("the same with a real network on your images", "fit photos/ --l2-sp 0.1 --phases 3"),
    ),
)
