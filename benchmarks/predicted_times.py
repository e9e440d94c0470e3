"""How well the ladder predicts its times: what each kind of rung took, as a multiple of the prediction.

    python benchmarks/predicted_times.py RUN...     tabulate finished runs
    python benchmarks/predicted_times.py            fit each data set first, in an empty cache, then tabulate

A kind is what a rung does (ridge, logistic, SVM, training, ...). A prediction that is half or twice the time
taken is off by a factor of two: the table shows the median of those factors, and the median ratio, which is
above one where predictions are too short. Rungs of less than half a second are mostly overhead and left out.
Runs are read from `ladder.json`, in which every rung has its predicted and its measured seconds.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from common import environment, regraft, save, shared

DATA = ("clothing", "trash6", "brain_mri", "omniglot_small1")
BUDGET = "5m"
_LEAST_S = 0.5


def fitted(data: str, folder: Path) -> Path:
    """The run folder of a fit by the ladder."""
    out = folder / data
    command = [*regraft(), "fit", str(shared("data") / data), "--budget", BUDGET, "--out", str(out)]
    subprocess.run([*command, "--no-report"], env=environment(str(folder / f"{data}-own")), check=True)
    return out


def rungs_of(run: Path) -> list[dict[str, Any]]:
    """The rungs of a finished run that were both predicted and tried."""
    rows = json.loads((run / "ladder.json").read_text())["rows"]
    return [
        {
            "run": run.name,
            "rung": row["name"],
            "kind": kind_of(row["name"]),
            "predicted_s": row["predicted_s"],
            "took_s": row["took_s"],
        }
        for row in rows
        if row["predicted_s"] and row["took_s"] and row["took_s"] >= _LEAST_S
    ]


def kind_of(name: str) -> str:
    """What a rung does, without the stages that it reads or trains.

    >>> [kind_of(name) for name in ("SVM @ blocks.3", "train everything at 0.001", "ridge @ conv_head")]
    ['SVM', 'train', 'ridge']
    """
    return "train" if name.startswith("train ") else re.split(r" @ |, ", name)[0]


def summary(rungs: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """For each kind: how many rungs, the median ratio of taken to predicted, and the median factor."""
    kinds = dict.fromkeys(rung["kind"] for rung in rungs)
    return {kind: _summed(rung for rung in rungs if rung["kind"] == kind) for kind in kinds}


def _summed(rungs: Iterable[dict[str, Any]]) -> dict[str, float]:
    ratios = [rung["took_s"] / rung["predicted_s"] for rung in rungs]
    return {
        "rungs": len(ratios),
        "median_ratio": round(median(ratios), 2),
        "median_factor": round(median(max(ratio, 1 / ratio) for ratio in ratios), 2),
        "worst_factor": round(max(max(ratio, 1 / ratio) for ratio in ratios), 2),
    }


def main(runs: Sequence[str]) -> int:
    with tempfile.TemporaryDirectory() as folder:
        places = [Path(run) for run in runs] or [fitted(data, Path(folder)) for data in DATA]
        rungs = [rung for place in places for rung in rungs_of(place)]
    table = summary(rungs)
    print("| kind of rung | rungs | taken / predicted, median | off by a factor of, median | worst |")
    print("|---|---|---|---|---|")
    for kind, row in table.items():
        print(
            f"| {kind} | {row['rungs']} | {row['median_ratio']} | {row['median_factor']} "
            f"| {row['worst_factor']} |"
        )
    save("predicted_times", {"summary": table, "rungs": rungs})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
