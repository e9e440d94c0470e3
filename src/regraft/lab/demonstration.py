"""What `regraft demo` measures: a pretrained network against training from scratch, with few labelled images.

One pass of the network over all images gives the features after every stage. Each draw of labelled images
then solves heads on them; all choices are made by cross-validation on the labelled images, and the test
images are the same in every draw.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from regraft.data.findings.image_set import Images
from regraft.data.pictures.loading import load_input
from regraft.data.splits import split_images
from regraft.evaluation.scores import majority, mean_interval
from regraft.features.extraction import Features
from regraft.features.opening import Compute
from regraft.features.runtimes import RuntimeName
from regraft.heads.dataset import Dataset
from regraft.heads.fitting import fit_head
from regraft.heads.head import Head
from regraft.heads.rows import Candidate, FittedHead, TrainingRows, accuracy, log_loss
from regraft.lab.bench.pictures import write_digit_pictures, write_faces
from regraft.networks.adaptation import adapted
from regraft.networks.weights.finding import find_weights
from regraft.progress import Reporter, Silent
from regraft.records import Estimate, Granularity, InputSpec, Scores, Side, columns_of, stages_of
from regraft.settings import DataSettings, TrainSettings
from regraft.storage.files import write_atomically
from regraft.storage.tables import csv_bytes
from regraft.training.solved import set_sizes
from regraft.workflow.check import load_images
from regraft.workflow.fit import fit

NETWORK = "tf_efficientnet_lite0"
INPUT_PX = 96
GRANULARITY: Granularity = "coarse"
TEST_PER_CLASS = 50
MOST_PER_CLASS = 50
BEST, SEVERAL, LAST = "transfer, best stage", "transfer, several stages", "transfer, last stage"
SCRATCH = "LeNet-5 from scratch"
PIXELS_RBF, PIXELS_LINEAR = "pixels, RBF SVM", "pixels, linear SVM"
MAJORITY = "majority class"
CONTENDERS = (BEST, SEVERAL, LAST, SCRATCH, PIXELS_RBF, PIXELS_LINEAR, MAJORITY)
_PIXELS = InputSpec(size_px=32, channels=1, mean=(0.0,), std=(1.0,), interpolation="bilinear", crop_share=1.0)
_SCRATCH = TrainSettings(epochs=60, lr=3e-3, init="glorot", validation_share=0.0, augment="none")


@dataclass(frozen=True)
class Task:
    """A data set that the demonstration makes."""

    name: str
    about: str
    """What its pictures show and how they were made, in one sentence."""
    write: Callable[[Path], None]


TASKS = (
    Task(
        "digits",
        "scikit-learn's handwritten digits, each enlarged and put at a random place on plain paper",
        write_digit_pictures,
    ),
    Task(
        "faces",
        "scikit-image's crops of 25 x 25 pixels from photos, half of them faces",
        write_faces,
    ),
)


@dataclass(frozen=True)
class Depth:
    """What a logistic regression on the features of one stage gets."""

    stage: str
    accuracy: Estimate
    chosen: int
    """In how many draws cross-validation on the labelled images chose this stage."""


@dataclass(frozen=True)
class Contender:
    """One way to get a classifier."""

    name: str
    accuracy: Estimate
    """Mean test accuracy over the draws with its 95 % interval."""
    over_scratch: Estimate
    """Mean of the draws' differences to training from scratch."""
    over_last: Estimate
    """Mean of the draws' differences to the last stage."""


@dataclass(frozen=True)
class Comparison:
    """All contenders on one data set."""

    name: str
    about: str
    classes: int
    labelled_images: int
    test_images: int
    draws: int
    first_choice: str
    """The stage that was chosen in the first draw."""
    depths: tuple[Depth, ...]
    contenders: tuple[Contender, ...]
    wall_s: float

    def contender(self, name: str) -> Contender:
        """One of them by its name."""
        return next(one for one in self.contenders if one.name == name)


@dataclass(frozen=True)
class Demonstration:
    """What the demonstration found, and the run that it leaves."""

    network: str
    comparisons: tuple[Comparison, ...]
    run_folder: Path
    wall_s: float


@dataclass(frozen=True)
class _Drawn:
    """Test accuracies of one draw."""

    depths: Mapping[str, float]
    chosen: str
    """The stage of best cross-validated accuracy."""
    contenders: Mapping[str, float]


def demonstrate(
    folder: Path,
    *,
    draws: int = 5,
    per_class: int = 10,
    runtime: RuntimeName = "auto",
    reporter: Reporter | None = None,
) -> Demonstration:
    """Compare transfer with training from scratch on every task, and leave a run of the first draw of digits.

    Args:
        folder: where the images, the table of the first draw and the run are written.
        draws: how many times the labelled images are drawn.
        per_class: labelled images of each class, at most `MOST_PER_CLASS`.
        runtime: what computes the network.
        reporter: receives a line for every step.
    """
    started, reporter = time.perf_counter(), reporter or Silent()
    comparisons = []
    for task in TASKS:
        comparison = _compared(task, folder, draws=draws, per_class=per_class, runtime=runtime, log=reporter)
        comparisons.append(comparison)
    stage = comparisons[0].first_choice
    run_folder = _left_run(folder, per_class=per_class, stage=stage, runtime=runtime)
    reporter.note(f"run: saved the model of the first draw of {TASKS[0].name} in {run_folder}")
    return Demonstration(NETWORK, tuple(comparisons), run_folder, time.perf_counter() - started)


def _images_folder(folder: Path, task: Task) -> Path:
    return folder / "images" if task is TASKS[0] else folder / task.name


def _compared(
    task: Task, folder: Path, *, draws: int, per_class: int, runtime: RuntimeName, log: Reporter
) -> Comparison:
    started, root = time.perf_counter(), _images_folder(folder, task)
    task.write(root)
    images = load_images(root, reporter=log)
    log.note(f"{task.name}: {len(images):,} pictures in {root}: {task.about}")
    features = _features(images, runtime, log)
    pixels = {i.sha256: load_input(Path(root, i.path), _PIXELS).reshape(-1) / 255 for i in images.items}
    drawn = []
    for draw in range(draws):
        few = _drawn_images(images, draw=draw, per_class=per_class)
        dataset = Dataset(few, split_images(few, seed=draw), features, draw)
        with threadpool_limits(
            1, user_api="blas"
        ):  # on a busy machine, two wait for each other: 7 times slower
            drawn.append(_measured(dataset, pixels))
        log.note(f"{task.name}, draw {draw + 1} of {draws}: {_line(drawn[-1])}")
    return _summary(task, dataset, drawn, time.perf_counter() - started)


def _features(images: Images, runtime: RuntimeName, log: Reporter) -> Features:
    """The features after every stage, from one pass; rows that the cache holds are not computed again."""
    weights = adapted(find_weights(NETWORK, offline=True), size_px=INPUT_PX)
    weights = replace(weights, recipe=weights.recipe.model_copy(update={"stages": GRANULARITY}))
    return Compute(runtime).features(images, weights, log)


def _drawn_images(images: Images, *, draw: int, per_class: int) -> Images:
    """The fixed test images, and some of the others as training images."""
    sides: dict[int, Side] = {}
    labels = np.array([item.label for item in images.items])
    for label in images.labels:
        order = np.random.default_rng(0).permutation(np.flatnonzero(labels == label))
        sides |= dict.fromkeys(order[:TEST_PER_CLASS].tolist(), "test")
        pool = np.random.default_rng([1, draw]).permutation(order[TEST_PER_CLASS:])
        sides |= dict.fromkeys(pool[:per_class].tolist(), "train")
    chosen = tuple(replace(item, side=sides[n]) for n, item in enumerate(images.items) if n in sides)
    return replace(images, items=chosen)


def _measured(dataset: Dataset, pixels: Mapping[str, np.ndarray]) -> _Drawn:
    rows, truth = dataset.training_rows(), dataset.truth(dataset.rows("test"))
    layout = dataset.features.layout
    stages = stages_of(layout)

    def tested(head: Head) -> float:
        return accuracy(dataset.predicted(head, dataset.rows("test"), "").values, truth)

    def columns(names: Sequence[str]) -> Candidate:
        return columns_of(layout, names)

    heads = {stage: fit_head(rows, "logistic", [columns([stage])]) for stage in stages}
    depths = {stage: tested(one.head) for stage, one in heads.items()}
    chosen = max(stages, key=lambda stage: _promise(heads[stage], rows))
    sets = [stages[-size:] for size in set_sizes(len(stages)) if size > 1]
    several = [fit_head(rows, "logistic", [columns(names)]) for names in sets]
    trivial = majority(rows.targets, len(truth), rows.num_outputs)
    found = {
        BEST: depths[chosen],
        SEVERAL: tested(max(several, key=lambda one: _promise(one, rows)).head),
        LAST: depths[stages[-1]],
        SCRATCH: _from_scratch(dataset),
        **_on_pixels(dataset, pixels),
        MAJORITY: accuracy(trivial, truth),
    }
    return _Drawn(depths, chosen, found)


def _promise(fitted: FittedHead, rows: TrainingRows) -> tuple[float, float]:
    """Cross-validated accuracy; few images often give several stages the same, which log-loss tells apart."""
    return accuracy(fitted.out_of_fold, rows.targets), -log_loss(fitted.out_of_fold, rows.targets)


def _from_scratch(dataset: Dataset) -> float:
    model = fit(
        dataset.images,
        network="lenet5",
        strategy="scratch",
        seed=dataset.seed,
        training=_SCRATCH,
        runtime="torch",
    )
    assert model.scores is not None
    assert isinstance(model.scores.test, Scores)
    return model.scores.test.accuracy.value


def _on_pixels(dataset: Dataset, pixels: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Test accuracies of support vector machines on the grey values, settings by cross-validation.

    scikit-learn's logistic regression took 60 to 90 times as long on a busy machine of two cores (3.4 s
    instead of 0.05 s for one fit), because its threads wait for each other; libsvm has one thread.
    """
    from sklearn.model_selection import GridSearchCV
    from sklearn.svm import SVC

    def side(name: Side) -> tuple[np.ndarray, np.ndarray]:
        rows = dataset.rows(name)
        return np.stack([pixels[key] for key in dataset.keys(rows)]), dataset.truth(rows)

    train, test = side("train"), side("test")
    folds = min(5, int(np.bincount(train[1]).min()))
    variance = float(train[0].var()) or 1.0
    widths = [factor / (train[0].shape[1] * variance) for factor in (0.3, 1.0, 3.0)]
    machine = GridSearchCV(SVC(), {"C": [1, 10, 100], "gamma": widths}, cv=folds)
    linear = GridSearchCV(SVC(kernel="linear"), {"C": [0.01, 0.1, 1]}, cv=folds)
    return {
        PIXELS_RBF: float(machine.fit(*train).score(*test)),
        PIXELS_LINEAR: float(linear.fit(*train).score(*test)),
    }


def _line(drawn: _Drawn) -> str:
    found = drawn.contenders
    return (
        f"best {drawn.chosen} {found[BEST]:.1%}, several {found[SEVERAL]:.1%}, last {found[LAST]:.1%}, "
        f"scratch {found[SCRATCH]:.1%}, pixels {found[PIXELS_RBF]:.1%}"
    )


def _summary(task: Task, dataset: Dataset, drawn: Sequence[_Drawn], wall_s: float) -> Comparison:
    def values(name: str) -> np.ndarray:
        return np.array([one.contenders[name] for one in drawn])

    depths = tuple(
        Depth(
            stage,
            mean_interval([one.depths[stage] for one in drawn]),
            sum(one.chosen == stage for one in drawn),
        )
        for stage in drawn[0].depths
    )
    contenders = tuple(
        Contender(
            name,
            mean_interval(values(name).tolist()),
            mean_interval((values(name) - values(SCRATCH)).tolist()),
            mean_interval((values(name) - values(LAST)).tolist()),
        )
        for name in CONTENDERS
    )
    return Comparison(
        name=task.name,
        about=task.about,
        classes=len(dataset.images.labels),
        labelled_images=len(dataset.rows("train")),
        test_images=len(dataset.rows("test")),
        draws=len(drawn),
        first_choice=drawn[0].chosen,
        depths=depths,
        contenders=contenders,
        wall_s=wall_s,
    )


def _left_run(folder: Path, *, per_class: int, stage: str, runtime: RuntimeName) -> Path:
    """A run of the first draw of the first task, whose features are all in the cache."""
    root = _images_folder(folder, TASKS[0])
    images = _drawn_images(load_images(root), draw=0, per_class=per_class)
    rows = [(item.path, item.label, item.side) for item in images.items]
    table = folder / f"{TASKS[0].name}.csv"
    write_atomically(table, csv_bytes(("path", "label", "split"), rows))
    fit(
        table, data=DataSettings(root=str(root)), network=NETWORK, offline=True, image_size=INPUT_PX,
        stages=GRANULARITY, strategy="svm", head="logistic", cut=stage, runtime=runtime, out=folder / "run",
        overwrite=True,
    )  # fmt: skip
    return folder / "run"
