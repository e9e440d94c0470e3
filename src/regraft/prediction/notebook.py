"""How notebooks show models and predictions: as small tables in which all text is escaped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from regraft.storage.files import printable

if TYPE_CHECKING:
    from regraft.prediction.model import Model, Predictions

_ROWS = 20


def model_html(model: Model) -> str:
    """A table of a model's classes, network, head and accuracy."""
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
        value = model.task.measures(scores)[0]
        interval, scale, form = "", 100 if value.is_share else 1, ".1f" if value.is_share else ".3g"
        if value.low is not None and value.high is not None:
            interval = f" [{scale * value.low:{form}}, {scale * value.high:{form}}]"
        rows.append((value.title, f"{value.text}{interval} of {scores.images:,} images, {scores.method}"))
    if model.run_folder is not None:
        rows.append(("run", str(model.run_folder)))
    return _table([], rows)


def predictions_html(predictions: Predictions) -> str:
    """A table of the first predictions, and the number of further ones."""
    rows = [(row.path, row.label, _chance(row.probability)) for row in predictions.rows[:_ROWS]]
    more = len(predictions.rows) - len(rows)
    said = [f"{more:,} more"] if more else []
    if predictions.skipped:
        said.append(f"{len(predictions.skipped):,} files could not be used; see the attribute skipped")
    return _table(["image", "label", "probability"], rows) + "".join(f"<p>{escape(one)}</p>" for one in said)


def _chance(probability: float) -> str:
    return "–" if math.isnan(probability) else f"{100 * probability:.1f} %"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(printable(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table>{f'<thead><tr>{head}</tr></thead>' if header else ''}<tbody>{body}</tbody></table>"
