"""50 fine-tunes killed with -9 at random moments, then run again: are the final weights byte-identical?

LeNet-5 on 542 small images, two phases (gradual unfreezing), dropout, mixup and a moving average; a
checkpoint at every opportunity instead of every minute, so that kills fall into the writing of checkpoints
too. The kill falls anywhere between the first line of the program and the end; half of the runs are killed
twice. Compared: SHA-256 of the network's and the head's files, and all other files of the run but times.

Run: python benchmarks/kill9_training.py [KILLED_RUNS]
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import save

from regraft.lab.digits import write_digits

CHILD = """
import sys, regraft, regraft.workflow.fit
from regraft.training import tuned
from regraft.training.loop import engine  # torch and timm too: kills are to fall into the work
engine.CHECKPOINT_EVERY_S = 0.0
print("ready", flush=True)
regraft.fit(sys.argv[1], strategy="last-blocks", cut="c1", network="lenet5", runtime="torch", epochs=6,
phases=2,
            head_start="zero", dropout=0.2, mixup=0.2, ema=0.9, augment="crop", views=2, out=sys.argv[2])
"""
TIMED = {"log.jsonl", "metrics.jsonl", "metrics.csv"}


def content(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name not in TIMED)
    files = (path for path in files if path.suffix != ".tmp")
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def main(count: int) -> None:
    generator = random.Random(0)
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        write_digits(base / "digits", (5, 6, 7))

        def start(name: str) -> subprocess.Popen[str]:
            env = {**os.environ, "REGRAFT_CACHE": str(base / f"cache-{name}")}
            command = [sys.executable, "-W", "ignore", "-c", CHILD, str(base / "digits"), str(base / name)]
            return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)

        whole_run = start("whole")
        whole_run.stdout.readline()
        started = time.perf_counter()
        assert whole_run.wait() == 0
        taken = time.perf_counter() - started
        whole = content(base / "whole")
        weights = {k: v for k, v in whole.items() if k.endswith(".safetensors")}
        result = {
            "runs": count,
            "kills": 0,
            "before_the_end": 0,
            "with_a_checkpoint": 0,
            "equal": 0,
            "equal_weights": 0,
        }
        for trial in range(count):
            for _ in range(1 + trial % 2):
                victim = start(f"t{trial}")
                victim.stdout.readline()
                time.sleep(generator.uniform(0, taken))
                victim.send_signal(signal.SIGKILL)
                result["before_the_end"] += victim.wait() == -signal.SIGKILL
                folder = base / f"cache-t{trial}" / "training"
                result["with_a_checkpoint"] += any(folder.glob("*/checkpoint.safetensors"))
                result["kills"] += 1
            assert start(f"t{trial}").wait() == 0
            found = content(base / f"t{trial}")
            result["equal"] += found == whole
            result["equal_weights"] += {k: found.get(k) for k in weights} == weights
            if trial % 10 == 9:
                print(trial + 1, result, flush=True)
    save(
        "kill9_training", {**result, "files": len(whole), "weights_sha256": weights, "uninterrupted_s": taken}
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50)
