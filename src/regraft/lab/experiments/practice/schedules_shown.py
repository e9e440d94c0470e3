"""What the experiment `schedules` shows and says."""

from __future__ import annotations

from regraft.lab.bench.subject import steps_of
from regraft.lab.experiments.practice.schedules import (
    ABOUT,
    ACCURACY,
    ADAM_HOT,
    ADAM_TOO_LARGE,
    ADAM_WARMED,
    BASE,
    CONSTANT,
    COSINE,
    HOT,
    LARGE,
    LOSS,
    LOST,
    MOST,
    RATE,
    TOO_LARGE,
    WARMED,
    prepare,
)
from regraft.lab.results.claims import best, compared
from regraft.lab.results.curves import curves
from regraft.lab.results.experiment import Arm, Experiment, Paper, Step
from regraft.lab.results.figures import Figure, interval_bars
from regraft.lab.results.results import Results


def figures(results: Results) -> tuple[Figure, ...]:
    """The rate above the loss, with a slider, for the usual rate and for the one that is too large."""
    usual = [arm for arm in results.arms if arm not in LARGE]
    drawn = []
    for name, arms, about in (
        ("usual", usual, f"a largest rate of {BASE:g}"),
        ("large", LARGE, "a rate that is too large"),
    ):
        for what, label in ((RATE, "learning rate"), (LOSS, "training loss, nats")):
            lines = [(arm, results.series(arm, f"{what}, epoch ")) for arm in arms]
            drawn.append(
                curves(
                    f"{what.split()[-1]}-{name}",
                    f"{what.capitalize()} by epoch, with {about}",
                    ("epoch", label),
                    lines,
                    slider="epoch",
                    note="The rate is that of an epoch's last step."
                    if what == RATE
                    else f"Bands are 95 % intervals. {MOST:g} stands for more than that, and for numbers "
                    "that overflowed.",
                )
            )
    found = interval_bars(
        "accuracy", "Test accuracy of the best epoch", "accuracy, %",
        [(arm, results.estimate(arm, ACCURACY)) for arm in results.arms],
        note="The best epoch is chosen on held-out training images.",
    )  # fmt: skip
    return (*drawn, found)


def findings(results: Results) -> tuple[str, ...]:
    """Whether the schedule matters, and what warm-up does for a rate that is too large."""
    lost = [sum(one.value > 0 for one in results.values(arm, LOST)) for arm in LARGE]
    return (
        compared(
            results, (ADAM_WARMED, ADAM_HOT), ACCURACY,
            more="Warm-up rescues AdamW at a rate that is too large",
            less="Warm-up makes AdamW at a rate that is too large worse",
            whether="warm-up rescues AdamW at a rate that is too large",
        ),
        compared(
            results, (WARMED, HOT), ACCURACY,
            more="Warm-up rescues SGD at a rate that is too large",
            less="Warm-up makes SGD at a rate that is too large worse",
            whether="warm-up rescues SGD at a rate that is too large",
        ),
        f"Of {len(results.seeds)} draws, nothing was learned in {lost[0]} with SGD at a rate of "
        f"{TOO_LARGE:g}, in {lost[1]} with warm-up; in {lost[2]} with AdamW at {ADAM_TOO_LARGE:g}, in "
        f"{lost[3]} with warm-up.",
        compared(
            results, (COSINE, CONSTANT), ACCURACY,
            more="Letting the rate fall along a cosine beats a constant rate",
            less="A constant rate beats a cosine",
            whether="a cosine beats a constant rate",
        ),
        best(results, [arm for arm in results.arms if arm not in LARGE], ACCURACY, what="accuracy"),
    )  # fmt: skip


SCHEDULES = Experiment(
    name="schedules",
    title="The learning rate over time",
    question="What do warm-up, cosine and plateau do?",
    topic="training: learning-rate schedules",
    minutes=3,
    seeds=5,
    version=2,
    arms=tuple(Arm(name, about) for name, about in ABOUT.items()),
    papers=(
        Paper(
            "A rise over five epochs lets ResNet-50 be trained with batches of 8,192 images and a rate "
            "of 3.2, at the error of small batches (23.74 % against 23.60 %); without it, 24.84 %.",
            "Goyal et al. 2017, Accurate, large minibatch SGD, table 1",
        ),
        Paper(
            "Adaptive rates vary too much in the first steps, when they rest on few gradients; warm-up keeps "
            "these steps small.",
            "Liu, Jiang, He, Chen, Liu, Gao & Han 2020, On the variance of the adaptive learning rate and "
            "beyond, abstract and section 3",
        ),
        Paper(
            "Cosines with warm restarts reach the errors of step schedules in half to a quarter of the "
            "epochs.",
            "Loshchilov & Hutter 2017, SGDR: stochastic gradient descent with warm restarts, section 4",
        ),
        Paper(
            "He's network of 110 layers starts at a rate of 0.01 until the training error is below 80 %, "
            "because 0.1 is slightly too large to begin with.",
            "He, Zhang, Ren & Sun 2015, Deep residual learning for image recognition, section 4.2",
        ),
    ),
    prepare=prepare,
    figures=figures,
    findings=findings,
    next_steps=steps_of("schedules", Step("a schedule, drawn", "plot-schedule one-cycle")),
)
