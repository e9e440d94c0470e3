"""How long the first saved detector takes: a fit with an empty cache, stopped as soon as its run is there.

Wall-clock seconds, processor seconds of the command and its children, and what the run's log says about the
time before. `PYTHONPATH` chooses the code, so that two versions can be measured in turn on one machine.

Run: python benchmarks/first_detector.py LABEL [DATA [NETWORK [REPEATS]]]
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import RESULTS, commit, environment, regraft, save, shared


def measured(label: str, data: str, network: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        out, load, used = Path(folder, "run"), os.getloadavg()[0], children_s()
        command = [*regraft(), "fit", str(shared("data") / data), "--out", str(out), "--network", network]
        command += ["--budget", "2m", "--no-report"]
        if network != "tf_efficientnet_lite0":  # that one comes with the installation
            command += ["--weights", str(shared("weights"))]
        started = time.perf_counter()
        with tempfile.TemporaryFile("w+") as errors:
            process = subprocess.Popen(
                command, env=environment(folder), stdout=subprocess.DEVNULL, stderr=errors, text=True
            )
            while process.poll() is None and not (out / "run.json").exists():
                time.sleep(0.02)
            took = time.perf_counter() - started
            process.send_signal(signal.SIGINT)
            process.wait()
            errors.seek(0)
            said = errors.read()
        assert (out / "run.json").exists(), said
        scores = json.loads((out / "scores.json").read_text())["validation"]
        return {
            "label": label,
            "data": data,
            "network": network,
            "commit": commit(),
            "first_detector_s": round(took, 1),
            "processor_s": round(children_s() - used, 1),
            "map50": scores["map50"],
            "method": scores["method"],
            "images": scores["images"],
            "load": [round(load, 1), round(os.getloadavg()[0], 1)],
            "phases": phases(out / "log.jsonl"),
        }


def phases(path: Path) -> list[dict[str, Any]]:
    """What the run's log says took how long."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [
        {name: row[name] for name in ("time", "name", "total", "wall_s")}
        for row in rows
        if row["kind"] == "phase"
    ]


def children_s() -> float:
    """Processor seconds of all child processes so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    label, data, network, repeats = [
        *sys.argv[1:5],
        *("", "det_bccd", "mobilenetv1_100", "1")[len(sys.argv) - 1 :],
    ]
    path = RESULTS / "first_detector.json"
    rows = json.loads(path.read_text())["rows"] if path.exists() else []
    for _ in range(int(repeats)):
        rows.append(measured(label, data, network))
        print(json.dumps({name: value for name, value in rows[-1].items() if name != "phases"}))
        save("first_detector", {"rows": rows})


if __name__ == "__main__":
    main()
