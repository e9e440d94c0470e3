"""One model trained by two processes: its loss curve, its speed, and what is left when one is stopped.

Two processes of gloo on one machine, by `regraft fit --devices 2` and by torchrun. Curves and kills: LeNet-5
from scratch on 542 small images, with a moving average and changing views; a checkpoint at every opportunity,
and every step takes 20 ms longer, so that signals fall into the training. A run is stopped at a random
moment, either of its processes with -9 or with Ctrl-C, and run again: all files but times must be those of a
run that was not stopped. Speed: mobilenetv1_100, all stages at 128 pixels, on photos whose pixels are kept;
one process with one thread, one with two, and two with one each, in turn. Only ratios mean anything on a
shared machine. Processor seconds are those of six epochs minus those of two, so that starting costs nothing.

Run: python benchmarks/several_processes.py [ROUNDS] [SPEED_ROUNDS]
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import save, shared

from regraft.lab.digits import write_digits

SLOWED = """
import os, sys, time
from regraft.cli.app import run
from regraft.training.loop import engine, steps

engine.CHECKPOINT_EVERY_S = 0.0
whole = steps.Stepper.step

def step(self, *batch):
    time.sleep(float(os.environ["PACE_S"]))
    whole(self, *batch)

steps.Stepper.step = step
if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
"""
FIT = [
    "--network", "lenet5", "--strategy", "scratch", "--epochs", "8", "--runtime", "torch", "--lr", "0.003",
    "--effective-batch", "32", "--ema", "0.9", "--augment", "crop", "--views", "2", "--no-report", "--json",
]  # fmt: skip
TIMED = {"log.jsonl", "metrics.jsonl", "metrics.csv"}
WAYS = ("devices", "torchrun")
SPEED = [
    "--network", "mobilenetv1_100", "--image-size", "128", "--strategy", "full",
    "--runtime", "torch", "--head-start", "zero", "--effective-batch", "32", "--augment", "none", "--cache",
    "always", "--train-precision", "fp32", "--test-share", "0.2", "--no-report", "--json",
]  # fmt: skip


def content(folder: Path) -> dict[str, str]:
    """The hash of every file of a run but those with times."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name not in TIMED)
    files = (path for path in files if path.suffix != ".tmp")
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def losses(folder: Path) -> list[float]:
    """The training loss of each epoch."""
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [row["train_loss"] for row in map(json.loads, lines) if "train_loss" in row]


def descendants(process: int) -> list[int]:
    """The numbers of all processes that a process has started, and those have started."""
    found: list[int] = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == process:
            child = int(path.parent.name)
            found += [child, *descendants(child)]
    return found


class Bench:
    """Starts fits of small images by two processes, each with a cache of its own."""

    def __init__(self, base: Path) -> None:
        self.base, self.script = base, base / "slowed.py"
        self.script.write_text(SLOWED)
        write_digits(base / "digits", (5, 6, 7))

    def start(self, way: str, name: str, *, pace_s: float = 0.02) -> subprocess.Popen[bytes]:
        """Begin a fit: `alone`, or by `devices` or `torchrun`."""
        before = [sys.executable, "-W", "ignore"]
        if way == "torchrun":
            before += ["-m", "torch.distributed.run", "--nproc-per-node", "2"]
        command = [*before, str(self.script), "fit", str(self.base / "digits"), *FIT]
        command += ["--out", str(self.base / name), *(["--devices", "2"] if way == "devices" else [])]
        env = {**os.environ, "REGRAFT_CACHE": str(self.base / f"cache-{name}"), "PACE_S": str(pace_s)}
        log = (self.base / f"{name}.txt").open("ab")
        return subprocess.Popen(command, env=env, stdout=log, stderr=log)

    def ranks(self, way: str, running: subprocess.Popen[bytes]) -> list[int]:
        """The numbers of the two processes, the first one first; fewer while they start."""
        if way == "devices":
            return [running.pid, *descendants(running.pid)[:1]]
        ranked = {}
        for child in descendants(running.pid):
            try:
                environment = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
            except OSError:
                continue
            ranked |= {int(one[5:]): child for one in environment if re.fullmatch(rb"RANK=\d", one)}
        return [ranked[rank] for rank in sorted(ranked)]

    def stop(
        self, way: str, name: str, rank: int, by: signal.Signals, moment: random.Random
    ) -> dict[str, Any]:
        """Begin a fit, signal one of its processes while it trains, wait for all, and run it again."""
        running = self.start(way, name)
        folder = self.base / f"cache-{name}" / "training"
        while running.poll() is None and not any(folder.glob("*/checkpoint.safetensors")):
            time.sleep(0.05)
        time.sleep(moment.uniform(0, 2.0))
        ranks, started = self.ranks(way, running), time.perf_counter()
        os.kill(ranks[rank], by)
        code = running.wait()
        ended_s = time.perf_counter() - started
        left = [one for one in ranks if Path(f"/proc/{one}").exists()]
        until = time.monotonic() + 60
        while time.monotonic() < until and any(Path(f"/proc/{one}").exists() for one in left):
            time.sleep(0.1)
        still = [one for one in left if Path(f"/proc/{one}").exists()]
        again = self.start(way, name).wait()
        return {
            "way": way, "rank": rank, "signal": by.name, "exit": code, "ended_s": round(ended_s, 2),
            "processes_left": len(still), "exit_again": again,
        }  # fmt: skip


def speed(base: Path, rounds: int) -> dict[str, Any]:
    """Images per second and processor seconds of each way, in turn."""
    photos, weights = shared("data") / "brain_mri", shared("weights")
    ways = {
        "one process, one thread": ("1", []),
        "one process, two threads": ("2", []),
        "two processes, one thread each": ("1", ["--devices", "2"]),
    }
    rows: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
    for number in range(rounds):
        for index, (way, (threads, extra)) in enumerate(ways.items()):
            spent, fastest = {}, 0.0
            for epochs in (2, 6):
                out = base / f"speed-{index}-{number}-{epochs}"
                env = {
                    **os.environ,
                    "OMP_NUM_THREADS": threads,
                    "REGRAFT_CACHE": str(base / "cache-speed"),
                }
                command = [sys.executable, "-m", "regraft", "fit", str(photos), *SPEED]
                command += ["--weights", str(weights), "--seed", str(number), "--epochs", str(epochs)]
                before = children_cpu_s()
                subprocess.run(
                    [*command, "--out", str(out), *extra], env=env, check=True, capture_output=True
                )
                spent[epochs] = children_cpu_s() - before
                lines = (out / "metrics.jsonl").read_text().splitlines()
                speeds = [row["images_per_s"] for row in map(json.loads, lines) if "images_per_s" in row]
                fastest = max(fastest, *speeds)
            rows[way].append({"images_per_s": fastest, "cpu_s_of_four_epochs": spent[6] - spent[2]})
            print(way, rows[way][-1], flush=True)
    return rows


def children_cpu_s() -> float:
    """Processor seconds of all processes that were started here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main(rounds: int, speed_rounds: int) -> None:
    moment = random.Random(0)
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(Path(name))
        whole = {}
        for way in ("alone", *WAYS):
            assert bench.start(way, way, pace_s=0.0).wait() == 0, (bench.base / f"{way}.txt").read_text()
            whole[way] = content(bench.base / way)
        curves = {way: losses(bench.base / way) for way in ("alone", *WAYS)}
        pairs = zip(curves["alone"], curves["devices"], strict=True)
        result: dict[str, Any] = {
            "losses": curves,
            "largest_difference_of_losses": max(abs(one - two) for one, two in pairs),
            "torchrun_and_devices_are_equal": whole["torchrun"] == whole["devices"],
            "files_compared": len(whole["devices"]),
        }
        print(result, flush=True)
        stops = []
        for number in range(rounds):
            for way in WAYS:
                for rank in (0, 1):
                    for by in (signal.SIGKILL, signal.SIGINT):
                        name = f"{way}-{rank}-{by.name}-{number}"
                        row = bench.stop(way, name, rank, by, moment)
                        row["is_equal"] = content(bench.base / name) == whole["devices"]
                        stops.append(row)
                        print(row, flush=True)
        result["stops"] = stops
        result["equal"] = f"{sum(row['is_equal'] for row in stops)} of {len(stops)}"
        if speed_rounds:
            result["speed"] = speed(bench.base, speed_rounds)
    save("several_processes", result)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3, int(sys.argv[2]) if len(sys.argv) > 2 else 3)
