"""Fits with 300 and 1,100 classes of three images: processor time, memory, files, and the delay of Ctrl-C.

Run: python benchmarks/many_classes.py [CLASSES ...]
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import environment, regraft, save
from PIL import Image

FITS = {
    "probe": ["--strategy", "probe"],
    "svm": ["--strategy", "svm"],
    "auto": ["--strategy", "auto", "--budget", "60s"],
}
_INTO_S = 3.0
SPECIES = (300, 1_100)


def draw(folder: Path, classes: int) -> None:
    """Three images of each class: its own soft pattern with noise."""
    for number in range(classes):
        pattern = np.random.default_rng(number).integers(0, 255, (6, 6))
        place = folder / f"s{number:04d}"
        place.mkdir(parents=True)
        for copy in range(3):
            noise = np.random.default_rng([number, copy]).integers(-60, 60, (6, 6))
            pixels = (pattern + noise).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).resize((32, 32), Image.Resampling.BICUBIC).save(place / f"{copy}.png")


def command(data: Path, out: Path, flags: list[str]) -> list[str]:
    return [*regraft(), "fit", str(data), "--network", "lenet5", *flags, "--workers", "1", "--out", str(out)]


def measured(data: Path, out: Path, flags: list[str], cache: str) -> dict[str, Any]:
    started = time.perf_counter()
    child = subprocess.Popen(command(data, out, flags), env=environment(cache), stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    files = {name: (out / name).stat().st_size for name in ("scores.json", "confusion.csv", "report.html")}
    return {
        "exit_status": os.waitstatus_to_exitcode(status),
        "wall_s": round(time.perf_counter() - started, 1),
        "processor_s": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_mb": round(usage.ru_maxrss / 1024),
        **files,
    }


def heard_after(data: Path, out: Path, flags: list[str], cache: str) -> dict[str, float | None]:
    """Seconds from Ctrl-C, some seconds into the solve, to the message that it stops, and to the end.

    Freeing torch, OpenVINO and the arrays takes part of the time to the end.
    """
    line = command(data, out, flags)
    child = subprocess.Popen(line, env=environment(cache), stderr=subprocess.PIPE, text=True)
    assert child.stderr is not None
    for text in child.stderr:
        if " train · " in text:
            break
    time.sleep(_INTO_S)
    if child.poll() is not None:
        return {"ctrl_c_heard_s": None, "ctrl_c_end_s": None}
    sent, heard = time.perf_counter(), None
    child.send_signal(signal.SIGINT)
    for text in child.stderr:
        heard = round(time.perf_counter() - sent, 2) if text.startswith("stopped") else heard
    child.wait()
    return {"ctrl_c_heard_s": heard, "ctrl_c_end_s": round(time.perf_counter() - sent, 2)}


def main(sizes: list[int]) -> None:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for classes in sizes:
            data = Path(folder) / f"species{classes}"
            draw(data, classes)
            for name, flags in FITS.items():
                cache = f"{folder}/{name}{classes}"
                row = {"classes": classes, "images": 3 * classes, "fit": name}
                row |= measured(data, Path(folder) / f"{name}{classes}", flags, cache)
                row |= heard_after(data, Path(folder) / "stopped", [*flags, "--overwrite"], cache)
                rows.append(row)
                print(row, flush=True)
    save("many_classes", {"rows": rows, "threads": os.environ.get("OMP_NUM_THREADS", "")})


if __name__ == "__main__":
    main([int(one) for one in sys.argv[1:]] or list(SPECIES))
