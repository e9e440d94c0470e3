"""What `regraft fit` shows of several data sets: a line for each, and a table at the end."""

from __future__ import annotations

from collections.abc import Sequence

from regraft.cli.terminal.console import show_table
from regraft.cli.terminal.ladder_table import scored
from regraft.detection.detectors.detector import Detector
from regraft.jobs.fit_several import OneOfSeveral
from regraft.prediction.model import Model
from regraft.progress import duration
from regraft.storage.tables import printable
from regraft.tasks.score_sheet import measures
from regraft.tasks.task import Measure


def show_several(found: Sequence[OneOfSeveral]) -> None:
    """A row for each data set: its score on images that the model has not seen, or why there is none."""
    names = {headline.title for one in found if (headline := _headline(one.model)) is not None}
    rows = [_row(one, is_named=len(names) != 1) for one in found]
    what = "score" if len(names) != 1 else names.pop()
    done = sum(one.model is not None for one in found)
    header = ["data", "run", "network", what, "images", "time"]
    show_table(f"{done} of {len(found)} data sets are fitted", header, rows, right=[3, 4, 5])
    for one in found:
        if one.error:
            print(f"{printable(one.data)} failed: {one.error}")
    if done < len(found):
        print("when that is fixed, run the same command again; what was computed is in the cache")


def _row(one: OneOfSeveral, *, is_named: bool) -> list[str]:
    if one.model is None:
        return [printable(one.data), "failed", "–", "–", "–", duration(one.took_s)]
    headline = _headline(one.model)
    score = "–" if headline is None else scored(headline)
    if headline is not None and headline.is_share:
        score += " %"
    return [
        printable(one.data),
        str(one.model.run_folder),
        one.model.weights.network,
        f"{headline.title} {score}" if is_named and headline is not None else score,
        _images(one.model),
        duration(one.took_s),
    ]


def _headline(model: Model | Detector | None) -> Measure | None:
    """The most important score on the test images; without any, on the validation images."""
    if isinstance(model, Model):
        best = model.scores.test or model.scores.validation if model.scores else None
        return measures(best)[0] if best is not None else None
    if model is None or model.scores is None:
        return None
    boxes = model.scores.test or model.scores.validation
    return Measure.of("mean_average_precision", boxes.map, boxes.images) if boxes is not None else None


def _images(model: Model | Detector) -> str:
    assert model.scores is not None
    best = model.scores.test or model.scores.validation
    side = "test" if model.scores.test else "validation"
    return f"{best.images:,} {side}" if best is not None else "–"
