"""fastai's `fine_tune(4)` on cases of `regret.py`, for `regret_table.py`; in an environment of its own.

Run: python benchmarks/regret_fastai.py [IMAGES_A_CLASS ...]
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import earlier, save, shared
from fastai_frozen import HERE, peer_python
from few_images import drawn
from regret import CASES, NETWORKS


def as_folders(table: Path, root: Path, target: Path) -> None:
    """The images of a table as links, a folder per side and class."""
    with table.open(newline="") as file:
        for number, row in enumerate(csv.DictReader(file)):
            place = target / row["split"] / row["label"] / f"{number}{Path(row['path']).suffix}"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(root / row["path"])


if __name__ == "__main__":
    wanted = [int(count) for count in sys.argv[1:]] or [5, 20, 100]
    rows = earlier("regret_fastai")
    done = {(row["network"], row["data"], row["per_class"], row["draw"]) for row in rows}
    network = NETWORKS[0]
    for data, count in CASES:
        if count not in wanted or (network, data, count, 0) in done:
            continue
        with tempfile.TemporaryDirectory() as folder:
            os.environ["REGRAFT_CACHE"] = folder
            drawn(data, count, 0, Path(folder))
            (table,) = Path(folder).glob("*.csv")
            as_folders(table, shared("data") / data, Path(folder, "images"))
            script = str(HERE / "peers" / "fastai_fine_tune.py")
            command = [
                peer_python(),
                script,
                str(Path(folder, "images")),
                str(shared("weights")),
                network,
                "0",
                "4",
            ]
            started = time.perf_counter()
            finished = subprocess.run(command, capture_output=True, text=True, check=True)
            said = json.loads(finished.stdout.strip().splitlines()[-1])
            row = {"network": network, "data": data, "per_class": count, "draw": 0, "test": said["accuracy"]}
            rows.append({**row, "wall_s": round(time.perf_counter() - started, 1)})
            print(rows[-1], flush=True)
            save("regret_fastai", {"rows": rows})
