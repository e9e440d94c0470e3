"""Tables for the terminal: a ladder and the depth profile, and how shares and times are written."""

from __future__ import annotations

from regraft.advice.profile import DepthProfile
from regraft.cli.terminal.console import show_table
from regraft.progress import duration
from regraft.records import Estimate
from regraft.runs.records import LadderRecord, RungRow
from regraft.tasks.task import Measure


def show_ladder(ladder: LadderRecord) -> None:
    """Print every rung: its accuracy, its predicted and measured time, and why it was kept or not."""
    rows = [
        [
            str(row.rung),
            row.name,
            "–" if row.accuracy is None else scored(measured(row)),
            duration(row.predicted_s),
            duration(row.took_s),
            "✓" if row.is_kept else "",
            row.verdict,
        ]
        for row in sorted(ladder.rows, key=_order)
    ]
    shown = next((measured(row) for row in ladder.rows if row.accuracy is not None), None)
    what = f"{shown.title} (val){' %' * shown.is_share}" if shown else "accuracy (val) %"
    header = ["rung", "strategy", what, "predicted time", "time", "kept", "reason"]
    show_table(f"The ladder (budget {duration(ladder.budget_s)})", header, rows, right=[2, 3, 4])


def measured(row: RungRow) -> Measure:
    """The score of a rung, under its name."""
    return Measure.of(row.measure, row.accuracy, row.images, is_share=row.is_share)


def _order(row: RungRow) -> int:
    return row.rung


def percent(estimate: Estimate) -> str:
    """A share in per cent with its interval: `85.2 ± 1.6`, or both bounds if they differ by over a point."""
    value = 100 * estimate.value
    if estimate.low is None or estimate.high is None:
        return f"{value:.1f}"
    below, above = value - 100 * estimate.low, 100 * estimate.high - value
    if abs(above - below) > 1:
        return f"{value:.1f} [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"
    return f"{value:.1f} ± {(above + below) / 2:.1f}"


def scored(measure: Measure) -> str:
    """A score with its interval: a share in per cent, anything else in its own unit.

    >>> scored(Measure("r_squared", 0.5, 0.4, 0.61, is_share=False))
    '0.5 [0.4, 0.61]'
    """
    if measure.estimate is None:
        return "–"
    if measure.is_share:
        return percent(measure.estimate)
    bounds = [f"{one:.3g}" for one in (measure.low, measure.high) if one is not None]
    return f"{measure.value:.3g}" + (f" [{', '.join(bounds)}]" if bounds else "")


def show_depths(profile: DepthProfile) -> None:
    """Print the depth profile: the accuracy of heads on each stage, with a bar."""
    rows = []
    for one in profile.stages:
        bar = "█" * round(20 * one.least_squares.value)
        mark = " ← peak" if one == profile.peak else ""
        exact = "–" if one.svm is None else percent(one.svm)
        rows.append([one.stage, percent(one.least_squares), exact, bar + mark])
    what = profile.title
    header = ["stage", "least-squares SVM %", "SVM, near the peak %", f"{what} of the least-squares SVM"]
    show_table(f"Depth profile: cross-validated {what} of heads on each stage", header, rows, right=[1, 2])


def points(difference: Estimate) -> str:
    """A difference of shares with its interval, in percentage points."""
    if difference.low is None or difference.high is None:
        return f"{100 * difference.value:+.1f}"
    return f"{100 * difference.value:+.1f} [{100 * difference.low:+.1f}, {100 * difference.high:+.1f}]"
