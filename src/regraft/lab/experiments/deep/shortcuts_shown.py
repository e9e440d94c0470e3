"""What the experiment `shortcuts` shows and says."""

from __future__ import annotations

from regraft.lab.bench.subject import steps_of
from regraft.lab.experiments.deep.shortcuts import PLAIN, REMOVED, RESIDUAL, RISE, WHOLE, prepare
from regraft.lab.results.claims import compared, said
from regraft.lab.results.curves import curves
from regraft.lab.results.experiment import Arm, Experiment, Paper, Step
from regraft.lab.results.figures import Figure, share, signed
from regraft.lab.results.results import Results

_START = "share at the start of block 1"


def figures(results: Results) -> tuple[Figure, ...]:
    """Accuracy without single blocks, the share of each block, the loss along a direction."""
    removed = curves(
        "removed",
        "Accuracy after one block was removed from the trained network",
        ("removed block", "test accuracy, %"),
        [(arm, results.series(arm, "accuracy without block ")) for arm in results.arms],
        times=100.0,
        y_range=(0.0, 100.0),
        note="A removed block passes its input on. Blocks that change the number of channels can't be "
        "removed.",
    )
    parts = [
        (name, results.series(RESIDUAL, f"share {name} of block "))
        for name in ("at the start", "after training")
    ]
    shares = curves(
        "shares",
        "How much of the output of each residual block comes from its own layers",
        ("block", "share, %"),
        parts,
        times=100.0,
        y_range=(0.0, 100.0),
        note="The norm of what the layers add, over the sum of that and of the norm of what the shortcut "
        "brings.",
    )
    along = curves(
        "direction",
        "The loss on test images along a random direction",
        ("distance", "log10 of the loss in nats"),
        [
            (arm, [(x, results.log10(arm, f"loss at {x:g}")) for x, _ in results.series(arm, "loss at ")])
            for arm in results.arms
        ],
        note="At 0 are the trained weights. Every filter of the direction has the norm of the network's "
        "own filter, so at 1 each is moved by as much as it is long.",
    )
    return removed, shares, along


def findings(results: Results) -> tuple[str, ...]:
    """What shortcuts change about blocks, removal and the surroundings of a solution."""
    begins = results.estimate(RESIDUAL, _START)
    rise = results.difference(PLAIN, RESIDUAL, RISE)
    return (
        said(
            begins, f"the layers of the first block make up {share(begins)} % of its output before training",
            more="A residual block is no identity when training begins: its layers add more than the "
            "shortcut brings",
            less="A residual block begins nearer to the identity than to its layers",
            whether="a residual block begins nearer to the identity than to its layers", reference=0.5,
        ),
        compared(
            results, (PLAIN, RESIDUAL), REMOVED,
            more="The plain network does not survive what the residual one does: a removed block costs "
            "it more",
            less="A removed block costs the plain network less than the residual one",
            whether="a removed block costs the plain network more",
        ),
        said(
            rise, "at half a filter's norm from the solution, the loss has risen, in the plain network minus "
            f"in the residual one, by {signed(rise)} nats",
            more="The loss around the solution is flatter with shortcuts",
            less="The loss around the solution is flatter without shortcuts",
            whether="the loss around the solution is flatter with shortcuts",
        ),
        compared(
            results, (RESIDUAL, PLAIN), WHOLE,
            more="With 20 layers, shortcuts also classify better",
            less="With 20 layers, shortcuts classify worse",
            whether="shortcuts classify better with 20 layers",
        ),
    )  # fmt: skip


SHORTCUTS = Experiment(
    name="shortcuts",
    title="What a shortcut does",
    question="What do skip connections do?",
    topic="deep networks: residual learning",
    minutes=4,
    seeds=3,
    version=1,
    arms=(
        Arm(PLAIN, "20 layers, each of which sees only what the layer before it made"),
        Arm(RESIDUAL, "the same layers; every two add their result to their input"),
    ),
    papers=(
        Paper(
            "Removing one layer of VGG raises the error to chance; removing one block of a residual "
            "network of 110 layers hardly changes it, as if it were an ensemble of shallow networks.",
            "Veit, Wilber & Belongie 2016, Residual networks behave like ensembles of relatively shallow "
            "networks, figure 3",
        ),
        Paper(
            "Along random directions with the filters' own norms, the loss of deep networks is chaotic "
            "without shortcuts and nearly convex with them.",
            "Li, Xu, Taylor, Studer & Goldstein 2018, Visualizing the loss landscape of neural nets, "
            "figure 5",
        ),
    ),
    prepare=prepare,
    figures=figures,
    findings=findings,
    next_steps=steps_of("shortcuts", Step("the same at the gradients", "lab gradients")),
)
