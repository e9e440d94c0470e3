"""The command `regraft compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from regraft.cli.terminal.console import show_json, show_table
from regraft.cli.terminal.ladder_table import points, scored
from regraft.progress import duration
from regraft.records import Estimate
from regraft.tasks.task import Measure

if TYPE_CHECKING:
    from regraft.runs.comparison import Standoff


def compare(*runs: str, json: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Compare runs on the same test images, with significance tests.

    Runs are compared image by image: the difference in accuracy has a paired bootstrap interval, and
    McNemar's test (adjusted for the number of runs) says whether it is more than chance. Runs of classes that
    were all fitted with the same --measure are compared by that, with a sign-flip test. Images of a group,
    such as a patient, are drawn and exchanged together. Among the runs that can't be told apart from the
    best, the one that is cheapest to use is recommended.

    ```
    regraft compare runs/photos-resnet50-probe runs/photos-resnet50-full
    regraft compare runs/*
    ```

    Args:
        runs: Folders of finished runs that were evaluated on the same images.
        json: Print one JSON object instead of a table.
    """
    from regraft.detection.detectors.bundle import is_detector
    from regraft.evaluation.intervals.groups import by_group
    from regraft.runs.comparison import compare_runs

    if runs and all(is_detector(Path(run)) for run in runs):
        from regraft.cli.terminal.detection import show_standoffs
        from regraft.detection.run_comparison import compare_detector_runs

        show_standoffs(compare_detector_runs([Path(run) for run in runs]), json_lines=json)
        return 0
    found = compare_runs(runs)
    if json:
        runs_as_json = [_record(row) for row in found.rows]
        show_json(
            {"runs": runs_as_json, "recommended": str(found.recommended.folder), "reason": found.reason}
        )
        return 0
    first = found.rows[0].run
    images = f"{len(first.goodness):,} {first.side} images"
    title = f"{len(found.rows)} runs on the same {by_group(images, found.groups)}"
    header = [
        "run",
        "strategy",
        f"{first.merit.title}{' %' * first.merit.is_share}",
        "minus best, points" if first.merit.is_share else "minus best",
        "p",
        "verdict",
        "mult-adds",
        "bundle",
        "fit time",
    ]
    show_table(title, header, [_cells(row) for row in found.rows], right=[2, 3, 4, 6, 7, 8])
    print(f"recommended: {found.recommended.folder}, because {found.reason}")
    return 0


def _verdict(row: Standoff) -> str:
    if row.against_best is None:
        return row.run.merit.best_word
    return "worse" if row.is_apart else "can't be told apart"


def _cells(row: Standoff) -> list[str]:
    """The row of a run in the table."""
    run, pair, cost = row.run, row.against_best, row.run.multiply_adds
    return [
        str(run.folder),
        run.run.plan.strategy,
        scored(run.merit),
        "" if pair is None else _difference(run.merit, pair.difference),
        "" if pair is None else f"{row.p_value:.3f}",
        _verdict(row),
        "–" if cost is None else f"{cost / 1e9:.2f} G",
        f"{run.bundle_bytes / 1e6:.1f} MB",
        duration(run.fit_s),
    ]


def _record(row: Standoff) -> dict[str, Any]:
    """The object of a run in JSON."""
    run, pair = row.run, row.against_best
    return {
        "run": str(run.folder),
        "strategy": run.run.plan.strategy,
        "images": len(run.goodness),
        run.merit.name: run.merit.estimate.model_dump() if run.merit.estimate else None,
        "against_best": None if pair is None else pair.model_dump(),
        "p_value": row.p_value,
        "verdict": _verdict(row),
        "multiply_adds": run.multiply_adds,
        "bundle_bytes": run.bundle_bytes,
        "fit_s": run.fit_s,
    }


def _difference(merit: Measure, difference: Estimate) -> str:
    """A difference of goodness in the unit of the score, with its interval."""
    if merit.is_share:
        return points(difference)
    low, high = difference.low or 0.0, difference.high or 0.0
    return f"{-difference.value:+.3g} [{-high:+.3g}, {-low:+.3g}]"
