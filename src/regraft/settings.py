"""All settings of a user; their docstrings are the flags' help and the documentation's tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, ClassVar, Literal

from regraft.arguments import intensity_of, names_in, settle, window_of
from regraft.errors import SettingsError, close_names
from regraft.extraction_settings import FeatureSettings
from regraft.goal import Goal
from regraft.records import (
    AverageChoice,
    FramingChoice,
    Granularity,
    HeadKind,
    Precision,
    StrategyChoice,
    TaskName,
)
from regraft.training_settings import Augmentation, InitName, OptimizerName, ScheduleName, TrainSettings

__all__ = [
    "DEFAULT_BUDGET",
    "Augmentation",
    "AverageChoice",  # cyclopts looks here for the types of inherited fields, too
    "BoxesFormat",
    "DataSettings",
    "FitSettings",
    "FramingChoice",
    "Granularity",
    "InitName",
    "Layout",
    "MeasureChoice",
    "OptimizerName",
    "Precision",
    "ScheduleName",
    "TaskChoice",
    "TrainSettings",
    "changed",
    "differences",
]

Layout = Literal["auto", "classes", "split"]
BoxesFormat = Literal["voc", "coco", "yolo", "csv", "labelme", "label-studio", "cvat", "create-ml", "regions"]
MeasureChoice = Literal["auto", "accuracy", "balanced", "auroc", "log-loss"]
TaskChoice = Literal["auto", "classification", "multilabel", "any-of", "regression", "number"]
_SPELLINGS: dict[str, TaskName] = {"any-of": "multilabel", "number": "regression"}
DEFAULT_BUDGET = "5m"


@dataclass(frozen=True)
class DataSettings:
    """How images are found and read."""

    root: str | None = None
    """Folder that paths in a table, or in files of boxes, are relative to; by default their own folder."""
    data_root: str | None = None
    """Folder in which the files of data sets that have a name (`regraft data`) are looked for first; by
    default $REGRAFT_DATA, or the user's folder of data."""
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
    fetch_urls: bool = False
    """Fetch images that a table names by web addresses: from public servers only, each once, at most 20 MB
    and 10 seconds each, into $REGRAFT_DATA."""
    max_megapixels: float = 64.0
    """Skip images with more megapixels than this."""
    max_file_mb: float = 128.0
    """Skip files larger than this many megabytes."""
    max_bad_share: float = 0.2
    """Stop if more than this share of the files can't be used."""
    retry_failed: bool = False
    """Try files again that could not be used before. By default their reasons are kept in the cache, and they
    are tried again only with other limits or newly installed decoders."""
    reread_files: bool = False
    """Read all files again. By default a file is not read if its size, its times and its inode are those that
    it had when an earlier command read it."""
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
        for name in ("boxes_format", "boxes_before_rotation", "range", "window", "fetch_urls", "data_root"):
            if kept[name] in (None, "auto", False):
                del kept[name]
        del kept["retry_failed"], kept["reread_files"]
        return kept


@dataclass(frozen=True)
class FitSettings(FeatureSettings):
    """How a model is fitted to the images."""

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
    goal: str | None = None
    """For two classes and for boxes: what the threshold must reach on images that the model was not trained
    on. For two classes: sensitivity=0.95 (or recall), specificity=0.9, ppv=0.9 (or precision) or npv=0.99 of
    the positive class; by default the larger probability is taken. For boxes, for each class: recall=0.95 of
    all objects are found, or precision=0.9 of the boxes that are shown are right; by default the threshold
    with the largest F1 is taken."""
    positive: str | None = None
    """For two classes: name of the class to be found, such as a disease or a defect; sensitivity,
    specificity and curves are about it. By default it is the rarer class of the training images."""
    prevalence: float | None = None
    """For two classes: share of all images that are of the positive class where the model will be used.
    Predictive values (PPV, NPV) are also stated for this share."""
    measure: MeasureChoice = "auto"
    """For classes: the score by which models are compared, strengths of heads are chosen, and the best epoch
    of a training is kept. accuracy. balanced: the mean of the classes' recalls. auroc: how well
    probabilities tell classes apart. log-loss: how good the probabilities are. auto: balanced if the rarest
    class has less than a tenth of an even share of the training images, otherwise accuracy."""
    ordered: tuple[str, ...] | None = None
    """For classes that have an order, such as grades: their names with commas between them, the lowest first,
    or sorted (by their numbers, or else by name). The scores then contain the quadratic weighted kappa."""
    reject_below: float | None = None
    """For classes: images whose largest probability is lower than this get no answer. The report shows the
    accuracy of the remaining answers at every such probability."""
    classes: tuple[str, ...] | None = None
    """For boxes: names of the classes to find, separated by commas; boxes of other classes are left out."""
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

    _RANGES: ClassVar[dict[str, tuple[float, float]]] = {
        **FeatureSettings._RANGES,
        "test_share": (0, 0.9),
        "seed": (0, 2**32 - 1),
        "reject_below": (0, 1),
    }

    def __post_init__(self) -> None:
        object.__setattr__(self, "ordered", names_in(self.ordered))
        if isinstance(self.classes, Sequence):
            names = (self.classes,) if isinstance(self.classes, str) else tuple(self.classes)
            object.__setattr__(self, "classes", names)
        settle(self, self._RANGES, ("cut", "budget"))
        if self.classes is not None and not all(name.strip() for name in self.classes or ("",)):
            raise SettingsError(
                f"--classes {','.join(self.classes)!r} has no name, or an empty one; accepted are names of "
                "classes with commas between them"
            )
        if self.goal is not None:
            object.__setattr__(self, "goal", str(Goal.parse(self.goal)))
        if self.prevalence is not None and not 0 < self.prevalence < 1:
            value = self.prevalence
            meant = f"; {value:g} % is {value / 100:g}" if 1 <= value < 100 else ""
            raise SettingsError(
                f"--prevalence {value:g} is out of range; accepted are shares between 0 and 1, such as "
                f"0.02{meant}"
            )
        if self.ordered is not None and len(self.ordered) < 2 and self.ordered != ("sorted",):
            raise SettingsError(
                f"--ordered {','.join(self.ordered)} names {len(self.ordered)} classes; accepted are all "
                "classes with commas between them, the lowest first, and sorted"
            )


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
