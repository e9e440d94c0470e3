"""Find and check the images of a data set, before anything is fitted."""

from __future__ import annotations

from pathlib import Path
from types import NoneType
from typing import Unpack

from regraft.arguments import check_kind, check_reporter
from regraft.data.findings.image_set import Images
from regraft.progress import Reporter
from regraft.settings import DataSettings, changed
from regraft.workflow.keywords import DataChanges
from regraft.workflow.preparation import found_images, scanned


def load_images(
    source: str | Path,
    settings: DataSettings | None = None,
    *,
    reporter: Reporter | None = None,
    **changes: Unpack[DataChanges],
) -> Images:
    """Find and check the images of a folder or table; see `DataSettings` for what can be set.

    Args:
        source: a folder with a folder per class, the same below train/, val/ and test/, or a CSV or
            Parquet table with columns path and label, and optionally split and group.
        settings: all settings at once.
        reporter: receives progress.
        changes: single settings, by name.

    Raises:
        DataError: nothing usable; says what was found and what is accepted.
    """
    check_kind("settings", settings, (DataSettings, NoneType), "DataSettings and None")
    check_reporter(reporter)
    chosen: DataSettings = changed(settings or DataSettings(), changes)
    return scanned(found_images(source, chosen), chosen, reporter)
