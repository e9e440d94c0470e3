"""100 runs of `fit` killed with -9 at random moments, then run again: are all results byte-identical?

LeNet-5 on 542 small images, shards of 60 rows. The kill falls anywhere between start and end, extraction
and the writing of the run included; half of the runs are killed twice. Compared: every file of the run
folder but its log, and every shard of the feature store.

Run: python benchmarks/kill9.py [KILLED_RUNS]
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import save

import regraft
from regraft.lab.digits import write_digits

CHILD = """
import sys, regraft, regraft.storage.rows
regraft.storage.rows.SHARD_ROWS = 60
print("ready", flush=True)
regraft.fit(sys.argv[1], network="lenet5", strategy="many-stages", out=sys.argv[2])
"""


def content(folder: Path, cache: Path) -> dict[str, bytes]:
    kept = {path for place in (folder, cache / "features") for path in place.rglob("*") if path.is_file()}
    kept = {path for path in kept if path.suffix not in (".lock", ".tmp") and path.name != "log.jsonl"}
    run, shards = ([path for path in kept if place in path.parents] for place in (folder, cache))
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in run}
    return found | {path.relative_to(cache).as_posix(): path.read_bytes() for path in shards}


def main(count: int) -> None:
    generator = random.Random(0)
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        digits = base / "digits"
        write_digits(digits, (5, 6, 7))
        os.environ["REGRAFT_CACHE"] = str(base / "cache")
        regraft.fit(digits, network="lenet5")  # converts the network once

        def start(name: str) -> subprocess.Popen[str]:
            cache = base / f"cache-{name}"
            if not cache.exists():
                cache.mkdir()
                (cache / "networks").symlink_to(base / "cache" / "networks")
            env = {**os.environ, "REGRAFT_CACHE": str(cache)}
            command = [sys.executable, "-c", CHILD, str(digits), str(base / name)]
            return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)

        started = time.perf_counter()
        assert start("whole").wait() == 0
        taken = time.perf_counter() - started
        whole = content(base / "whole", base / "cache-whole")
        equal, unfinished, kills = 0, 0, 0
        for trial in range(count):
            for _ in range(1 + trial % 2):
                victim = start(f"t{trial}")
                victim.stdout.readline()
                time.sleep(generator.uniform(0, taken))
                victim.send_signal(signal.SIGKILL)
                unfinished += victim.wait() == -signal.SIGKILL
                kills += 1
            assert start(f"t{trial}").wait() == 0
            equal += content(base / f"t{trial}", base / f"cache-t{trial}") == whole
            if trial % 10 == 9:
                print(
                    f"{equal} of {trial + 1} equal, {unfinished} of {kills} kills before the end", flush=True
                )
    result = {
        "runs": count,
        "kills": kills,
        "before_the_end": unfinished,
        "equal": equal,
        "files": len(whole),
    }
    print(result)
    save("kill9", result)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
