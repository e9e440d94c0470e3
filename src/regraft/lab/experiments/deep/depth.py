"""Plain and residual networks of 20 and 56 layers: training and test error by epoch."""

from __future__ import annotations

from regraft.lab.bench.networks import cifar
from regraft.lab.bench.sets import chosen
from regraft.lab.bench.subject import Bench, steps_of, value
from regraft.lab.bench.training import settings, trained
from regraft.lab.results.claims import compared
from regraft.lab.results.curves import curves
from regraft.lab.results.experiment import Arm, Choices, Experiment, Paper, Step
from regraft.lab.results.figures import Figure, interval_bars
from regraft.lab.results.results import Results
from regraft.lab.results.rows import Value
from regraft.progress import Reporter

PLAIN20, PLAIN56, RESIDUAL20, RESIDUAL56 = (
    f"{kind}, {depth} layers" for kind in ("plain", "residual") for depth in (20, 56)
)
_ARMS = {PLAIN20: (20, False), PLAIN56: (56, False), RESIDUAL20: (20, True), RESIDUAL56: (56, True)}
TRAINING, TEST = "training error", "test error"


def prepare(choices: Choices, reporter: Reporter) -> Bench:
    """The images, and networks that are narrow enough for them."""
    per_class, epochs, width = (15, 10, 4) if choices.is_quick else (60, 30, 8)
    data = chosen(choices.data, per_class=per_class, reporter=reporter)
    facts = {
        "data": data.key, "images of a class": per_class, "test images": 300, "epochs": epochs,
        "channels of the first stage": width, "batch": 25, "learning rate": 0.05, "momentum": 0.9,
    }  # fmt: skip

    def measured(arm: str, seed: int, reporter: Reporter) -> tuple[Value, ...]:
        del reporter
        depth, shortcuts = _ARMS[arm]
        train, test = data.sample(seed, per_class=per_class, test=300)
        network = cifar(depth, data.classes, shortcuts=shortcuts, width=width, seed=seed)
        plan = settings(epochs=epochs, lr=0.05, optimizer="sgd", effective_batch=25, weight_decay=0.002)
        rows = trained(network, train, plan, seed=seed, watched=test).history
        found = [value(f"{TRAINING}, epoch {row['epoch']}", 1 - row["train_accuracy"]) for row in rows]
        found += [value(f"{TEST}, epoch {row['epoch']}", 1 - row["validation_accuracy"]) for row in rows]
        last = rows[-1]
        return (
            *found,
            value(TRAINING, 1 - last["train_accuracy"]),
            value(TEST, 1 - last["validation_accuracy"]),
            value("training loss", last["train_loss"], "nats"),
        )

    return Bench(data.about, facts, measured)


def figures(results: Results) -> tuple[Figure, ...]:
    """Errors by epoch, then the last ones side by side."""
    drawn = []
    for number, measure in enumerate((TRAINING, TEST)):
        lines = [(arm, results.series(arm, f"{measure}, epoch ")) for arm in results.arms]
        drawn.append(
            curves(
                f"{('training', 'test')[number]}-error",
                f"{measure.capitalize()} by epoch",
                ("epoch", f"{measure}, %"),
                lines,
                times=100.0,
                note="Lines are means over draws, bands their 95 % intervals. The rate rises over a tenth of "
                "the steps, and falls along a cosine.",
            )
        )
    rows = [
        (f"{arm}, {what.split()[0]}", results.estimate(arm, what))
        for arm in results.arms
        for what in (TRAINING, TEST)
    ]
    last = interval_bars("last", "Errors after the last epoch", "error, %", rows)
    return (*drawn, last)


def findings(results: Results) -> tuple[str, ...]:
    """Whether more layers made the training error larger, and whether shortcuts changed that."""
    return (
        compared(
            results, (PLAIN56, PLAIN20), TRAINING,
            more="The degradation is there: with more layers, the plain network fits even its training "
            "images worse",
            less="No degradation at this scale: the deeper plain network fits its training images better",
            whether="the deeper plain network fits its training images worse, so the degradation is not "
            "shown here",
        ),
        compared(
            results, (RESIDUAL56, RESIDUAL20), TRAINING,
            more="Shortcuts do not prevent it here: the deeper residual network fits its training images "
            "worse",
            less="With shortcuts, more layers fit the training images better",
            whether="more layers fit worse or better with shortcuts",
        ),
        compared(
            results, (PLAIN56, RESIDUAL56), TEST,
            more="Of 56 layers, those without shortcuts make more mistakes on new images",
            less="Of 56 layers, those without shortcuts make fewer mistakes on new images",
            whether="56 layers make more mistakes on new images without shortcuts",
        ),
        compared(
            results, (RESIDUAL56, RESIDUAL20), TEST,
            more="Depth does not pay on these images: 56 residual layers make more mistakes than 20",
            less="Depth pays: 56 residual layers make fewer mistakes than 20",
            whether="56 residual layers make fewer mistakes on new images than 20",
        ),
    )  # fmt: skip


DEPTH = Experiment(
    name="depth",
    title="Deeper and worse",
    question="Is learning better networks as easy as stacking more layers?",
    topic="deep networks: degradation",
    minutes=6,
    seeds=3,
    version=1,
    arms=(
        Arm(PLAIN20, "one convolution after the other, each with BatchNorm and ReLU"),
        Arm(PLAIN56, "the same with 56 layers"),
        Arm(RESIDUAL20, "the same parameters; every two convolutions add their input to their output"),
        Arm(RESIDUAL56, "the same with 56 layers"),
    ),
    papers=(
        Paper(
            "On CIFAR-10 a plain network of 56 layers has a higher training error, and so a higher test "
            "error, than one of 20 layers; it is not overfitting.",
            "He, Zhang, Ren & Sun 2015, Deep residual learning for image recognition, figure 1",
        ),
        Paper(
            "With shortcuts, errors on CIFAR-10 fall with depth: 8.75 % at 20 layers, 7.51 % at 32, 7.17 "
            "% at 44, 6.97 % at 56 and 6.43 % at 110.",
            "the same, figure 6 and table 6",
        ),
    ),
    prepare=prepare,
    figures=figures,
    findings=findings,
    next_steps=steps_of(
        "depth",
        Step("why it is hard: the gradients", "lab gradients"),
        Step("what shortcuts do", "lab shortcuts"),
    ),
)
