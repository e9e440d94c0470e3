"""The settings of a training; `settings.py` names them next to all others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from regraft.arguments import seconds_in, settle
from regraft.errors import SettingsError
from regraft.storage.places import size_in_bytes

OptimizerName = Literal["adamw", "sgd"]
ScheduleName = Literal["constant", "step", "cosine", "warmup-cosine", "one-cycle", "warm-restarts", "plateau"]
Augmentation = Literal["none", "flip", "crop", "crop-flip", "trivial", "rand"]
InitName = Literal["he", "glorot", "orthogonal", "gabor", "layerwise"]


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
    """Smallest area of a random crop, as a share of the image's central square, or of the whole image where
    the network sees all of it (Szegedy et al. 2015)."""
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
