"""What the experiment `accumulation` shows and says."""

from __future__ import annotations

from regraft.lab.bench.subject import steps_of
from regraft.lab.experiments.practice.accumulation import (
    ACCURACY,
    APART,
    LOSS,
    PARTS,
    PARTS_FROZEN,
    SAME,
    SMALL,
    WHOLE,
    WHOLE_FROZEN,
    prepare,
)
from regraft.lab.results.claims import compared, said
from regraft.lab.results.curves import curves
from regraft.lab.results.experiment import Arm, Experiment, Paper, Step
from regraft.lab.results.figures import Figure, signed
from regraft.lab.results.results import Results


def figures(results: Results) -> tuple[Figure, ...]:
    """The training loss of all arms."""
    lines = [(arm, results.series(arm, f"{LOSS}, epoch ")) for arm in results.arms]
    return (
        curves(
            "loss", "Training loss by epoch", ("epoch", "training loss, nats"), lines,
            note="Curves of trainings that are the same lie on each other. 64 at once takes four times "
            "as many steps, and its rate is not scaled.",
        ),
    )  # fmt: skip


def findings(results: Results) -> tuple[str, ...]:
    """Whether four small batches are one large one."""
    frozen, moving = (results.log10(arm, APART) for arm in (PARTS_FROZEN, PARTS))
    what = (
        "after four steps, the distance to the weights of 256 at once is 10 to the power of {} of the way "
        "that those have moved"
    )
    return (
        said(
            frozen, what.format(signed(frozen)),
            more="Even with frozen statistics, four batches of 64 are another training than one of 256",
            less="With frozen statistics, four accumulated batches of 64 are one of 256, up to the last "
            "bits of rounding",
            whether="four accumulated batches of 64 are one of 256 with frozen statistics", reference=SAME,
        ),
        said(
            moving, what.format(signed(moving)),
            more="With BatchNorm in training they are not: each small batch is normalised by its own "
            "statistics",
            less="With BatchNorm in training they are the same, too",
            whether="BatchNorm makes a difference", reference=SAME,
        ),
        compared(
            results, (PARTS, WHOLE), ACCURACY,
            more="The accumulated training classifies new images better",
            less="The accumulated training classifies new images worse",
            whether="that difference changes the accuracy on new images",
        ),
        compared(
            results, (SMALL, WHOLE), ACCURACY,
            more="Batches of 64 at the same rate do better after as many epochs: they take four times as "
            "many steps",
            less="Batches of 64 at the same rate do worse after as many epochs, with four times as many "
            "steps",
            whether="batches of 64 at the same rate do better after as many epochs",
        ),
    )  # fmt: skip


ACCUMULATION = Experiment(
    name="accumulation",
    title="A big batch from small ones",
    question="How does one train on 256 images at once when memory holds 64?",
    topic="training: batch size and memory",
    minutes=2,
    seeds=3,
    version=1,
    arms=(
        Arm(
            WHOLE_FROZEN, "one gradient of 256 images; BatchNorm uses its own statistics, which do not change"
        ),
        Arm(PARTS_FROZEN, "the gradients of four batches of 64 are summed before the step"),
        Arm(WHOLE, "one gradient of 256 images; BatchNorm normalises by the batch"),
        Arm(PARTS, "four summed gradients; BatchNorm normalises each 64 images by their own mean"),
        Arm(SMALL, "a step for every 64 images, at the same rate"),
    ),
    papers=(
        Paper(
            "A batch that is k times as large wants a rate that is k times as large; the loss of a large "
            "batch is that of several small ones if BatchNorm's statistics are those of the small ones.",
            "Goyal et al. 2017, Accurate, large minibatch SGD, sections 2.1 and 2.3",
        ),
        Paper(
            "BatchNorm normalises by the statistics of the mini-batch, so what it computes for an image "
            "depends on the others.",
            "Ioffe & Szegedy 2015, Batch normalization, section 3.1",
        ),
    ),
    prepare=prepare,
    figures=figures,
    findings=findings,
    next_steps=steps_of(
        "accumulation",
        Step("the same on your own images: the effective batch stays", "fit photos/ --micro-batch 16"),
    ),
)
