"""Does a change of the code change a result? Fixed commands on real images, a hash of all that they write.

Four small sets: garments (a published split), rubbish (a table), brain scans (hostile files), characters
(1-bit pictures). Times, dates and versions are masked by name: a field of JSON or a column of a table whose
name says so, and durations in texts. All else must be equal to the byte.

Run: python benchmarks/equal_runs.py RECORD.json [--keep FOLDER]     on the code before the change
     python benchmarks/equal_runs.py AFTER.json --against RECORD.json     on the code after it
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from common import commit, environment, regraft, shared

# Names of fields and columns, and what in a text, differ between two runs of the same code.
MASKED = re.compile(r"(^|_)(s|seconds|time|date|elapsed|created|versions?|wall|price|verdict_s)$")
DURATION = re.compile(r"\b\d+(\.\d+)? ?(ms|s|seconds?|min|minutes?|h|hours?)\b( \d+ (s|min)\b)?")
DATE = re.compile(r"\b20\d\d-\d\d-\d\d([T ]\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:?\d\d)?)?")
SPACE = re.compile(r"[ ─━]+")  # the columns of a printed table are as wide as their times
TEXTS = {".toml", ".html", ".md", ".txt", ".py", ".out"}
# The log consists of times, and in the plot of a ladder they are places.
IGNORED = {"log.jsonl", "ladder.svg"}

WEIGHTS = ("--weights", "weights")
FIT = ("fit", "--no-report")
COMMANDS: dict[str, tuple[str, ...]] = {
    "check garments": ("check", "garments"),
    "check scans": ("check", "scans", "--json"),
    "plan rubbish": (
        *("plan", "rubbish.csv", "--network", "mobilenetv2_100", *WEIGHTS),
        *("--strategy", "last-blocks", "--epochs", "2", "--out", "plan.toml"),
    ),
    "fit probe": (
        *("fit", "rubbish.csv", "--network", "mobilenetv2_100", *WEIGHTS),
        *("--strategy", "probe", "--out", "probe"),
    ),
    "fit svm": (
        *(*FIT, "scans", "--network", "squeezenet1_1", *WEIGHTS),
        *("--strategy", "svm", "--out", "svm"),
    ),
    "fit many-stages": (
        *(*FIT, "garments", "--network", "mobilenetv1_100", *WEIGHTS),
        *("--strategy", "many-stages", "--out", "many-stages"),
    ),
    "fit last-blocks": (
        *(*FIT, "rubbish.csv", "--network", "mobilenetv2_100", *WEIGHTS, "--strategy", "last-blocks"),
        *("--epochs", "2", "--augment", "crop-flip", "--out", "last-blocks"),
    ),
    "fit scratch": (
        *(*FIT, "characters", "--network", "lenet5", "--strategy", "scratch"),
        *("--epochs", "3", "--out", "scratch"),
    ),
    "fit auto": (
        *(*FIT, "characters", "--network", "squeezenet1_1", *WEIGHTS),
        *("--budget", "10h", "--out", "auto", "--json"),
    ),
    "predict to a table": ("predict", "probe", "pictures", "--top", "3", "--out", "probe.csv"),
    "predict to JSON": ("predict", "last-blocks", "garments/test", "--json"),
    "predict by votes": ("predict", "auto", "characters", "--out", "auto.jsonl"),
    "export to ONNX": ("export", "many-stages", "--out", "onnx"),
    "export to OpenVINO": ("export", "many-stages", "--to", "openvino", "--out", "openvino"),
    "predict by ONNX": ("predict", "onnx/model.onnx", "garments/test", "--json"),
    "compare": ("compare", "probe", "last-blocks", "--json"),
    "report": ("report", "many-stages", "--out", "many-stages.html"),
    "explain": ("explain", "probe", "pictures/glass1.jpg", "--out", "explained.html"),
}


def write_data(folder: Path) -> None:
    """Write the subsets: the first images of each class, by name."""
    garments, rubbish, scans, characters = (
        shared("data") / name for name in ("clothing", "trash6", "brain_mri", "omniglot_small1")
    )
    for source, sides, classes, images in (
        (garments, ("train", "test"), 10, 10),
        (scans, ("train",), 2, 40),
        (characters, ("train",), 8, 20),
    ):
        name = {garments: "garments", scans: "scans", characters: "characters"}[source]
        for side in sides:
            for label in sorted((source / side).iterdir())[:classes]:
                below = folder / name / (side if len(sides) > 1 else "") / label.name
                below.mkdir(parents=True)
                for file in sorted(label.iterdir())[:images]:
                    shutil.copy(file, below / file.name)
    (folder / "pictures").mkdir()
    with (folder / "rubbish.csv").open("w") as table:
        table.write("path,label\n")
        for label in sorted((rubbish / "train").iterdir()):
            for file in sorted(label.iterdir())[:24]:
                shutil.copy(file, folder / "pictures" / file.name)
                table.write(f"pictures/{file.name},{label.name}\n")
    (folder / "weights").symlink_to(shared("weights"))


def masked(value: Any) -> Any:
    """A JSON value without what may differ: by the names of fields, and by form in texts."""
    if isinstance(value, dict):
        return {name: None if MASKED.search(name) else masked(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [masked(inner) for inner in value]
    return SPACE.sub(" ", DATE.sub("DATE", DURATION.sub("TIME", value))) if isinstance(value, str) else value


def masked_text(text: str) -> str:
    """A text, or lines of JSON, without what may differ."""
    lines = []
    for line in text.splitlines():
        try:
            lines.append(json.dumps(masked(json.loads(line))))
        except ValueError:
            lines.append(masked(line))
    return "\n".join(lines)


def content(path: Path, folder: Path) -> bytes:
    """What of a file must be equal, wherever the folder of all runs is."""
    return _content(path).replace(str(folder).encode(), b"FOLDER")


def _content(path: Path) -> bytes:
    if path.suffix == ".json":
        return json.dumps(masked(json.loads(path.read_text()))).encode()
    if path.suffix == ".jsonl":
        return masked_text(path.read_text()).encode()
    if path.suffix == ".csv":
        rows = list(csv.DictReader(io.StringIO(path.read_text())))
        return json.dumps(masked([{str(name): cell for name, cell in row.items()} for row in rows])).encode()
    return masked_text(path.read_text()).encode() if path.suffix in TEXTS else path.read_bytes()


def new_files(folder: Path, known: set[Path]) -> list[Path]:
    """Files of results that are not known yet, in order; the cache and the sets are none."""
    roots = [path for path in folder.iterdir() if path.name not in ("cache", "weights")]
    files = [path for root in roots for path in ([root] if root.is_file() else root.rglob("*"))]
    return sorted(path for path in files if path.is_file() and path not in known and path.name not in IGNORED)


def record(folder: Path) -> dict[str, dict[str, str]]:
    """Run all commands in a folder; for each, the SHA-256 of its answer and of every file it wrote."""
    write_data(folder)
    known = set(new_files(folder, set()))
    found: dict[str, dict[str, str]] = {}
    for name, arguments in COMMANDS.items():
        started = time.perf_counter()
        done = subprocess.run(
            [*regraft(), *arguments],
            cwd=folder,
            env={**environment(str(folder)), "COLUMNS": "200"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{name}: {done.stderr}"
        (folder / f"{name}.out").write_text(done.stdout)
        written = new_files(folder, known)
        known |= set(written)
        found[name] = {
            path.relative_to(folder).as_posix(): hashlib.sha256(content(path, folder)).hexdigest()
            for path in written
        }
        print(f"{name}: {len(written)} files, {time.perf_counter() - started:.0f} s", flush=True)
    return found


def differences(before: dict[str, dict[str, str]], after: dict[str, dict[str, str]]) -> list[str]:
    """A line for each output that differs, is missing or is new."""
    lines = []
    for name in dict.fromkeys([*before, *after]):
        first, second = before.get(name, {}), after.get(name, {})
        for path in sorted({*first, *second}):
            if first.get(path) != second.get(path):
                state = "missing" if path not in second else "new" if path not in first else "differs"
                lines.append(f"{name}: {path} {state}")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("record", type=Path, help="file for the hashes")
    parser.add_argument("--against", type=Path, help="an earlier record to compare with")
    parser.add_argument("--keep", type=Path, help="new folder in which everything is left")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        # Runs are called after the folder of their data, so it always has the same name.
        folder = (asked.keep or Path(temporary)).resolve() / "equal"
        folder.mkdir(parents=True, exist_ok=True)
        found = record(folder)
    asked.record.write_text(json.dumps({"commit": commit(), "commands": found}, indent=1) + "\n")
    if asked.against is None:
        return 0
    lines = differences(json.loads(asked.against.read_text())["commands"], found)
    print("\n".join(lines) or f"all {sum(map(len, found.values()))} outputs are equal")
    return int(bool(lines))


if __name__ == "__main__":
    raise SystemExit(main())
