"""Make a server's package from a saved model: `python -m regraft.serving.packing RUN FOLDER [DATA]`."""

from __future__ import annotations

import sys
from pathlib import Path

from regraft.detection.detectors.bundle import is_detector
from regraft.errors import RegraftError
from regraft.serving.classification.packing import pack_classifier
from regraft.serving.detection.packing import pack_detector


def pack(run: Path, folder: Path, data: Path | None = None) -> None:
    """Write the package of a model.

    Args:
        run: a folder that `regraft fit` or `Model.save` has written.
        folder: the folder of the package.
        data: the folder in which a classifier's images are now; None means that they were not moved.
    """
    if is_detector(run):
        pack_detector(run, folder)
    else:
        pack_classifier(run, folder, data)


if __name__ == "__main__":
    try:
        pack(*map(Path, sys.argv[1:4]))
    except RegraftError as error:
        sys.exit(str(error))
