"""Make a server's package from a run: `python -m regraft.serving.packing RUN FOLDER`."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np

from regraft import storage
from regraft.data.loading import decode, read_file
from regraft.errors import ImageError, RegraftError
from regraft.explanation.gallery import open_gallery
from regraft.prediction.bundle import load_model
from regraft.progress import Silent
from regraft.run_files import RunFiles
from regraft.serving.graphs import core_graph, saved
from regraft.serving.package import THUMBNAIL_PX, write_package

_MOST = 4_000


def pack(run: Path, folder: Path) -> None:
    """Write the package of a run."""
    files, model = RunFiles(run), load_model(run)
    gallery = open_gallery(files, model, Silent())
    step = max(1, -(-len(gallery.paths) // _MOST))
    chosen = range(0, len(gallery.paths), step)
    best, plan = files.best, files.run.plan
    record = {
        "labels": list(model.labels),
        "input_spec": model.weights.input_spec.model_dump(mode="json"),
        "neighbours": [
            (storage.printable(gallery.paths[n]), storage.printable(gallery.labels[n])) for n in chosen
        ],
        "facts": {
            "labels": [storage.printable(label) for label in model.labels],
            "network": model.weights.network,
            "strategy": plan.strategy,
            "head": plan.head,
            "accuracy": best.accuracy.model_dump(mode="json"),
            "baseline": files.scores.baseline.accuracy.value if files.scores.baseline else None,
            "judged_on": f"{best.images} images, {best.method}",
            "licence": model.weights.source.licence,
            "lineage": [storage.printable(one) for one in model.lineage],
            "regraft_version": files.run.regraft_version,
        },
    }
    thumbnails = [_thumbnail(files.image(gallery.paths[number])) for number in chosen]
    places = np.ascontiguousarray(gallery.directions[list(chosen)])
    write_package(folder, graph=saved(core_graph(model)), record=record, places=places, thumbnails=thumbnails)


def _thumbnail(place: Path | None) -> bytes:
    try:
        if place is None:
            return b""
        image = decode(read_file(place), min_side_px=THUMBNAIL_PX).image
    except ImageError:
        return b""
    image.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=70)
    return file.getvalue()


if __name__ == "__main__":
    try:
        pack(Path(sys.argv[1]), Path(sys.argv[2]))
    except RegraftError as error:
        sys.exit(str(error))
