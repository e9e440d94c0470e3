"""What the ladder's choice of a framing is worth: a probe in every framing, and in the one that is chosen.

The choice sees training images only. Its cost is the number of images that go through the network, as a
multiple of those of a fit that measures no framing, and for the first seed also the time. A cache named by
$REGRAFT_CACHE is used; the times need a fresh one. It goes on where it stopped; delete its output to measure
all of it again.

Run: python benchmarks/framing.py [DATA ...]
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
from regraft.ladder.framings import other_framings, try_framings
from regraft.ladder.solved_rungs import try_first
from regraft.ladder.state import State
from regraft.networks.weights.finding import Weights
from regraft.progress import Silent
from regraft.records import Framing, columns_of
from regraft.runs.log import RunLog
from regraft.workflow.ladder_fit import state_for
from regraft.workflow.preparation import Prepared, on_sides
from regraft.workflow.rehearsal import begin
from regraft.workflow.request import make_request

NETWORKS = ("mobilenetv1_100", "mobilenetv2_100")
SETS = {"cherry_hemlock": 1, "brain_mri": 5, "clothing": 1, "trash6": 2, "omniglot_small1": 2}
"""The number of seeds of the split; that of clothing is official."""
DRAWS = 10_000


def measured(images: Images, data: str, network: str, seed: int) -> dict[str, Any]:
    """Which framing is chosen, what that takes, and which test images a probe predicts in each framing."""
    started, log = time.perf_counter(), RunLog(Silent(), None)
    wanted = {"network": network, "weights": str(shared("weights")), "seed": seed, "budget": "1h"}
    request = make_request(None, None, None, wanted)
    begun = begin(images, request, DataSettings(), None, log, sides=("train", "validation"))
    prepared, weights = begun.prepared, begun.start.weights
    state = state_for(prepared, request, begun.start, started=started, reporter=log, purpose="advice")
    state.start()
    try_first(state)
    first, mark = len(state.rows), time.perf_counter()
    try_framings(state)
    seconds = time.perf_counter() - mark
    tests = on_sides(images, prepared.dataset.split, ("test",))
    passes, extracted_s = _passes(state, first, weights), prepared.extract_s
    framings = (weights.input_spec.framing, *other_framings(weights.input_spec, images.oblong_share))
    found = {framing: probed(prepared, weights, framing) for framing in framings}
    usual = len(images)
    return {
        "data": data, "network": network, "seed": seed, "images": len(images), "test_images": len(tests),
        "oblong_share": round(images.oblong_share, 3), "chosen": state.inputs.weights.input_spec.framing,
        "reasons": [reason for reason in log.reasons if "framing" in reason],
        "passes": round((usual + passes) / usual, 3),
        "time": None if extracted_s is None or seed else round(1 + seconds / (extracted_s * usual), 3),
        "framings": found,
    }  # fmt: skip


def _passes(state: State, first: int, weights: Weights) -> int:
    """Images that went through the network once more because framings were measured."""
    chosen, passes = state.inputs.weights.input_spec.framing, 0
    for row in state.rows[first:]:
        if row.name.startswith("ridge") and row.images and row.name.rsplit(", ", 1)[1] != chosen:
            passes += row.images
    dataset = state.inputs.dataset
    switched = chosen != weights.input_spec.framing
    return passes + (len(dataset.rows("train", "validation")) if switched else 0)


def probed(prepared: Prepared, weights: Weights, framing: Framing) -> dict[str, Any]:
    """A probe on the features in a framing: out of fold on the training images, and on the test images."""
    spec, known = weights.framed(framing).input_spec, prepared.dataset
    features = prepared.compute.extract(known.images, prepared.runtime, spec, Silent())
    dataset = Dataset(known.images, known.split, features, known.seed)
    rows, test = dataset.training_rows(), dataset.rows("test")
    fitted = fit_head(rows, "logistic", [read_by_probe(columns_of(features.layout, _last(features)))])
    outputs, truth = dataset.predicted(fitted.head, test, "").values, dataset.truth(test)
    chances = outputs[np.arange(len(test)), truth]
    return {
        "out_of_fold": round(float((fitted.out_of_fold.argmax(axis=1) == rows.targets).mean()), 4),
        "test_log_loss": round(float(-np.log(np.maximum(chances, 1e-12)).mean()), 4),
        "test": "".join(str(int(one)) for one in outputs.argmax(axis=1) == truth),
    }


def _last(features: Any) -> list[str]:
    return [features.layout[-1].stage]


def gains(row: dict[str, Any], framing: str | None = None) -> np.ndarray:
    """Points that each test image gains by a framing, or by the chosen one, over the usual one."""
    rights = {name: np.array([*one["test"]], dtype=float) for name, one in row["framings"].items()}
    return 100 * (rights[framing or row["chosen"]] - rights["crop"])


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Points gained on each set, the mean over sets with a 95 % interval, the worst set, and the costs."""
    sets = {name: [row for row in rows if row["data"] == name] for name in SETS}
    sets = {name: several for name, several in sets.items() if several}
    generator = np.random.default_rng(0)
    draws = np.zeros(DRAWS)
    for several in sets.values():
        for row in several:
            one = gains(row)
            drawn = one[generator.integers(0, len(one), (DRAWS, len(one)))].mean(axis=1)
            draws += drawn / len(several) / len(sets)
    means = {name: float(np.mean([gains(row).mean() for row in several])) for name, several in sets.items()}
    each = {
        f"{row['data']}/{row['network']}/{row['seed']}": {
            "crop": round(100 * float(np.mean([*map(int, row["framings"]["crop"]["test"])])), 2),
            **{name: round(float(gains(row, name).mean()), 2) for name in row["framings"] if name != "crop"},
            "chosen": row["chosen"],
        }
        for row in rows
    }
    return {
        "gain": round(float(np.mean([*means.values()])), 2),
        "interval": [round(float(one), 2) for one in np.percentile(draws, (2.5, 97.5))],
        "gain_by_set": {name: round(one, 2) for name, one in means.items()},
        "worst": round(min(means.values()), 2),
        "passes": round(float(np.mean([row["passes"] for row in rows])), 2),
        "most_passes": max(row["passes"] for row in rows),
        "each": each,
    }


def main(names: list[str]) -> None:
    """Measure what is missing, small sets first."""
    sets = {name: SETS[name] for name in names or SETS}
    over_sets("framing", sets, NETWORKS, measured, summary)


if __name__ == "__main__":
    main(sys.argv[1:])
