"""How notebooks show models and predictions: as small tables in which all text is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from regraft.records import Scores
from regraft.storage.tables import printable
from regraft.tasks.score_sheet import ScoreSheet

_ROWS = 20


def model_html(
    *, labels: Sequence[str], network: str, heads: str, scores: ScoreSheet | None, run_folder: Path | None
) -> str:
    """A table of a model's classes, network, heads and accuracy."""
    shown = ", ".join(labels[:8]) + (f" and {len(labels) - 8} more" if len(labels) > 8 else "")
    rows = [
        ("classes", f"{len(labels)}: {shown}"),
        ("network", network),
        ("head", heads),
    ]
    best = scores.test or scores.validation if scores else None
    if isinstance(best, Scores):
        value = best.accuracy
        interval = ""
        if value.low is not None and value.high is not None:
            interval = f" [{100 * value.low:.1f}, {100 * value.high:.1f}]"
        rows.append(
            ("accuracy", f"{100 * value.value:.1f} %{interval} of {best.images:,} images, {best.method}")
        )
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
