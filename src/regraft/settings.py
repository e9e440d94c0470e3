"""What a user can set, with the text that becomes the flags' help and the documentation's table."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from regraft.errors import SettingsError, close_names
from regraft.records import HeadKind, Precision, Strategy


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
    workers: int | None = None
    """Threads that read and decode; without it, one for each core."""


@dataclass(frozen=True)
class FitSettings:
    """How a model is fitted."""

    network: str | None = None
    """Which network, by its name in the zoo, timm or torchvision; without it, the first of a short list whose
    weights are on this machine."""
    weights: str | None = None
    """A weights file, a folder that holds NETWORK.safetensors, or `random`."""
    offline: bool = False
    """Never download anything."""
    strategy: Strategy = "probe"
    """probe: logistic regression on the last stage. svm: a support vector machine on one stage.
    many-stages: one head on the features of several stages together."""
    cut: str | None = None
    """The stage to read: its name, a count (3) or a share (60%). Without it: the last for probe, the best by
    cross-validation for svm, the best set by cross-validation for many-stages (with it: all from here on)."""
    head: HeadKind | None = None
    """The kind of head, if not the strategy's own (logistic for probe, rbf-svm for the others)."""
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


def changed(settings: Any, changes: dict[str, Any]) -> Any:
    """Settings with some fields replaced.

    Raises:
        SettingsError: a name that isn't a field; close ones are suggested.
    """
    known = [field.name for field in fields(settings)]
    for name in changes:
        if name not in known:
            raise SettingsError(
                f"no setting {name!r}{close_names(name, known)}; there are {', '.join(known)}"
            )
    return replace(settings, **changes)
