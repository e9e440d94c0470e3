"""What the benchmarks share: where the data is, a clean environment, and where raw output goes."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def shared(name: str) -> Path:
    """A folder of the evaluation data beside the checkout, or below $REGRAFT_SHARED."""
    root = Path(os.environ.get("REGRAFT_SHARED") or Path(__file__).parents[2] / "shared")
    if not (root / name).exists():
        sys.exit(
            f"{root / name} is not there; set REGRAFT_SHARED to the folder that holds data/ and weights/"
        )
    return root / name


def regraft() -> list[str]:
    """The command under test, in this interpreter's environment."""
    return [sys.executable, "-m", "regraft"]


def environment(cache: str) -> dict[str, str]:
    """This environment with a cache of its own."""
    return {**os.environ, "REGRAFT_CACHE": f"{cache}/cache"}


def timed_fit(command: list[str], out: Path, cache: str) -> tuple[float | None, float]:
    """Seconds until a fit has saved its first model, None if that was not seen, and until it ended.

    Args:
        command: a `regraft fit` that writes to `out`.
        out: the run folder.
        cache: folder of a cache of its own.
    """
    started, first = time.perf_counter(), None
    with tempfile.TemporaryFile("w+") as errors:  # a pipe that nobody reads would stop a talkative command
        process = subprocess.Popen(
            command, env=environment(cache), stdout=subprocess.DEVNULL, stderr=errors, text=True
        )
        while process.poll() is None:
            if first is None and (out / "run.json").exists():
                first = time.perf_counter() - started
            time.sleep(0.05)
        whole = time.perf_counter() - started
        errors.seek(0)
        assert process.returncode == 0, errors.read()
    return first, whole


def machine() -> dict[str, str]:
    """What the figures were measured on."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    cpu = next(
        (line.split(":")[1].strip() for line in text.splitlines() if line.startswith("model name")), ""
    )
    flags = next((line.split(":")[1].split() for line in text.splitlines() if line.startswith("flags")), [])
    special = sorted(set(flags) & {"avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16", "amx_int8"})
    libraries = ("regraft", "torch", "timm", "openvino", "scikit-learn", "numpy", "pillow")
    return {
        "cpu": cpu,
        "cores": str(os.cpu_count()),
        "instructions": " ".join(special),
        "python": platform.python_version(),
        "commit": commit(),
        **{name: metadata.version(name) for name in libraries},
    }


def commit() -> str:
    """The short hash of what is measured."""
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def earlier(name: str) -> list[dict[str, Any]]:
    """Rows that an earlier run of a long benchmark left, each with the commit it was measured at.

    Such a benchmark goes on where it stopped; delete its file to measure all of it again.
    """
    path = RESULTS / f"{name}.json"
    if not path.exists():
        return []
    kept = json.loads(path.read_text())
    return [{"commit": kept["machine"]["commit"], **row} for row in kept["rows"]]


def over_sets(
    name: str,
    sets: Mapping[str, int],
    networks: Sequence[str],
    measured: Callable[[Any, str, str, int], dict[str, Any]],
    summary: Callable[[list[dict[str, Any]]], dict[str, Any]],
) -> None:
    """Measure what is missing, with an empty cache, and write rows and summary after every row.

    Args:
        name: the name of the results.
        sets: for each data set the number of its splits.
        networks: the networks.
        measured: returns the row of some images, their name, a network and the number of a split.
        summary: what all rows show together.
    """
    from regraft import load_images

    rows = earlier(name)
    done = {(row["data"], row["network"], row["seed"]) for row in rows}
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("REGRAFT_CACHE", f"{folder}/cache")
        for data, splits in sets.items():
            images = load_images(shared(f"data/{data}"))
            for network in networks:
                for seed in range(splits):
                    if (data, network, seed) not in done:
                        rows.append({"commit": commit(), **measured(images, data, network, seed)})
                        save(name, {"summary": summary(rows), "rows": rows})
                        print(data, network, seed, rows[-1]["chosen"], rows[-1]["reasons"], flush=True)
    print(summary(rows))


def save(name: str, value: dict[str, Any]) -> None:
    """Write raw results to benchmarks/results/NAME.json."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({"machine": machine(), **value}, indent=1) + "\n")
    print(f"wrote {path}")
