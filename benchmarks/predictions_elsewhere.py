"""What predictions cost that workers of Ray compute, against those of one process.

A probe on mobilenetv1_100 is fitted to a few photos of each kind of rubbish, then predicts many: by one
process of one thread, by one actor and by two. Processor time for an image is measured as in `executors.py`,
by a straight line through the whole tree of processes, so that starting up is not counted; blocks and shards
have 32 images, so that the line has points. All files of predictions are compared, byte by byte.

Run: python benchmarks/predictions_elsewhere.py   (10 minutes, with Ray)
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from common import regraft, save, shared
from executors import NETWORK, SHARD_ROWS, copied, cost, environment

IMAGES, ROUNDS = 960, 2
COMMAND = """
import sys
import regraft.cli.terminal.prediction_request as request
import regraft.jobs.predict as jobs
request.BLOCK_IMAGES = jobs._SHARD_IMAGES = int(sys.argv[1])
if sys.argv[2] != "all":
    import regraft.execution.ray_executor as executor
    executor.count_cores = lambda: int(sys.argv[2])
if sys.argv[2] == "1":
    import regraft.prediction.model as model
    model.count_cores = lambda: 1
    import regraft.features.openvino_runtime as runtime
    runtime.count_cores = lambda: 1
from regraft.cli.app import run
sys.exit(run(sys.argv[3:]))
"""
KINDS = {
    "one process, one thread": ("1", ()),
    "one actor": ("1", ("--executor", "ray")),
    "two actors": ("2", ("--executor", "ray")),
}


def main() -> None:
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        images = copied(base / "images", IMAGES)
        fit = ["fit", str(copied(base / "few", 60)), "--network", NETWORK, "--strategy", "probe", "--offline"]
        fit += ["--weights", str(shared("weights")), "--no-report", "--out", str(base / "run")]
        subprocess.run([*regraft(), *fit], env=environment(base / "single"), check=True)
        written: dict[str, bytes] = {}
        for number in range(ROUNDS):
            for name, (cores, flags) in KINDS.items():
                out = base / f"{name}-{number}.csv"
                start = [sys.executable, "-c", COMMAND, str(SHARD_ROWS), cores, "predict", str(base / "run")]

                def blocks(_: Path, out: Path = out) -> int:
                    return SHARD_ROWS * len(list(base.glob(f".{out.name}.*.partial/*.rows")))

                rows.append(cost(base, name, [*start, str(images), "-o", str(out), *flags], blocks))
                written[out.name] = out.read_bytes()
                print(rows[-1], flush=True)
    what = ("processor_ms_an_image", "of_the_first_process", "of_ray_itself")
    median = {
        name: {each: float(np.median([row[each] for row in rows if row["run"] == name])) for each in what}
        for name in KINDS
    }
    results = {
        "network": NETWORK,
        "ray": metadata.version("ray"),
        "images": IMAGES,
        "rows": rows,
        "median": median,
        "different_files": len(set(written.values())),
        "files": len(written),
    }
    save("predictions_elsewhere", results)
    print(median, results["different_files"])


if __name__ == "__main__":
    main()
