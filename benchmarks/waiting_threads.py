"""What training steps take if threads that wait for each other spin, or sleep: alone, and on a busy machine.

OpenMP's threads, which torch computes with, spin by default for a while when they wait; if other programs
use the cores, they spin for threads that can't run. `OMP_WAIT_POLICY=passive` lets them sleep at once, and
`GOMP_SPINCOUNT` says how often they look before they sleep. Steps: a
one-stage detector on cached maps, one picture; and the whole of a network, 8 images of 224 pixels. Each
policy and number of threads is measured in a process of its own, in turn, first alone and then beside busy
loops, two for each core.

Run: python benchmarks/waiting_threads.py [ROUNDS]
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from common import commit, save, shared

NETWORK = "mobilenetv1_100"
POLICIES: dict[str, dict[str, str]] = {
    "default": {},
    "passive": {"OMP_WAIT_POLICY": "passive"},
    **{f"spins {count:,} times": {"GOMP_SPINCOUNT": str(count)} for count in (1_000, 10_000, 50_000)},
}
"""What the environment says of threads that wait; it is read when torch is imported, here before Regraft."""
_STATED = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
BUSY_LOOP = "while True: pass"


def detector_step(folder: str) -> Callable[[int], int]:
    """A step of the one-stage detector on det_bccd."""
    os.environ["REGRAFT_CACHE"] = f"{folder}/cache"
    from detector_options import ladder_of
    from detector_steps import light_step

    from regraft.data.findings.scan import ScanSettings
    from regraft.detection.annotations.reading import read_boxes
    from regraft.detection.dataset import boxed_dataset

    dataset = boxed_dataset(read_boxes(shared("data") / "det_bccd"), ScanSettings(), seed=0, test_share=0.2)
    maps = ladder_of(dataset).inputs.maps
    scenes = dataset.scenes("train", maps.spec)[:24]
    rows = maps.rows([scene.key for scene in scenes])
    step: Callable[[int], int] = light_step("one-stage", maps, scenes, rows, len(dataset.labels))
    return step


def network_step(_: str) -> Callable[[int], int]:
    """A step of the whole network; times do not depend on its weights."""
    import timm

    model = timm.create_model(NETWORK, num_classes=10).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    images = torch.randn(8, 3, 224, 224).to(memory_format=torch.channels_last)
    labels = torch.arange(8)

    def step(_: int) -> int:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
        return len(images)

    return step


STEPS = {"detector": detector_step, "network": network_step}


def measured(name: str, folder: str, threads: int) -> dict[str, float]:
    """Medians of wall-clock and processor seconds for one image."""
    step = STEPS[name](folder)
    torch.set_num_threads(threads)
    step(0)
    times = []
    for place in range(4):
        wall, used = time.perf_counter(), time.process_time()
        images = step(place)
        times.append(((time.perf_counter() - wall) / images, (time.process_time() - used) / images))
    walls, processors = zip(*times, strict=True)
    return {"wall_s": statistics.median(walls), "processor_s": statistics.median(processors)}


def child(name: str, folder: str, policy: str, threads: int) -> dict[str, float]:
    """The same in a process with a policy."""
    command = [sys.executable, __file__, "--child", name, folder, str(threads)]
    usual = {name: value for name, value in os.environ.items() if name not in _STATED}
    done = subprocess.run(
        command,
        env={**usual, **POLICIES[policy]},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(measured(sys.argv[2], sys.argv[3], int(sys.argv[4]))))
        return
    rounds, cores = int(sys.argv[1]) if len(sys.argv) > 1 else 3, os.cpu_count() or 1
    found: dict[tuple[Any, ...], list[dict[str, float]]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        child("detector", folder, "passive", 1)  # fills the cache
        for loops in (0, 2 * cores):
            busy = [subprocess.Popen([sys.executable, "-c", BUSY_LOOP]) for _ in range(loops)]
            try:
                for _ in range(rounds):
                    for name in STEPS:
                        for threads in sorted({1, cores}):
                            for policy in POLICIES if threads > 1 else ("default",):
                                case = (name, loops, threads, policy)
                                found[case].append(child(name, folder, policy, threads))
            finally:
                for process in busy:
                    process.kill()
    rows = []
    for (name, loops, threads, policy), each in found.items():
        medians = {what: round(statistics.median(one[what] for one in each), 4) for what in each[0]}
        row = {"step": name, "busy_loops": loops, "threads": threads, "policy": policy, **medians}
        rows.append(row)
        print(row)
    save("waiting_threads", {"commit": commit(), "rounds": rounds, "rows": rows})


if __name__ == "__main__":
    main()
