"""Whether a detector is better on a network that was fine-tuned on the crops of its own boxes.

`regraft crops`, a classifier of the crops whose whole network is trained, then two detectors with the same
budget: on the network as it comes, and `--from` the classifier; compared on the same test pictures. Steps
that were done in the folder are not repeated. A short budget (1s) keeps the grid, the first detector, so that
the result does not depend on how busy the machine is.

Run: python benchmarks/detector_start.py FOLDER [BUDGET [EPOCHS [DATA [NETWORK]]]]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from common import commit, earlier, environment, regraft, save, shared

SIDE_PX = 96
"""Crops of cells are about as large; the canvas of a detector shows them not much smaller."""


def called(*words: str | Path, folder: Path) -> tuple[float, str]:
    """Seconds that a command took, and what it printed."""
    started = time.perf_counter()
    done = subprocess.run(
        [*regraft(), *map(str, words)],
        env=environment(str(folder)),
        check=True,
        capture_output=True,
        text=True,
    )
    return time.perf_counter() - started, done.stdout


def fitted(out: Path, *words: str | Path, folder: Path) -> dict[str, Any]:
    """What a fit left; it is not repeated if it is finished."""
    took = None
    if not (out / "run.json").exists():
        took, _ = called("fit", *words, "--out", out, "--no-report", folder=folder)
    scores = json.loads((out / "scores.json").read_text())
    best = scores["test"] or scores["validation"]
    facts: dict[str, Any] = {"took_s": None if took is None else round(took, 1)}
    facts |= {name: best[name] for name in ("accuracy", "map50", "map", "map75") if name in best}
    if (out / "ladder.json").exists():
        facts["ladder"] = json.loads((out / "ladder.json").read_text())["rows"]
    lineage = json.loads((out / "bundle" / "bundle.json").read_text())["lineage"]
    return facts | {"lineage": [Path(one).name for one in lineage]}


def main() -> None:
    folder = Path(sys.argv[1])
    budget, epochs, data, network = [
        *sys.argv[2:6],
        *("2m", "2", "det_bccd", "mobilenetv1_100")[len(sys.argv) - 2 :],
    ]
    source, load = shared("data") / data, os.getloadavg()[0]
    named = ["--network", network, "--weights", str(shared("weights"))]
    if not (folder / "crops" / "crops.csv").exists():
        called("crops", source, "--out", folder / "crops", folder=folder)
    training = ["--strategy", "full", "--image-size", str(SIDE_PX), "--epochs", epochs, "--balanced"]
    crops = folder / "crops" / "crops.csv"
    classifier = fitted(folder / f"classifier-{epochs}", crops, *named, *training, folder=folder)
    plain, start = folder / f"plain-{budget}", folder / f"start-{budget}-{epochs}"
    row = {
        "budget": budget,
        "data": data,
        "network": network,
        "commit": commit(),
        "classifier": {"epochs": int(epochs), "side_px": SIDE_PX, **classifier},
        "plain": fitted(plain, source, *named, "--budget", budget, folder=folder),
        "from_crops": fitted(
            start,
            source,
            "--from",
            folder / f"classifier-{epochs}",
            "--budget",
            budget,
            folder=folder,
        ),
        "compared": json.loads(
            called("compare", plain, start, "--json", folder=folder)[1].replace(f"{folder}/", "")
        ),
        "load": [round(load, 1), round(os.getloadavg()[0], 1)],
    }
    rows = [one for one in earlier("detector_start") if (one["budget"], one["data"]) != (budget, data)]
    save("detector_start", {"rows": [*rows, row]})
    print(json.dumps({name: value for name, value in row.items() if name != "ladder"}, indent=1))


if __name__ == "__main__":
    main()
