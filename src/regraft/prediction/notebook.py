"""How notebooks show models and predictions: as small tables in which all text is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from regraft.storage.tables import printable
from regraft.tasks.score_sheet import ScoreSheet
from regraft.tasks.task import Task

_ROWS = 20


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
        interval, scale, form = "", 100 if value.is_share else 1, ".1f" if value.is_share else ".3g"
        if value.low is not None and value.high is not None:
            interval = f" [{scale * value.low:{form}}, {scale * value.high:{form}}]"
        rows.append((value.title, f"{value.text}{interval} of {best.images:,} images, {best.method}"))
    if run_folder is not None:
        rows.append(("run", str(run_folder)))
    return _table([], rows)


def predictions_html(answers: Sequence[tuple[str, str, float]], *, skipped: int) -> str:
    """A table of the first predictions as path, label and probability, and the number of further ones."""
    rows = [(path, label, f"{100 * probability:.1f} %") for path, label, probability in answers[:_ROWS]]
    more = len(answers) - len(rows)
    said = [f"{more:,} more"] if more else []
    if skipped:
        said.append(f"{skipped:,} files could not be used; see the attribute skipped")
    return _table(["image", "label", "probability"], rows) + "".join(f"<p>{escape(one)}</p>" for one in said)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(printable(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table>{f'<thead><tr>{head}</tr></thead>' if header else ''}<tbody>{body}</tbody></table>"
