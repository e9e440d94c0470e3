"""Features computed by Ray and by arrays while processes are killed, and what a worker of Ray costs.

Five parts, each against the features that one process computes without being disturbed:

- kills: one command with Ray, whose actors are killed ten times with -9, and whose driver twice; after each
  of these the same command is given again;
- array: four parts on one folder, each killed once and started again;
- namespaces: the same, two parts in each of two PID namespaces (containers);
- poison: an image kills every worker of Ray that decodes it; all other rows are compared;
- costs: processor time for an image by one process and by one and two actors, from the processor time of the
  whole tree of processes against the images done (a straight line, so starting up is not counted).

Run: python benchmarks/executors.py [kills|array|namespaces|poison|costs ...]   (20 minutes, with Ray)
"""

from __future__ import annotations

import itertools
import json
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from common import RESULTS, save, shared

NETWORK, IMAGES, SHARD_ROWS, PARTS = "mobilenetv1_100", 1280, 32, 4
_WORKING = "ray::_Actor.compute"
COMMAND = """
import sys
import regraft.storage.rows as rows
rows.SHARD_ROWS = int(sys.argv[1])
import regraft.jobs.extract
regraft.jobs.extract.SHARD_ROWS = rows.SHARD_ROWS
if sys.argv[2] != "all":
    import regraft.execution.ray_executor as executor
    executor.count_cores = lambda: int(sys.argv[2])
from regraft.cli.app import run
sys.exit(run(sys.argv[3:]))
"""
SUPERVISOR = """
import json, os, pathlib, random, subprocess, sys, threading, time
seed, numbers, command = int(sys.argv[1]), json.loads(sys.argv[2]), json.loads(sys.argv[3])
said = {}

def supervise(number):
    generator = random.Random(seed + number)
    parted = [*command, "--part", f"{number}/4"]
    first = subprocess.Popen(parted, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    cache = pathlib.Path(os.environ["REGRAFT_CACHE"])
    while first.poll() is None and not list(cache.glob("features/*/*.worklist")):
        time.sleep(0.05)
    time.sleep(generator.uniform(1, 15))
    first.kill()
    killed = first.wait() == -9
    last = subprocess.run(parted, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    error = last.stderr[-300:] if last.returncode else ""
    said[number] = {"killed": killed, "code": last.returncode, "error": error}

threads = [threading.Thread(target=supervise, args=(number,)) for number in numbers]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(json.dumps(said))
"""

POISON = """
import os, pathlib
if b"default_worker" in pathlib.Path("/proc/self/cmdline").read_bytes():
    from regraft.features.extraction import Decoding
    decode = Decoding.decode

    def deadly(self, key):
        if key == os.environ["POISON"]:
            os.kill(os.getpid(), 9)
        return decode(self, key)

    Decoding.decode = deadly
"""
"""A `sitecustomize`, which Python imports when it starts."""


def copied(folder: Path, count: int) -> Path:
    """The first images of each class, as a data set of its own."""
    classes = sorted(path for path in shared("data/trash6/train").iterdir() if path.is_dir())
    for each in classes:
        (folder / each.name).mkdir(parents=True)
        files = sorted(path for path in each.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
        for path in files[: -(-count // len(classes))]:
            shutil.copy(path, folder / each.name / path.name)
    return folder


def command(images: Path, *flags: str, cores: str = "all") -> list[str]:
    how = ["--network", NETWORK, "--weights", str(shared("weights")), "--offline", *flags]
    return [sys.executable, "-c", COMMAND, str(SHARD_ROWS), cores, "extract", str(images), *how]


def environment(cache: Path) -> dict[str, str]:
    return {**os.environ, "REGRAFT_CACHE": str(cache)}


def manifests(cache: Path) -> list[Path]:
    return [path for path in cache.glob("features/*/*.json") if path.name != "store.json"]


def bits(cache: Path) -> dict[str, bytes]:
    """Every row by its image."""
    found: dict[str, bytes] = {}
    for path in manifests(cache):
        record = json.loads(path.read_text())
        array = np.load(path.with_name(f"{path.stem}.{record['sha256'][:16]}.npy")) if record["keys"] else ()
        found |= {key: row.tobytes() for key, row in zip(record["keys"], array, strict=True)}
    return found


def compared(cache: Path, single: dict[str, bytes]) -> dict[str, Any]:
    """How the rows of a cache differ from those of one process."""
    keys = Counter(key for path in manifests(cache) for key in json.loads(path.read_text())["keys"])
    found = bits(cache)
    return {
        "rows": len(found),
        "rows_of_one_process": len(single),
        "rows_in_two_shards": sum(count > 1 for count in keys.values()),
        "rows_with_other_bits": sum(found.get(key) != row for key, row in single.items()),
        "left": sorted(
            path.suffix for path in cache.glob("features/*/*") if path.suffix in (".worklist", ".tmp")
        ),
    }


def parents() -> dict[int, tuple[int, str]]:
    """The parent and the command line of each process."""
    found = {}
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            try:
                parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
                line = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                found[int(place.name)] = (parent, line)
            except (OSError, IndexError):
                continue
    return found


def below(root: int) -> Iterator[tuple[int, str]]:
    """The processes that a process has started, directly or not."""
    every = parents()
    for number, (parent, line) in every.items():
        while parent in every and parent not in (0, 1, root):
            parent = every[parent][0]
        if parent == root:
            yield number, line


def kills(base: Path, images: Path, single: dict[str, bytes]) -> dict[str, Any]:
    """One command with Ray, ten actors and two drivers killed."""
    generator, cache = random.Random(0), base / "kills"
    actors, drivers, codes, said = 0, 0, [], []
    while not codes or codes[-1] != 0:
        with (base / "ray.log").open("w") as log:
            driver = subprocess.Popen(
                command(images, "--executor", "ray"), env=environment(cache), stdout=log, stderr=log
            )
            before = len(manifests(cache))
            goal = 4 * (drivers + 1)
            while driver.poll() is None:
                time.sleep(generator.uniform(0.5, 2.5))
                working = [number for number, line in below(driver.pid) if line.startswith(_WORKING)]
                if working and actors < min(10, goal):
                    os.kill(generator.choice(working), signal.SIGKILL)
                    actors += 1
                elif drivers < 2 and actors >= goal and len(manifests(cache)) > before + 2:
                    driver.kill()
                    break
        codes.append(driver.wait())
        drivers += codes[-1] == -signal.SIGKILL
        said.append((base / "ray.log").read_text()[-600:])
        print(
            f"driver ended with {codes[-1]}; {actors} actors killed; {len(manifests(cache))} shards",
            flush=True,
        )
        assert len(codes) < 6, said
    left = [line for _, line in parents().values() if line.startswith("ray::")]
    return {
        "actors_killed": actors, "drivers_killed": drivers, "exit_codes": codes, "actors_left": len(left),
        "last_words": [line for line in said[-1].splitlines()[-6:] if "/" not in line],
        **compared(cache, single),
    }  # fmt: skip


def poison(base: Path, images: Path, single: dict[str, bytes]) -> dict[str, Any]:
    """One command with Ray, and an image that kills its workers."""
    cache, bad = base / "poison", sorted(single)[77]
    (base / "site").mkdir()
    (base / "site" / "sitecustomize.py").write_text(POISON)
    path = os.pathsep.join(filter(None, (str(base / "site"), os.environ.get("PYTHONPATH"))))
    deadly = {**environment(cache), "PYTHONPATH": path, "POISON": bad}
    run = command(images, "--executor", "ray")
    done = subprocess.run(run, env=deadly, capture_output=True, text=True, check=True)
    failed = {}
    for place in manifests(cache):
        failed |= json.loads(place.read_text()).get("failed", {})
    return {
        "workers_died": done.stderr.count(" died; its "),
        "said_of_the_image": failed.pop(bad, ""),
        "other_failures": len(failed),
        "missing": sorted(set(single) - set(bits(cache))) == [bad],
        **compared(cache, {key: row for key, row in single.items() if key != bad}),
    }


def supervised(base: Path, name: str, images: Path, single: dict[str, bytes], groups: list[list[int]],
               prefix: list[str]) -> dict[str, Any]:  # fmt: skip
    """Four parts in groups, each part killed once and started again."""
    cache = base / name
    started = [
        subprocess.Popen(
            [*prefix, sys.executable, "-c", SUPERVISOR, "7", json.dumps(group), json.dumps(command(images))],
            env=environment(cache), stdout=subprocess.PIPE, text=True,
        )
        for group in groups
    ]  # fmt: skip
    said: dict[str, Any] = {}
    for one in started:
        said |= json.loads(one.communicate()[0])
    return {"parts": said, **compared(cache, single)}


def processor_s(processes: set[int], ended: dict[int, float]) -> float:
    """Processor seconds of processes, those that have ended included as they were seen last."""
    ticks = os.sysconf("SC_CLK_TCK")
    for number in processes:
        try:
            fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
            ended[number] = (int(fields[11]) + int(fields[12])) / ticks
        except (OSError, IndexError):
            continue
    return sum(ended.values())


def cost(base: Path, name: str, run: list[str]) -> dict[str, Any]:
    """Processor milliseconds and wall seconds for an image, by straight lines through the shards' ends."""
    cache = base / name
    shutil.rmtree(cache, ignore_errors=True)
    if (base / "single" / "networks").exists():
        shutil.copytree(base / "single" / "networks", cache / "networks")
    process = subprocess.Popen(
        run, env=environment(cache), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    ended: dict[int, float] = {}
    actors: set[int] = set()
    points: list[tuple[int, float, float, float, float]] = []
    load: list[float] = []
    while process.poll() is None:
        tree = dict(below(process.pid))
        actors |= {number for number, line in tree.items() if line.startswith("ray::_Actor")}
        used = processor_s({process.pid, *tree}, ended)
        own, theirs = ended.get(process.pid, 0.0), sum(ended.get(number, 0.0) for number in actors)
        done = SHARD_ROWS * len(manifests(cache))
        points.append((done, used, own, used - own - theirs, time.perf_counter()))
        load.append(os.getloadavg()[0])
        time.sleep(0.1)
    assert process.returncode == 0, name
    most = max(point[0] for point in points)
    # Only the first sample that sees a new shard is a point, and neither the first shards nor the last.
    steps = [two for one, two in itertools.pairwise(points) if two[0] > one[0]]
    rows = [point for point in steps if 0.1 * most < point[0] < 0.95 * most]
    images, used_s, driver_s, system_s, wall_s = (
        np.array(column, dtype=float) for column in zip(*rows, strict=True)
    )
    return {
        "run": name,
        "processor_ms_an_image": 1000 * float(np.polyfit(images, used_s, 1)[0]),
        "of_the_first_process": 1000 * float(np.polyfit(images, driver_s, 1)[0]),
        "of_ray_itself": 1000 * float(np.polyfit(images, system_s, 1)[0]),
        "wall_ms_an_image": 1000 * float(np.polyfit(images, wall_s, 1)[0]),
        "processor_s_in_all": sum(ended.values()),
        "load": round(float(np.mean(load)), 1),
    }


def costs(base: Path, images: Path, earlier: list[dict[str, Any]], rounds: int = 5) -> dict[str, Any]:
    """Processor time for an image by one process of one thread, by one actor, and by two.

    A worker of one thread decodes beside its computing, so it takes a little of a core that is idle; on one
    core it can't. Runs of earlier rounds are not repeated; delete them to measure all of it again.
    """
    halves = [shlex.join(command(images, "--threads", "1", "--part", f"{part}/2")) for part in (1, 2)]
    kinds: dict[str, list[str]] = {
        "one process, one thread": command(images, "--threads", "1"),
        "one actor": command(images, "--executor", "ray", cores="1"),
        "two actors": command(images, "--executor", "ray", cores="2"),
        "one actor, on one core": ["taskset", "-c", "0", *command(images, "--executor", "ray", cores="1")],
        "two processes, one thread each": ["sh", "-c", f"{halves[0]} & {halves[1]} & wait"],
    }
    rows = list(earlier)
    for number in range(rounds):
        for name, run in kinds.items():
            if sum(row["run"] == name for row in earlier) > number:
                continue
            rows.append(cost(base, name, run))
            print(rows[-1], flush=True)
    middle = {
        name: {
            what: float(np.median([row[what] for row in rows if row["run"] == name and what in row]))
            for what in ("processor_ms_an_image", "of_the_first_process", "of_ray_itself", "wall_ms_an_image")
        }
        for name in kinds
    }
    alone, one, two, pinned, apart = (middle[name] for name in kinds)
    return {
        "rows": rows,
        "median": middle,
        "actor_overhead": one["processor_ms_an_image"] / alone["processor_ms_an_image"] - 1,
        "two_actors_by_processor_time": one["processor_ms_an_image"] / two["processor_ms_an_image"],
        "two_actors_by_wall_time": one["wall_ms_an_image"] / two["wall_ms_an_image"] / 2,
        "two_actors_against_one_on_one_core": pinned["wall_ms_an_image"] / two["wall_ms_an_image"] / 2,
        "two_processes_by_wall_time": alone["wall_ms_an_image"] / apart["wall_ms_an_image"] / 2,
    }


def main(names: list[str]) -> None:
    path = RESULTS / "executors.json"
    kept = json.loads(path.read_text()) if path.exists() else {}
    kept.pop("machine", None)
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        images, single = copied(base / "images", IMAGES), dict[str, bytes]()
        if names != ["costs"]:
            subprocess.run(command(images), env=environment(base / "single"), check=True)
            single = bits(base / "single")
        groups = [[1, 2], [3, 4]]
        apart = ["unshare", "--pid", "--fork", "--mount-proc"]
        parts: dict[str, Callable[[], dict[str, Any]]] = {
            "kills": lambda: kills(base, images, single),
            "array": lambda: supervised(base, "array", images, single, groups, []),
            "namespaces": lambda: supervised(base, "namespaces", images, single, groups, apart),
            "poison": lambda: poison(base, images, single),
            "costs": lambda: costs(base, copied(base / "own", IMAGES), kept.get("costs", {}).get("rows", [])),
        }
        facts = {
            "network": NETWORK,
            "shard_rows": SHARD_ROWS,
            "ray": metadata.version("ray"),
        }
        for name in names or parts:
            kept = {**kept, **facts, name: parts[name]()}
            print(name, {key: value for key, value in kept[name].items() if key != "rows"}, flush=True)
            save("executors", kept)


if __name__ == "__main__":
    main(sys.argv[1:])
