"""From the command to a saved, scored model: 1,000 photos, nothing cached; and the whole ladder on trash6.

Whole processes, each with an empty cache. The time of the first model is that of the first complete run
folder.

Run: python benchmarks/first_model.py [RUNS]
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from common import regraft, save, shared, timed_fit
from few_images import drawn

BUDGET = "2m"


def timed(data: str, per_class: int | None) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        drawn(data, per_class, 0, Path(folder))
        (table,) = Path(folder).glob("*.csv")
        out = Path(folder, "run")
        command = [*regraft(), "fit", str(table), "--root", str(shared("data") / data), "--out", str(out)]
        command += ["--network", "mobilenetv1_100", "--weights", str(shared("weights")), "--budget", BUDGET]
        first, whole = timed_fit(command, out, folder)
        scores = json.loads((out / "scores.json").read_text())
        ladder = json.loads((out / "ladder.json").read_text())
        kept = [row["name"] for row in ladder["rows"] if row["is_kept"]]
        return {
            "data": data,
            "images": scores["validation"]["images"],
            "first_model_s": round(first or whole, 2),
            "whole_s": round(whole, 2),
            "test": scores["test"]["accuracy"],
            "kept": kept[-1],
            "ladder": ladder["rows"],
        }


if __name__ == "__main__":
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    rows = []
    for _ in range(runs):
        for data, per_class in (("clothing", 100), ("trash6", None)):
            rows.append(timed(data, per_class))
            print({name: value for name, value in rows[-1].items() if name != "ladder"}, flush=True)
    pairs = [
        (r["predicted_s"], r["took_s"])
        for row in rows
        for r in row["ladder"]
        if r["predicted_s"] and r["took_s"]
    ]
    errors = [abs(predicted / took - 1) for predicted, took in pairs if took >= 0.5]
    save(
        "first_model",
        {"budget": BUDGET, "median_prediction_error": round(float(np.median(errors)), 3), "rows": rows},
    )
