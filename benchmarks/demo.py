"""`regraft demo` in whole processes, each with an empty cache, with and without OpenVINO.

Run: python benchmarks/demo.py
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from typing import Any

from common import environment, regraft, save

RUNTIMES = ("openvino", "torch")


def timed(runtime: str) -> dict[str, Any]:
    """One run from an empty cache, then the same command again."""
    with tempfile.TemporaryDirectory() as folder:
        command = [*regraft(), "demo", "--out", f"{folder}/demo", "--runtime", runtime, "--json"]
        seconds = []
        for _ in range(2):
            started = time.perf_counter()
            done = subprocess.run(
                command, env=environment(folder), capture_output=True, text=True, check=True
            )
            seconds.append(round(time.perf_counter() - started, 1))
        found = json.loads(done.stdout)
        found.pop("run_folder")
        return {"runtime": runtime, "cold_s": seconds[0], "again_s": seconds[1], "found": found}


if __name__ == "__main__":
    rows = []
    for runtime in RUNTIMES:
        rows.append(timed(runtime))
        print({name: value for name, value in rows[-1].items() if name != "found"}, flush=True)
        save("demo", {"rows": rows})
