"""What each step of a fit takes with 1,000 to 1,000,000 images: processor seconds, peak memory, growth.

Synthetic images of 32 x 32 pixels in 100 classes, each a file of its own, and synthetic features of
mobilenetv1_100's width (11,968 columns in half precision). To save disk, the arrays of a store are links to
64 different ones, so rows repeat while keys do not; of more than 100,000 files, the others are links, which
are read and hashed, and not decoded. Each step is a process of its own, in which only the step is timed; its
peak memory is that of the whole process. What was measured is kept, so the script can be stopped and started
again.

Run: python benchmarks/million.py FOLDER [--sizes 1000,10000] [--steps split,folds] [--again] [--remove]
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import math
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from common import RESULTS, save
from memory import layout
from PIL import Image

from regraft.data.findings.duplicates import near_duplicates
from regraft.data.findings.image_set import Images
from regraft.data.findings.scan import ScanSettings, scan
from regraft.data.images import find_images
from regraft.data.splits import fold_numbers, split_images
from regraft.features.extraction import Features
from regraft.heads.dataset import Dataset, Outputs
from regraft.heads.fitting import fit_head
from regraft.progress import Silent
from regraft.records import ImageItem, Side, Split, SplitRow
from regraft.runs.folders import EarlierImages, images_of_run, say_changed_data
from regraft.runs.writing import write_predictions, write_split
from regraft.storage.rows import SHARD_ROWS, Rows, RowStore
from regraft.storage.shards import (
    Manifest,
    array_path,
    shard_name,
    write_shard,
)
from regraft.tasks.classification import Classification

SIZES = (1_000, 10_000, 100_000, 1_000_000)
CLASSES, DIFFERENT_SHARDS, DIFFERENT_FILES = 100, 64, 100_000
TASK = Classification(outputs=tuple(f"class_{number:02d}" for number in range(CLASSES)))


def key_of(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def make_files(folder: Path, count: int) -> None:
    """Smooth random pictures with a little noise, as JPEG files in a folder for each class."""
    generator = np.random.default_rng(0)
    for name in TASK.outputs:
        (folder / name).mkdir(parents=True)
    for number in range(count):
        path = folder / TASK.outputs[number % CLASSES] / f"{number:07d}.jpg"
        if number >= DIFFERENT_FILES:
            os.link(path.with_name(f"{number % DIFFERENT_FILES:07d}.jpg"), path)
            continue
        field = Image.fromarray(generator.integers(0, 256, (5, 5, 3), dtype=np.uint8))
        pixels = np.asarray(field.resize((32, 32), Image.Resampling.BICUBIC), dtype=np.int16)
        noisy = np.clip(pixels + generator.integers(-12, 13, pixels.shape), 0, 255).astype(np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(noisy).save(buffer, "JPEG")
        path.write_bytes(buffer.getvalue())


def store_in(folder: Path) -> RowStore:
    return RowStore(folder, width=layout()[-1].stop, dtype=np.float16, facts={"what": "synthetic"})


def make_store(folder: Path, count: int) -> None:
    """Shards of features, of which each class has its own mean; after 64 shards, arrays repeat as links."""
    width = layout()[-1].stop
    centres = 0.1 * np.random.default_rng(0).standard_normal((CLASSES, width), dtype=np.float32)
    folder.mkdir(parents=True)
    (folder / "store.json").write_text("{}")
    made: list[Manifest] = []
    for start in range(0, count, SHARD_ROWS):
        numbers = range(start, min(start + SHARD_ROWS, count))
        keys, place = [key_of(number) for number in numbers], start // SHARD_ROWS
        if place < DIFFERENT_SHARDS or len(keys) < SHARD_ROWS:
            rows = np.random.default_rng(place).standard_normal((len(keys), width), dtype=np.float32)
            rows += centres[np.array(numbers) % CLASSES]
            made.append(write_shard(folder, keys, rows.astype(np.float16), {}, ""))
            continue
        source = made[place % DIFFERENT_SHARDS]
        path = folder / f"{shard_name(sorted(keys))}.json"
        manifest = Manifest(path, tuple(keys), source.sha256)
        assert source.array is not None
        os.link(source.array, array_path(path, source.sha256))
        manifest.write()


def images_of(count: int) -> Images:
    """A scanned data set, without a scan: every tenth image has a copy in its group."""
    items = tuple(
        ImageItem(
            f"{TASK.outputs[number % CLASSES]}/{number:07d}.jpg",
            TASK.outputs[number % CLASSES],
            key_of(number),
            None,
            key_of(number - CLASSES if number % 1000 < CLASSES <= number else number),
        )
        for number in range(count)
    )
    return Images("/synthetic", items, task=TASK)


class Step:
    """Times what is done in one process."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder, self.count = folder, count
        self.processor_s = self.wall_s = 0.0

    @contextmanager
    def timed(self) -> Iterator[None]:
        started, used = time.perf_counter(), time.process_time()
        yield
        self.processor_s += time.process_time() - used
        self.wall_s += time.perf_counter() - started

    def scanned(self, look_alikes: str = "ignore") -> Images:
        with self.timed():
            return scan(find_images(self.folder / "files"), ScanSettings(look_alikes=look_alikes))

    def dataset(self) -> Dataset:
        """Every fifth group is tested; a split that is drawn would be the same for the other steps."""
        images = images_of(self.count)
        sides: list[Side] = [
            "test" if int((item.group or item.sha256)[:8], 16) % 5 == 0 else "train" for item in images.items
        ]
        rows = tuple(
            SplitRow(item.path, item.label, item.sha256, side, item.group)
            for item, side in zip(images.items, sides, strict=True)
        )
        split = Split(seed=0, test_share=0.2, origin="drawn", rows=rows, sha256=key_of(0))
        return Dataset(images, split, Features(Rows([], {}), layout(), ()), 0)

    def outputs(self, dataset: Dataset) -> Outputs:
        rows = tuple(number for number, row in enumerate(dataset.split.rows) if row.side == "test")
        values = np.random.default_rng(0).random((len(rows), CLASSES))
        values[np.arange(len(rows)), dataset.truth(rows)] += 2
        values /= values.sum(axis=1, keepdims=True)
        return Outputs(rows, values, "held-out test images")


def scan_new(step: Step) -> None:
    shutil.rmtree(os.environ["REGRAFT_CACHE"], ignore_errors=True)
    step.scanned()


def scan_known(step: Step) -> None:
    step.scanned()


def thumbnails_compared(step: Step) -> None:
    """Thumbnails as smooth and noisy as those of the files, and one copy for every hundred images."""
    generator = np.random.default_rng(0)
    points = np.minimum(np.arange(16) / 4.0, 3.999)
    weights = np.maximum(1 - np.abs(points[:, None] - np.arange(5)), 0)  # from 5 x 5 to 16 x 16, linear
    spread = np.kron(weights, weights).astype(np.float32)
    thumbnails = np.empty((step.count, 256), dtype=np.uint8)
    for start in range(0, step.count, 4096):
        block = thumbnails[start : start + 4096]
        fields = generator.integers(0, 256, (len(block), 25)).astype(np.float32) @ spread.T
        block[:] = np.clip(fields + generator.normal(0, 6, fields.shape), 0, 255)
    thumbnails[::100] = thumbnails[1::100]
    with step.timed():
        count = sum(len(pairs) for pairs in near_duplicates(thumbnails))
    assert count >= step.count // 100


def split_drawn(step: Step) -> None:
    images = images_of(step.count)
    shutil.rmtree(step.folder / "splits", ignore_errors=True)
    with step.timed():
        split_images(images, folder=step.folder / "splits")


def split_again(step: Step) -> None:
    images = images_of(step.count)
    with step.timed():
        split_images(images, folder=step.folder / "splits")


def folds(step: Step) -> None:
    split = step.dataset().split
    train = [row for row in split.rows if row.side == "train"]
    labels = TASK.targets([row.label for row in train])
    with step.timed():
        fold_numbers(labels, [row.group for row in train], folds=5, seed=0)


def store_unverified(step: Step) -> None:
    (step.folder / "store" / ".verified").unlink(missing_ok=True)
    read_all(step)


def read_all(step: Step) -> None:
    keys = [key_of(number) for number in range(step.count)]
    with step.timed():
        rows = store_in(step.folder / "store").ensure(keys, _none)
        for start in range(0, len(keys), 4096):
            rows.gather(keys[start : start + 4096])


def store_opened(step: Step) -> None:
    keys = [key_of(number) for number in range(step.count)]
    with step.timed():
        store_in(step.folder / "store").ensure(keys, _none).gather(keys[:10])


def _none(keys: Any) -> Any:
    raise AssertionError(f"{len(keys)} rows are missing")


def scores(step: Step) -> None:
    dataset = step.dataset()
    outputs = step.outputs(dataset)
    with step.timed():
        dataset.evaluate(None, outputs)


def records(step: Step) -> None:
    dataset = step.dataset()
    outputs = step.outputs(dataset)
    with step.timed():
        write_split(step.folder / "split.csv", dataset.split)
        write_predictions(step.folder / "predictions.csv", TASK, dataset.split, outputs)


def run_compared(step: Step) -> None:
    """What a fit into the folder of an earlier run does: how have its images changed?"""
    split, run = step.dataset().split, step.folder / "run"
    run.mkdir(exist_ok=True)
    (run / "log.jsonl").write_text('{"kind": "started", "command": []}')
    (run / "run.json").write_text('{"settings": {}}')
    write_split(run / "split.csv", split)
    with step.timed():
        earlier = images_of_run(run, {})
        assert earlier is not None
        say_changed_data(earlier, EarlierImages.of(split), run, Silent())


def head(step: Step) -> None:
    """A head in closed form on the last stage, 1,024 columns, of the training rows."""
    dataset = step.dataset()
    keys = [key_of(number) for number in range(step.count)]
    rows = store_in(step.folder / "store").ensure(keys, _none)
    dataset = replace(dataset, features=Features(rows, layout(), ()))
    last = layout()[-1].stage
    columns = tuple(one for one in layout() if one.stage == last and one.statistic == "mean")
    training = dataset.training_rows()
    with step.timed():
        fit_head(training, "logistic", [columns])


STEPS: dict[str, tuple[str, Callable[[Step], None]]] = {
    "scan_new": ("scan of new files: read, hashed, decoded", scan_new),
    "scan_known": ("scan of known files", scan_known),
    "near_duplicates": ("near-duplicates", thumbnails_compared),
    "split": ("split drawn and saved", split_drawn),
    "split_again": ("split read and reused", split_again),
    "folds": ("folds of cross-validation", folds),
    "store_new": ("features opened, verified and read", store_unverified),
    "store_read": ("features opened and read, verified before", read_all),
    "store_open": ("features opened, ten rows read", store_opened),
    "scores": ("scores of a fifth, with intervals", scores),
    "records": ("split.csv and predictions.csv", records),
    "compared": ("images compared with those of an earlier run", run_compared),
    "head": ("logistic head, 1,024 columns, with its cross-validation", head),
}
USUAL = [name for name in STEPS if name != "head"]


def measured(name: str, folder: Path, count: int) -> dict[str, Any]:
    """One step in a process of its own."""
    environment = {**os.environ, "REGRAFT_CACHE": str(folder / "cache")}
    command = [sys.executable, __file__, str(folder), "--one", name, str(count)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        sys.exit(f"{name} with {count:,} images failed:\n{done.stdout}{done.stderr}")
    return {"step": name, "images": count, **json.loads(done.stdout.splitlines()[-1])}


def one(name: str, folder: Path, count: int) -> None:
    step = Step(folder, count)
    STEPS[name][1](step)
    status = Path("/proc/self/status").read_text()
    peak_kb = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    figures = {"processor_s": step.processor_s, "wall_s": step.wall_s, "peak_mb": peak_kb / 1024}
    print(json.dumps({name: round(value, 3) for name, value in figures.items()}))


def table(rows: list[dict[str, Any]]) -> str:
    """The measurements as Markdown: seconds at each size, growth between the last two, memory at the last."""
    sizes = sorted({row["images"] for row in rows})
    lines = [
        f"| step | {' | '.join(f'{size:,}' for size in sizes)} | exponent | peak memory at {sizes[-1]:,} |",
        f"|---|{'---:|' * (len(sizes) + 2)}",
    ]
    for name, (text, _) in STEPS.items():
        own = {row["images"]: row for row in rows if row["step"] == name}
        seconds = [f"{own[size]['processor_s']:,.1f} s" if size in own else "" for size in sizes]
        exponent = ""
        if len(sizes) > 1 and {sizes[-1], sizes[-2]} <= own.keys():
            ratio = own[sizes[-1]]["processor_s"] / max(own[sizes[-2]]["processor_s"], 1e-3)
            exponent = f"{math.log(ratio) / math.log(sizes[-1] / sizes[-2]):.2f}"
        peak = f"{own[sizes[-1]]['peak_mb'] / 1024:.1f} GB" if sizes[-1] in own else ""
        if own:
            lines.append(f"| {text} | {' | '.join(seconds)} | {exponent} | {peak} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
    parser.add_argument("--steps", default=",".join(USUAL))
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--remove", action="store_true")
    parser.add_argument("--one", nargs=2)
    given = parser.parse_args()
    if given.one:
        one(given.one[0], given.folder, int(given.one[1]))
        return
    path = RESULTS / "million.json"
    rows = json.loads(path.read_text())["rows"] if path.exists() else []
    for count in map(int, given.sizes.split(",")):
        folder = given.folder / str(count)
        wanted = given.steps.split(",")
        known = {row["step"] for row in rows if row["images"] == count}
        missing = [name for name in wanted if given.again or name not in known]
        if missing:
            prepare(folder, count, missing)
        for name in missing:
            row = measured(name, folder, count)
            rows = [old for old in rows if (old["step"], old["images"]) != (name, count)] + [row]
            print(row, flush=True)
            save("million", {"rows": rows})
        if given.remove:
            shutil.rmtree(folder, ignore_errors=True)
    print(table(rows))


def prepare(folder: Path, count: int, steps: list[str]) -> None:
    """Make what the steps need, unless it is there."""
    needs_store = any(name.startswith("store") or name == "head" for name in steps)
    needs_files = any(name.startswith("scan") for name in steps)
    for name, make, is_needed in (("files", make_files, needs_files), ("store", make_store, needs_store)):
        if is_needed and not (folder / name).exists():
            print(f"making the {name} of {count:,} images", flush=True)
            shutil.rmtree(folder / "half", ignore_errors=True)
            make(folder / "half", count)
            (folder / "half").rename(folder / name)


if __name__ == "__main__":
    main()
