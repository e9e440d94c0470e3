"""`regraft fit --strategy last-blocks` and `full` against fastai's `fine_tune(4)`: whole processes, in turns.

Same machine, weights, images and split (clothing: 1,000 training and 372 test photos). fastai validates on
the test photos after each epoch; regraft holds out training photos to choose the epoch, and sees the test
photos once. Rows measured before are kept: a run goes on where the last one stopped.
Speeds are of the training part of an epoch in which the whole network learns, validation left out.

Run: python benchmarks/fine_tuning.py [SEEDS] [NETWORK ...]
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from common import commit, earlier, environment, regraft, save, shared
from fastai_frozen import HERE, peer_python, timed


def ours(network: str, seed: int, folder: str, *arguments: str) -> dict[str, Any]:
    """One cold `regraft fit`."""
    data = str(shared("data/clothing"))
    name = f"{network}-{seed}-{'-'.join(arguments)}".replace("/", "_")[-60:]
    out = Path(folder, name)
    options = ["--network", network, "--seed", str(seed), "--json", "--out", str(out), *arguments]
    seconds, _ = timed(
        [*regraft(), "fit", data, *options], env=environment(str(Path(folder, f"cache-{name}")))
    )
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    scores = json.loads((out / "scores.json").read_text())
    speeds = [row["images_per_s"] for row in rows]
    return {
        "wall_s": seconds,
        "accuracy": scores["test"]["accuracy"],
        "images_per_s": statistics.median(speeds),
    }


def theirs(network: str, seed: int, weights: str, epochs: int) -> dict[str, Any]:
    script = str(HERE / "peers" / "fastai_fine_tune.py")
    command = [str(peer_python()), "-W", "ignore", script, str(shared("data/clothing")), weights, network]
    seconds, output = timed([*command, str(seed), str(epochs)])
    result = json.loads(output.strip().splitlines()[-1])
    return {**result, "wall_s": seconds, "images_per_s": statistics.median(result["unfrozen_images_per_s"])}


def pretrained(network: str, seed: int, folder: str) -> dict[str, Any]:
    """Last blocks (by default, and for the peer's 4 epochs), whole network, then the peer."""
    start = ["--weights", str(shared("weights"))]
    four = ["--epochs", "4"]
    last = ours(network, seed, folder, *start, "--strategy", "last-blocks")
    short = ours(network, seed, folder, *start, "--strategy", "last-blocks", *four)
    whole = ours(network, seed, folder, *start, "--strategy", "full", *four, "--validation-share", "0")
    peer = theirs(network, seed, str(shared("weights")), 4)
    row = {"last_blocks": last, "last_blocks_4_epochs": short, "full_4_epochs": whole, "fastai": peer}
    ratios = {f"ratio_{name}": peer["wall_s"] / row[name]["wall_s"] for name in list(row)[:3]}
    return {**row, **ratios, "ratio_whole_network": whole["images_per_s"] / peer["images_per_s"]}


def from_random(network: str, seed: int, folder: str) -> dict[str, Any]:
    """One epoch of the whole network from random weights, which serve for the speed."""
    how = ["--weights", "random", "--strategy", "full", "--epochs", "1", "--validation-share", "0"]
    whole = ours(network, seed, folder, *how)
    peer = theirs(network, seed, "random", 0)
    ratio = whole["images_per_s"] / peer["images_per_s"]
    return {"full_1_epoch": whole, "fastai": peer, "ratio_whole_network": ratio}


def main(seeds: int, networks: list[str]) -> None:
    rows = earlier("fine_tuning")
    done = {(row["network"], row["seed"]) for row in rows}
    for seed in range(seeds):
        for network in (name for name in networks if (name, seed) not in done):
            with tempfile.TemporaryDirectory() as folder:
                measure = pretrained if (shared("weights") / f"{network}.json").exists() else from_random
                row = {"commit": commit(), "network": network, "seed": seed}
                rows.append({**row, **measure(network, seed, folder)})
            print(json.dumps(rows[-1]), flush=True)
            save("fine_tuning", {"rows": rows})


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    main(count, sys.argv[2:] or ["mobilenetv1_100", "mobilenetv2_100", "resnet18"])
