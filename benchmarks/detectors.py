"""The ladder of detectors: whole commands, each with an empty cache.

For each budget, data set, network and seed: test scores, the time of the whole command and of the first saved
detector, processor seconds, and every rung with its score and its time. Rows measured before are kept: a run
continues where the last one stopped.

Run: python benchmarks/detectors.py [BUDGET[,BUDGET...] [DATA[,DATA...] [NETWORK[,NETWORK...] [SEED,...]]]]
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
from pathlib import Path
from typing import Any

from common import commit, earlier, regraft, save, shared, timed_fit

BUDGETS = ("2m", "5m")
DATA = ("det_bccd", "det_forkscissors")
NETWORKS = ("mobilenetv1_100", "tf_efficientnet_lite0")
SEEDS = ("0", "1")


def measured(budget: str, data: str, network: str, seed: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        out, used, load = Path(folder, "run"), children_s(), os.getloadavg()[0]
        command = [*regraft(), "fit", str(shared("data") / data), "--out", str(out), "--seed", seed]
        command += ["--network", network, "--budget", budget, "--no-report"]
        if network != "tf_efficientnet_lite0":  # that one comes with the installation
            command += ["--weights", str(shared("weights"))]
        first, whole = timed_fit(command, out, folder)
        scores = json.loads((out / "scores.json").read_text())
        best = scores["test"] or scores["validation"]
        rungs = json.loads((out / "ladder.json").read_text())["rows"]
        return {
            "budget": budget,
            "data": data,
            "network": network,
            "seed": int(seed),
            "commit": commit(),
            "pictures": best["images"],
            **{name: best[name] for name in ("map50", "map", "map75")},
            "baseline_map50": scores["baseline"]["map50"],
            "calibration": calibration_error(out),
            "whole_s": round(whole, 1),
            "first_detector_s": round(first or whole, 1),
            "processor_s": round(children_s() - used, 1),
            "load": [round(load, 1), round(os.getloadavg()[0], 1)],
            "threads": os.environ.get("OMP_NUM_THREADS", ""),
            "kept": [row["name"] for row in rungs if row["is_kept"]][-1],
            "ladder": rungs,
        }


def calibration_error(run: Path) -> float | None:
    """How far probabilities are from the share of boxes that is right, over ten groups of boxes."""
    import numpy as np

    from regraft.detection.detectors.evaluated import evaluated
    from regraft.detection.detectors.run_files import DetectorFiles
    from regraft.evaluation.matching import IGNORED, RIGHT

    matches = evaluated(DetectorFiles(run)).matches
    counted = matches.outcomes[0, 0] != IGNORED
    scores, hits = matches.scores[counted], matches.outcomes[0, 0][counted] == RIGHT
    groups = np.minimum((10 * scores).astype(int), 9)
    gaps = [abs(scores[groups == one].sum() - hits[groups == one].sum()) for one in range(10)]
    return round(float(sum(gaps) / len(scores)), 4) if len(scores) else None


def children_s() -> float:
    """Processor seconds of all child processes so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    given = [argument.split(",") for argument in sys.argv[1:5]]
    usual = [list(each) for each in (BUDGETS, DATA, NETWORKS, SEEDS)]
    budgets, several, networks, seeds = [*given, *usual[len(given) :]]
    rows = earlier("detectors")
    done = {(row["budget"], row["data"], row["network"], row["seed"]) for row in rows}
    for data in several:
        for network in networks:
            for budget in budgets:
                for seed in seeds:
                    if (budget, data, network, int(seed)) not in done:
                        rows.append(measured(budget, data, network, seed))
                        print({name: value for name, value in rows[-1].items() if name != "ladder"})
                        save("detectors", {"rows": rows})


if __name__ == "__main__":
    main()
