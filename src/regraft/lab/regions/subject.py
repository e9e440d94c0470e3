"""What the experiment `rcnn` measures: time by part, passes, recall of proposals, average precision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from regraft.detection.maps.judging import matched
from regraft.detection.maps.projection import Projection
from regraft.detection.maps.scenes import Scene
from regraft.errors import DataError
from regraft.evaluation.average_precision import average_precision, mean_over_classes
from regraft.evaluation.boxes import overlaps
from regraft.evaluation.matching import IOUS
from regraft.evaluation.resampling import bootstrap_counts, percentile_interval
from regraft.features.opening import open_runtime
from regraft.lab.regions.arms import (
    FAST,
    FASTER,
    Engines,
    Looked,
    Searched,
    Shared,
    look_fast,
    look_faster,
    look_rcnn,
    searched,
    shared_projection,
)
from regraft.lab.regions.draws import Draw, Pictures, Sizes, boxed_pictures, drawn_pictures
from regraft.lab.results.experiment import Choices
from regraft.lab.results.rows import Value
from regraft.networks.weights.finding import Weights, find_weights
from regraft.progress import Reporter, Silent
from regraft.records import Estimate
from regraft.workflow.check import load_boxes

Floats = npt.NDArray[Any]
RECALLED = (50, 100, 300)
"""The numbers of proposals whose recall is measured."""
_USUAL, _QUICK = Sizes(24, 16), Sizes(8, 6)
_REGIONS, _FEW_REGIONS, _REGION_PX = 100, 50, 96
_BOOTSTRAPS = 1_000


@dataclass
class _Prepared:
    """What the arms of one draw share, and what its preparation took; only the last draw is kept."""

    seed: int
    draw: Draw
    projection: Projection
    rows: dict[str, Floats]
    searched: dict[str, Searched] | None = None


@dataclass
class RegionSubject:
    """Pictures with boxes, and a network that is opened when it is first needed."""

    pictures: Pictures
    weights: Weights
    choices: Choices
    regions: int
    about: str
    facts: Mapping[str, Any]
    most_seeds: int | None
    _engines: Engines | None = None
    _last: _Prepared | None = field(default=None, repr=False)

    def measure(self, arm: str, seed: int, reporter: Reporter) -> tuple[Value, ...]:
        """Measure one of the three on one draw."""
        with threadpool_limits(1, user_api="blas"):  # products this small are slower with more threads
            own, engines = self._prepared(seed, reporter), self._opened(reporter)
            shared = Shared(own.draw, own.projection, own.rows, engines, len(self.pictures.labels))
            if arm == FASTER:
                return measured(look_faster(shared, self.regions), shared)
            own.searched = own.searched or searched(own.draw, reporter)
            if arm == FAST:
                return measured(look_fast(shared, own.searched, self.regions), shared)
            return measured(look_rcnn(shared, own.searched, self.regions, reporter), shared)

    def _opened(self, reporter: Reporter) -> Engines:
        if self._engines is None:
            width, height = self.pictures.canvas
            name, whole = self.choices.runtime, sized(self.weights, width, height)
            pictures = open_runtime(whole, name=name, cut="maps", reporter=reporter)
            region = sized(self.weights, _REGION_PX, _REGION_PX)
            regions = open_runtime(region, name=name, cut="maps", reporter=Silent())
            self._engines = Engines(pictures, regions, _REGION_PX)
        return self._engines

    def _prepared(self, seed: int, reporter: Reporter) -> _Prepared:
        if self._last is None or self._last.seed != seed:
            spec = sized(self.weights, *self.pictures.canvas).input_spec
            draw = self.pictures.draw(seed, spec)
            self._last = _Prepared(seed, draw, *shared_projection(draw, self._opened(reporter)))
        return self._last


def sized(weights: Weights, width: int, height: int) -> Weights:
    """The network with another size of its input."""
    spec = weights.input_spec.model_copy(update={"size_px": height, "width_px": width})
    return replace(weights, input_spec=spec)


def prepare(choices: Choices, reporter: Reporter) -> RegionSubject:
    """The pictures and the network of a user's choices.

    Raises:
        DataError: the data has no boxes, or too few pictures.
        WeightsNotFoundError: the network's weights are not on this machine and can't be downloaded.
    """
    sizes = _QUICK if choices.is_quick else _USUAL
    if choices.data is None:
        pictures = drawn_pictures(sizes)
    else:
        boxes = load_boxes(choices.data, reporter=reporter)
        if boxes is None:
            raise DataError(
                f"{choices.data} has no boxes around objects, which this experiment needs. Remove --data, "
                "and pictures are made; `regraft check` says what the data is"
            )
        pictures = boxed_pictures(boxes, sizes)
    weights = find_weights(choices.network, weights=choices.weights, reporter=reporter)
    regions = _FEW_REGIONS if choices.is_quick else _REGIONS
    about = (
        f"{pictures.about}; each draw has {sizes.train} to learn from and {sizes.test} to test on, on a "
        f"canvas of {pictures.canvas[0]} x {pictures.canvas[1]} pixels"
    )
    facts = {
        "pictures": pictures.key,
        "train": sizes.train,
        "test": sizes.test,
        "canvas": list(pictures.canvas),
        "regions": regions,
        "region_px": _REGION_PX,
        "network": choices.network,
        "weights": weights.source.sha256,
        "runtime": choices.runtime,
    }
    return RegionSubject(pictures, weights, choices, regions, about, facts, pictures.most_draws)


def measured(looked: Sequence[Looked], shared: Shared) -> tuple[Value, ...]:
    """All measures of one arm on the test pictures of one draw, with bootstrap intervals over these pictures.

    Args:
        looked: what the arm found in each picture.
        shared: what all arms use.
    """
    scenes = shared.draw.test
    counts = np.concatenate(list(bootstrap_counts(len(scenes), draws=_BOOTSTRAPS, seed=0)))
    times = {
        "proposals": [one.proposals_s for one in looked],
        "network": [one.network_s for one in looked],
        "heads": [one.heads_s for one in looked],
    }
    totals = np.sum(list(times.values()), axis=0)
    ones = np.ones(len(looked))
    values = [_value("seconds", "s", totals, ones, counts)]
    values += [_value(f"seconds, {name}", "s", np.array(own), ones, counts) for name, own in times.items()]
    values.append(_value("share of proposals", "share", np.array(times["proposals"]), totals, counts))
    values.append(_value("passes", "passes", np.array([float(one.passes) for one in looked]), ones, counts))
    truth = np.array([float((~scene.is_ignored).sum()) for scene in scenes])
    for most in RECALLED:
        hits = np.array([_hits(one, scene, most) for one, scene in zip(looked, scenes, strict=True)])
        values.append(_value(f"recall of {most} proposals", "share", hits, truth, counts))
    return (*values, _ap50(looked, scenes, shared.classes, counts))


def _hits(one: Looked, scene: Scene, most: int) -> float:
    truth = scene.on_canvas[~scene.is_ignored]
    if not len(truth) or not len(one.proposals):
        return 0.0
    return float((overlaps(one.proposals[:most], truth).max(axis=0) >= IOUS[0]).sum())


def _value(measure: str, unit: str, above: Floats, below: Floats, counts: Floats) -> Value:
    """A ratio of sums over pictures."""
    sums = counts @ below
    drawn = np.divide(counts @ above, sums, out=np.full(len(sums), np.nan), where=sums > 0)
    value = float(above.sum() / max(float(below.sum()), 1e-12))
    return _kept(measure, unit, percentile_interval(value, drawn))


def _ap50(looked: Sequence[Looked], scenes: Sequence[Scene], classes: int, counts: Floats) -> Value:
    matches = matched([one.found for one in looked], scenes, classes)
    every, drawn = (
        mean_over_classes(average_precision(matches, each, sizes=["all"], ious=IOUS[:1])[:, 0, 0])
        for each in (None, counts)
    )
    value = 0.0 if np.isnan(every[0]) else float(every[0])
    return _kept("AP50", "share", percentile_interval(value, drawn))


def _kept(measure: str, unit: str, one: Estimate) -> Value:
    return Value(measure=measure, value=one.value, unit=unit, low=one.low, high=one.high)
