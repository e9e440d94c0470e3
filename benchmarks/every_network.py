"""Every network of the table on real images: a probe, and one training step of the whole network.

Whole cold processes on brain_mri (253 images; the step takes 16 of them). Weights are those in the folder of
evaluation weights, else random: then accuracies say that the network runs, and nothing of how good it is.
Rows measured before are kept: a run goes on where the last one stopped.

Run: python benchmarks/every_network.py [NETWORK ...]
"""

from __future__ import annotations

import csv
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from common import commit, earlier, environment, regraft, save, shared
from fastai_frozen import timed

from regraft.networks.zoo.cards import cards


def sixteen(folder: Path) -> Path:
    """A table of 16 images of both classes."""
    with (shared("data/splits") / "brain_mri.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    chosen = [row for label in ("yes", "no") for row in [one for one in rows if one["label"] == label][:8]]
    table = folder / "sixteen.csv"
    with table.open("w", newline="") as file:
        csv.writer(file).writerows(
            [("path", "label", "split"), *((row["path"], row["label"], "train") for row in chosen)]
        )
    return table


def measured(name: str, folder: Path) -> dict[str, Any]:
    has_weights = (shared("weights") / f"{name}.json").exists() or name == "lenet5"
    start = ["--weights", str(shared("weights"))] if has_weights else ["--weights", "random"]
    start = [] if name == "lenet5" else start
    data, where = str(shared("data/brain_mri")), environment(str(folder))
    # Random weights are worth no more in fp32.
    common = ["--network", name, "--json", "--precision", "fp32" if has_weights else "bf16"]
    probe, _ = timed(
        [*regraft(), "fit", data, *common, *start, "--strategy", "probe", "--out", str(folder / "probe")],
        env=where,
    )
    step = [
        "--strategy", "full", "--epochs", "1", "--effective-batch", "16", "--validation-share", "0",
        "--test-share", "0", "--root", data, "--out", str(folder / "full"),
    ]  # fmt: skip
    full, _ = timed([*regraft(), "fit", str(sixteen(folder)), *common, *start, *step], env=where)
    scores = json.loads((folder / "probe" / "scores.json").read_text())
    metrics = json.loads((folder / "full" / "metrics.jsonl").read_text().splitlines()[-1])
    return {
        "weights": "pretrained" if has_weights else "random",
        "probe_s": probe,
        "probe_accuracy": scores["test"]["accuracy"],
        "full_step_s": full,
        "steps": metrics["step"],
        "train_loss": metrics["train_loss"],
        "gradient_norms": len(metrics["gradient_norms"]),
    }


def main(wanted: list[str]) -> None:
    rows = earlier("every_network")
    done = {row["network"] for row in rows}
    for name in wanted or list(cards()):
        if name in done:
            continue
        with tempfile.TemporaryDirectory() as folder:
            rows.append({"commit": commit(), "network": name, **measured(name, Path(folder))})
        print(json.dumps(rows[-1]), flush=True)
        save("every_network", {"rows": rows})


if __name__ == "__main__":
    main(sys.argv[1:])
