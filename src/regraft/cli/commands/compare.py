"""The command `regraft compare`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from regraft.cli.terminal.console import show_json, show_table
from regraft.cli.terminal.ladder_table import percent, points
from regraft.progress import duration


def compare(*runs: str, json: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Compare runs on the same test images, with significance tests.

    Runs are compared image by image: the difference in accuracy has a paired bootstrap interval, and
    McNemar's test (adjusted for the number of runs) says whether it is more than chance. Among the runs that
    can't be told apart from the best, the one that is cheapest to use is recommended.

    ```
    regraft compare runs/photos-resnet50-probe runs/photos-resnet50-full
    regraft compare runs/*
    ```

    Args:
        runs: Folders of finished runs that were evaluated on the same images.
        json: Print one JSON object instead of a table.
    """
    from regraft.runs.comparison import compare_runs

    found = compare_runs(runs)
    rows, lines = [], []
    for row in found.rows:
        run, pair = row.run, row.against_best
        verdict = "the most accurate" if pair is None else "worse" if row.is_apart else "can't be told apart"
        cost = run.multiply_adds
        difference = "" if pair is None else points(pair.difference)
        rows.append(
            [
                str(run.folder),
                run.run.plan.strategy,
                percent(run.accuracy),
                difference,
                "" if pair is None else f"{row.p_value:.3f}",
                verdict,
                "–" if cost is None else f"{cost / 1e9:.2f} G",
                f"{run.bundle_bytes / 1e6:.1f} MB",
                duration(run.fit_s),
            ]
        )
        lines.append(
            {
                "run": str(run.folder),
                "strategy": run.run.plan.strategy,
                "images": len(run.rights),
                "accuracy": run.accuracy.model_dump(),
                "against_best": None if pair is None else pair.model_dump(),
                "p_value": row.p_value,
                "verdict": verdict,
                "multiply_adds": cost,
                "bundle_bytes": run.bundle_bytes,
                "fit_s": run.fit_s,
            }
        )
    if json:
        show_json({"runs": lines, "recommended": str(found.recommended.folder), "reason": found.reason})
        return 0
    first = found.rows[0].run
    title = f"{len(rows)} runs on the same {len(first.rights):,} {first.side} images"
    header = [
        "run",
        "strategy",
        "accuracy %",
        "minus best, points",
        "p",
        "verdict",
        "mult-adds",
        "bundle",
        "fit time",
    ]
    show_table(title, header, rows, right=[2, 3, 4, 6, 7, 8])
    print(f"recommended: {found.recommended.folder}, because {found.reason}")
    return 0
