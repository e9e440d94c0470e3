"""`regraft demo` in whole processes, each with an empty cache, with and without OpenVINO.

Run: python benchmarks/demo.py [openvino|torch ...]
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from typing import Any

from common import commit, earlier, environment, regraft, save

RUNTIMES = ("openvino", "torch")


def timed(runtime: str) -> dict[str, Any]:
    """One run from an empty cache, then the same command again."""
    with tempfile.TemporaryDirectory() as folder:
        command = [*regraft(), "demo", "--out", f"{folder}/demo", "--runtime", runtime, "--json"]
        seconds, processor = [], []
        for _ in range(2):
            started, used = time.perf_counter(), processor_s()
            done = subprocess.run(
                command, env=environment(folder), capture_output=True, text=True, check=True
            )
            seconds.append(round(time.perf_counter() - started, 1))
            processor.append(round(processor_s() - used, 1))
        found = json.loads(done.stdout)
        found.pop("run_folder")
        return {
            "runtime": runtime,
            "cold_s": seconds[0],
            "cold_processor_s": processor[0],
            "again_s": seconds[1],
            "again_processor_s": processor[1],
            "found": found,
        }


def processor_s() -> float:
    """Processor seconds of all finished child processes: what a busy machine doesn't stretch."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    wanted = sys.argv[1:] or list(RUNTIMES)
    rows = [row for row in earlier("demo") if row["runtime"] not in wanted]
    for runtime in wanted:
        rows.append({"commit": commit(), **timed(runtime)})
        print({name: value for name, value in rows[-1].items() if name != "found"}, flush=True)
        save("demo", {"rows": rows})
