"""Three processes fill one cache, and one of them is killed: is each of 1,536 images tried once?

Three of the images are damaged, and a shard has 64 rows. The processes start a second apart; in each round
the next of them is killed with -9 within a second after it began. What each tried is counted, and what the
cache then holds. The killed one loses the shard that it was working on, so another process tries those
images again; anything else that is tried twice is work that was not shared. Then two containers (PID
namespaces) write the same file 300 times each.

Run: python benchmarks/shared_cache.py [ROUNDS]   (about 5 minutes; another commit's package by PYTHONPATH)
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from common import save
from PIL import Image

IMAGES, UNUSABLE, SHARD_ROWS, WRITES = 1536, (5, 200, 700), 64, 300
EXTRACTION = """
import os, sys, time
from pathlib import Path
import regraft.storage.rows
from regraft.data.findings.image_set import Images
from regraft.features.extraction import Decoding, extract
from regraft.records import ImageItem, InputSpec
from regraft.storage.files import sha256_of_file

regraft.storage.rows.SHARD_ROWS = int(sys.argv[2])
decode = Decoding.decode
tried = os.open(sys.argv[3], os.O_WRONLY | os.O_CREAT)

def noted(self, key):
    os.write(tried, f"{key}\\n".encode())
    return decode(self, key)

Decoding.decode = noted

class Means:
    layout, maps, width, precision, facts = (), (), 3, "fp32", {"runtime": "means"}

    def run(self, images):
        for key, pixels in images:
            time.sleep(0.004)
            yield key, pixels.reshape(-1, 3).mean(0)

paths = sorted(Path(sys.argv[1]).iterdir())
items = tuple(ImageItem(path.name, "", sha256_of_file(path)) for path in paths)
spec = InputSpec(size_px=8, mean=(0, 0, 0), std=(1, 1, 1))
extract(Images(sys.argv[1], items), Means(), spec, workers=1)
"""
WRITER = """
import os, sys
from pathlib import Path
from regraft.storage.files import write_atomically
place, letter, failed, torn = Path(sys.argv[1]), sys.argv[2].encode(), 0, 0
for _ in range(int(sys.argv[3])):
    try:
        write_atomically(place, [letter * 40_000, letter * 40_000])
    except Exception:
        failed += 1
    data = place.read_bytes()
    torn += len(data) != 80_000 or len(set(data)) != 1
print(os.getpid(), failed, torn)
"""


def write_images(folder: Path) -> None:
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (IMAGES, 8, 8, 3), dtype=np.uint8)
    for number, one in enumerate(pixels):
        path = folder / f"{number:04}.png"
        Image.fromarray(one).save(path)
        if number in UNUSABLE:
            path.write_bytes(path.read_bytes()[:100])


def started(images: Path, cache: Path, name: str) -> tuple[subprocess.Popen[bytes], Path]:
    tried = cache.parent / f"{cache.name}-{name}.txt"
    command = [sys.executable, "-c", EXTRACTION, str(images), str(SHARD_ROWS), str(tried)]
    return subprocess.Popen(command, env={**os.environ, "REGRAFT_CACHE": str(cache)}), tried


def stored(cache: Path) -> Counter[str]:
    """How many shards have each image, as a row or with a reason."""
    manifests = [path for path in cache.glob("features/*/*.json") if path.name != "store.json"]
    records = [json.loads(path.read_text()) for path in manifests]
    return Counter(key for record in records for key in [*record["keys"], *record.get("failed", {})])


def one_round(images: Path, cache: Path, victim: int | None, generator: random.Random) -> dict[str, Any]:
    processes = []
    for name in "abc":
        processes.append(started(images, cache, name))
        time.sleep(1.0)
    if victim is not None:
        process, tried = processes[victim]
        while process.poll() is None and not (tried.exists() and tried.stat().st_size):
            time.sleep(0.01)
        time.sleep(generator.uniform(0, 1.0))
        process.send_signal(signal.SIGKILL)
    codes = [process.wait() for process, _ in processes]
    lists = [path.read_text().split() if path.exists() else [] for _, path in processes]
    times = Counter(key for one in lists for key in one)
    again = {key for key, count in times.items() if count > 1}
    place = {key: number // SHARD_ROWS for number, key in enumerate(sorted(times))}
    shards = {place[key] for key in again}
    is_lost_work = victim is not None and again <= set(lists[victim]) and len(shards) <= 1
    held = stored(cache)
    return {
        "killed": None if victim is None or codes[victim] != -signal.SIGKILL else "abc"[victim],
        "tried_by_each": [len(one) for one in lists],
        "images_tried": len(times),
        "tried_again_after_the_kill": len(again) if is_lost_work else 0,
        "tried_twice_otherwise": 0 if is_lost_work else sum(times.values()) - len(times),
        "in_the_cache": len(held),
        "in_the_cache_twice": sum(count > 1 for count in held.values()),
    }


def containers(place: Path) -> dict[str, Any]:
    """What two writers of one file see, each of which is process 1."""
    command = ["unshare", "--pid", "--fork", sys.executable, "-c", WRITER, str(place)]
    writers = [
        subprocess.Popen([*command, letter, str(WRITES)], stdout=subprocess.PIPE, text=True)
        for letter in "ab"
    ]
    said = [[int(word) for word in writer.communicate()[0].split()] for writer in writers]
    names = ("process_number", "failed_writes", "torn_files")
    left = [path.name for path in place.parent.iterdir() if path.name != place.name]
    return {name: [one[at] for one in said] for at, name in enumerate(names)} | {"files_left": left}


def main(rounds: int) -> None:
    generator = random.Random(0)
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        write_images(base / "images")
        rows = []
        for number in range(rounds + 1):
            victim = None if number == 0 else (number - 1) % 3
            rows.append(one_round(base / "images", base / f"cache{number}", victim, generator))
            print(rows[-1], flush=True)
        (base / "container").mkdir()
        pair = containers(base / "container" / "file")
        print(pair)
    facts = {"images": IMAGES, "unusable": len(UNUSABLE), "shard_rows": SHARD_ROWS, "writes": WRITES}
    save("shared_cache", {**facts, "rounds": rows, "containers": pair})


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
