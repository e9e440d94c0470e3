"""All settings of a user; their docstrings are the flags' help and the documentation's tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, ClassVar, Literal

from regraft.arguments import intensity_of, names_in, seconds_in, settle, window_of
from regraft.errors import SettingsError, close_names
from regraft.records import Granularity, HeadKind, Precision, StrategyChoice, TaskName
from regraft.storage.places import size_in_bytes

OptimizerName = Literal["adamw", "sgd"]
ScheduleName = Literal["constant", "step", "cosine", "warmup-cosine", "one-cycle", "warm-restarts", "plateau"]
Augmentation = Literal["none", "flip", "crop", "crop-flip", "trivial", "rand"]
Layout = Literal["auto", "classes", "split"]
BoxesFormat = Literal["voc", "coco", "yolo", "csv", "labelme", "label-studio", "cvat", "create-ml", "regions"]
TaskChoice = Literal["auto", "classification", "multilabel", "any-of", "regression", "number"]
_SPELLINGS: dict[str, TaskName] = {"any-of": "multilabel", "number": "regression"}
DEFAULT_BUDGET = "5m"
InitName = Literal["he", "glorot", "orthogonal", "gabor", "layerwise"]


@dataclass(frozen=True)
class DataSettings:
    """How images are found and read."""

    root: str | None = None
    """Folder that paths in a table, or in files of boxes, are relative to; by default their own folder."""
    layout: Layout = "auto"
    """How a folder is understood. auto: folders called train, val, test and the like that hold the same class
    folders are a split, otherwise every folder is a class. classes: every folder in the data is a class,
    whatever it is called. split: every folder that is called like a side is one, whatever it holds."""
    path_column: str = "path"
    """Name of the table column that holds the image paths."""
    label_column: str = "label"
    """Name of the table column that holds the labels."""
    task: TaskChoice = "auto"
    """What a label means. classification: each image has one class. multilabel (or any-of): each image has
    any number of labels, written as a|b, or in --label-columns. regression (or number): each image has a
    number. auto: multilabel with --label-columns, otherwise classification."""
    label_columns: tuple[str, ...] | None = None
    """Names of table columns, separated by commas, each of which says of one label whether an image has it:
    1, 0, or empty where that is not known."""
    split_column: str = "split"
    """Name of the table column that says train, validation or test for each image, if the table has one."""
    group_column: str = "group"
    """Name of the table column with groups of images that must stay on one side of the split, if the
    table has one."""
    max_megapixels: float = 64.0
    """Skip images with more megapixels than this."""
    max_file_mb: float = 128.0
    """Skip files larger than this many megabytes."""
    max_bad_share: float = 0.2
    """Stop if more than this share of the files can't be used."""
    corrections: str | None = None
    """CSV file with labels to change and images to leave out: the list that `regraft advise --suspects`
    writes, with the column action filled in (relabel or exclude)."""
    look_alikes: Literal["auto", "group", "ignore"] = "auto"
    """What is done with images whose thumbnails look alike, because they may be copies of each other. auto:
    keep them on one side of the split, unless they are as common across classes as within them, or more
    than half of a class looks alike (a fixed camera). group: always keep them on one side. ignore: don't
    compare images. Copies of the same file are kept on one side in any case."""
    boxes_format: BoxesFormat | None = None
    """Format of the boxes to read, where a folder has several; by default the one of most pictures."""
    boxes_before_rotation: bool | None = None
    """Whether boxes were drawn before the EXIF rotation of pictures; by default found out, and shown."""
    range: str = "auto"
    """Which values become black and white in images of more than 8 bits, once for all images. auto: what the
    files state; else 0 and the largest value of 8, 10, 12, 14 or 16 bits, whichever is the first that is not
    below the largest value; the 0.1 % and 99.9 % points where they use less than a quarter of that.
    BLACK:WHITE: two values, as in 0:4095. each: every image from its own 0.1 % point to its own 99.9 % point,
    so that brightness can't be compared."""
    window: str | None = None
    """Window of DICOM files, the same for all: lung, bone, brain or soft (for CT), or centre and width in the
    unit of the device, as in 40:400. By default each file is shown as it says; else --range applies."""
    workers: int | None = None
    """Number of threads that read and decode images; by default one per core."""

    _RANGES: ClassVar[dict[str, tuple[float, float]]] = {
        "max_megapixels": (1e-6, 1e5),
        "max_file_mb": (1e-6, 1e6),
        "max_bad_share": (0, 1),
        "workers": (1, 1024),
    }

    def __post_init__(self) -> None:
        object.__setattr__(self, "label_columns", names_in(self.label_columns))
        settle(self, self._RANGES, ())
        intensity_of(self.range)
        window_of(self.window)
        if not self.label_columns:
            return
        if self.task_name != "multilabel":
            raise SettingsError(
                f"--label-columns is for several labels an image (--task multilabel), but --task {self.task} "
                "reads one column. Remove one of the two, or name the column with --label-column"
            )
        if self.label_column != DataSettings.label_column:
            raise SettingsError(
                f"--label-column {self.label_column} and --label-columns {','.join(self.label_columns)} "
                "can't be used together; --label-columns names a column for each label"
            )
        twice = sorted(name for name in set(self.label_columns) if self.label_columns.count(name) > 1)
        if twice:
            raise SettingsError(f"--label-columns names {', '.join(twice)} twice; name each column once")

    @property
    def task_name(self) -> TaskName:
        """The task, where `auto` is decided."""
        if self.task == "auto":
            return "multilabel" if self.label_columns else "classification"
        if self.task == "any-of" or self.task == "number":
            return _SPELLINGS[self.task]
        return self.task

    def record(self) -> dict[str, Any]:
        """As kept in a run; what says that labels are classes is left out."""
        kept = {**asdict(self), "task": self.task_name}
        if self.task_name == "classification":
            del kept["task"]
        if not self.label_columns:
            del kept["label_columns"]
        for name in ("boxes_format", "boxes_before_rotation", "range", "window"):
            if kept[name] in (None, "auto"):
                del kept[name]
        return kept


@dataclass(frozen=True)
class FitSettings:
    """How a model is fitted to the images."""

    network: str | None = None
    """Network to transfer, by its name in the zoo, timm or torchvision; its weights are downloaded if they
    are not on this machine. By default the most promising network on this machine is used, and nothing
    is downloaded; auto compares the networks on this machine by a probe on your images."""
    weights: str | None = None
    """Where the weights come from: a weights file, a folder that contains NETWORK.safetensors, or
    `random` for random initial weights."""
    offline: bool = False
    """Never download anything."""
    accept_license: bool = False
    """Use weights whose licence forbids commercial use. This is needed once per licence; the answer is
    remembered."""
    stages: Granularity = "default"
    """How finely the network is divided into stages: coarse (groups of blocks), fine (every block), or
    default (as the network's card in the zoo says)."""
    channels: int | None = None
    """Number of channels of the images, if it differs from the network's own; the first layer is then
    adapted. 1 and 3 accept any image; other numbers need files with that many bands (RGBA, CMYK) or grey
    pages (TIFF)."""
    image_size: int | None = None
    """Side of the network's square input in pixels, if it differs from the network's own; position
    embeddings are then interpolated."""
    strategy: StrategyChoice = "auto"
    """auto: a ladder that tries the other strategies, cheapest first, as long as validation shows that
    they pay. probe: logistic regression on the last stage. svm: a support vector machine on one stage.
    many-stages: one head on the features of several stages. last-blocks: train the stages after the cut.
    full: train all stages. scratch: train all stages from new initial weights."""
    cut: str | None = None
    """Stage at which the network is cut: its name, its number (3) or a share of all stages (60%). probe
    and svm read this stage (by default the last for probe, the best by cross-validation for svm).
    many-stages reads all stages from this one on (by default the best set by cross-validation).
    last-blocks freezes the stages up to this one (by default it trains the last quarter)."""
    head: HeadKind | None = None
    """Kind of head, if it differs from the strategy's own: logistic for probe and for strategies that
    train, rbf-svm for svm and many-stages. ridge (least squares on class indicators, in closed form) is
    the fastest, and about as accurate as logistic."""
    budget: str | None = None
    """Time that the ladder of --strategy auto may take (90s, 5m, 1h); by default 5m."""
    baselines: Literal["quick", "all"] = "quick"
    """Methods from before 2012 that the ladder shows next to its models. quick: those that take seconds, on a
    sample of the images. all: also a bag of visual words (SIFT), which takes ten times as long."""
    votes: bool = True
    """Allow the final model to average several models (more accurate, slower to predict)."""
    test_share: float = 0.2
    """Share of each class that is set aside as test images, if the data has no split of its own; 0 sets
    none aside."""
    seed: int = 0
    """Random seed for the train/test split, the cross-validation folds and the bootstrap intervals."""
    precision: Precision = "fp32"
    """Arithmetic of the network while features are extracted; bf16 is faster on processors that support
    it."""
    runtime: Literal["auto", "openvino", "torch"] = "auto"
    """Library that runs the network: openvino, torch (PyTorch), or auto, which takes torch on a GPU and
    otherwise openvino if it is installed."""
    device: str = "auto"
    """Device that runs the network: cpu, cuda, cuda:N, or auto for the GPU if there is one."""

    _RANGES: ClassVar[dict[str, tuple[float, float]]] = {
        "channels": (1, 16),
        "image_size": (8, 4096),
        "test_share": (0, 0.9),
        "seed": (0, 2**32 - 1),
    }

    def __post_init__(self) -> None:
        settle(self, self._RANGES, ("cut", "budget"))


@dataclass(frozen=True)
class TrainSettings:
    """How the tail is trained. Whatever is not set is chosen from the data and the machine, and reported.

    Raises:
        SettingsError: values are out of range; the message lists all of them.
    """

    epochs: int | None = None
    """Number of passes over the training images; by default 8, and 60 from scratch."""
    stop_after: int | None = None
    """Stop after this many optimizer steps, although the schedule is made for all epochs. The ladder sets it
    in the plan of a training that its budget ended."""
    lr: float | None = None
    """Largest learning rate, used for the head and the deepest stage. By default 0.001 with adamw, 0.01
    with sgd, and 0.05 with sgd from scratch."""
    optimizer: OptimizerName = "adamw"
    """Optimizer: adamw (Loshchilov & Hutter 2019), or sgd with Nesterov momentum (Sutskever et al. 2013)."""
    momentum: float = 0.9
    """Momentum of SGD, or beta1 of AdamW."""
    schedule: ScheduleName = "warmup-cosine"
    """How the learning rate changes during training; `regraft plot-schedule` draws each schedule."""
    warmup: float = 0.1
    """Share of all training steps during which the learning rate rises (warmup-cosine and one-cycle)."""
    lr_decay: float = 0.8
    """Learning rate of each stage as a multiple of the next deeper stage's (Howard & Ruder 2018, section
    3.2); 1 gives all stages the same rate."""
    weight_decay: float = 0.01
    """Decoupled L2 regularisation: each step shrinks the weights by lr x this (Loshchilov & Hutter 2019).
    Normalisation layers and biases are exempt."""
    l1: float = 0.0
    """Decoupled L1 regularisation: each step moves the weights towards zero by lr x this; those that
    would cross zero become zero (proximal step; Tibshirani 1996)."""
    l2_sp: float = 0.0
    """Decoupled L2 regularisation towards the starting weights instead of zero (Li et al. 2018, "L2-SP")."""
    clip_norm: float = 1.0
    """Largest norm of the gradient; larger gradients are scaled down to it (Pascanu et al. 2013). 0 turns
    clipping off."""
    ema: float = 0.0
    """Decay per step of a moving average of the weights, which is then evaluated and kept instead of the
    weights (Polyak & Juditsky 1992). 0 turns averaging off."""
    patience: int = 0
    """Stop after this many epochs without a better validation score; 0 trains all epochs. The best
    weights are kept in any case."""
    time_limit: str | None = None
    """Stop training after this time (90s, 10m, 1h) and keep the best weights so far."""
    validation_share: float = 0.15
    """Share of the training images held out to choose the best epoch, if the data has no validation
    images of its own; 0 trains on all images and keeps the last weights."""
    effective_batch: int = 32
    """Number of images per optimizer step, however few of them fit into memory at once."""
    micro_batch: int | None = None
    """Number of images per forward pass; their gradients are accumulated to the effective batch. By
    default as many as fit into memory."""
    memory_limit: str | None = None
    """Memory that a forward and backward pass may take (for example 2G); by default half of the free
    memory."""
    phases: int = 1
    """Number of phases of gradual unfreezing (Howard & Ruder 2018, section 3.3): with 2, the last half of
    the tail is trained first, then all of it."""
    head_start: Literal["solved", "zero", "previous"] = "solved"
    """Where the head starts: solved (the logistic regression on the frozen features; LP-FT, Kumar et al.
    2022), zero, or previous (with --from): the rows of the earlier run's head for classes of the same
    name, solved rows for new classes."""
    batchnorm: Literal["auto", "frozen", "trained"] = "auto"
    """Whether BatchNorm statistics stay frozen or are trained, which means that they follow the batches.
    auto: frozen, except when training from scratch."""
    init: InitName = "he"
    """Initial weights for training from scratch: he (He et al. 2015), glorot (Glorot & Bengio 2010),
    orthogonal (Saxe et al. 2014), gabor (he, with a first layer of Gabor and colour-opponent filters),
    layerwise (a stack of autoencoders, Bengio et al. 2007)."""
    augment: Augmentation | None = None
    """Augmentation of the training images: none, flip (left-right), crop (random area and aspect ratio),
    crop-flip, trivial (crop-flip, then TrivialAugment, Mueller & Hutter 2021), rand (crop-flip, then
    RandAugment, Cubuk et al. 2020). By default none."""
    min_crop: float = 0.5
    """Smallest area of a random crop, as a share of the image's central square (Szegedy et al. 2015)."""
    views: int | None = None
    """Number of different augmented views of each training image, which the epochs use in turn; 0 makes a
    new view in each epoch. By default 4 after a cut, otherwise 0."""
    cache: Literal["auto", "always", "never"] = "auto"
    """Whether activations at the cut are kept on disk; auto keeps them if they fit into --cache-budget
    and the free space."""
    cache_budget: str = "20G"
    """Disk space that activations may take."""
    erasing: float = 0.0
    """Probability that a random rectangle of a training view is erased (Zhong et al. 2020)."""
    mixup: float = 0.0
    """Alpha of mixup (Zhang et al. 2018) on the input of the tail: the images at cut 0, otherwise
    activations (manifold mixup, Verma et al. 2019). 0 turns mixup off."""
    cutmix: float = 0.0
    """Alpha of CutMix (Yun et al. 2019) on the input of the tail, if that is a map; 0 turns CutMix off."""
    activation_flip: bool = False
    """Mirror a random half of the maps that enter the tail left-right."""
    input_noise: float = 0.0
    """Gaussian noise added to the input of the tail, as a share of the input's standard deviation (Bishop
    1995)."""
    gradient_noise: float = 0.0
    """Variance eta of annealed Gaussian noise added to the gradients: eta / (1 + step)^0.55 (Neelakantan
    et al. 2015)."""
    dropout: float = 0.0
    """Dropout rate on the features that the head reads (Srivastava et al. 2014)."""
    drop_path: float = 0.0
    """Stochastic depth (Huang et al. 2016): drop rate of the last block, decreasing linearly towards the
    first, in networks that have it."""
    auxiliary_weight: float | None = None
    """Weight of the losses of auxiliary classifiers, in networks that have them (Szegedy et al. 2015,
    section 5); by default 0.3 from scratch, otherwise 0."""
    label_smoothing: float = 0.0
    """Share of each training target that is spread over all classes (Szegedy et al. 2016)."""
    class_weights: bool = False
    """Weight the losses so that every class counts the same."""
    balanced: bool = False
    """Draw the training images so that every class is equally frequent."""
    train_precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Arithmetic of the training steps; bf16 keeps fp32 weights. auto uses bf16 if the machine supports
    it."""
    compile: bool = False
    """Compile the tail with torch.compile, which takes a minute or more before it can pay off."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}  # catches typos in edited plans
    _RANGES: ClassVar[dict[str, tuple[float, float]]] = {
        "epochs": (1, 100_000),
        "stop_after": (1, 1_000_000_000),
        "lr": (0, 100),
        "momentum": (0, 0.9999),
        "warmup": (0, 0.9),
        "lr_decay": (0.01, 1),
        "weight_decay": (0, 10),
        "l1": (0, 10),
        "l2_sp": (0, 10),
        "clip_norm": (0, 1e6),
        "ema": (0, 0.99999),
        "patience": (0, 100_000),
        "validation_share": (0, 0.5),
        "effective_batch": (1, 65_536),
        "micro_batch": (1, 65_536),
        "phases": (1, 100),
        "min_crop": (0.01, 1),
        "views": (0, 100_000),
        "erasing": (0, 1),
        "mixup": (0, 100),
        "cutmix": (0, 100),
        "input_noise": (0, 100),
        "gradient_noise": (0, 100),
        "dropout": (0, 0.95),
        "drop_path": (0, 0.95),
        "auxiliary_weight": (0, 10),
        "label_smoothing": (0, 0.95),
    }

    def __post_init__(self) -> None:
        settle(self, self._RANGES, ("time_limit", "memory_limit", "cache_budget"))
        problems = []
        if self.lr == 0:
            problems.append("--lr 0 would train nothing; choose a learning rate above 0")
        for name, parse in (
            ("time_limit", seconds_in),
            ("memory_limit", size_in_bytes),
            ("cache_budget", size_in_bytes),
        ):
            text = getattr(self, name)
            try:
                if text is not None:
                    parse(text)
            except SettingsError as error:
                problems.append(f"--{name.replace('_', '-')}: {error.with_flags}")
        if problems:
            raise SettingsError("; ".join(problems))


def differences(settings: Any, others: Any) -> list[str]:
    """Names of the fields in which two settings objects of the same class differ."""
    names = [field.name for field in fields(settings)]
    return [name for name in names if getattr(settings, name) != getattr(others, name)]


def changed(settings: Any, changes: Mapping[str, Any], *, also: Any = None) -> Any:
    """A copy of settings with some fields replaced.

    Args:
        settings: the settings to copy.
        changes: new values by field name.
        also: settings of another class, whose field names are suggested too.

    Raises:
        SettingsError: a name is not a field (the message suggests close ones), or a value is not accepted.
    """
    known = [field.name for kind in (settings, also) if kind is not None for field in fields(kind)]
    for name in changes:
        if name not in known:
            raise SettingsError(
                f"there is no setting {name!r}{close_names(name, known)}; accepted are {', '.join(known)}"
            )
    return replace(settings, **changes)
