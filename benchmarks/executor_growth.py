"""How the extraction of a million images grows to 64 machines: a simulation fed with measured rates.

Shards of 1,024 rows go to the next free core. By Ray, every shard then passes the driver: its network, one
core that copies, hashes and writes it, and its disk. In an array each process writes into one shared folder,
whose rate all share. What is simulated is queueing for these; what one image costs is measured here or taken
from results/executors.json.

Assumptions, none of them measured: 16 cores a machine, each as fast as one here with nothing else to do;
10 Gbit/s for each machine (1.1 GB/s); disks that write 1 GB/s, a shared file system that writes 2 GB/s for
all together and reads as fast as is asked; nobody dies; every core decodes and computes at its own rate.
By Ray the driver's machine alone looks at all images first (scan); in an array this work is shared, but every
process reads and hashes all files once, on one core.

Run: python benchmarks/executor_growth.py   (half a minute)
"""

from __future__ import annotations

import heapq
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import RESULTS, save, shared

IMAGES, WIDTH, SHARD_ROWS, CORES = 1_000_000, 11_968, 1024, 16
NETWORK_BYTES_S, DISK_BYTES_S, SHARED_BYTES_S = 1.1e9, 1e9, 2e9
MACHINES = (1, 2, 4, 8, 16, 32, 64)


def write_s() -> float:
    """Processor seconds that copying, hashing and writing one shard take, the median of five."""
    from regraft.storage.shards import write_shard

    generator = np.random.default_rng(0)
    rows = generator.normal(size=(SHARD_ROWS, WIDTH)).astype(np.float16)
    taken = []
    for number in range(5):
        keys = [f"{number * SHARD_ROWS + row:064x}" for row in range(SHARD_ROWS)]
        with tempfile.TemporaryDirectory() as folder:
            started = time.process_time()
            array = np.empty_like(rows)
            for place in range(SHARD_ROWS):
                array[place] = rows[place]
            write_shard(Path(folder), keys, array, {}, "")
            taken.append(time.process_time() - started)
    return float(np.median(taken))


def scan_s() -> dict[str, float]:
    """Processor seconds for an image: to read and hash its file, and to look at it for the first time."""
    from regraft import load_images

    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["REGRAFT_CACHE"] = folder
        for _ in range(2):
            started = time.process_time()
            images = load_images(shared("data/trash6"))
            seconds.append((time.process_time() - started) / len(images))
    return {"hash": seconds[1], "look": seconds[0] - seconds[1]}


def by_ray(machines: int, image_s: float, driver_s: float, shard_rows: int) -> float:
    """Seconds until the driver has written the last shard."""
    shards, size = -(-IMAGES // shard_rows), shard_rows * WIDTH * 2
    free = [0.0] * (machines * CORES - 1)  # one core is the driver's
    heapq.heapify(free)
    wire = core = disk = 0.0
    ends = []
    for _ in range(shards):
        done = heapq.heappop(free) + shard_rows * image_s
        heapq.heappush(free, done)
        ends.append(done)
    for done in sorted(ends):
        wire = max(wire, done) + (size / NETWORK_BYTES_S if machines > 1 else 0)
        core = max(core, wire) + shard_rows * driver_s
        disk = max(disk, core) + size / DISK_BYTES_S
    return disk


def by_array(machines: int, image_s: float, writing_s: float, shard_rows: int) -> float:
    """Seconds until the last process has written its last shard."""
    shards, size = -(-IMAGES // shard_rows), shard_rows * WIDTH * 2
    events = [(0.0, core) for core in range(machines * CORES)]
    heapq.heapify(events)
    folder = 0.0
    for _ in range(shards):
        start, core = heapq.heappop(events)
        computed = start + shard_rows * image_s + writing_s * shard_rows / SHARD_ROWS
        folder = max(folder, computed) + size / SHARED_BYTES_S
        heapq.heappush(events, (max(computed, folder), core))
    return max(end for end, _ in events)


def main() -> None:
    median = json.loads((RESULTS / "executors.json").read_text())["costs"]["median"]
    image_s = median["one process, one thread"]["processor_ms_an_image"] / 1000
    driver_s = median["two actors"]["of_the_first_process"] / 1000
    writing_s, scan = write_s(), scan_s()
    look_s = {"ray": IMAGES * (scan["hash"] + scan["look"]) / CORES}
    rows: list[dict[str, Any]] = []
    for machines in MACHINES:
        for shard_rows in (1024, 128):
            look_s["array"] = IMAGES * (scan["hash"] + scan["look"] / (CORES * machines))
            seconds = {
                "ray": by_ray(machines, image_s, driver_s, shard_rows),
                "array": by_array(machines, image_s, writing_s, shard_rows),
            }
            ideal = IMAGES * image_s / (CORES * machines)
            rows.append(
                {
                    "machines": machines,
                    "shard_rows": shard_rows,
                    **{f"{name}_s": round(value) for name, value in seconds.items()},
                    **{f"{name}_efficiency": round(ideal / value, 3) for name, value in seconds.items()},
                    **{f"{name}_scan_s": round(value) for name, value in look_s.items()},
                }
            )
            print(rows[-1])
    measured = {"image_s": image_s, "driver_s": driver_s, "writing_s_a_shard": writing_s, "scan_s": scan}
    save("executor_growth", {"measured": measured, "rows": rows})


if __name__ == "__main__":
    main()
