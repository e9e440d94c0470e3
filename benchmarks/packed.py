"""What packed data sets cost: arrays written as PNG files, shards against their folder, a gzip stream.

Times are processor seconds of this process, because wall times are those of a shared machine.

Run: python benchmarks/packed.py [arrays] [shards] [gzip] [index]
"""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from common import RESULTS, commit, save, shared

from regraft.data.archives import places
from regraft.data.archives.places import open_archive
from regraft.data.findings.scan import scan
from regraft.data.images import find_images
from regraft.data.packed.arrays import as_folder
from regraft.data.pictures.loading import LoadLimits
from regraft.features.extraction import extract
from regraft.features.opening import open_runtime
from regraft.networks.weights.finding import find_weights
from regraft.progress import Silent

NETWORK = "mobilenetv1_100"
SHARDS, REPEATS = 5, 3


def timed(work: Callable[[], Any]) -> tuple[float, float, Any]:
    """Processor seconds, seconds, and the result."""
    started, used = time.perf_counter(), time.process_time()
    result = work()
    return time.process_time() - used, time.perf_counter() - started, result


def arrays(folder: Path) -> dict[str, Any]:
    """60,000 grey pictures of 28 x 28 pixels from an .npz file to PNG files."""
    random_pixels = np.random.default_rng(0).integers(0, 256, (60_000, 28, 28), dtype=np.uint8)
    smooth = (random_pixels.cumsum(axis=2) // 28).astype(np.uint8)
    np.savez_compressed(folder / "set.npz", x=smooth, y=np.arange(60_000) % 10)
    processor_s, wall_s, place = timed(lambda: as_folder(folder / "set.npz"))
    count = sum(1 for _ in place.rglob("*.png"))
    return {"pictures": count, "processor_s": processor_s, "wall_s": wall_s}


def shards(folder: Path) -> dict[str, Any]:
    """Scan and features of photographs in a folder, and in a tar of five shards, in turn; each time cold."""
    source = shared("data/clothing") / "test"
    files = sorted(path for path in source.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
    packed = folder / "shards"
    packed.mkdir()
    for number in range(SHARDS):
        with tarfile.open(packed / f"shard-{number}.tar", "w") as opened:
            for path in files[number::SHARDS]:
                opened.add(path, path.relative_to(source).as_posix())
    weights = find_weights(NETWORK, weights=str(shared("weights")), offline=True)
    runtime = open_runtime(weights, reporter=Silent())
    results: dict[str, list[float]] = {"folder": [], "shards": []}
    rows: dict[str, Any] = {}
    for repeat in range(REPEATS):
        for name, place in (("folder", source), ("shards", packed)):
            os.environ["REGRAFT_CACHE"] = str(folder / f"cache-{name}-{repeat}")

            def work(place: Path = place) -> Any:
                images = scan(find_images(place))
                return images, extract(images, runtime, weights.input_spec, limits=LoadLimits())

            processor_s, _, (images, features) = timed(work)
            results[name].append(processor_s)
            keys = sorted({item.sha256 for item in images.items})
            rows[name] = (keys, features.rows.gather(keys).tobytes())
    return {"photographs": len(files), "processor_s": results, "equal_bits": rows["folder"] == rows["shards"]}


def gzip_stream(folder: Path) -> dict[str, Any]:
    """Members of a compressed tar in an order drawn at random: by seeking in it, and unpacked once."""
    source = shared("data/clothing") / "test"
    path = folder / "photos.tar.gz"
    with tarfile.open(path, "w:gz", compresslevel=6) as opened:
        for file in sorted(source.rglob("*.jpg")):
            opened.add(file, file.relative_to(source).as_posix())
    seek_s, _, count = timed(lambda: sought(path))
    unpacked_s, _, _ = timed(lambda: read_all(path))
    archive = open_archive(path)
    return {
        "members": count, "seeking_s": seek_s, "unpacked_once_s": unpacked_s,
        "compressed_mb": path.stat().st_size / 1e6, "plain_mb": archive.file.stat().st_size / 1e6,
    }  # fmt: skip


def sought(path: Path) -> int:
    """Read all members in another order by seeking in the gzip stream."""
    with tarfile.open(path, "r:gz") as opened:
        members = [member for member in opened.getmembers() if member.isfile()]
    random.Random(0).shuffle(members)
    with gzip.open(path) as stream:
        for member in members:
            stream.seek(member.offset_data)
            stream.read(member.size)
    return len(members)


def read_all(path: Path) -> list[int]:
    """Read all members in another order where they lie."""
    archive = open_archive(path)
    members = list(archive.contents.members.values())
    random.Random(0).shuffle(members)
    return [len(archive.read(member)) for member in members]


def index(folder: Path) -> dict[str, Any]:
    """Microseconds a member to list archives of 20,000 small ones: first, and in the next process."""
    count, data = 20_000, bytes(1000)
    with tarfile.open(folder / "a.tar", "w") as opened:
        for number in range(count):
            info = tarfile.TarInfo(f"class/{number:06d}.jpg")
            info.size = len(data)
            opened.addfile(info, io.BytesIO(data))
    with zipfile.ZipFile(folder / "a.zip", "w") as packed:
        for number in range(count):
            packed.writestr(f"class/{number:06d}.jpg", data)
    time.sleep(2.5)  # what was written just now could change again unnoticed, so its index is not kept
    found: dict[str, Any] = {"members": count}
    for kind in ("tar", "zip"):
        for name in (f"{kind}_us", f"{kind}_known_us"):
            places._opened.cache_clear()  # as a new process begins
            listed_s, _, _ = timed(lambda kind=kind: open_archive(folder / f"a.{kind}"))
            found[name] = 1e6 * listed_s / count
    return found


def main(*names: str) -> None:
    """Measure what is named, or all, and print it."""
    work = {"arrays": arrays, "shards": shards, "gzip": gzip_stream, "index": index}
    results: dict[str, Any] = {}
    if names and (RESULTS / "packed.json").exists():
        results = json.loads((RESULTS / "packed.json").read_text())
        del results["machine"]
    for name in names or work:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["REGRAFT_CACHE"] = os.environ["REGRAFT_DATA"] = str(Path(folder, "own"))
            results[name] = {"commit": commit(), **work[name](Path(folder))}
            print(name, results[name])
    save("packed", results)


if __name__ == "__main__":
    main(*sys.argv[1:])
