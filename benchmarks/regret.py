"""How much accuracy is lost by not trying everything: the ladder, and simple rules, against all strategies.

For each network, data set and number of training images a class, every strategy trains on the same images
and is tested on the same test side. Each case starts with an empty cache. Times are wall clock and processor
seconds, children included. Rows measured before are kept: a run goes on where the last one stopped.

Run: python benchmarks/regret.py exhaustive|ladder|table [DRAWS] [NETWORK ...]
"""

from __future__ import annotations

import csv
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from common import commit, earlier, save, shared
from few_images import drawn

import regraft
from regraft.data.findings.image_set import Images
from regraft.data.splits import split_images
from regraft.features.extraction import extract
from regraft.features.opening import open_runtime
from regraft.heads.dataset import Dataset
from regraft.networks.weights.finding import find_weights
from regraft.plans.planning import Circumstances, make_plan
from regraft.progress import Silent
from regraft.records import stages_of
from regraft.settings import FitSettings, TrainSettings
from regraft.training.solved import fit_solved, unseen_outputs

NETWORKS = ("mobilenetv1_100", "mobilenetv2_100")
# brain_mri has 75 training images in its smaller class: 100 takes all of that.
CASES = [(data, count) for count in (100, 20, 5) for data in ("clothing", "trash6", "brain_mri")]
# 136 classes of up to 16 training images: a case takes a quarter to half an hour, so they come last.
LARGE_CASES = [("omniglot_small1", 5), ("omniglot_small1", 20)]
WHOLE = ("omniglot_small1", 20)  # takes all 16 images of each class: another draw would be the same images
TRAINED: dict[str, dict[str, Any]] = {
    "last-blocks, cut 75%": {"strategy": "last-blocks", "cut": "75%"},
    "last-blocks, cut 50%": {"strategy": "last-blocks", "cut": "50%"},
    "last-blocks, cut 25%": {"strategy": "last-blocks", "cut": "25%"},
    "full": {"strategy": "full"},
}
SCRATCH = {"strategy": "scratch", "time_limit": "2m"}


SHARE = 0.25  # of the exhaustive time, as the ladder's budget
Case = tuple[str, str, int, int]
"""Network, data, training images a class, draw."""


class Clock:
    """Wall clock and processor seconds since it was made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), self._used()

    @staticmethod
    def _used() -> float:
        return sum(os.times()[:4])

    def read(self) -> dict[str, float]:
        wall, cpu = time.perf_counter() - self._wall, self._used() - self._cpu
        return {"wall_s": round(wall, 2), "cpu_s": round(cpu, 2)}


def solved(images: Images, network: str, seed: int, tell: Callable[..., None]) -> None:
    """Every strategy whose head is solved: last stage, each stage, many stages."""
    clock = Clock()
    weights = find_weights(network, weights=shared("weights"))
    runtime = open_runtime(weights, reporter=Silent())
    features = extract(images, runtime, weights.input_spec)
    dataset = Dataset(images, split_images(images, seed=seed), features, seed)
    circumstances = Circumstances(network, runtime.layout, weights.input_spec, runtime.facts["runtime"])
    stages = stages_of(runtime.layout)
    tell("features", None, clock)
    ways = {
        "probe": FitSettings(strategy="probe"),
        **{f"svm @ {stage}": FitSettings(strategy="svm", cut=stage) for stage in stages},
        "many-stages": FitSettings(strategy="many-stages"),
    }
    for way, settings in ways.items():
        clock = Clock()
        plan = make_plan(settings, TrainSettings(), circumstances, Silent())
        fitted = fit_solved(dataset, plan, reporter=Silent())
        test = unseen_outputs(dataset, fitted).test
        assert test is not None
        tell(way, rights_of(dataset.truth(test.rows) == test.probabilities.argmax(axis=1)), clock)


def exhaustive(
    images: Images, network: str, seed: int, tell: Callable[..., None], *, with_scratch: bool
) -> None:
    solved(images, network, seed, tell)
    for way, how in {**TRAINED, **({"scratch": SCRATCH} if with_scratch else {})}.items():
        clock = Clock()
        weights = None if way == "scratch" else str(shared("weights"))
        out = Path(os.environ["REGRAFT_CACHE"], "run")
        regraft.fit(images, network=network, weights=weights, seed=seed, out=out, overwrite=True, **how)
        tell(way, rights_in(out), clock)


def rights_of(is_right: Iterable[bool]) -> str:
    """Which test images were right, one digit each, in the order of the split."""
    return "".join("1" if right else "0" for right in is_right)


def rights_in(run: Path) -> str:
    with (run / "predictions.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["side"] == "test"]
    return rights_of(row["label"] == row["predicted"] for row in rows)


def main(question: str, draws: int, networks: list[str]) -> None:
    name = f"regret_{question}"
    rows = earlier(name)
    done = {(row["network"], row["data"], row["per_class"], row["draw"]) for row in rows}
    for case in every_case(draws, networks):
        budget = None
        if case in done:
            continue
        if question == "ladder":
            budget = SHARE * exhaustive_seconds(case)
            if not budget:
                continue  # not measured exhaustively yet
        rows += one_case(*case, budget)
        save(name, {"rows": rows})


def every_case(draws: int, networks: list[str]) -> list[Case]:
    """The quick ones first, then the slow ones of other draws and networks than the first."""
    cases = [
        (network, *case, draw)
        for draw in range(draws)
        for network in networks
        for case in CASES + LARGE_CASES
        if case != WHOLE or draw == 0
    ]

    def is_slow(case: Case) -> bool:
        return case[2] == 100 and (case[3] > 0 or case[0] != NETWORKS[0])

    def size(case: Case) -> int:
        return 1 + LARGE_CASES.index(case[1:3]) if case[1:3] in LARGE_CASES else 0

    return sorted(cases, key=lambda case: (size(case), is_slow(case)))


def exhaustive_seconds(case: Case) -> float:
    """Wall clock of all strategies; training from scratch, where it was not run, as in the first draw."""
    rows = earlier("regret_exhaustive")
    own = [row for row in rows if (row["network"], row["data"], row["per_class"], row["draw"]) == case]
    if not own:
        return 0.0
    seconds = sum(row["wall_s"] for row in own)
    if not any(row["way"] == "scratch" for row in own):
        seconds += next(
            (r["wall_s"] for r in rows if (r["data"], r["per_class"], r["way"]) == (*case[1:3], "scratch")),
            0.0,
        )
    return float(seconds)


def one_case(
    network: str, data: str, per_class: int, draw: int, budget: float | None
) -> list[dict[str, Any]]:
    case = {"commit": commit(), "network": network, "data": data, "per_class": per_class, "draw": draw}
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["REGRAFT_CACHE"] = folder
        images = drawn(data, per_class, draw, Path(folder))

        def tell(way: str, rights: str | None, clock: Clock) -> None:
            test = rights.count("1") / len(rights) if rights else None
            rows.append({**case, "way": way, "test": test, **clock.read(), "rights": rights})
            print(json.dumps(rows[-1]), flush=True)

        if budget is not None:
            clock, out = Clock(), Path(folder, "run")
            regraft.fit(
                images,
                network=network,
                weights=str(shared("weights")),
                seed=draw,
                out=out,
                budget=f"{budget:.1f}s",
            )
            tell("ladder", rights_in(out), clock)
            rows[-1] |= {
                "budget_s": round(budget, 1),
                "ladder": json.loads((out / "ladder.json").read_text())["rows"],
            }
        else:
            exhaustive(images, network, draw, tell, with_scratch=draw == 0 and network == NETWORKS[0])
    return rows


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3, sys.argv[3:] or list(NETWORKS))
