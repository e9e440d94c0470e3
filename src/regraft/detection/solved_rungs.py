"""The rungs in closed form: the grid, on one canvas or two, its learning curve, and regions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from regraft.detection.contenders import Contender
from regraft.detection.detectors.finders import GridFinder, RegionsFinder
from regraft.detection.ladder import VALIDATION, DetectionInputs, DetectionLadder, cross_validation
from regraft.detection.maps.canvas import canvas_for
from regraft.detection.maps.projection import WIDTHS
from regraft.detection.solved.alignment import row_width
from regraft.detection.solved.cells import base_level, cell_width, sampling_step
from regraft.detection.solved.grid import GridFit, fit_grid, grid_found
from regraft.detection.solved.learning_curve import grid_curve
from regraft.detection.solved.regions import PASSES, STRENGTHS, fit_regions, regions_found
from regraft.errors import DataError, SettingsError

_CURVE_TIMES, _CURVE_SHARE = 0.3, 0.05
_LARGER, _LEAST_LARGER = 1.5, 1.1  # the side of the other canvas as a multiple: at most, at least
_SMALL_PX = 48  # objects whose sides are shorter on the canvas may be seen better on a larger one
_CANVAS_SHARE = 0.1  # of the time left, that another canvas may take
_OPENING_S = 5.0  # seconds to convert and compile the network for another canvas


def try_grid(ladder: DetectionLadder) -> GridFit:
    """The first usable detector: a grid in closed form.

    It is evaluated out of fold, on training pictures, so that it is saved before the maps of validation
    pictures are computed, which takes as long as many of its own steps.
    """
    watch, name = ladder.watch, "grid"
    predicted = watch.predicted(name, grid_s(ladder), "grid")
    with watch.timed(name, kind="grid", predicted_s=predicted) as timing:
        maps, scenes = ladder.projected, ladder.training_scenes
        fit = fit_grid(maps, scenes, ladder.classes, reporter=ladder.reporter)
        found = tuple(grid_found(fit.by_fold, maps, scenes))
    contender = Contender(
        name, GridFinder(maps.projection, fit.whole), scenes, found, cross_validation(ladder)
    )
    ladder.challenge(contender, predicted_s=predicted, took_s=timing.took_s)
    return fit


def try_canvas(ladder: DetectionLadder, fit: GridFit) -> GridFit:
    """A larger canvas, if objects are small, pictures are larger, and it takes little of the time left.

    The grid says which canvas is better, out of fold and on the same pictures; later rungs go on with it.
    """
    size = larger_canvas(ladder)
    if size is None:
        return fit
    width, height = size
    name = f"grid, {width} x {height} pixels"
    spec, inputs = ladder.spec, ladder.inputs
    times = width * height / (spec.shape[0] * spec.shape[1])
    pictures = len(ladder.training_scenes)
    seconds = _OPENING_S + times * (pictures * inputs.extract_s + grid_s(ladder))
    predicted = ladder.watch.predicted(name, seconds)
    if predicted > _CANVAS_SHARE * ladder.time_left_s:
        return fit
    with ladder.watch.timed(name) as timing:
        other = _on_canvas(ladder, width, height, times)
        if other is None:
            return fit
        trial = DetectionLadder(other, ladder.watch, ladder.book, ladder.reporter, ladder.keep)
        scenes = trial.training_scenes
        second = fit_grid(trial.projected, scenes, ladder.classes, reporter=ladder.reporter)
        found = tuple(grid_found(second.by_fold, trial.projected, scenes))
    contender = Contender(
        name,
        GridFinder(trial.projected.projection, second.whole),
        scenes,
        found,
        cross_validation(ladder),
        maps=other.maps,
        weights=other.weights,
    )
    ladder.challenge(contender, predicted_s=predicted, took_s=timing.took_s)
    is_better = ladder.best is contender
    chosen = (width, height) if is_better else spec.shape[1::-1]
    ladder.reporter.decided(
        f"a canvas of {chosen[0]} x {chosen[1]} pixels", ladder.rows[-1].verdict, "--image-size"
    )
    if not is_better:
        return fit
    ladder.move_to(trial)
    return second


def larger_canvas(ladder: DetectionLadder) -> tuple[int, int] | None:
    """Width and height of a canvas on which small objects may be seen better; None if there is no need.

    It is up to 1.5 times as wide, and not larger than the usual picture.
    """
    if ladder.inputs.settings.image_size is not None:
        return None
    scenes = ladder.training_scenes
    sides = np.concatenate(
        [np.sqrt((one.on_canvas[:, 2:] - one.on_canvas[:, :2]).prod(axis=1)) for one in scenes]
    )
    classes = np.concatenate([one.classes for one in scenes])
    if min(float(np.median(sides[classes == number])) for number in np.unique(classes)) >= _SMALL_PX:
        return None
    sizes = [(one.placement.width, one.placement.height) for one in scenes]
    now = max(ladder.spec.shape[:2])
    usual = sorted(max(size) for size in sizes)[len(sizes) // 2]
    larger = canvas_for(sizes, longer_px=min(usual, round(_LARGER * now)))
    return larger if max(larger) >= _LEAST_LARGER * now else None


def _on_canvas(ladder: DetectionLadder, width: int, height: int, times: float) -> DetectionInputs | None:
    """The same inputs on another canvas; None if its maps have no room."""
    inputs = ladder.inputs
    spec = inputs.weights.input_spec.model_copy(update={"size_px": height, "width_px": width})
    weights = replace(inputs.weights, input_spec=spec)
    runtime = inputs.compute.open(weights, ladder.reporter, cut="maps")
    maps = replace(inputs.maps, spec=spec, runtime=runtime, ready={})
    try:
        maps.check_room([scene.key for scene in ladder.training_scenes])
    except SettingsError:
        return None
    return replace(inputs, maps=maps, weights=weights, extract_s=times * inputs.extract_s)


def look_at_validation(ladder: DetectionLadder, fit: GridFit) -> None:
    """Evaluate the grid on the validation pictures too, if there are any, as all later rungs are.

    Until then it was the only contender, so nothing was compared with its out-of-fold predictions.
    """
    if not ladder.validation_scenes:
        return
    with ladder.watch.timed("validation pictures"):
        found = tuple(grid_found([fit.whole], ladder.projected_validation, ladder.validation_scenes))
    ladder.evaluated_again(ladder.validation_scenes, found, VALIDATION)


def measure_curve(ladder: DetectionLadder, fit: GridFit) -> None:
    """The grid's learning curve, if it takes little of the time that is left."""
    predicted = ladder.watch.predicted("learning curve", _CURVE_TIMES * grid_s(ladder))
    if predicted > _CURVE_SHARE * ladder.time_left_s:
        return
    with ladder.watch.timed("learning curve"):
        maps, scenes = ladder.projected, ladder.training_scenes
        seed = ladder.inputs.dataset.seed
        ladder.curve = grid_curve(fit, maps, scenes, ladder.classes, seed=seed)
    if ladder.curve is not None:
        ladder.reporter.note(ladder.curve.sentence)


def try_regions(ladder: DetectionLadder, grid: GridFit) -> None:
    """Regions in closed form, on the boxes that the grid proposes."""
    watch, name = ladder.watch, "regions"
    predicted = watch.predicted(name, regions_s(ladder), "regions")
    if predicted > ladder.time_left_s:
        ladder.skip(name, predicted)
        return
    with watch.timed(name, kind="regions", predicted_s=predicted) as timing:
        maps, scenes = ladder.projected, ladder.training_scenes
        try:
            fit = fit_regions(grid, maps, scenes, ladder.classes, reporter=ladder.reporter)
        except DataError as error:  # the grid is kept
            ladder.tell(name, f"not possible: {error}", predicted_s=predicted)
            return
        judged = ladder.judged(
            lambda: regions_found(fit.by_fold, maps, scenes),
            lambda: regions_found([fit.whole], ladder.projected_validation, ladder.validation_scenes),
        )
    finder = RegionsFinder(maps.projection, fit.whole)
    ladder.challenge(Contender(name, finder, *judged), predicted_s=predicted, took_s=timing.took_s)


def grid_s(ladder: DetectionLadder) -> float:
    """Predicted seconds of the grid, from its multiply-adds."""
    levels = ladder.inputs.maps.levels
    base = base_level(levels)
    cells = base.height * base.width
    widths = [min(level.channels, WIDTHS[level.stride]) for level in levels]
    sizes = [level.height * level.width * level.channels for level in levels]
    projecting = sum(size * width for size, width in zip(sizes, widths, strict=True))
    width, pictures = cell_width(widths, levels), len(ladder.training_scenes)
    used = cells / sampling_step(pictures * cells, width)
    work = pictures * (used * width**2 + projecting)
    return 2.0 * 1e-9 * work * ladder.book.seconds("matrix")


def regions_s(ladder: DetectionLadder) -> float:
    """Predicted seconds of the regions, from their multiply-adds."""
    width = row_width(ladder.projected.projection)
    folds = 1 + max(scene.fold for scene in ladder.training_scenes)
    sums = PASSES * len(ladder.training_scenes) * 60 * width**2
    solving = 2 * (PASSES + len(STRENGTHS)) * (folds + 1) * width**3
    return 1.2 * 1e-9 * (sums + solving) * ladder.book.seconds("matrix")
