"""Processor seconds of `regraft advise`: with an empty cache, and on a second data set after a first one.

    python benchmarks/advice.py [DATA[,DATA...]]

Each row is one command. Processor seconds include child processes. `beyond_extraction_s` is what remains
without the passes of all its images through the open network, which are measured alone, in this process. Rows
of other commits are kept, so the table compares versions: to measure an older one, put its `src` first on
PYTHONPATH and name its commit in $MEASURED_COMMIT.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import commit, earlier, environment, regraft, save, shared

from regraft.features.extraction import extract
from regraft.features.opening import open_runtime
from regraft.networks.weights.finding import find_weights
from regraft.progress import Silent
from regraft.workflow.check import load_images

DATA = ("brain_mri", "clothing/train")
SECOND = "cherry_hemlock"
NETWORK = "tf_efficientnet_lite0"  # what the command chooses where nothing but Regraft is installed


def advised(data: str, folder: str, cache: str) -> dict[str, Any]:
    """One command, with the processor seconds of its process and of its children."""
    before, load = children_s(), os.getloadavg()[0]
    started = time.perf_counter()
    command = [*regraft(), "advise", str(shared("data") / data), "--out", str(Path(folder, "plan.toml"))]
    subprocess.run([*command, "--overwrite"], env=environment(folder), check=True, capture_output=True)
    used, wall = children_s() - before, time.perf_counter() - started
    extraction = extraction_s(data)
    return {
        "commit": os.environ.get("MEASURED_COMMIT") or commit(),
        "data": data,
        "cache": cache,
        "processor_s": round(used, 1),
        "extraction_s": round(extraction, 1),
        "beyond_extraction_s": round(used - extraction, 1),
        "wall_s": round(wall, 1),
        "load": [round(load, 1), round(os.getloadavg()[0], 1)],
    }


def extraction_s(data: str) -> float:
    """Processor seconds in which all images of a data set are decoded and go through the open network."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["REGRAFT_CACHE"] = folder
        images, weights = load_images(shared("data") / data), find_weights(NETWORK, offline=True)
        runtime = open_runtime(weights, reporter=Silent())
        started = time.process_time()
        extract(images, runtime, weights.input_spec)
        return time.process_time() - started


def children_s() -> float:
    """Processor seconds of all commands so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main(names: list[str]) -> int:
    rows = earlier("advice")
    for data in names:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(advised(data, folder, "empty"))
            print(rows[-1], flush=True)
            save("advice", {"rows": rows})
            if data == names[0]:
                rows.append(advised(SECOND, folder, f"after {data}"))
                print(rows[-1], flush=True)
                save("advice", {"rows": rows})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1].split(",") if len(sys.argv) > 1 else list(DATA)))
