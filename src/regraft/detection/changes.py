"""What changed in a data set with boxes since the run that is about to be replaced."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from regraft.detection.dataset import BoxedDataset
from regraft.detection.detectors.run_tables import BOXES, BoxRow
from regraft.detection.run_writing import box_rows
from regraft.errors import SettingsError
from regraft.progress import Reporter
from regraft.runs.folders import EarlierImages, say_changed_data
from regraft.storage.tables import harmless


def say_changed_boxes(
    earlier: EarlierImages | None, dataset: BoxedDataset, folder: Path | None, reporter: Reporter
) -> None:
    """Report in one line how pictures and boxes differ from those of the finished run in the folder.

    Args:
        earlier: the pictures of that run; None if there is none.
        dataset: the data set as it is now.
        folder: the folder of the run.
        reporter: receives the line.
    """
    if earlier is None or folder is None:
        return
    try:
        before = BOXES.read(folder)
    except SettingsError:
        return
    now = EarlierImages.of(dataset.split)
    say_changed_data(_with(before, earlier), _with(box_rows(dataset), now), folder, reporter)


def _with(boxes: Iterable[BoxRow], images: EarlierImages) -> EarlierImages:
    """Images whose labels are all their boxes."""
    texts: dict[str, list[str]] = defaultdict(list)
    for box in boxes:
        edges = " ".join(f"{edge:.3f}" for edge in box.corners)
        texts[harmless(box.path)].append(f"{box.label} {edges} {box.is_crowd} {box.is_difficult}")
    return replace(images, labels={path: "\n".join(sorted(texts[path])) for path in images.labels})
