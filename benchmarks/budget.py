"""Whether the ladder keeps its budget, and what it makes of it: whole commands, each with an empty cache.

For each budget, data set and network: test accuracy, the time of the whole command against the budget (the
report, which the budget does not contain, is not written), the time of the first saved model, the rungs that
were tried, and how the times taken compare with those predicted. Other programs on the machine change all of
these, so the processor seconds of the command and the load before and after it are kept beside them. Rows
measured before are kept: a run continues where the last one stopped.

With BUSY processes (0 by default), as many endless loops run beside each command.

Run: python benchmarks/budget.py [BUDGET[,BUDGET...] [DATA[,DATA...] [NETWORK[,NETWORK...] [BUSY]]]]
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from common import commit, earlier, regraft, save, shared, timed_fit
from few_images import drawn

from regraft.arguments import seconds_in

BUDGETS = ("2m", "30s", "10m")
DATA = ("clothing", "trash6", "brain_mri", "omniglot_small1")
NETWORKS = ("mobilenetv1_100", "mobilenetv2_100")


def measured(budget: str, data: str, network: str, busy: int) -> dict[str, Any]:
    with busy_processes(busy), tempfile.TemporaryDirectory() as folder:
        drawn(data, None, 0, Path(folder))
        (table,) = Path(folder).glob("*.csv")
        out, used = Path(folder, "run"), children_s()
        command = [*regraft(), "fit", str(table), "--root", str(shared("data") / data), "--out", str(out)]
        command += ["--network", network, "--weights", str(shared("weights")), "--budget", budget]
        load = os.getloadavg()[0]
        first, whole = timed_fit([*command, "--no-report"], out, folder)
        scores = json.loads((out / "scores.json").read_text())
        rungs = json.loads((out / "ladder.json").read_text())["rows"]
        return {
            "budget": budget,
            "data": data,
            "network": network,
            "busy": busy,
            "commit": commit(),
            "test": scores["test"]["accuracy"],
            "whole_s": round(whole, 1),
            "over": round(whole / seconds_in(budget) - 1, 3),
            "first_model_s": round(first or whole, 1),
            "processor_s": round(children_s() - used, 1),
            "load": [round(load, 1), round(os.getloadavg()[0], 1)],
            "kept": [row["name"] for row in rungs if row["is_kept"]][-1],
            "tried": [row["name"] for row in rungs if row["took_s"] is not None and row["rung"]],
            "taken_to_predicted": {
                row["name"]: round(row["took_s"] / row["predicted_s"], 2)
                for row in rungs
                if row["predicted_s"] and row["took_s"] and row["took_s"] >= 0.5
            },
            "ladder": rungs,
        }


@contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """Endless loops, which stop at the end."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()


def children_s() -> float:
    """Processor seconds of all commands so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def listed(place: int, default: tuple[str, ...]) -> tuple[str, ...]:
    """The values of one argument, which are separated by commas."""
    return tuple(sys.argv[place].split(",")) if len(sys.argv) > place else default


if __name__ == "__main__":
    rows = earlier("budget")
    done = {(row["budget"], row["data"], row["network"], row.get("busy", 0)) for row in rows}
    busy = int(sys.argv[4]) if len(sys.argv) > 4 else 0
    for budget in listed(1, BUDGETS):
        for data in listed(2, DATA):
            for network in listed(3, NETWORKS):
                if (budget, data, network, busy) in done:
                    continue
                rows.append(measured(budget, data, network, busy))
                print({name: value for name, value in rows[-1].items() if name != "ladder"}, flush=True)
                save("budget", {"rows": rows})
