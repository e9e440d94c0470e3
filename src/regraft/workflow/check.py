"""Find and check the images of a data set, before anything is fitted."""

from __future__ import annotations

from pathlib import Path
from types import NoneType
from typing import Unpack

from regraft.arguments import check_kind, check_reporter
from regraft.data.findings.image_set import Images
from regraft.detection.annotations.boxes import BoxSet
from regraft.detection.annotations.reading import read_boxes
from regraft.progress import Reporter
from regraft.settings import DataSettings, changed
from regraft.workflow.keywords import DataChanges
from regraft.workflow.preparation import boxes_in, found_images, limits_of, scanned


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
    return scanned(found_images(source, chosen, reporter), chosen, reporter)


def load_boxes(
    source: str | Path,
    settings: DataSettings | None = None,
    *,
    reporter: Reporter | None = None,
    **changes: Unpack[DataChanges],
) -> BoxSet | None:
    """Find and check the pictures and boxes of a data set for object detection.

    Args:
        source: a folder with pictures and annotation files, or one annotation file.
        settings: how pictures are found and read; a task or layout means that there are no boxes.
        reporter: receives progress.
        changes: single settings, by name.

    Returns:
        The data set; None if it has no boxes, or if the settings say that its labels are something else.

    Raises:
        DataError: the format is not there, or no annotation file names a usable picture.

    >>> load_boxes("nowhere") is None
    True
    """
    check_kind("settings", settings, (DataSettings, NoneType), "DataSettings and None")
    check_reporter(reporter)
    chosen: DataSettings = changed(settings or DataSettings(), changes)
    is_asked = chosen.boxes_format is not None or chosen.boxes_before_rotation is not None
    if not is_asked and boxes_in(source, chosen) is None:
        return None
    return read_boxes(
        source,
        root=chosen.root,
        wanted=chosen.boxes_format,
        before_rotation=chosen.boxes_before_rotation,
        limits=limits_of(chosen),
        workers=chosen.workers,
        reporter=reporter,
    )
