"""Processor seconds of `regraft advise`: with an empty cache, and on a second data set after a first one.

    python benchmarks/advice.py [DATA[,DATA...]]

Each row is one command. Processor seconds include child processes; those of the extraction of features are
not taken out. Rows of other commits are kept, so the table compares versions: to measure an older one, put
its `src` first on PYTHONPATH and name its commit in $MEASURED_COMMIT.
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

DATA = ("brain_mri", "clothing/train")
SECOND = "cherry_hemlock"


def advised(data: str, folder: str, cache: str) -> dict[str, Any]:
    """One command, with the processor seconds of its process and of its children."""
    before, load = children_s(), os.getloadavg()[0]
    started = time.perf_counter()
    command = [*regraft(), "advise", str(shared("data") / data), "--out", str(Path(folder, "plan.toml"))]
    subprocess.run([*command, "--overwrite"], env=environment(folder), check=True, capture_output=True)
    return {
        "commit": os.environ.get("MEASURED_COMMIT") or commit(),
        "data": data,
        "cache": cache,
        "processor_s": round(children_s() - before, 1),
        "wall_s": round(time.perf_counter() - started, 1),
        "load": [round(load, 1), round(os.getloadavg()[0], 1)],
    }


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
