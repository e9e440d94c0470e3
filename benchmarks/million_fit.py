"""Whole fits of up to a million images whose features are in the cache: processor time and memory by line.

Synthetic images of 32 x 32 pixels in 100 classes, each another file, and synthetic features of
mobilenetv1_100 (11,968 columns in half precision, 24 GB for a million rows), written to the cache in place of
an extraction. Then `regraft fit` runs three times as a user would give it: for the first time, once more, and
once more after a hundred images were added to the folder.

`--until TEXT` ends a command when it prints this. For `again, inodes forgotten` the kernel has to forget the
files (Linux, as root), as it does when memory is needed for other things; `stat` measures what the
kernel itself then takes to look them up.

Run: python benchmarks/million_fit.py FOLDER [--images 1000000] [--commands "again;stat"] [--until TEXT]
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from common import commit, earlier, environment, regraft, save, shared
from PIL import Image

CLASSES, SIDE, NETWORK, PART, FACTORS = 100, 32, "mobilenetv1_100", 10_000, 256
COMMANDS = ("first", "again", "a hundred images more")
FORGOTTEN = "again, inodes forgotten"
SPREAD = 0.25  # of class centres, as a multiple of the spread within a class
_TICKS, _PAGE_MB = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE") / 2**20


def write_files(folder: Path, start: int, stop: int) -> list[tuple[str, int]]:
    """Smooth random pictures with a little noise, as JPEG files; the hash and the class of each."""
    generator, found = np.random.default_rng(start), []
    points = np.minimum(np.arange(SIDE) * 4 / SIDE, 3.999)
    weights = np.maximum(1 - np.abs(points[:, None] - np.arange(5)), 0)
    for number in range(start, stop):
        field = generator.integers(0, 256, (5, 5, 3)).astype(np.float32)
        pixels = np.einsum("ai,bj,ijc->abc", weights, weights, field, optimize=True)
        noisy = np.clip(pixels + generator.normal(0, 6, pixels.shape), 0, 255).astype(np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(noisy).save(buffer, "JPEG")
        label = number % CLASSES
        (folder / f"class_{label:02d}" / f"{number:07d}.jpg").write_bytes(buffer.getvalue())
        found.append((hashlib.sha256(buffer.getvalue()).hexdigest(), label))
    return found


def made_files(folder: Path, start: int, stop: int) -> dict[str, int]:
    for label in range(CLASSES):
        (folder / f"class_{label:02d}").mkdir(parents=True, exist_ok=True)
    starts = range(start, stop, PART)
    labels: dict[str, int] = {}
    with ProcessPoolExecutor() as pool:
        parts = (pool.submit(write_files, folder, begin, min(begin + PART, stop)) for begin in starts)
        for part in list(parts):
            labels |= dict(part.result())
    return labels


class Source:
    """Draws rows in which each class has a centre, which deeper stages show more clearly."""

    def __init__(self, layout: Sequence[Any], labels: dict[str, int]) -> None:
        draws = np.random.default_rng(0)
        self._labels, width = labels, layout[-1].stop
        self._scale = np.arange(1, FACTORS + 1, dtype=np.float32) ** -0.5
        self._centres = (SPREAD * draws.standard_normal((CLASSES, FACTORS))).astype(np.float32)
        self._mixing = (draws.standard_normal((FACTORS, width)) / 2).astype(np.float32)
        depth = np.concatenate([np.full(one.stop - one.start, n) for n, one in enumerate(layout, 1)])
        self._noise = (0.2 * len(layout) / depth).astype(np.float32)
        self._pool = draws.standard_normal(1 << 24, dtype=np.float32)

    def __call__(self, keys: Sequence[str]) -> Iterator[tuple[str, np.ndarray]]:
        draws = np.random.default_rng(int(keys[0][:16], 16))
        for start in range(0, len(keys), 128):
            some = keys[start : start + 128]
            factors = draws.standard_normal((len(some), FACTORS), dtype=np.float32)
            factors += self._centres[[self._labels[key] for key in some]]
            rows = (factors * self._scale) @ self._mixing
            begin = int(draws.integers(0, len(self._pool) - rows.size))
            rows += self._pool[begin : begin + rows.size].reshape(rows.shape) * self._noise + 0.3
            yield from zip(some, np.maximum(rows, 0).astype(np.float16), strict=True)


def fill_cache(labels: dict[str, int]) -> None:
    """What `regraft extract` would leave, with drawn rows; in a process of its own."""
    from regraft.features.extraction import feature_store
    from regraft.features.opening import Compute
    from regraft.networks.weights.finding import find_weights
    from regraft.progress import Silent

    weights = find_weights(NETWORK, weights=str(shared("weights")), offline=True, reporter=Silent())
    runtime = Compute().open(weights, Silent())
    store = feature_store(runtime, weights.input_spec)
    store.ensure(sorted(labels), Source(runtime.layout, labels))


def forget_inodes() -> None:
    """Have the kernel forget directory entries and inodes; see proc(5), drop_caches."""
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("2")


def looked_up(folder: Path) -> dict[str, float]:
    """Processor seconds to look up all files, which the kernel has forgotten, and which it knows."""
    paths = [f"{one.path}/{name}" for one in os.scandir(folder) for name in sorted(os.listdir(one))]
    found = {}
    forget_inodes()
    for name in ("forgotten_s", "known_s"):
        used = time.process_time()
        for path in paths:
            os.stat(path)
        found[name] = round(time.process_time() - used, 1)
    return found


def watched(command: list[str], cache: str, until: str) -> dict[str, Any]:
    """A command's lines, with processor and wall seconds and the largest resident size until the next one."""
    started = time.perf_counter()
    child = subprocess.Popen(
        command, env=environment(cache), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    rows: list[dict[str, Any]] = [{"line": "start", "at_s": 0.0, "processor_s": 0.0, "peak_mb": 0}]
    used = [0.0]

    def sample() -> None:
        place = Path(f"/proc/{child.pid}")
        while child.poll() is None:
            try:
                fields = (place / "stat").read_text().rpartition(")")[2].split()
                resident = int((place / "statm").read_text().split()[1]) * _PAGE_MB
            except (OSError, IndexError):
                break
            used[0] = sum(map(int, fields[11:15])) / _TICKS
            rows[-1]["peak_mb"] = max(rows[-1]["peak_mb"], round(resident))
            time.sleep(0.05)

    watcher = threading.Thread(target=sample)
    watcher.start()
    assert child.stderr is not None
    for line in child.stderr:
        text = line.strip().replace(str(cache), "FOLDER").replace(str(shared("weights")), "WEIGHTS")[:160]
        at_s = round(time.perf_counter() - started, 1)
        rows.append({"line": text, "at_s": at_s, "processor_s": round(used[0], 1), "peak_mb": 0})
        print(f"{at_s:8.1f} s {used[0]:8.1f} processor s  {text}", flush=True)
        if until and until in text:
            child.kill()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    watcher.join()
    assert child.returncode == (-signal.SIGKILL if until else 0), rows[-3:]
    return {
        "wall_s": round(time.perf_counter() - started, 1),
        "processor_s": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_mb": round(usage.ru_maxrss / 1024),
        "lines": rows,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--budget", default="5m")
    parser.add_argument("--commands", default=";".join(COMMANDS))
    parser.add_argument("--until", default="")
    parser.add_argument("--remove", action="store_true")
    parser.add_argument("--prepare", action="store_true")
    given = parser.parse_args()
    folder, count = given.folder / str(given.images), given.images
    os.environ["REGRAFT_CACHE"] = f"{folder}/cache"
    if given.prepare:
        shutil.rmtree(folder, ignore_errors=True)
        labels = made_files(folder / "images", 0, count)
        fill_cache(labels)
        return
    if not (folder / "images").exists():
        subprocess.run([sys.executable, __file__, *sys.argv[1:], "--prepare"], check=True)
    command = [*regraft(), "fit", f"{folder}/images", "--network", NETWORK, "--offline"]
    command += ["--weights", str(shared("weights")), "--budget", given.budget, "--out", f"{folder}/run"]
    rows = earlier("million_fit")
    for name in given.commands.split(";"):
        if name == "a hundred images more":
            made_files(folder / "images", count, count + 100)
        if name == FORGOTTEN:
            forget_inodes()
        found = looked_up(folder / "images") if name == "stat" else watched(command, str(folder), given.until)
        row = {"images": count, "command": name, "budget": given.budget, "commit": commit(), **found}
        rows = [old for old in rows if (old["images"], old["command"]) != (count, name)] + [row]
        save("million_fit", {"rows": rows})
    if given.remove:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
