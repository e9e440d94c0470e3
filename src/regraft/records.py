"""The frozen records that several folders share, and the JSON format in which they are saved.

Read this file first: a fit divides `Images` (`data/findings/image_set.py`) by a `Split`, solves a head on
their features, and evaluates it as `Scores`; what is planned and what was done is in `plans/plan.py`. Records
that are read back from disk are validated (pydantic): unknown fields, wrong types and absurd sizes are
refused before anything is built from them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]
Framing = Literal["crop", "cover", "squeeze", "pad"]
FramingChoice = Literal["auto", "crop", "cover", "squeeze", "pad"]
Averaged = Literal["none", "mirror"]
"""Over which views of an image features are averaged."""
AverageChoice = Literal["auto", "none", "mirror"]
Precision = Literal["fp32", "bf16"]
Side = Literal["train", "validation", "test"]
Strategy = Literal["probe", "svm", "many-stages", "last-blocks", "full", "scratch"]
StrategyChoice = Literal["auto", "probe", "svm", "many-stages", "last-blocks", "full", "scratch"]
HeadKind = Literal["ridge", "logistic", "linear-svm", "rbf-svm", "centroid", "head2toe"]
Statistic = Literal["mean", "std", "token", "map"]
Granularity = Literal["default", "coarse", "fine"]
TaskName = Literal["classification", "multilabel", "regression"]
ClassMeasure = Literal["accuracy", "balanced", "auroc", "log-loss"]
"""By what models of classes are compared: which one is kept, which strength, and which epoch."""
Link = Literal["softmax", "sigmoid", "identity"]
"""How scores become outputs: the key of every table in which folders keep what depends on the task."""

Label = Annotated[str, Field(max_length=256)]
Labels = Annotated[tuple[Label, ...], Field(min_length=2, max_length=100_000)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Record(BaseModel):
    """Base class of the records on disk: immutable, and validated when it is read."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Intensity(Record):
    """Which stored values become black and white in images of more than 8 bits, decided for a data set."""

    whole: tuple[float, float] | None = None
    """Range of whole numbers; None if the data set had no such images, which are then taken one by one."""
    real: tuple[float, float] | None = None
    """The same of floating-point numbers."""
    is_each: bool = False
    """Whether each image has a range of its own, from its 0.1 % point to its 99.9 % point."""
    window: tuple[float, float] | None = Field(None, exclude_if=lambda window: window is None)
    """Range of DICOM files, in the unit of the device; None if they are shown as they say themselves."""

    @property
    def text(self) -> str:
        """For example `0-4,095`.

        >>> Intensity(whole=(0, 4095)).text, Intensity(real=(-0.5, 1)).text, Intensity(is_each=True).text
        ('0-4,095', '-0.5-1', 'of each image, from its 0.1 % point to its 99.9 % point')
        """
        if self.is_each:
            return "of each image, from its 0.1 % point to its 99.9 % point"
        kinds = {
            "whole numbers": self.whole, "floating-point numbers": self.real, "DICOM files": self.window
        }  # fmt: skip
        spans = {kind: f"{span[0]:,.6g}-{span[1]:,.6g}" for kind, span in kinds.items() if span}
        if len(set(spans.values())) == 1:
            return next(iter(spans.values()))
        return " and ".join(f"{span} of {kind}" for kind, span in spans.items())


class InputSpec(Record):
    """The input that a network expects: `networks` define it, `data` prepares it."""

    size_px: int = Field(224, ge=8, le=4096)
    """Side of the square input in pixels; the height of an input that is not square."""
    width_px: int | None = Field(None, ge=8, le=4096, exclude_if=lambda width: width is None)
    """Width in pixels of an input that is not square."""
    channels: int = Field(3, ge=1, le=16)
    """1 for grey, 3 for RGB; other numbers need files with that many bands."""
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    """Mean of each channel, subtracted from values in [0, 1]."""
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    """Standard deviation of each channel, by which the difference is divided."""
    interpolation: Interpolation = "bicubic"
    """Filter with which the image is resized."""
    crop_share: float = Field(0.875, gt=0, le=1)
    """Side of the central crop as a share of the image's shorter side; other framings don't use it."""
    framing: Framing = Field("crop", exclude_if=lambda framing: framing == "crop")
    """What the network sees of an image. crop: the central crop of `crop_share`. cover: the central square of
    the whole shorter side. squeeze: the whole image, its aspect ratio changed. pad: the whole image, between
    borders of the mean colour."""
    average: Averaged = Field("none", exclude_if=lambda average: average == "none")
    """Over which views features are averaged. none: the image alone. mirror: the image and its mirror image,
    which go through the network together."""
    intensity: Intensity | None = Field(None, exclude_if=lambda intensity: intensity is None)
    """The range of images of more than 8 bits; None if there were none in the data set."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the input.

        >>> InputSpec(size_px=384, width_px=512).shape
        (384, 512, 3)
        """
        return self.size_px, self.width_px or self.size_px, self.channels


class Recipe(Record):
    """The constructor that builds a network and its arguments: data, never code. Names must be registered."""

    library: Literal["timm", "torchvision", "regraft"]
    name: str = Field(pattern=r"^[A-Za-z0-9_.]+$", max_length=120)
    kwargs: dict[str, bool | int | float | str | None] = Field(default_factory=dict)
    stages: Granularity = "default"
    """How finely the network is divided into stages; `default` is what its card says, or else coarse."""


class WeightsSource(Record):
    """Where a network's weights came from; recorded in every run."""

    where: str
    """The file, the package, the identifier on the hub, or `random` with its seed."""
    sha256: Sha256
    licence: str
    """The licence as stated by the source; `unknown` if it states none."""


class Column(Record):
    """Columns `start:stop` of a feature row: one statistic of one stage's activation."""

    stage: str
    statistic: Statistic
    start: int
    stop: int


Layout = tuple[Column, ...]
"""The columns of a feature row, in the order of the stages."""


class MapLevel(Record):
    """Values `start:stop` of a row of maps: the activation of one stage, `(height, width, channels)`."""

    stage: str
    stride: int
    """Number of input pixels from one cell of the map to the next."""
    channels: int
    height: int
    width: int
    start: int
    stop: int


def stages_of(columns: Iterable[Column]) -> list[str]:
    """The names of the stages, each once, in order."""
    return list(dict.fromkeys(column.stage for column in columns))


def width_of(columns: Iterable[Column]) -> int:
    """The number of values in all columns together."""
    return sum(column.stop - column.start for column in columns)


def columns_of(
    columns: Iterable[Column], stages: Collection[str], statistics: Collection[str] | None = None
) -> Layout:
    """The columns of some stages; of all their statistics, or of the given ones."""
    return tuple(
        column
        for column in columns
        if column.stage in stages and (statistics is None or column.statistic in statistics)
    )


@dataclass(frozen=True, slots=True)
class ImageItem:
    """One usable image of a data set."""

    path: str
    """Path relative to the data set's root, as it was found, with forward slashes."""
    label: str
    sha256: str
    """SHA-256 of the file's bytes: the image's identity in every cache."""
    side: Side | None = None
    """Side of the official split, if the data set has one."""
    group: str | None = None
    """Name of the image's group; all images of a group stay on one side of the split."""


@dataclass(frozen=True)
class SkippedFile:
    """A file that could not be used, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Finding:
    """Something about the data that its owner should know."""

    kind: str
    """For example `duplicate`, `near-duplicate`, `leak`, `conflict`, `extension`, `tiny-class`, `note`."""
    message: str
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SplitRow:
    """One image and the side of the split that it is on; a split checks those that it reads."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    path: str
    label: str
    sha256: Sha256
    side: Side
    group: str


class Split(Record):
    """Which images train, which validate and which test; saved with its seed and hash, and reused."""

    seed: int
    test_share: float
    origin: Literal["official", "drawn"]
    rows: tuple[SplitRow, ...]
    sha256: Sha256
    """SHA-256 of the rows; equal hashes mean equal splits."""
    history: str = ""
    """What was taken over from the saved split of an earlier run, as a sentence; empty if nothing was. Not
    saved: a run that resumes leaves the same files as one that was never interrupted."""


class Estimate(Record):
    """A measured value with its 95 % interval; the bounds are None if none can be given."""

    value: float
    low: float | None = None
    high: float | None = None


class ClassScores(Record):
    """The scores of one class."""

    label: str
    images: int
    precision: float
    recall: float
    f1: float
    precision_interval: Estimate | None = Field(None, exclude_if=lambda estimate: estimate is None)
    """The precision with its interval; None, not defined: the class is never predicted."""
    recall_interval: Estimate | None = Field(None, exclude_if=lambda estimate: estimate is None)
    """The recall with its interval; None, not defined: no image is of the class."""
    auroc: Estimate | None = Field(None, exclude_if=lambda estimate: estimate is None)
    """How well the class's probability tells its images from all others; None: not defined, or not
    measured because there are more than 100 classes."""


class Rates(Record):
    """What is found and what is missed of the positive one of two classes, at one threshold."""

    threshold: float | None
    """The probability from which on an image is called positive; None: the larger probability is taken."""
    found: int
    """Number of positive images that are called positive."""
    missed: int
    """Number of positive images that are called negative."""
    false_alarms: int
    """Number of negative images that are called positive."""
    passed: int
    """Number of negative images that are called negative."""
    sensitivity: Estimate | None
    """Share of the positive images that are called positive; None: there are none."""
    specificity: Estimate | None
    """Share of the negative images that are called negative; None: there are none."""
    ppv: Estimate | None
    """Positive predictive value: share of the images called positive that are; None: none is called so."""
    npv: Estimate | None
    """Negative predictive value: share of the images called negative that are; None: none is called so."""
    ppv_at_prevalence: Estimate | None = Field(None, exclude_if=lambda estimate: estimate is None)
    """Positive predictive value where the stated share of all images is positive."""
    npv_at_prevalence: Estimate | None = Field(None, exclude_if=lambda estimate: estimate is None)
    """Negative predictive value where the stated share of all images is positive."""


class TwoClassScores(Record):
    """The scores of a positive class against a negative one."""

    positive: str
    """Name of the positive class."""
    positives: int
    """Number of images of the positive class."""
    average_precision: Estimate | None
    """None, not defined: all images are of one class."""
    largest: Rates
    """What is found if the larger probability is taken."""
    goal: str | None = None
    """What the threshold was chosen to reach, such as `sensitivity=0.95`; None without a goal."""
    chosen: Rates | None = None
    """What is found at the threshold that was chosen for the goal; None without one."""
    prevalence: float | None = None
    """The share of positive images for which two predictive values are stated; None if none was given."""


class GroupScore(Record):
    """How good predictions for whole groups are: the mean of a group's outputs against its images' label."""

    measure: str
    """The name of the score, as for images: `accuracy` in classification."""
    groups: int
    """Number of groups whose images all have the same label."""
    mixed: int
    """Number of groups whose images have different labels; their images are counted one by one only."""
    score: Estimate | None
    """None, not defined: every group is mixed."""


class Scores(Record):
    """Scores of one set of predictions; shares are in [0, 1], losses in nats."""

    images: int
    method: str
    """How the predictions were made: `held-out test images`, `5-fold cross-validation`, ..."""
    accuracy: Estimate
    balanced_accuracy: Estimate
    macro_f1: Estimate
    log_loss: Estimate
    calibration_error: Estimate
    classes: tuple[ClassScores, ...]
    confusion: tuple[tuple[int, ...], ...]
    """Confusion matrix: rows are true classes, columns predicted ones, in the order of `classes`. Empty with
    more than 100 classes; then `confused` has the same counts."""
    confused: tuple[tuple[int, int, int], ...] = ()
    """With more than 100 classes: the cells of the confusion matrix that are not zero, as (number of the true
    class, number of the predicted class, images), the numbers counted from 0 in the order of `classes`."""
    groups: int | None = Field(None, exclude_if=lambda groups: groups is None)
    """Number of groups of images, of which the intervals are; None if every image is a group of its own."""
    by_group: GroupScore | None = Field(None, exclude_if=lambda score: score is None)
    """The same predictions by group; None if every image is a group of its own."""
    measure: ClassMeasure = Field("accuracy", exclude_if=lambda measure: measure == "accuracy")
    """By what models were compared, which is listed first."""
    auroc: Estimate | None = Field(None, exclude_if=lambda estimate: estimate is None)
    """How well probabilities tell classes apart: of two classes, the positive from the negative one; of more,
    the mean over classes of each against all others. None: not defined, or more than 100 classes."""
    quadratic_kappa: Estimate | None = Field(None, exclude_if=lambda estimate: estimate is None)
    """Quadratic weighted kappa of ordered classes (Cohen 1968); None for classes without an order."""
    two_classes: TwoClassScores | None = Field(None, exclude_if=lambda scores: scores is None)
    """Scores of the positive class; None for more than two classes."""

    @property
    def cells(self) -> tuple[tuple[int, int, int], ...]:
        """The cells of the confusion matrix that are not zero, as in `confused`, for few classes too."""
        return self.confused or tuple(
            (true, predicted, count)
            for true, row in enumerate(self.confusion)
            for predicted, count in enumerate(row)
            if count
        )


class HeadRecord(Record):
    """A head without its arrays."""

    kind: HeadKind
    columns: tuple[Column, ...]
    """The feature columns that the head reads, in order."""
    hyperparameters: dict[str, float]
    temperature: float = 1.0
    """Temperature by which scores are divided before the softmax (Guo et al. 2017); 1 for other links."""
    link: Link = Field("softmax", exclude_if=lambda link: link == "softmax")
    """How scores become outputs; not saved where it is the default."""
