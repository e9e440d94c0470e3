"""What a user can set, with the text that becomes the flags' help and the documentation's table."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Literal

from regraft.errors import SettingsError, close_names
from regraft.records import Granularity, HeadKind, Precision, StrategyChoice
from regraft.storage import size_in_bytes

OptimizerName = Literal["adamw", "sgd"]
ScheduleName = Literal["constant", "step", "cosine", "warmup-cosine", "one-cycle", "warm-restarts", "plateau"]
Augmentation = Literal["none", "flip", "crop", "crop-flip", "trivial", "rand"]
DEFAULT_BUDGET = "5m"
InitName = Literal["he", "glorot", "orthogonal", "gabor", "layerwise"]


@dataclass(frozen=True)
class DataSettings:
    """How images are found and read."""

    root: str | None = None
    """What the paths in a table start from; without it, the table's own folder."""
    path_column: str = "path"
    """Name of the table's column of image paths."""
    label_column: str = "label"
    """Name of the table's column of labels."""
    split_column: str = "split"
    """Name of the table's column of sides (train, validation, test), if it has one."""
    group_column: str = "group"
    """Name of the table's column of groups that must stay on one side, if it has one."""
    max_megapixels: float = 64.0
    """Images of more pixels are skipped."""
    max_file_mb: float = 128.0
    """Files of more megabytes are skipped."""
    max_bad_share: float = 0.2
    """A larger share of unusable files stops the run."""
    corrections: str | None = None
    """A CSV file of labels to change and images to leave out: the suspects that `regraft advise` lists, with
    the column action filled in (relabel or exclude)."""
    workers: int | None = None
    """Threads that read and decode; without it, one for each core."""


@dataclass(frozen=True)
class FitSettings:
    """How a model is fitted."""

    network: str | None = None
    """Which network, by its name in the zoo, timm or torchvision; auto lets a probe on your images choose
    among those whose weights are on this machine; without it, the first of a short list of them."""
    weights: str | None = None
    """A weights file, a folder that holds NETWORK.safetensors, or `random`."""
    offline: bool = False
    """Never download anything."""
    accept_license: bool = False
    """Yes to weights whose licence forbids commercial use; asked for once for each licence."""
    stages: Granularity = "default"
    """How finely the network is divided: coarse (groups of blocks), fine (every block), or as its card
    says."""
    channels: int | None = None
    """Channels of the images, if not the network's own: its first layer is adapted. 1 and 3 take any image;
    others take files of as many bands (RGBA, CMYK) or grey pages (TIFF)."""
    image_size: int | None = None
    """Side of the network's input in pixels, if not its own; position embeddings are interpolated."""
    strategy: StrategyChoice = "auto"
    """auto: a ladder of all these, cheapest first, as long as validation says that it pays. probe: logistic
    regression on the last stage. svm: a support vector machine on one stage. many-stages: one head on the
    features of several stages together. last-blocks: train what comes after the cut. full: train everything.
    scratch: train everything from initial weights."""
    cut: str | None = None
    """A stage: its name, a count (3) or a share (60%). For probe and svm the stage to read (without it: the
    last for probe, the best by cross-validation for svm); for many-stages all from here on are read (without
    it: the best set by cross-validation); for last-blocks the last stage that stays frozen (without it: the
    last quarter of the stages is trained)."""
    head: HeadKind | None = None
    """The kind of head, if not the strategy's own (logistic for probe, rbf-svm for the others)."""
    budget: str | None = None
    """Time that the ladder of --strategy auto may take (90s, 5m, 1h); without it, 5m."""
    votes: bool = True
    """Whether the ladder may average the probabilities of rungs; such a model takes longer to answer."""
    test_share: float = 0.2
    """Share of each class that is set aside to test, where the data has no split of its own; 0 tests
    nothing."""
    seed: int = 0
    """Of the split, the folds and the bootstrap."""
    precision: Precision = "fp32"
    """Arithmetic of the network while features are extracted; bf16 is faster where the processor has it."""
    runtime: Literal["auto", "openvino", "torch"] = "auto"
    """What computes the network."""
    device: str = "auto"
    """cpu, cuda or cuda:N."""


@dataclass(frozen=True)
class TrainSettings:
    """How a tail is trained. What is not set is decided from the data and the machine, and said.

    Raises:
        SettingsError: values out of range, all of them in one message.
    """

    epochs: int | None = None
    """Passes over the training images; without it, 8, and 60 from scratch."""
    lr: float | None = None
    """Largest learning rate, of the deepest stage and the head; without it, 0.001 for adamw, and for sgd 0.01
    or, from scratch, 0.05."""
    optimizer: OptimizerName = "adamw"
    """adamw (Loshchilov & Hutter 2019), or sgd with Nesterov's momentum (Sutskever et al. 2013)."""
    momentum: float = 0.9
    """Of sgd; the first beta of adamw."""
    schedule: ScheduleName = "warmup-cosine"
    """How the learning rate changes; `regraft plot-schedule` draws each."""
    warmup: float = 0.1
    """Share of all steps over which the learning rate rises, for warmup-cosine and one-cycle."""
    lr_decay: float = 0.8
    """Learning rate of each stage as a multiple of the next deeper one's (Howard & Ruder 2018, section 3.2);
    1 gives all the same."""
    weight_decay: float = 0.01
    """Decoupled L2: weights shrink by lr x this each step (Loshchilov & Hutter 2019); not norms and
    biases."""
    l1: float = 0.0
    """Decoupled L1: weights move towards zero by lr x this each step, and stay there (proximal step;
    Tibshirani 1996)."""
    l2_sp: float = 0.0
    """Decoupled L2 towards the starting weights instead of zero (Li et al. 2018, "L2-SP")."""
    clip_norm: float = 1.0
    """Gradients of a larger norm are scaled to it (Pascanu et al. 2013); 0 leaves them."""
    ema: float = 0.0
    """Decay per step of a moving average of the weights, which is then what is evaluated and kept (Polyak &
    Juditsky 1992); 0 keeps none."""
    patience: int = 0
    """Stop after this many epochs without a better validation score; 0 trains all epochs. The best weights
    are kept in any case."""
    time_limit: str | None = None
    """Training stops after this long (90s, 10m, 1h), with the best weights so far."""
    validation_share: float = 0.15
    """Share of the training images held out to choose the best epoch, where the data has no validation side;
    0 trains on all and keeps the last weights."""
    effective_batch: int = 32
    """Images for each step of the optimizer, whatever memory allows."""
    micro_batch: int | None = None
    """Images for each forward pass; gradients accumulate over them. Without it, as many as memory allows."""
    memory_limit: str | None = None
    """Memory that a forward and backward pass may take (2G); without it, half of what is free."""
    phases: int = 1
    """Depths at which training starts in turn: with 2, the last half of the tail first, then all of it
    (gradual unfreezing, Howard & Ruder 2018, section 3.3)."""
    head_start: Literal["solved", "zero", "previous"] = "solved"
    """The head starts from the solved logistic regression (Kumar et al. 2022, LP-FT), from zero, or (with
    --from) from the earlier run's head: its rows for classes of the same name, solved ones for new ones."""
    batchnorm: Literal["auto", "frozen", "trained"] = "auto"
    """Whether BatchNorm keeps its statistics or follows the batches; auto keeps them unless trained from
    scratch."""
    init: InitName = "he"
    """Weights from scratch: he (He et al. 2015), glorot (Glorot & Bengio 2010), orthogonal (Saxe et al.
    2014), gabor (he, with a first layer of Gabor and colour-opponent filters), layerwise (a stack of
    autoencoders, Bengio et al. 2007)."""
    augment: Augmentation | None = None
    """Views of the training images: none, flip (left-right), crop (random area and aspect), crop-flip,
    trivial (crop-flip, then TrivialAugment, Mueller & Hutter 2021), rand (then RandAugment, Cubuk et al.
    2020)."""
    min_crop: float = 0.5
    """Smallest share of the image's central area that a crop keeps (Szegedy et al. 2015)."""
    views: int | None = None
    """Different views of each training image, used in turn by the epochs; 0 makes a fresh one each epoch."""
    cache: Literal["auto", "always", "never"] = "auto"
    """Whether activations at the cut are kept on disk; auto does so where they fit."""
    cache_budget: str = "20G"
    """Disk space that activations may take."""
    erasing: float = 0.0
    """Probability that a rectangle of a training view is erased (Zhong et al. 2020)."""
    mixup: float = 0.0
    """Alpha of mixup (Zhang et al. 2018) of what enters the tail: images at cut 0, else activations (manifold
    mixup, Verma et al. 2019); 0 mixes nothing."""
    cutmix: float = 0.0
    """Alpha of cutmix (Yun et al. 2019) of what enters the tail, where that is a map."""
    activation_flip: bool = False
    """Half of the maps that enter the tail are mirrored left-right."""
    input_noise: float = 0.0
    """Gaussian noise on what enters the tail, as a share of its standard deviation (Bishop 1995)."""
    gradient_noise: float = 0.0
    """Variance eta of annealed Gaussian noise on gradients: eta / (1 + step)^0.55 (Neelakantan et al.
    2015)."""
    dropout: float = 0.0
    """On the features that the head reads (Srivastava et al. 2014)."""
    drop_path: float = 0.0
    """Stochastic depth (Huang et al. 2016): rate at the last block, linearly less before, where the network
    has it."""
    auxiliary_weight: float | None = None
    """Weight of the losses of auxiliary classifiers, where the network has them (Szegedy et al. 2015, section
    5); without it, 0.3 from scratch, else 0."""
    label_smoothing: float = 0.0
    """Share of each target spread over all classes (Szegedy et al. 2016)."""
    class_weights: bool = False
    """Losses weighted so that every class counts the same."""
    balanced: bool = False
    """Training images drawn so that every class is equally frequent."""
    train_precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Arithmetic of the training step; bf16 keeps fp32 weights. Auto takes it where the machine has it."""
    compile: bool = False
    """Compile the tail (torch.compile); a minute or more before it can pay."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}  # in plans that people edit
    _RANGES: ClassVar[dict[str, tuple[float, float]]] = {
        "epochs": (1, 100_000),
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
        problems = []
        for name, (low, high) in self._RANGES.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:  # NaN is in no range
                flag = name.replace("_", "-")
                problems.append(f"--{flag} {value:g} is out of range; accepted are {low:g} to {high:g}")
        if self.lr == 0:
            problems.append("--lr 0 would train nothing")
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
                problems.append(f"--{name.replace('_', '-')}: {error}")
        if problems:
            raise SettingsError("; ".join(problems))


def seconds_in(text: str) -> float:
    """A time as people write it.

    Raises:
        SettingsError: it isn't one.

    >>> seconds_in("1.5m")
    90.0
    """
    units = {"s": 1.0, "m": 60.0, "h": 3600.0}
    cleaned = text.strip().lower()
    unit = units.get(cleaned[-1:])
    try:
        seconds = float(cleaned[:-1] if unit else cleaned) * (unit or 1.0)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 1e9:
        raise SettingsError(f"time {text!r} is not understood; accepted are 90s, 10m, 1h or seconds")
    return seconds


def differences(settings: Any, others: Any) -> list[str]:
    """Names of the fields in which two settings of one kind differ."""
    names = [field.name for field in fields(settings)]
    return [name for name in names if getattr(settings, name) != getattr(others, name)]


def changed(settings: Any, changes: dict[str, Any], *, also: Any = None) -> Any:
    """Settings with some fields replaced; `also` is another kind whose names may have been meant.

    Raises:
        SettingsError: a name that isn't a field; close ones are suggested.
    """
    known = [field.name for kind in (settings, also) if kind is not None for field in fields(kind)]
    for name in changes:
        if name not in known:
            raise SettingsError(
                f"no setting {name!r}{close_names(name, known)}; there are {', '.join(known)}"
            )
    return replace(settings, **changes)
