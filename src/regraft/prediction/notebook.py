"""How notebooks show models and predictions: as small tables in which all text is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from regraft.storage.tables import printable
from regraft.tasks.score_sheet import ScoreSheet
from regraft.tasks.task import Measure, Task

MOST_ROWS = 20
"""The number of predictions that are shown."""


def model_html(
    *, task: Task, network: str, heads: str, scores: ScoreSheet | None, run_folder: Path | None
) -> str:
    """A table of what a model predicts, its network, heads and most important score."""
    names = task.outputs
    labels = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    predicted = {
        "softmax": ("classes", f"{len(names)}: {labels}"),
        "sigmoid": ("labels", f"{len(names)}: {labels}"),
        "identity": ("predicts", "a number"),
    }
    rows = [predicted[task.link], ("network", network), ("head", heads)]
    best = scores.test or scores.validation if scores else None
    if best is not None:
        value = task.measures(best)[0]
        rows.append((value.title, f"{with_interval(value)} of {best.images:,} images, {best.method}"))
    if run_folder is not None:
        rows.append(("run", str(run_folder)))
    return _table([], rows)


def with_interval(measure: Measure) -> str:
    """A score with its interval.

    >>> with_interval(Measure("accuracy", 0.912, 0.9, 0.93))
    '91.2 % [90.0, 93.0]'
    >>> with_interval(Measure("r_squared", 0.5, is_share=False))
    '0.5'
    """
    if measure.low is None or measure.high is None:
        return measure.text
    if measure.is_share:
        return f"{measure.text} [{100 * measure.low:.1f}, {100 * measure.high:.1f}]"
    return f"{measure.text} [{measure.low:.3g}, {measure.high:.3g}]"


def predictions_html(header: Sequence[str], rows: Sequence[Sequence[str]], *, more: int, skipped: int) -> str:
    """A table of the first predictions, with the numbers of further ones and of skipped files."""
    said = [f"{more:,} more"] if more else []
    if skipped:
        said.append(f"{skipped:,} files could not be used; see the attribute skipped")
    return _table(header, rows) + "".join(f"<p>{escape(one)}</p>" for one in said)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(printable(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table>{f'<thead><tr>{head}</tr></thead>' if header else ''}<tbody>{body}</tbody></table>"
