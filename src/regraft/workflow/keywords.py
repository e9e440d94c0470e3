"""Settings as keyword arguments of the verbs, which an editor completes; tests compare the two."""

from __future__ import annotations

from typing import Literal, TypedDict

from regraft.records import AverageChoice, FramingChoice, Granularity, HeadKind, Precision, StrategyChoice
from regraft.settings import (
    Augmentation,
    BoxesFormat,
    InitName,
    Layout,
    MeasureChoice,
    OptimizerName,
    ScheduleName,
    TaskChoice,
)


class DataChanges(TypedDict, total=False):
    """The fields of `DataSettings` as keyword arguments."""

    root: str | None
    data_root: str | None
    layout: Layout
    path_column: str
    label_column: str
    task: TaskChoice
    label_columns: tuple[str, ...] | None
    split_column: str
    group_column: str
    fetch_urls: bool
    max_megapixels: float
    max_file_mb: float
    max_bad_share: float
    retry_failed: bool
    reread_files: bool
    corrections: str | None
    look_alikes: Literal["auto", "group", "ignore"]
    boxes_format: BoxesFormat | None
    boxes_before_rotation: bool | None
    range: str
    window: str | None
    workers: int | None


class FitChanges(TypedDict, total=False):
    """The fields of `FitSettings` and `TrainSettings` as keyword arguments."""

    network: str | None
    weights: str | None
    offline: bool
    accept_license: bool
    stages: Granularity
    channels: int | None
    image_size: int | None
    framing: FramingChoice
    average: AverageChoice
    strategy: StrategyChoice
    cut: str | None
    head: HeadKind | None
    budget: str | None
    goal: str | None
    positive: str | None
    prevalence: float | None
    measure: MeasureChoice
    ordered: tuple[str, ...] | None
    reject_below: float | None
    classes: tuple[str, ...] | None
    baselines: Literal["quick", "all"]
    votes: bool
    test_share: float
    seed: int
    precision: Precision
    runtime: Literal["auto", "openvino", "torch"]
    device: str
    executor: str
    epochs: int | None
    stop_after: int | None
    lr: float | None
    optimizer: OptimizerName
    momentum: float
    schedule: ScheduleName
    warmup: float
    lr_decay: float
    weight_decay: float
    l1: float
    l2_sp: float
    clip_norm: float
    ema: float
    patience: int
    time_limit: str | None
    validation_share: float
    effective_batch: int
    micro_batch: int | None
    memory_limit: str | None
    phases: int
    head_start: Literal["solved", "zero", "previous"]
    batchnorm: Literal["auto", "frozen", "trained"]
    init: InitName
    augment: Augmentation | None
    min_crop: float
    views: int | None
    cache: Literal["auto", "always", "never"]
    cache_budget: str
    erasing: float
    mixup: float
    cutmix: float
    activation_flip: bool
    input_noise: float
    gradient_noise: float
    dropout: float
    drop_path: float
    auxiliary_weight: float | None
    label_smoothing: float
    class_weights: bool
    balanced: bool
    train_precision: Literal["auto", "fp32", "bf16"]
    compile: bool
