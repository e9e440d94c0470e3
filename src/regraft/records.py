"""The frozen records that cross folders, and the JSON that they are saved as.

Read this file first: a job turns `Images` into a `Split`, features into a head, and all of it into
`Scores`; what is to be done, and was, is in `plans.py`. Records that are read back from disk are validated
(pydantic): unknown fields, wrong types and absurd sizes are refused before anything is built from them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]
Precision = Literal["fp32", "bf16"]
Side = Literal["train", "validation", "test"]
Strategy = Literal["probe", "svm", "many-stages", "last-blocks", "full", "scratch"]
StrategyChoice = Literal["auto", "probe", "svm", "many-stages", "last-blocks", "full", "scratch"]
HeadKind = Literal["logistic", "linear-svm", "rbf-svm", "centroid", "head2toe"]
Statistic = Literal["mean", "std", "token", "map"]
Granularity = Literal["default", "coarse", "fine"]

Label = Annotated[str, Field(max_length=256)]
Labels = Annotated[tuple[Label, ...], Field(min_length=2, max_length=100_000)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Record(BaseModel):
    """Base of the records on disk: frozen, and strict about what it reads."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class InputSpec(Record):
    """What a network expects to see; shared by `data` (which makes it) and `networks` (which know it)."""

    size_px: int = Field(224, ge=8, le=4096)
    """Side of the square input, pixels."""
    channels: int = Field(3, ge=1, le=16)
    """1 for grey, 3 for RGB; other numbers take files of as many bands as they are."""
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    """Subtracted from each channel, of values in [0, 1]."""
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    """Then divided by, channel by channel."""
    interpolation: Interpolation = "bicubic"
    """How pixels are resampled."""
    crop_share: float = Field(0.875, gt=0, le=1)
    """Side of the central crop as a share of the image's shorter side."""


class Recipe(Record):
    """Which constructor builds a network: data, never code. Only registered names are obeyed."""

    library: Literal["timm", "torchvision", "regraft"]
    name: str = Field(pattern=r"^[A-Za-z0-9_.]+$", max_length=120)
    kwargs: dict[str, bool | int | float | str | None] = Field(default_factory=dict)
    stages: Granularity = "default"
    """How finely the network is divided; `default` is what its card says, or coarse."""


class WeightsSource(Record):
    """Where a network's weights came from, as recorded in every run."""

    where: str
    """The file, the package, the hub's identifier, or `random` with its seed."""
    sha256: Sha256
    licence: str
    """As stated by the source; `unknown` where it states none."""


class Column(Record):
    """Columns `start:stop` of a feature row: one statistic of one stage's activation."""

    stage: str
    statistic: Statistic
    start: int
    stop: int


@dataclass(frozen=True)
class ImageItem:
    """One usable image of a data set."""

    path: str
    """As found, below the data set's root, with forward slashes."""
    label: str
    sha256: str
    """Of the file's bytes: the image's identity in every cache."""
    side: Side | None = None
    """The official side, where the data set has one."""
    group: str | None = None
    """Images of one group stay on one side."""


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


@dataclass(frozen=True)
class Images:
    """A scanned data set: what is usable, what is not, and what was noticed."""

    root: str
    items: tuple[ImageItem, ...]
    skipped: tuple[SkippedFile, ...] = ()
    findings: tuple[Finding, ...] = ()
    labels: tuple[str, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.items)

    @property
    def has_official_test(self) -> bool:
        """Whether the data set came with a test side."""
        return any(item.side == "test" for item in self.items)


class SplitRow(Record):
    """One image's place in a split."""

    path: str
    label: str
    sha256: Sha256
    side: Side
    group: str


class Split(Record):
    """Who trains, who validates and who tests; saved with its seed and hash, and reused."""

    seed: int
    test_share: float
    origin: Literal["official", "drawn"]
    rows: tuple[SplitRow, ...]
    sha256: Sha256
    """Of the rows; equal hashes mean equal splits."""


class Estimate(Record):
    """A measured value with its 95 % interval; bounds are None where none can be given."""

    value: float
    low: float | None = None
    high: float | None = None


class ClassScores(Record):
    """How one class fared."""

    label: str
    images: int
    precision: float
    recall: float
    f1: float


class Scores(Record):
    """Scores of one set of predictions; shares in [0, 1], losses in nats."""

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
    """Rows are true classes, columns predicted ones, in the order of `classes`."""


class ScoreSheet(Record):
    """The scores that a run leaves behind (`scores.json`)."""

    test: Scores | None
    validation: Scores | None
    baseline: Scores | None
    """The majority class of the training images, on the same images as the best of the two above."""


class HeadRecord(Record):
    """A solved head without its arrays."""

    kind: HeadKind
    columns: tuple[Column, ...]
    """The feature columns it reads, in order."""
    hyperparameters: dict[str, float]
    temperature: float = 1.0
    """Scores are divided by it before the softmax (Guo et al. 2017)."""


class VoterRecord(Record):
    """One of several voters in a bundle; the first is the bundle's own network and head."""

    network: str
    recipe: Recipe
    input_spec: InputSpec
    weights: WeightsSource
    head: HeadRecord
    layout: tuple[Column, ...]
    network_file: Literal["network.safetensors", "network-2.safetensors", "network-3.safetensors"]
    """Which of the bundle's files holds its network; voters may share one."""


class BundleRecord(Record):
    """`bundle.json`: everything about a saved model but its arrays."""

    schema_version: Literal[2] = 2
    regraft_version: str
    labels: Labels
    network: str
    recipe: Recipe
    input_spec: InputSpec
    loader_version: int
    weights: WeightsSource
    head: HeadRecord
    layout: tuple[Column, ...]
    """All feature columns of the network, of which the head reads some."""
    fitted_precision: Precision
    lineage: tuple[str, ...]
    """From the oldest ancestor to this model."""
    others: tuple[VoterRecord, ...] = Field((), max_length=3)
    """Further voters, whose probabilities are averaged with the first's."""
    files: dict[str, Sha256]
    """The bundle's other files and their hashes."""
