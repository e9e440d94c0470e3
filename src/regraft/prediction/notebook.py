"""How notebooks show models and predictions: as small tables in which all text is escaped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from regraft.storage.files import printable
from regraft.tasks.task import Measure

if TYPE_CHECKING:
    from regraft.prediction.model import Model, Predictions

_ROWS = 20


def model_html(model: Model) -> str:
    """A table of a model's outputs, network, head and best score."""
    labels = ", ".join(model.labels[:8]) + (
        f" and {len(model.labels) - 8} more" if len(model.labels) > 8 else ""
    )
    predicted = {
        "softmax": ("classes", f"{len(model.labels)}: {labels}"),
        "sigmoid": ("labels", f"{len(model.labels)}: {labels}"),
        "identity": ("predicts", "a number"),
    }
    rows = [
        predicted[model.task.link],
        ("network", model.weights.network),
        ("head", " + ".join(voter.head.record.kind for voter in model.voters)),
    ]
    scores = model.scores.test or model.scores.validation if model.scores else None
    if scores is not None:
        best = model.task.measures(scores)[0]
        rows.append((best.title, f"{with_interval(best)} of {scores.images:,} images, {scores.method}"))
    if model.run_folder is not None:
        rows.append(("run", str(model.run_folder)))
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


def predictions_html(predictions: Predictions) -> str:
    """A table of the first predictions, and the number of further ones."""
    shown = predictions.rows[:_ROWS]
    rows: list[tuple[str, ...]] = [(row.path, row.label, f"{100 * row.probability:.1f} %") for row in shown]
    header = ["image", "label", "probability"]
    if any(math.isnan(row.probability) for row in shown):
        header = ["image", *shown[0].answer.cells]
        rows = [(row.path, *row.answer.cells.values()) for row in shown]
    more = len(predictions.rows) - len(rows)
    said = [f"{more:,} more"] if more else []
    if predictions.skipped:
        said.append(f"{len(predictions.skipped):,} files could not be used; see the attribute skipped")
    return _table(header, rows) + "".join(f"<p>{escape(one)}</p>" for one in said)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(printable(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table>{f'<thead><tr>{head}</tr></thead>' if header else ''}<tbody>{body}</tbody></table>"
