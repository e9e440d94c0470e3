"""What each rung and option of a detector's fit brings, apart from any budget.

Parts, on validation pictures that no detector learned from:

- `rungs`: the grid and regions, out of fold, on validation pictures and on test pictures.
- `views`: a one-stage detector of a fixed number of epochs, with and without mirrored and zoomed pictures.
- `canvas`: the same on the canvas of the fit and on one of 640 x 480 pixels.
- `stages`: the network's last stages trained with the detector, against the detector trained on alone.

Each row has the detector's scores, processor seconds, and the difference from the first row of its part, by
paired bootstrap over the same pictures; for `stages`, from the detector that both start from. Maps and
trainings are kept in FOLDER: a run that was stopped continues, and rows that were measured before are kept.

Run: python benchmarks/detector_options.py FOLDER [PART[,PART...] [SEED]]
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from common import commit, earlier, save, shared

from regraft.data.findings.scan import ScanSettings
from regraft.detection.annotations.reading import read_boxes
from regraft.detection.contenders import Contender, compared, found_in
from regraft.detection.dataset import BoxedDataset, boxed_dataset
from regraft.detection.detectors.finders import GridFinder, RegionsFinder
from regraft.detection.ladder import DetectionInputs, DetectionLadder
from regraft.detection.last_stages_rung import try_last_stages
from regraft.detection.maps.cached_maps import CachedMaps
from regraft.detection.maps.canvas import canvas_for
from regraft.detection.solved.grid import fit_grid, grid_found
from regraft.detection.solved.regions import fit_regions, regions_found
from regraft.detection.trained.finder import TrainedFinder
from regraft.detection.trained_rungs import Winner, trained_on
from regraft.detection.training_cost import division
from regraft.evaluation.detection_scores import DetectionScores, score_detections
from regraft.features.opening import Compute
from regraft.ladder.ledger import Ledger
from regraft.ladder.stopwatch import Stopwatch
from regraft.networks.weights.finding import find_weights
from regraft.plans.cost_book import CostBook
from regraft.progress import Silent
from regraft.settings import FitSettings, TrainSettings

DATA, NETWORK = "det_bccd", "mobilenetv1_100"
VIEWS_EPOCHS, CANVAS_EPOCHS, STAGES_EPOCHS = 6, 3, 3
PARTS = ("rungs", "views", "stages", "canvas")
_CONTINUED = "the detector trained on alone"


class Watched(DetectionLadder):
    """A ladder that remembers who challenged."""

    challenger: Contender | None = None

    def challenge(self, contender: Contender, **facts: Any) -> None:
        """Remember the contender, whether or not it is kept."""
        self.challenger = contender
        super().challenge(contender, **facts)


def ladder_of(
    dataset: BoxedDataset,
    *,
    augment: str | None = None,
    longer_px: int | None = None,
    epochs: int | None = None,
) -> Watched:
    """A ladder without a limit of time, as a fit begins it."""
    weights = find_weights(NETWORK, weights=str(shared("weights")), offline=True, reporter=Silent())
    sizes = [(one.width, one.height) for one in dataset.boxes.pictures]
    width, height = canvas_for(sizes, longer_px=longer_px)
    shape = {"size_px": height, "width_px": width, "framing": "crop"}
    spec = weights.input_spec.model_copy(update=shape)
    weights = replace(weights, input_spec=spec)
    maps = CachedMaps(dataset.images, spec, Compute().open(weights, Silent(), cut="maps"), workers=2)
    training = TrainSettings(augment=augment, epochs=epochs)
    inputs = DetectionInputs(dataset, maps, FitSettings(), training, math.inf, 0.05, weights, Compute())
    watch = Stopwatch(Ledger(f"options {augment} {longer_px} {epochs} {dataset.seed}"))
    return Watched(inputs, watch, CostBook(), Silent(), lambda *_: None)


class Table:
    """The rows of one seed, each measured once and saved at once.

    Args:
        seed: the seed of folds and trainings.
        labels: names of the classes.
    """

    def __init__(self, seed: int, labels: Sequence[str]) -> None:
        self.seed, self.labels = seed, labels
        self.rows = earlier("detector_options")

    def add(
        self,
        part: str,
        contender: Contender,
        first: Contender | None,
        *,
        processor_s: float,
        test: Contender | None = None,
    ) -> None:
        """Score a contender, compare it with the first of its part, and keep the row.

        A training that is continued from its checkpoint takes no time; the row measured before stays.
        """
        known = [(row["part"], row["name"], row["seed"]) for row in self.rows]
        if (part, contender.name, self.seed) in known:
            return
        row: dict[str, Any] = {
            "part": part,
            "name": contender.name,
            "data": DATA,
            "network": NETWORK,
            "seed": self.seed,
            "commit": commit(),
            "processor_s": round(processor_s, 1),
            "load": round(os.getloadavg()[0], 1),
            **self.scores(contender),
        }
        if test is not None:
            row["test"] = self.scores(test)
        if first is not None:
            result = compared(contender, first, len(self.labels), seed=self.seed)
            row["difference"] = result.model_dump(mode="json")
        self.rows.append(row)
        print({name: value for name, value in row.items() if name != "classes"}, flush=True)
        save("detector_options", {"rows": self.rows})

    def scores(self, contender: Contender) -> dict[str, Any]:
        """The scores that matter, with intervals."""
        classes = len(self.labels)
        found: DetectionScores = score_detections(
            contender.matches(classes),
            self.labels,
            np.full(classes, 0.5),
            method=contender.method,
            seed=self.seed,
        )
        kept = found.model_dump(mode="json", include={"images", "method", "map", "map50", "map75"})
        return {**kept, "classes": {one.label: one.map50.value for one in found.classes if one.map50}}


def rungs(dataset: BoxedDataset, table: Table) -> None:
    """The two rungs in closed form, on three kinds of pictures that they did not learn from."""
    ladder = ladder_of(dataset)
    maps, scenes, classes = ladder.projected, ladder.training_scenes, len(dataset.labels)
    keys = [one.key for one in ladder.validation_scenes]
    ladder.inputs.maps.rows(keys)
    tests = dataset.scenes("test", ladder.spec)
    used = time.process_time()
    grid = fit_grid(maps, scenes, classes)
    grid_s = time.process_time() - used
    used = time.process_time()
    regions = fit_regions(grid, maps, scenes, classes)
    regions_s = time.process_time() - used
    by_fold = {
        "grid": grid_found(grid.by_fold, maps, scenes),
        "regions": regions_found(regions.by_fold, maps, scenes),
    }
    finders = {
        "grid": GridFinder(maps.projection, grid.whole),
        "regions": RegionsFinder(maps.projection, regions.whole),
    }
    for name, seconds in (("grid", grid_s), ("regions", regions_s)):
        finder = finders[name]
        test = Contender(
            name, finder, tests, found_in(finder, tests, ladder.inputs.maps, Silent()), "test pictures"
        )
        fold = Contender(f"{name}, out of fold", finder, scenes, tuple(by_fold[name]), "out of fold")
        table.add("rungs", fold, None, processor_s=seconds, test=test)
        held = ladder.validation_scenes
        found = found_in(finder, held, ladder.inputs.maps, Silent())
        table.add(
            "rungs", Contender(name, finder, held, found, "validation pictures"), None, processor_s=seconds
        )


def trained(
    ladder: Watched, name: str, epochs: int, start: Winner | None = None
) -> tuple[Contender, Winner, float]:
    """A one-stage detector on the ladder's maps, what it found in validation pictures, and what it took."""
    parts = division(ladder)
    used = time.process_time()
    detector, key = trained_on(ladder, parts, "one-stage", epochs, rung=name, start=start)
    finder = TrainedFinder(detector)
    found = found_in(finder, parts.held, ladder.inputs.maps, Silent())
    seconds = time.process_time() - used
    return (
        Contender(name, finder, parts.held, found, parts.method),
        Winner("one-stage", detector, key),
        seconds,
    )


def views(dataset: BoxedDataset, table: Table) -> None:
    """Mirrored and zoomed pictures, with the same number of steps."""
    first: Contender | None = None
    for augment in ("flip", "crop-flip"):
        ladder = ladder_of(dataset, augment=augment)
        contender, _, seconds = trained(ladder, f"{augment}, {VIEWS_EPOCHS} epochs", VIEWS_EPOCHS)
        table.add("views", contender, first, processor_s=seconds)
        first = first or contender


def canvas(dataset: BoxedDataset, table: Table) -> None:
    """The canvas of the fit against one as large as the pictures."""
    first: Contender | None = None
    for longer_px in (None, 640):
        ladder = ladder_of(dataset, augment="none", longer_px=longer_px)
        height, width, _ = ladder.spec.shape
        name = f"{width} x {height} pixels, {CANVAS_EPOCHS} epochs"
        contender, _, seconds = trained(ladder, name, CANVAS_EPOCHS)
        table.add("canvas", contender, first, processor_s=seconds)
        first = first or contender


def stages(dataset: BoxedDataset, table: Table) -> None:
    """A trained detector, the same trained on, and the same with the network's last stages trained too."""
    name = f"flip, {VIEWS_EPOCHS} epochs"
    begun = ladder_of(dataset, augment="flip")
    first, winner, _ = trained(begun, name, VIEWS_EPOCHS)  # its row is among those of the views
    ladder = ladder_of(dataset, augment="flip", epochs=STAGES_EPOCHS)
    alone, _, seconds = trained(ladder, f"{_CONTINUED}, {STAGES_EPOCHS} epochs", STAGES_EPOCHS, winner)
    table.add("stages", alone, first, processor_s=seconds)
    ladder.best = first
    used = time.process_time()
    try_last_stages(ladder, winner)
    assert ladder.challenger is not None, ladder.rows
    table.add("stages", ladder.challenger, first, processor_s=time.process_time() - used)


def main() -> None:
    folder = Path(sys.argv[1])
    parts = sys.argv[2].split(",") if len(sys.argv) > 2 else PARTS
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    os.environ["REGRAFT_CACHE"] = str(folder / "cache")
    boxes = read_boxes(shared("data") / DATA)
    dataset = boxed_dataset(boxes, ScanSettings(), seed=seed, test_share=0.2)
    table = Table(seed, dataset.labels)
    for part in parts:
        {"rungs": rungs, "views": views, "canvas": canvas, "stages": stages}[part](dataset, table)


if __name__ == "__main__":
    main()
