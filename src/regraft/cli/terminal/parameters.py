"""The parameters that fit, advise and find-lr share."""

from __future__ import annotations

import shlex
from typing import Annotated

from cyclopts import Parameter

from regraft.settings import DataSettings, FitSettings, TrainSettings

FitFlags = Annotated[FitSettings, Parameter(name="*", negative_iterable=())]
DataFlags = Annotated[DataSettings, Parameter(name="*", group="Reading images", negative_iterable=())]
TrainFlags = Annotated[TrainSettings, Parameter(name="*", group="Training (last-blocks, full, scratch)")]
From = Annotated[str | None, Parameter(name="--from")]
Switch = Annotated[bool, Parameter(negative="")]
"""A flag without a --no-flag."""
Overwrite = Annotated[bool, Parameter(negative="")]
"""The flag by which a command may replace a file that Regraft did not write."""

# Defaults, shared because they are frozen.
FIT, DATA, TRAIN = FitSettings(), DataSettings(), TrainSettings()


def advise_command(data: str, settings: FitSettings) -> str:
    """The command to type instead of an earlier one that advise has replaced."""
    named = "" if settings.strategy == "auto" else f" --strategy {settings.strategy}"
    return f"regraft advise {shlex.quote(data)}{named}"
