"""How probabilities are made of a kernel SVM's votes: three ways on the same machines, judged on test images.

Each way has one temperature, chosen on out-of-fold scores of the training images. Rows measured before are
kept.

Run: python benchmarks/calibration.py [DRAWS]
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from common import commit, earlier, save, shared
from few_images import drawn

from regraft.data.findings.image_set import Images
from regraft.data.splits import split_images
from regraft.evaluation.scores import calibration_error
from regraft.features.extraction import extract
from regraft.features.opening import open_runtime
from regraft.heads.dataset import Dataset
from regraft.heads.head import softmax
from regraft.heads.rows import FittedHead
from regraft.networks.weights.finding import find_weights
from regraft.plans.planning import Circumstances, make_plan
from regraft.progress import Silent
from regraft.settings import FitSettings, TrainSettings
from regraft.training.solved import fit_solved

Floats = npt.NDArray[np.float64]
NETWORK = "mobilenetv1_100"
CASES = [
    (data, count) for data in ("brain_mri", "trash6", "clothing", "omniglot_small1") for count in (5, 20, 100)
]
WAYS: dict[str, tuple[Callable[[Floats], Floats], bool]] = {
    "votes, K images counted in": (lambda scores: votes_of(scores), True),
    "votes, one image counted in": (lambda scores: votes_of(scores), False),
    "as regraft does": (lambda scores: scores, False),
}
"""What becomes of a head's scores; whether an image of each class is counted in, or one of all equally."""
HEATS = np.exp(np.linspace(-6, 6, 481))


def votes_of(scores: Floats) -> Floats:
    """The votes that `Head.scores` was made of, up to a constant of each row."""
    if scores.shape[1] > 2:
        return 1 - np.exp(-scores)
    margin = scores[:, 0] - scores[:, 1]
    ahead = np.sign(margin) * (1 + 2 * np.abs(margin) / (3 * (np.abs(margin) + 1)))
    return np.stack([ahead, np.zeros_like(ahead)], axis=1)


def best_heat(scores: Floats, labels: npt.NDArray[np.int64], smooth: float) -> float:
    def loss(heat: float) -> float:
        chances = np.log(np.maximum(softmax(scores / heat), 1e-12))
        return float(-(1 - smooth) * chances[np.arange(len(labels)), labels].mean() - smooth * chances.mean())

    return float(HEATS[np.argmin([loss(heat) for heat in HEATS])])


def one_case(images: Images, draw: int) -> dict[str, tuple[Dataset, FittedHead]]:
    weights = find_weights(NETWORK, weights=shared("weights"))
    runtime = open_runtime(weights, reporter=Silent())
    features = extract(images, runtime, weights.input_spec)
    dataset = Dataset(images, split_images(images, seed=draw), features, draw)
    circumstances = Circumstances(NETWORK, runtime.layout, weights.input_spec, runtime.facts["runtime"])
    settings = {
        "svm, last stage": FitSettings(strategy="svm", cut=runtime.layout[-1].stage),
        "svm, many stages": FitSettings(strategy="many-stages", head="rbf-svm"),
    }
    plans = {name: make_plan(how, TrainSettings(), circumstances, Silent()) for name, how in settings.items()}
    return {name: (dataset, fit_solved(dataset, plan, reporter=Silent())) for name, plan in plans.items()}


def main(draws: int) -> None:
    rows = earlier("calibration")
    done = {(row["data"], row["per_class"], row["draw"]) for row in rows}
    cases = [(*case, draw) for draw in range(draws) for case in CASES]
    for data, count, draw in cases:
        # Its 136 classes have at most 16 training images, and other draws take as long again.
        is_left_out = data.startswith("omniglot") and (count == 100 or draw > 0)
        if (data, count, draw) in done or is_left_out:
            continue
        with tempfile.TemporaryDirectory() as folder:
            os.environ["REGRAFT_CACHE"] = folder
            fitted_heads = one_case(drawn(data, count, draw, Path(folder)), draw)
            for head, (dataset, fitted) in fitted_heads.items():
                heat, test = fitted.head.record.temperature, dataset.rows("test")
                learned, truth = dataset.truth(dataset.rows("train")), dataset.truth(test)
                known = heat * np.log(np.maximum(fitted.out_of_fold, 1e-300))
                matrix = dataset.features.matrix(dataset.keys(test), fitted.head.record.columns)
                new = fitted.head.scores(matrix)
                for way, (scores, is_each) in WAYS.items():
                    more = known.shape[1] if is_each else 1
                    best = best_heat(scores(known), learned, more / (len(known) + more))
                    chances = softmax(scores(new) / best)
                    rights = chances.argmax(axis=1) == truth
                    rows.append({
                        "commit": commit(), "data": data, "per_class": count, "draw": draw, "head": head,
                        "way": way, "classes": known.shape[1], "training_images": len(known),
                        "test_images": len(truth), "temperature": best, "accuracy": float(rights.mean()),
                        "calibration_error": calibration_error(chances.max(axis=1), rights),
                        "log_loss": float(
                            -np.log(np.maximum(chances[np.arange(len(truth)), truth], 1e-12)).mean()
                        ),
                    })  # fmt: skip
                    print(rows[-1], flush=True)
        save("calibration", {"rows": rows})
    for way in WAYS:
        for several in (False, True):
            own = [row for row in rows if row["way"] == way and (row["classes"] > 2) == several]
            means = {name: np.mean([row[name] for row in own]) for name in ("calibration_error", "log_loss")}
            print(f"{way}, {'more' if several else 'two'} classes, {len(own)} machines: {means}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
