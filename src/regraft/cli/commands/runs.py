"""The command `regraft runs`."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from regraft.cli.terminal.console import show_json, show_table
from regraft.cli.terminal.ladder_table import scored
from regraft.errors import RegraftError, SettingsError
from regraft.progress import duration
from regraft.storage.tables import printable

if TYPE_CHECKING:
    from regraft.runs.reading import RunFiles


def runs(folder: Path = Path("runs"), /, *, json: Annotated[bool, Parameter(negative="")] = False) -> int:
    """List all runs in a folder, grouped by the images they were evaluated on, the most accurate first.

    Only runs on the same split can be compared; `regraft compare` tests whether they differ.

    ```
    regraft runs
    regraft runs experiments/ --json
    ```

    Args:
        folder: Folder in which to look for runs, at most two levels deep.
        json: Print JSON lines.
    """
    from regraft.runs.reading import runs_below

    if not folder.is_dir():
        raise SettingsError(
            f"{folder} is not a folder; `regraft fit` writes runs to the folder runs/ in the current folder"
        )
    found: list[RunFiles] = []
    for one in runs_below(folder):
        try:
            assert one.run
            assert one.best
            found.append(one)
        except RegraftError as error:
            print(f"left out: {error.with_flags}", file=sys.stderr)
    if not found:
        raise SettingsError(
            f"{folder} holds no finished run (a folder with run.json); give a folder that `regraft fit` has "
            "written, or the folder above it"
        )
    best_of: dict[str, float] = {}
    for one in found:
        key = one.run.split_sha256
        best_of[key] = max(best_of.get(key, -math.inf), one.headline.merit)
    found.sort(key=lambda one: (-best_of[one.run.split_sha256], one.run.split_sha256, -one.headline.merit))
    if json:
        for one in found:
            show_json(_record(one))
        return 0
    names = {one.headline.title for one in found}
    what = "score" if len(names) > 1 else f"{found[0].headline.title}{' %' * found[0].headline.is_share}"
    rows = [_row(one, is_named=len(names) > 1) for one in found]
    header = ["run", "data", "split", "network", "strategy", what, "images", "time"]
    show_table(f"{len(rows)} runs in {folder}", header, rows, right=[5, 6, 7])
    print(
        "runs on the same split can be compared: regraft compare RUN RUN; page of a run: regraft report RUN"
    )
    return 0


def _record(run: RunFiles) -> dict[str, object]:
    return {
        "run": str(run.folder),
        "data": run.run.data_root,
        "split": run.run.split_sha256,
        "network": run.run.plan.network,
        "strategy": run.run.plan.strategy,
        run.headline.name: run.headline.estimate.model_dump() if run.headline.estimate else None,
        "images": run.best.images,
        "judged_on": "test" if run.scores.test else "validation",
        "spent_s": round(run.spent_s, 1),
    }


def _row(run: RunFiles, *, is_named: bool) -> list[str]:
    score, unit = scored(run.headline), " %" if run.headline.is_share else ""
    return [
        str(run.folder),
        printable(Path(run.run.data_root.rstrip("/")).stem),
        run.run.split_sha256[:6],
        run.run.plan.network,
        run.run.plan.strategy,
        f"{run.headline.title} {score}{unit}" if is_named else score,
        f"{run.best.images:,} {'test' if run.scores.test else 'validation'}",
        duration(run.spent_s),
    ]
