"""What the experiment `transferability` shows and says."""

from __future__ import annotations

from regraft.lab.bench.subject import steps_of
from regraft.lab.experiments.transfer.transferability import ANB, ANB_TUNED, BNB, BNB_TUNED, CUTS, prepare
from regraft.lab.results.claims import compared, said
from regraft.lab.results.curves import curves
from regraft.lab.results.experiment import Arm, Experiment, Paper, Step
from regraft.lab.results.figures import Figure
from regraft.lab.results.results import Results
from regraft.lab.results.verdicts import points


def _at(cut: int) -> str:
    return f"accuracy, cut {cut}"


def figures(results: Results) -> tuple[Figure, ...]:
    """The accuracies at every cut, as in the paper's figure 2."""
    lines = [
        (arm, [(float(cut), results.estimate(arm, _at(cut))) for cut in range(CUTS + 1)])
        for arm in results.arms
    ]
    values = [one.value for _, line in lines for _, one in line]
    return (
        curves(
            "cuts",
            "Accuracy on task B with the first layers of another network",
            ("layers taken from the base", "accuracy, %"),
            lines,
            times=100.0,
            y_range=(100 * max(0.0, min(values) - 0.05), 100.0),
            note="At 0 is the network of task B itself. Without + the taken layers are frozen.",
        ),
    )


def findings(results: Results) -> tuple[str, ...]:
    """Whether features become specific, whether layers depend on each other, and whether transfer helps."""
    last, middle = _at(CUTS), _at((CUTS + 1) // 2)
    steepest = results.within(ANB, last, _at(1))
    tuned = results.within(ANB_TUNED, last, _at(0))
    return (
        compared(
            results, (ANB, BNB), last,
            more="Frozen layers of the other task are better than the task's own, down to the last",
            less="Features become specific: the last layers of the other task, frozen, are worse than "
            "the task's own",
            whether="the last layers are specific to their task", what="accuracy with all layers taken:",
        ),
        compared(
            results, (ANB, BNB), _at(1),
            more="The first layer of the other task is better than the task's own",
            less="Even the first layer is specific here: that of the other task is worse",
            whether="the first layer is specific to its task, so it may be general",
            what="accuracy with one layer taken:",
        ),
        said(
            steepest, f"from one layer taken to all, AnB changes by {points(steepest)}",
            more="Frozen features transfer better the more of them are taken",
            less="The more layers are taken frozen, the worse the transfer",
            whether="the transfer becomes worse with the layers taken",
        ),
        said(
            results.within(BNB, middle, _at(0)),
            "with the middle layers frozen and the rest new, the task's own network changes by "
            f"{points(results.within(BNB, middle, _at(0)))}",
            more="Retraining the upper layers on frozen own features improves the network",
            less="Layers depend on each other: retrained upper layers do not find back (fragile "
            "co-adaptation)",
            whether="retraining the upper layers on frozen own ones changes the network",
        ),
        said(
            tuned, "all layers of the other task, then trained, differ from the network of task B by "
            f"{points(tuned)}",
            more="Starting from the other task and training everything improves the task's own network",
            less="Starting from the other task and training everything is worse than training on task B "
            "alone",
            whether="starting from the other task improves the network after training everything",
        ),
    )  # fmt: skip


TRANSFERABILITY = Experiment(
    name="transferability",
    title="From general to specific",
    question="How transferable are the features of each layer?",
    topic="transfer: which layers to keep",
    minutes=4,
    seeds=5,
    version=1,
    arms=(
        Arm(ANB, "the first layers of a network of task A, frozen; the others are new and learn task B"),
        Arm(ANB_TUNED, "the same, and everything is trained"),
        Arm(
            BNB, "the first layers of a network of task B, frozen; the others are new and learn task B again"
        ),
        Arm(BNB_TUNED, "the same, and everything is trained"),
    ),
    papers=(
        Paper(
            "On two halves of ImageNet, layers 1 and 2 transfer almost perfectly; from layer 3 on "
            "accuracy falls, in the middle because layers have adapted to each other, and at the end "
            "because features are specific. Transferred and then trained, they are better than the "
            "network of task B itself: by 1.6 points on average.",
            "Yosinski, Clune, Bengio & Lipson 2014, How transferable are features in deep neural "
            "networks?, figure 2 and table 1",
        ),
    ),
    prepare=prepare,
    figures=figures,
    findings=findings,
    next_steps=steps_of(
        "transferability",
        Step("which stage of a real network suits your images", "advise photos/"),
        Step("the same with more or fewer images: which mode, when", "lab choosing"),
    ),
)
