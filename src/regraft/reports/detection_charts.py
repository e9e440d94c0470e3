"""The charts of a detector's report, and the small ones in its tables."""

from __future__ import annotations

from collections import Counter

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from regraft.evaluation.average_precision import RECALLS
from regraft.records import Estimate
from regraft.reports.charts import Chart
from regraft.reports.detection.curves import Curve
from regraft.reports.detection.object_counts import Counts

Counted = npt.NDArray[np.int64]
_MOST_DOTS = 600
_MINI_PX = 120


def curve_chart(curve: Curve) -> Markup:
    """Precision against recall, with the band of its interval and the point of the threshold."""
    chart = Chart(
        f"Precision against recall of {curve.label}", "recall, %", "precision, %", (0, 100), (0, 100),
        width=340, height=250,
    )  # fmt: skip
    band = np.stack([RECALLS, curve.low, curve.high], axis=1)[curve.high > 0]
    chart.band((100 * band).tolist(), "main")
    points = (100 * np.stack([RECALLS, curve.precision], axis=1)[curve.precision > 0]).tolist()
    chart.line([*points, (points[-1][0], 0.0)] if points else [], "main")
    point = curve.scores.point
    if point.precision and point.recall and point.threshold is not None:
        x, y = 100 * point.recall.value, 100 * point.precision.value
        said = f"threshold {point.threshold:.2f}: recall {x:.1f} %, precision {y:.1f} %"
        chart.dot(x, y, "second", said, radius=5)
    return chart.svg


def counts_chart(counts: Counts) -> Markup:
    """Boxes that are shown against objects that are there; equal pictures share a larger dot."""
    there, shown, step = _binned(counts.there, counts.shown)
    top = max(4, int(max(there.max(), shown.max())))
    chart = Chart(
        "Number of boxes that are shown in each picture against the number of objects",
        "objects in a picture", "boxes shown", (0, top * 1.04), (0, top * 1.04), width=460, height=380,
    )  # fmt: skip
    chart.line([(0, 0), (top, top)], "faint")
    pairs = Counter(zip(there.tolist(), shown.tolist(), strict=True))
    for (x, y), count in sorted(pairs.items()):
        about = "about " if step > 1 else ""
        said = f"{count} picture{'s' if count > 1 else ''}: {about}{y} shown, {about}{x} there"
        chart.dot(x, y, "main light", said, radius=min(9.0, 2.6 + 1.2 * float(np.log2(count))))
    return chart.svg


def _binned(there: Counted, shown: Counted) -> tuple[Counted, Counted, int]:
    """Counts, rounded to multiples of a step that leaves few enough different pairs."""
    step, x, y = 1, there, shown
    while len(np.unique(np.stack([x, y]), axis=1).T) > _MOST_DOTS:
        step *= 2
        x, y = (np.rint(one / step).astype(np.int64) * step for one in (there, shown))
    return x, y, step


def whisker(estimate: Estimate | None) -> Markup:
    """A share in [0, 1] with its interval, on a line from 0 to 1, for a cell that has the number too."""
    if estimate is None:
        return Markup("")
    at, low, high = (
        round(5 + (_MINI_PX - 10) * one, 1)
        for one in (
            estimate.value,
            estimate.value if estimate.low is None else estimate.low,
            estimate.value if estimate.high is None else estimate.high,
        )
    )
    return _mini(
        f'<path class="grid" d="M5 8H{_MINI_PX - 5}"/><path class="interval wide" d="M{low} 8H{high}"/>'
        f'<circle class="dot" cx="{at}" cy="8" r="3.4"/>'
    )


def bar(share: float, kind: str) -> Markup:
    """A bar whose length is a share of the cell, for a cell that has the number too."""
    width = round(max(0.0, min(1.0, share)) * _MINI_PX, 1)
    return _mini(f'<rect class="column {kind}" x="0" y="3" width="{width}" height="10" rx="2"/>')


def hundred(share: float) -> Markup:
    """A hundred dots in a square, of which a share is full."""
    full = round(100 * share)
    paths = []
    for kind, numbers in (("empty", range(full, 100)), ("full", range(full))):
        spots = "".join(f"M{6 + 10 * (one % 10)} {6 + 10 * (one // 10)}h0" for one in numbers)
        paths.append(f'<path class="{kind}" d="{spots}"/>' if spots else "")
    square = 'class="hundred" width="102" height="102" viewBox="0 0 102 102" aria-hidden="true"'
    return Markup(f"<svg {square}>{''.join(paths)}</svg>")  # noqa: S704 (numbers only)


def _mini(inside: str) -> Markup:
    return Markup(  # noqa: S704 (numbers only)
        f'<svg class="mini" width="{_MINI_PX}" height="16" viewBox="0 0 {_MINI_PX} 16" aria-hidden="true">'
        f"{inside}</svg>"
    )
