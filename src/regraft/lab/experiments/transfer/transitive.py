"""Transfer in one step, through an intermediate task, and through a wrong one."""

from __future__ import annotations

import copy

from regraft.lab.bench.networks import convolutional
from regraft.lab.bench.sets import SIZE_PX, Labelled, SmallSet, chosen, gratings, shuffled
from regraft.lab.bench.subject import Bench, steps_of, value
from regraft.lab.bench.training import Small, accuracy, settings, trained
from regraft.lab.results.claims import best, compared
from regraft.lab.results.experiment import Arm, Choices, Experiment, Paper, Step
from regraft.lab.results.figures import Figure, interval_bars
from regraft.lab.results.results import Results
from regraft.lab.results.rows import Value
from regraft.progress import Reporter

SCRATCH, DIRECT, THROUGH, WRONG = "from scratch", "direct", "through a related task", "through a wrong task"
ACCURACY = "accuracy"


def prepare(choices: Choices, reporter: Reporter) -> Bench:
    """Gratings as the source, one half of the classes as the intermediate task, the other as the target."""
    few, many, before, epochs = (3, 40, 12, 80) if choices.is_quick else (4, 80, 30, 150)
    data = chosen(choices.data, per_class=many, reporter=reporter, own_px=SIZE_PX, classes=4)
    half = data.classes // 2
    between, target = data.of(range(half)), data.of(range(half, data.classes))
    tasks: dict[str, tuple[SmallSet, ...]] = {
        SCRATCH: (),
        DIRECT: (gratings(),),
        THROUGH: (gratings(), between),
        WRONG: (gratings(), shuffled(between)),
    }
    facts = {
        "data": data.key, "source": gratings().key, "images of a class": [few, many], "test images": 400,
        "epochs": [before, epochs], "learning rate": 0.003, "batch": 25,
    }  # fmt: skip

    def measured(arm: str, seed: int, reporter: Reporter) -> tuple[Value, ...]:
        del reporter
        train, test = target.sample(seed, per_class=few, test=400)
        steps = [one.sample(seed, per_class=many, test=1)[0] for one in tasks[arm]]
        network = convolutional(2, seed=seed)
        for task in steps:
            network = taught(network, task, epochs=before, seed=seed)
        network = taught(network, train, epochs=epochs, seed=seed)
        return (value(ACCURACY, accuracy(network, test)),)

    about = (
        f"{data.about}: the second half of the classes is the target, with {few} images each, the first "
        "half the intermediate task; the source are drawn gratings"
    )
    return Bench(about, facts, measured)


def taught(network: Small, task: Labelled, *, epochs: int, seed: int) -> Small:
    """The network after another task: its stages are trained further, the head is new."""
    new = convolutional(int(task.targets.max()) + 1, seed=seed)
    found = Small(copy.deepcopy(network.stages), new.head)
    trained(found, task, settings(epochs=epochs, effective_batch=25), seed=seed)
    return found


def figures(results: Results) -> tuple[Figure, ...]:
    """Accuracies on the target."""
    rows = [(arm, results.estimate(arm, ACCURACY)) for arm in results.arms]
    return (interval_bars("accuracy", "Test accuracy on the target", "accuracy, %", rows),)


def findings(results: Results) -> tuple[str, ...]:
    """Whether the way matters."""
    return (
        compared(
            results, (DIRECT, SCRATCH), ACCURACY,
            more="The distant source helps by itself", less="Negative transfer: the distant source hurts",
            whether="the distant source helps by itself",
        ),
        compared(
            results, (THROUGH, DIRECT), ACCURACY,
            more="The related task on the way helps", less="The related task on the way hurts",
            whether="the related task on the way helps",
        ),
        compared(
            results, (WRONG, DIRECT), ACCURACY,
            more="Even a wrong task on the way helps",
            less="A wrong task on the way hurts (negative transfer)",
            whether="a wrong task on the way hurts",
        ),
        compared(
            results, (WRONG, SCRATCH), ACCURACY,
            more="Even by the wrong way the network is better than from scratch",
            less="By the wrong way the network is worse than from scratch",
            whether="the wrong way is worse than from scratch",
        ),
        best(results, results.arms, ACCURACY, what="accuracy on the target"),
    )  # fmt: skip


TRANSITIVE = Experiment(
    name="transitive",
    title="Transfer in two steps",
    question="Does an intermediate task help to get from a distant source to the target?",
    topic="transfer: transitive transfer, negative transfer",
    minutes=3,
    seeds=5,
    version=1,
    arms=(
        Arm(SCRATCH, "random weights learn the few images of the target"),
        Arm(DIRECT, "a network that learned gratings learns the target"),
        Arm(THROUGH, "gratings, then the other classes of the target's data, then the target"),
        Arm(
            WRONG, "gratings, then the same classes with all pixels shuffled in the same way, then the target"
        ),
    ),
    papers=(
        Paper(
            "Where source and target have little in common, transfer through an intermediate domain is "
            "better than direct transfer, which can be worse than none.",
            "Tan, Song, Zhong & Yang 2015, Transitive transfer learning, experiments on texts and images",
        ),
        Paper(
            "Transfer can hurt when the source is not related closely enough to the target (negative "
            "transfer).",
            "Pan & Yang 2010, A survey on transfer learning, section 6",
        ),
    ),
    prepare=prepare,
    figures=figures,
    findings=findings,
    next_steps=steps_of(
        "transitive", Step("in two steps with your own images", "fit target/ --from runs/intermediate")
    ),
)
