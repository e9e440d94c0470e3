"""Memory of a fit with many classes: the largest resident size after each line that it reports.

Run: python benchmarks/many_classes_memory.py [CLASSES] [IMAGES OF EACH] [BUDGET]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import environment, regraft, save
from PIL import Image


def draw(folder: Path, classes: int, images: int) -> None:
    """Images of each class: its own soft pattern with noise."""
    for number in range(classes):
        pattern = np.random.default_rng(number).integers(0, 255, (6, 6))
        place = folder / f"s{number:04d}"
        place.mkdir(parents=True)
        for copy in range(images):
            noise = np.random.default_rng([number, copy]).integers(-90, 90, (6, 6))
            pixels = (pattern + noise).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).resize((32, 32), Image.Resampling.BICUBIC).save(place / f"{copy}.png")


def resident_mb(process: int) -> float:
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in status.splitlines() if "VmRSS" in line), 0.0)


def watched(command: list[str], cache: str) -> list[dict[str, Any]]:
    """The lines of a command on standard error, each with the largest resident size until the next one."""
    child = subprocess.Popen(command, env=environment(cache), stderr=subprocess.PIPE, text=True)
    rows: list[dict[str, Any]] = [{"line": "start", "peak_mb": 0.0}]

    def sample() -> None:
        while child.poll() is None:
            rows[-1]["peak_mb"] = max(rows[-1]["peak_mb"], round(resident_mb(child.pid)))
            time.sleep(0.02)

    watcher = threading.Thread(target=sample)
    watcher.start()
    assert child.stderr is not None
    for line in child.stderr:
        rows.append({"line": line.strip().replace(str(cache), "FOLDER")[:100], "peak_mb": 0.0})
    watcher.join()
    assert child.wait() == 0, rows[-3:]
    return rows


def main(classes: int, images: int, budget: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        draw(Path(folder) / "data", classes, images)
        command = [*regraft(), "fit", f"{folder}/data", "--network", "lenet5", "--budget", budget]
        rows = watched([*command, "--out", f"{folder}/run"], folder)
    for row in rows:
        print(f"{row['peak_mb']:>8.0f} MB after: {row['line']}")
    peak = max(row["peak_mb"] for row in rows)
    facts = {"classes": classes, "images": classes * images, "budget": budget, "peak_mb": peak}
    save(f"many_classes_memory_{classes}x{images}", {**facts, "rows": rows})


if __name__ == "__main__":
    asked = sys.argv[1:]
    main(int(asked[0]) if asked else 1_000, int(asked[1]) if asked[1:] else 20, (asked[2:] or ["120s"])[0])
