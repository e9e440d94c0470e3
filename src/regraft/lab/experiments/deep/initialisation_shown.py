"""What the experiment `initialisation` shows and says."""

from __future__ import annotations

from regraft.lab.bench.subject import steps_of
from regraft.lab.experiments.deep.initialisation import (
    ABOUT,
    ACCURACY,
    GABOR,
    HE,
    LAYERWISE,
    SMALL,
    WITH,
    prepare,
)
from regraft.lab.results.claims import best, compared
from regraft.lab.results.curves import curves
from regraft.lab.results.experiment import Arm, Experiment, Paper, Step
from regraft.lab.results.figures import Figure, interval_bars
from regraft.lab.results.results import Results


def figures(results: Results) -> tuple[Figure, ...]:
    """Accuracies, and the variance layer by layer."""
    found = interval_bars(
        "accuracy",
        "Test accuracy after training",
        "accuracy, %",
        [(arm, results.estimate(arm, ACCURACY)) for arm in results.arms],
    )
    spread = [
        curves(
            name,
            f"Variance of the activations by layer, before training, {how} BatchNorm",
            ("layer", "log10 of the variance"),
            [
                (arm, [(float(n), results.log10(arm, f"variance after layer {n}")) for n in range(1, 6)])
                for arm in results.arms
                if arm.endswith(WITH) == (how == "with")
            ],
            note="A start that keeps the variance is level.",
        )
        for name, how in (("variance", "without"), ("variance-batchnorm", "with"))
    ]
    return found, *spread


def findings(results: Results) -> tuple[str, ...]:
    """Which start is better, and whether BatchNorm makes it matter less."""
    return (
        compared(
            results, (HE, SMALL), ACCURACY,
            more="Without BatchNorm, He's start beats small random numbers",
            less="Without BatchNorm, small random numbers beat He's start",
            whether="He's start beats small random numbers without BatchNorm",
        ),
        compared(
            results, (HE + WITH, SMALL + WITH), ACCURACY,
            more="With BatchNorm, He's start still beats small random numbers",
            less="With BatchNorm, small random numbers beat He's start",
            whether="He's start beats small random numbers with BatchNorm, too",
        ),
        compared(
            results, (GABOR, HE), ACCURACY,
            more="Hand-designed first filters help", less="Hand-designed first filters hurt",
            whether="hand-designed first filters help",
        ),
        compared(
            results, (LAYERWISE, HE), ACCURACY,
            more="Layer-wise pretraining on the same images helps",
            less="Layer-wise pretraining on the same images hurts",
            whether="layer-wise pretraining on the same images helps",
        ),
        best(results, results.arms, ACCURACY, what="accuracy"),
    )  # fmt: skip


INITIALISATION = Experiment(
    name="initialisation",
    title="Where weights begin",
    question="Glorot, He, hand-designed, layer-wise pretraining: does it matter?",
    topic="deep networks: initial weights",
    minutes=3,
    seeds=5,
    version=1,
    arms=tuple(Arm(rule + norm, about) for norm in ("", WITH) for rule, about in ABOUT.items()),
    papers=(
        Paper(
            "Greedy layer-wise pretraining without labels finds better solutions for deep networks than "
            "a random start.",
            "Bengio, Lamblin, Popovici & Larochelle 2007, Greedy layer-wise training of deep networks, "
            "section 4",
        ),
        Paper(
            "With He's start 30 ReLU layers converge, with Glorot's they do not; at 22 layers both "
            "converge, to about the same error.",
            "He, Zhang, Ren & Sun 2015, Delving deep into rectifiers, section 2.2",
        ),
        Paper(
            "Batch normalisation allows to be less careful about initialisation.",
            "Ioffe & Szegedy 2015, Batch normalization, abstract",
        ),
    ),
    prepare=prepare,
    figures=figures,
    findings=findings,
    next_steps=steps_of(
        "initialisation", Step("a start that was learned on other images", "lab transferability")
    ),
)
