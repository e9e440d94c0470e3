"""What fights overfitting on few images: each means alone, and all together."""

from __future__ import annotations

from typing import Any

from regraft.lab.bench.networks import convolutional
from regraft.lab.bench.sets import Labelled, chosen
from regraft.lab.bench.subject import Bench, steps_of, value
from regraft.lab.bench.training import ShiftedSource, accuracy, settings, trained
from regraft.lab.results.claims import best, compared, said
from regraft.lab.results.experiment import Arm, Choices, Experiment, Paper, Step
from regraft.lab.results.figures import Figure, interval_bars
from regraft.lab.results.results import Results
from regraft.lab.results.rows import Value
from regraft.lab.results.verdicts import points
from regraft.progress import Reporter

NONE, AUGMENTED, EARLY, NORMED, ALL = "none", "shifts", "early stopping", "BatchNorm", "all"
ACCURACY, GAP, FIT = "accuracy", "gap", "training accuracy"
_CHANGES: dict[str, dict[str, Any]] = {
    NONE: {},
    "L1": {"l1": 0.05},
    "L2": {"weight_decay": 1.0},
    "dropout": {"dropout": 0.5},
    NORMED: {"batchnorm": "trained"},
    "input noise": {"input_noise": 0.5},
    "gradient noise": {"gradient_noise": 0.001},
    AUGMENTED: {},
    EARLY: {"patience": 8},
    ALL: {
        "l1": 0.01, "weight_decay": 0.3, "dropout": 0.3, "batchnorm": "trained", "input_noise": 0.3,
        "gradient_noise": 0.001, "patience": 8,
    },
}  # fmt: skip
_NAMES = {AUGMENTED: "shifted images", ALL: "everything together"}
_ABOUT = {
    NONE: "the network, trained until it fits its images",
    "L1": "each step moves the weights towards zero by rate x 0.05",
    "L2": "each step shrinks the weights by the share rate x 1",
    "dropout": "half of the features of the head are left out at random",
    NORMED: "BatchNorm after each convolution",
    "input noise": "noise of half the images' standard deviation",
    "gradient noise": "noise on the gradients, which fades",
    AUGMENTED: "each epoch shifts the images by up to one pixel",
    EARLY: "a fifth of the training images tells when to stop, and is not trained on",
    ALL: "everything, each in a smaller dose",
}


def prepare(choices: Choices, reporter: Reporter) -> Bench:
    """Few images, and a network that can learn them by heart."""
    per_class, epochs = (10, 25) if choices.is_quick else (10, 100)
    data = chosen(choices.data, per_class=per_class, reporter=reporter)
    facts = {
        "data": data.key, "images of a class": per_class, "test images": 500, "epochs": epochs, "batch": 25,
        "settings": _CHANGES, "channels": [12, 12, 24, 24, 24], "learning rate": 0.003,
    }  # fmt: skip

    def measured(arm: str, seed: int, reporter: Reporter) -> tuple[Value, ...]:
        del reporter
        train, test = data.sample(seed, per_class=per_class, test=500)
        own = {**_CHANGES[arm]}
        has_norm, dropout = own.pop("batchnorm", "frozen") == "trained", own.pop("dropout", 0.0)
        network = convolutional(data.classes, seed=seed, norm=has_norm, dropout=dropout)
        used, held = _divided(train) if own.get("patience") else (train, None)
        source = ShiftedSource(used.images, seed) if arm in (AUGMENTED, ALL) else None
        plan = settings(epochs=epochs, effective_batch=25, **own)
        trained(network, used, plan, seed=seed, watched=held, source=source)
        fit, found = accuracy(network, used), accuracy(network, test)
        return value(FIT, fit), value(ACCURACY, found), value(GAP, fit - found)

    return Bench(f"{data.about}; {per_class} images of each class to learn from", facts, measured)


def _divided(train: Labelled) -> tuple[Labelled, Labelled]:
    """Four fifths to train on, and a fifth to watch."""
    count = len(train) // 5
    return (
        Labelled(train.images[count:], train.targets[count:]),
        Labelled(train.images[:count], train.targets[:count]),
    )


def figures(results: Results) -> tuple[Figure, ...]:
    """Accuracy on new images, and the gap."""
    return tuple(
        interval_bars(name, title, label, [(arm, results.estimate(arm, measure)) for arm in results.arms])
        for name, title, label, measure in (
            ("accuracy", "Accuracy on new images", "accuracy, %", ACCURACY),
            ("gap", "The gap: accuracy on training images minus accuracy on new ones", "gap, %", GAP),
        )
    )


def findings(results: Results) -> tuple[str, ...]:
    """Whether there is overfitting, and what each means changes."""
    gap = results.estimate(NONE, GAP)
    each = [
        compared(
            results, (arm, NONE), ACCURACY,
            more=f"With {_NAMES.get(arm, arm)}, the network classifies new images better",
            less=f"With {_NAMES.get(arm, arm)}, the network classifies new images worse",
            whether=f"the network classifies new images better with {_NAMES.get(arm, arm)}",
        )
        for arm in results.arms
        if arm != NONE
    ]  # fmt: skip
    return (
        said(
            gap, f"without all this, accuracy on training images minus that on new ones is {points(gap)}",
            more="The network overfits", less="The network does not overfit", whether="the network overfits",
        ),
        *each,
        best(results, results.arms, ACCURACY, what="accuracy"),
    )  # fmt: skip


REGULARISATION = Experiment(
    name="regularisation",
    title="Against overfitting",
    question="What fights overfitting when images are few?",
    topic="training: regularisation",
    minutes=3,
    seeds=5,
    version=1,
    arms=tuple(Arm(name, about) for name, about in _ABOUT.items()),
    papers=(
        Paper(
            "Dropout lowers the error of a convolutional network on SVHN from 3.95 % to 2.55 % when it "
            "is in all layers.",
            "Srivastava et al. 2014, Dropout: a simple way to prevent neural networks from overfitting, "
            "table 3",
        ),
        Paper(
            "Noise on the input is equivalent to a penalty on the derivatives of the network (Tikhonov).",
            "Bishop 1995, Training with noise is equivalent to Tikhonov regularization",
        ),
        Paper(
            "Gradient noise lets a fully connected network of 20 layers learn from a poor start more often.",
            "Neelakantan et al. 2015, Adding gradient noise improves learning for very deep networks, "
            "section 4.1",
        ),
    ),
    prepare=prepare,
    figures=figures,
    findings=findings,
    next_steps=steps_of("regularisation", Step("the strongest regularisation: other images", "lab choosing")),
)
