"""Whether mosaics of four pictures make a better detector, when they are put together from cached maps.

The maps of every picture are computed once more, on a canvas of half the width and height. A mosaic is four
of these beside and below each other, at every stride; which four is drawn anew in every epoch, so that no
network has to run for it. The detectors of equal numbers of epochs are compared on validation pictures by
paired bootstrap over the pictures: mirrored pictures alone; the same with every other epoch of mosaics, but
none in the last quarter.

Run: python benchmarks/detector_mosaics.py FOLDER [EPOCHS[,EPOCHS...] [DATA [SEED]]]
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from common import commit, earlier, save, shared
from detector_options import NETWORK, Watched, ladder_of

from regraft.data.findings.scan import ScanSettings
from regraft.detection.annotations.reading import read_boxes
from regraft.detection.contenders import Contender, compared, found_in
from regraft.detection.dataset import BoxedDataset, boxed_dataset
from regraft.detection.maps.cached_maps import AS_IT_IS, MIRRORED, CachedMaps
from regraft.detection.maps.scenes import Scene, scenes_of
from regraft.detection.trained.finder import TrainedFinder
from regraft.detection.trained.levels import spreads
from regraft.detection.trained.record import TrainedRecord
from regraft.detection.training.map_views import MapViews, view_rows
from regraft.detection.training.targets import ViewTargets, padded
from regraft.detection.training.training import DetectorTraining, detector_settings
from regraft.detection.training_cost import division
from regraft.evaluation.detection_scores import score_detections
from regraft.features.opening import Compute
from regraft.networks.weights.finding import find_weights
from regraft.progress import Reporter, Silent
from regraft.randomness import generator
from regraft.records import InputSpec, MapLevel
from regraft.training.loop.batches import Places

MOSAIC = -1
Floats = npt.NDArray[np.float32]


class MosaicViews(MapViews):
    """Maps of pictures, of which some epochs see four at half the size.

    Args:
        maps: the maps in the cache.
        halves: the maps on a canvas of half the width and height.
        scenes: the pictures on the canvas.
        half_scenes: the same pictures on the smaller canvas.
        views: the view of each epoch; `MOSAIC` is one of them.
        seed: seed of what is put together.
    """

    def __init__(
        self,
        maps: CachedMaps,
        halves: CachedMaps,
        scenes: Sequence[Scene],
        half_scenes: Sequence[Scene],
        views: Sequence[int],
        seed: int,
    ) -> None:
        super().__init__(maps, scenes, views, torch.device("cpu"))
        self.halves, self.half_scenes, self.seed = halves, half_scenes, seed
        self._half_rows = halves.rows([scene.key for scene in half_scenes])
        self._together: npt.NDArray[np.int64] = np.zeros((0, 4), dtype=np.int64)

    def begin(self, epoch: int, reporter: Reporter) -> None:
        self.current = epoch % len(self.views)
        if self.views[self.current] != MOSAIC:
            return super().begin(epoch, reporter)
        draws = generator(self.seed, "mosaics", "", epoch)
        self._together = np.stack([draws.permutation(len(self)) for _ in range(4)], axis=1)
        self._together[:, 0] = np.arange(len(self))
        self._together = draws.permuted(self._together, axis=1)
        return None

    def fetch(self, places: Places) -> torch.Tensor:
        if self.views[self.current] != MOSAIC:
            return super().fetch(places)
        together = self._together[places].ravel()
        rows = self._half_rows.gather([self.half_scenes[place].key for place in together])
        levels = zip(self._maps.levels, self.halves.levels, strict=True)
        parts = [put_together(rows[:, half.start : half.stop], whole, half) for whole, half in levels]
        return torch.from_numpy(np.concatenate(parts, axis=1))

    def mosaic_rows(self, places: Places) -> Floats:
        """True boxes in the mosaics of the epoch, as targets have them."""
        width, height = (2 * side for side in self._half_canvas)
        found = []
        for together in self._together[places]:
            rows = []
            for quarter, place in enumerate(together):
                part = view_rows(self.half_scenes[place], AS_IT_IS).copy()
                part[:, [1, 3]] += quarter % 2 * width / 2
                part[:, [2, 4]] += quarter // 2 * height / 2
                rows.append(part)
            found.append(np.concatenate(rows))
        return padded(found)

    @property
    def _half_canvas(self) -> tuple[int, int]:
        height, width, _ = self.halves.spec.shape
        return width, height

    def targets(self) -> ViewTargets:
        """The true boxes in the view that is used."""
        plain = [AS_IT_IS if view == MOSAIC else view for view in self.views]
        return MosaicTargets([padded([view_rows(one, view) for one in self._scenes]) for view in plain], self)


class MosaicTargets(ViewTargets):
    """Targets that follow the mosaics of an epoch."""

    def __init__(self, views: Sequence[Floats], source: MosaicViews) -> None:
        super().__init__(views, lambda: source.current)
        self.source = source

    def __getitem__(self, places: Places, /) -> Floats:
        is_mosaic = self.source.views[self.source.current] == MOSAIC
        return self.source.mosaic_rows(places) if is_mosaic else super().__getitem__(places)


def put_together(rows: npt.NDArray[Any], whole: MapLevel, half: MapLevel) -> npt.NDArray[Any]:
    """Four maps `(4 N, h w C)` as one each, `(N, H W C)`, where `H = 2 h` and `W = 2 w`."""
    maps = rows.reshape(-1, 2, 2, half.height, half.width, half.channels)
    together = maps.transpose(0, 1, 3, 2, 4, 5).reshape(len(maps), -1)
    assert together.shape[1] == whole.height * whole.width * whole.channels
    return together


def views_of(epochs: int, *, mosaics: bool) -> tuple[int, ...]:
    """The view of each epoch: mirrored or not in turn; mosaics in between, but not in the last quarter."""
    plain = [AS_IT_IS, MIRRORED]
    if not mosaics:
        return tuple(plain[epoch % 2] for epoch in range(epochs))
    return tuple(
        MOSAIC if epoch % 2 and epoch < 0.75 * epochs else plain[epoch // 2 % 2] for epoch in range(epochs)
    )


def half_maps(ladder: Watched, dataset: BoxedDataset) -> tuple[CachedMaps, InputSpec]:
    """The maps on the canvas of half the width and height."""
    height, width, _ = ladder.spec.shape
    spec = ladder.spec.model_copy(update={"size_px": height // 2, "width_px": width // 2})
    weights = find_weights(NETWORK, weights=str(shared("weights")), offline=True, reporter=Silent())
    runtime = Compute().open(replace(weights, input_spec=spec), Silent(), cut="maps")
    return CachedMaps(dataset.images, spec, runtime, workers=2), spec


def trained(
    ladder: Watched, dataset: BoxedDataset, folder: Path, epochs: int, *, mosaics: bool
) -> tuple[Contender, float]:
    """A one-stage detector, what it found in the pictures that are held out, and what it took."""
    parts, maps = division(ladder), ladder.inputs.maps
    halves, spec = half_maps(ladder, dataset)
    by_path = {one.path: one for one in dataset.boxes.pictures}
    half_scenes = scenes_of([by_path[one.path] for one in parts.train], dataset.labels, spec)
    assert [one.key for one in half_scenes] == [one.key for one in parts.train]
    views = views_of(epochs, mosaics=mosaics)
    train = MosaicViews(maps, halves, parts.train, half_scenes, views, dataset.seed)
    held = MapViews(maps, parts.held, (AS_IT_IS,), torch.device("cpu"))
    height, width, _ = ladder.spec.shape
    record = TrainedRecord(
        kind="one-stage", classes=ladder.classes, canvas=(width, height), levels=maps.levels
    )
    rows = maps.rows([one.key for one in parts.train])
    for view in {*views} - {MOSAIC}:
        maps.rows([one.key for one in parts.train], view)
    spread = spreads(rows.gather(sorted(one.key for one in parts.train)[:64]), maps.levels)
    name = f"{'mosaics' if mosaics else 'mirrored'}, {epochs} epochs"
    training = DetectorTraining(
        record,
        spread,
        train,
        train.targets(),
        detector_settings(replace(ladder.inputs.training, epochs=epochs), "one-stage"),
        held,
        held.targets(),
        dataset.seed,
        torch.device("cpu"),
        name,
        folder / f"{name}, seed {dataset.seed}.safetensors",
    )
    used = time.process_time()
    finder = TrainedFinder(training.run(Silent()))
    seconds = time.process_time() - used
    found = found_in(finder, parts.held, maps, Silent())
    return Contender(name, finder, parts.held, found, parts.method), seconds


def scores(contender: Contender, labels: Sequence[str], seed: int) -> dict[str, Any]:
    """The scores that matter, with intervals."""
    found = score_detections(
        contender.matches(len(labels)),
        labels,
        np.full(len(labels), 0.5),
        method=contender.method,
        seed=seed,
    )
    return found.model_dump(mode="json", include={"images", "method", "map", "map50"})


def main() -> None:
    folder = Path(sys.argv[1])
    lengths, data, seed = [*sys.argv[2:5], *("6,12", "det_bccd", "0")[len(sys.argv) - 2 :]]
    os.environ["REGRAFT_CACHE"] = str(folder / "cache")
    dataset = boxed_dataset(read_boxes(shared("data") / data), ScanSettings(), seed=int(seed), test_share=0.2)
    rows, ladder = earlier("detector_mosaics"), ladder_of(dataset)
    for epochs in map(int, lengths.split(",")):
        first: Contender | None = None
        for mosaics in (False, True):
            contender, seconds = trained(ladder, dataset, folder, epochs, mosaics=mosaics)
            row = {
                "data": data,
                "name": contender.name,
                "seed": int(seed),
                "commit": commit(),
                "processor_s": round(seconds, 1),
                "load": round(os.getloadavg()[0], 1),
                **scores(contender, dataset.labels, int(seed)),
            }
            if first is not None:
                result = compared(contender, first, len(dataset.labels), seed=int(seed))
                row["difference"] = result.model_dump(mode="json")
            first = first or contender
            facts = ("data", "name", "seed")
            rows = [one for one in rows if any(one[fact] != row[fact] for fact in facts)] + [row]
            print(row, flush=True)
            save("detector_mosaics", {"rows": rows})


if __name__ == "__main__":
    main()
