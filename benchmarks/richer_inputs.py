"""What larger inputs and averages over mirror images are worth: a probe in each, and what the ladder chooses.

The choice sees training images only, all of them in the framing `crop`. Processor seconds of an image are
measured on the test images, which go through the network here for the first time; a fresh cache is needed for
them. It goes on where it stopped; delete its output to measure all of it again.

Run: python benchmarks/richer_inputs.py [DATA ...]
"""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np
from common import over_sets, shared

from regraft import DataSettings
from regraft.advice.profile import read_by_probe
from regraft.data.findings.image_set import Images
from regraft.heads.dataset import Dataset
from regraft.heads.fitting import fit_head
from regraft.ladder.richer_inputs import larger_inputs, mirror_images, try_larger_inputs, try_mirror_images
from regraft.ladder.solved_rungs import try_first
from regraft.networks.weights.finding import Weights
from regraft.progress import Silent
from regraft.records import columns_of
from regraft.runs.log import RunLog
from regraft.workflow.ladder_fit import state_for
from regraft.workflow.preparation import Prepared, on_sides
from regraft.workflow.rehearsal import begin
from regraft.workflow.request import make_request

NETWORKS = ("mobilenetv1_100", "mobilenetv2_100")
SETS = {"brain_mri": 5, "clothing": 1, "trash6": 2, "omniglot_small1": 2}
"""The number of seeds of the split; that of clothing is official."""
DRAWS = 10_000
USUAL = "usual"


def measured(images: Images, data: str, network: str, seed: int) -> dict[str, Any]:
    """Which input is chosen, and which test images a probe predicts in each."""
    started, log = time.perf_counter(), RunLog(Silent(), None)
    wanted = {
        "network": network, "weights": str(shared("weights")), "seed": seed, "budget": "2h", "framing": "crop"
    }  # fmt: skip
    request = make_request(None, None, None, wanted)
    begun = begin(images, request, DataSettings(), None, log, sides=("train", "validation"))
    prepared, weights = begun.prepared, begun.start.weights
    state = state_for(prepared, request, begun.start, started=started, reporter=log, purpose="advice")
    state.start()
    try_first(state)
    rungs = [rung for rung in (larger_inputs(state), mirror_images(state)) if rung is not None]
    ways = {way.name: way.make(weights) for rung in rungs for way in rung.inputs}
    used = time.process_time()
    try_larger_inputs(state)
    try_mirror_images(state)
    used = time.process_time() - used
    tests = on_sides(images, prepared.dataset.split, ("test",))
    found = {name: probed(prepared, one, tests) for name, one in {USUAL: weights, **ways}.items()}
    spec = state.inputs.weights.input_spec
    size = "" if spec.size_px == weights.input_spec.size_px else f"{spec.size_px} px"
    mirror = "mirror images" if spec.average == "mirror" else ""
    chosen = " + ".join(filter(None, (size, mirror))) or USUAL
    if chosen not in found:
        found[chosen] = probed(prepared, state.inputs.weights, tests)
    return {
        "data": data, "network": network, "seed": seed, "images": len(images), "test_images": len(tests),
        "chosen": chosen, "comparison_processor_s": round(used, 1),
        "reasons": [reason for reason in log.reasons if "input of" in reason or "features" in reason],
        "inputs": found,
    }  # fmt: skip


def probed(prepared: Prepared, weights: Weights, tests: Images) -> dict[str, Any]:
    """A probe on the features in an input: out of fold on the training images, and on the test images."""
    known, runtime = prepared.dataset, prepared.compute.open(weights, Silent())
    spec, some = weights.input_spec, tests.of({tests.items[0].sha256})
    prepared.compute.extract(some, runtime, spec, Silent())  # compiles the network, unless all are known
    used = time.process_time()
    prepared.compute.extract(tests, runtime, spec, Silent())
    used = (time.process_time() - used) / max(1, len(tests) - 1)
    features = prepared.compute.extract(known.images, runtime, spec, Silent())
    dataset = Dataset(known.images, known.split, features, known.seed)
    rows, test = dataset.training_rows(), dataset.rows("test")
    last = [features.layout[-1].stage]
    fitted = fit_head(rows, "logistic", [read_by_probe(columns_of(features.layout, last))])
    outputs, truth = dataset.predicted(fitted.head, test, "").values, dataset.truth(test)
    chances = outputs[np.arange(len(test)), truth]
    return {
        "processor_ms": None if known.seed else round(1e3 * used, 2),  # later splits find it in the cache
        "out_of_fold": round(float((fitted.out_of_fold.argmax(axis=1) == rows.targets).mean()), 4),
        "test_log_loss": round(float(-np.log(np.maximum(chances, 1e-12)).mean()), 4),
        "test": "".join(str(int(one)) for one in outputs.argmax(axis=1) == truth),
    }


def gains(row: dict[str, Any], name: str) -> np.ndarray:
    """Points that each test image gains in an input over the usual one."""
    rights = {way: np.array([*one["test"]], dtype=float) for way, one in row["inputs"].items()}
    return 100 * (rights[name] - rights[USUAL])


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """For each input, and for the chosen one, the mean gain over sets, its 95 % interval and its cost."""
    names = ["chosen", *dict.fromkeys(name for row in rows for name in row["inputs"] if name != USUAL)]
    every = {
        name: several
        for name in names
        if (several := [row for row in rows if name == "chosen" or name in row["inputs"]])
    }
    return {name: _gain(several, name) for name, several in every.items()} | {
        "each": {
            f"{row['data']}/{row['network']}/{row['seed']}": {
                USUAL: round(100 * float(np.mean([*map(int, row["inputs"][USUAL]["test"])])), 2),
                **{name: round(float(gains(row, name).mean()), 2) for name in row["inputs"] if name != USUAL},
                "chosen": row["chosen"],
            }
            for row in rows
        }
    }


def _gain(rows: list[dict[str, Any]], name: str) -> dict[str, Any]:
    generator, draws = np.random.default_rng(0), np.zeros(DRAWS)
    sets = {row["data"]: [one for one in rows if one["data"] == row["data"]] for row in rows}
    for several in sets.values():
        for row in several:
            one = gains(row, row["chosen"] if name == "chosen" else name)
            drawn = one[generator.integers(0, len(one), (DRAWS, len(one)))].mean(axis=1)
            draws += drawn / len(several) / len(sets)
    means = {
        data: float(np.mean([gains(row, row["chosen"] if name == "chosen" else name).mean() for row in some]))
        for data, some in sets.items()
    }
    times = [
        row["inputs"][name]["processor_ms"] / row["inputs"][USUAL]["processor_ms"]
        for row in rows
        if name != "chosen" and row["inputs"][name]["processor_ms"] and row["inputs"][USUAL]["processor_ms"]
    ]
    return {
        "gain": round(float(np.mean([*means.values()])), 2),
        "interval": [round(float(one), 2) for one in np.percentile(draws, (2.5, 97.5))],
        "gain_by_set": {data: round(one, 2) for data, one in means.items()},
        "processor_times": round(float(np.median(times)), 2) if times else None,
    }


def main(names: list[str]) -> None:
    """Measure what is missing, small sets first."""
    sets = {name: SETS[name] for name in names or SETS}
    over_sets("richer_inputs", sets, NETWORKS, measured, summary)


if __name__ == "__main__":
    main(sys.argv[1:])
