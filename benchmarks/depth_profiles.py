"""What each depth knows, how like the source the data is, and what the methods of before 2012 get.

For each data set and network: the depth profile with its time, the distance to the source, baselines with
SIFT words, and the learning curve of a probe. Draws docs/depth-profiles.svg.

A cache named by $REGRAFT_CACHE is used, so that features are computed once.

Run: python benchmarks/depth_profiles.py [baselines|profiles]
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from common import earlier, save, shared
from few_images import drawn

from regraft.advice.baselines import Baseline, classic_baselines, trivial_merit, words_baseline
from regraft.advice.learning_curve import learning_curve
from regraft.advice.profile import DepthProfile, depth_profile, read_by_probe
from regraft.advice.similarity import IMAGES, similarity
from regraft.data.pictures.loading import LoadLimits
from regraft.data.splits import split_images
from regraft.features.extraction import extract
from regraft.features.moments import source_statistics
from regraft.features.opening import open_moments, open_runtime
from regraft.features.runtimes import Runtime
from regraft.heads.dataset import Dataset
from regraft.heads.fitting import fit_head
from regraft.networks.weights.finding import find_weights
from regraft.outputs.plots import Axes, line_plot
from regraft.progress import Silent
from regraft.records import columns_of

DATA = ("clothing", "trash6", "brain_mri", "omniglot_small1")
NETWORKS = ("mobilenetv1_100", "mobilenetv2_100")
PLOT = Path(__file__).parents[1] / "docs" / "depth-profiles.svg"


def measured(data: str, network: str, folder: Path) -> dict[str, Any]:
    dataset, runtime = prepared(data, network, folder)
    images, weights = dataset.images, find_weights(network, weights=shared("weights"))
    rows, layout = dataset.training_rows(), runtime.layout
    row: dict[str, Any] = {"data": data, "network": network, "images": len(rows.keys)}
    row |= profiled(dataset)
    sample = rows.sample(IMAGES)
    wanted = set(sample.keys)
    some = replace(images, items=tuple(item for item in images.items if item.sha256 in wanted))
    moments = open_moments(weights)
    source = source_statistics(weights, moments.norms)
    started = time.perf_counter()
    seen = extract(some, moments, weights.input_spec)
    keys = [key for key in dict.fromkeys(sample.keys) if key in seen.rows]
    row |= {"similarity": similarity(seen, keys, source).model_dump(mode="json")}
    row |= {"similarity_s": round(time.perf_counter() - started, 2)}
    probe = fit_head(rows, "logistic", [read_by_probe(columns_of(layout, [layout[-1].stage]))])
    row["curve"] = learning_curve(rows, probe.head).model_dump(mode="json")
    if network == NETWORKS[0]:
        row["baselines"] = baselines(dataset)
    return row


def profiled(dataset: Dataset) -> dict[str, Any]:
    """The depth profile, with its seconds and processor seconds."""
    rows = dataset.training_rows()
    started, processor = time.perf_counter(), time.process_time()
    profile = depth_profile(rows, dataset.features.layout)
    return {
        "profile_s": round(time.perf_counter() - started, 2),
        "profile_processor_s": round(time.process_time() - processor, 2),
        "profile": profile.model_dump(mode="json"),
    }


def baselines(dataset: Dataset) -> list[dict[str, Any]]:
    how = {"most": 400, "limits": LoadLimits(), "reporter": Silent()}
    rows = dataset.training_rows()
    trivial = {"name": "majority class", "accuracy": trivial_merit(rows).estimate, "images": len(rows.keys)}
    found = (
        Baseline.model_validate(trivial),
        *classic_baselines(dataset, **how),
        words_baseline(dataset, **how),
    )
    return [one.model_dump(mode="json") for one in found]


def prepared(data: str, network: str, folder: Path) -> tuple[Dataset, Runtime]:
    images = drawn(data, None, 0, folder)
    weights = find_weights(network, weights=shared("weights"))
    runtime = open_runtime(weights, reporter=Silent())
    return Dataset(images, split_images(images), extract(images, runtime, weights.input_spec), 0), runtime


def draw(rows: list[dict[str, Any]]) -> None:
    lines = {}
    for row in rows:
        if row["network"] == NETWORKS[0]:
            stages = DepthProfile.model_validate(row["profile"]).stages
            depths = [(number + 1) / len(stages) for number in range(len(stages))]
            lines[row["data"]] = (depths, [100 * stage.least_squares.value for stage in stages])
    label = "least-squares SVM on the stage, %"
    axes = Axes(f"What each depth of {NETWORKS[0]} knows", "share of the stages", label)
    line_plot(PLOT, axes, lines)


def only_baselines(folder: Path) -> None:
    """Measure the baselines again, and leave the rest."""
    rows = earlier("depth_profiles")
    for row in rows:
        if "baselines" in row:
            row["baselines"] = baselines(prepared(row["data"], row["network"], folder)[0])
            print(
                row["data"], [(one["name"], one["accuracy"]["value"]) for one in row["baselines"]], flush=True
            )
    save("depth_profiles", {"rows": rows})


def only_profiles(folder: Path) -> None:
    """Measure the profiles again, and leave the rest."""
    rows = earlier("depth_profiles")
    for row in rows:
        row |= profiled(prepared(row["data"], row["network"], folder)[0])
        print(row["data"], row["network"], row["profile_s"], row["profile_processor_s"], flush=True)
    save("depth_profiles", {"rows": rows})
    draw(rows)


if __name__ == "__main__":
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("REGRAFT_CACHE", folder)
        if sys.argv[1:] == ["profiles"]:
            only_profiles(Path(folder))
            sys.exit()
        if sys.argv[1:] == ["baselines"]:
            only_baselines(Path(folder))
            sys.exit()
        for network in NETWORKS:
            for data in DATA:
                rows.append(measured(data, network, Path(folder)))
                print(
                    json.dumps({k: v for k, v in rows[-1].items() if k not in ("profile", "similarity")}),
                    flush=True,
                )
                save("depth_profiles", {"rows": rows})
    draw(rows)
