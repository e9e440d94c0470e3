"""How many images the similarity to the source needs: the distance of random samples, and their verdicts.

    python benchmarks/similarity_sample.py

For each data set and network, the moments of at most 128 training images, and 20 random samples without
replacement of each smaller size.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from common import save, shared

import regraft
from regraft.advice.similarity import similarity
from regraft.features.extraction import extract
from regraft.features.moments import source_statistics
from regraft.features.opening import open_moments
from regraft.networks.weights.finding import find_weights

DATA = ("clothing/train", "trash6", "brain_mri", "omniglot_small1")
NETWORKS = ("tf_efficientnet_lite0", "mobilenetv1_100", "mobilenetv2_100")
MOST, SIZES, DRAWS = 128, (32, 48, 64), 20


def measured(data: str, network: str) -> dict[str, Any]:
    """The distance of all images, and for each size the spread of its samples and how many agree."""
    images = regraft.load_images(shared("data") / data)
    weights = find_weights(network, weights=_weights(network))
    runtime = open_moments(weights)
    chosen = np.random.default_rng(0).permutation(len(images))[:MOST]
    some = type(images)(images.root, tuple(images.items[place] for place in chosen))
    features = extract(some, runtime, weights.input_spec)
    keys = list(dict.fromkeys(item.sha256 for item in some.items))
    source = source_statistics(weights, runtime.norms)
    whole = similarity(features, keys, source)
    row: dict[str, Any] = {"data": data, "network": network, "images": len(keys), "word": whole.word}
    row["distance"] = whole.distance.model_dump() if whole.distance else None
    row["sizes"] = {}
    draws = np.random.default_rng(1)
    for size in SIZES:
        found = [
            similarity(features, list(draws.choice(keys, size, replace=False)), source) for _ in range(DRAWS)
        ]
        values = [one.distance.value for one in found if one.distance]
        row["sizes"][size] = {
            "mean": float(np.mean(values)),
            "low": float(np.quantile(values, 0.025)),
            "high": float(np.quantile(values, 0.975)),
            "same_word": sum(one.word == whole.word for one in found) / DRAWS,
        }
    return row


def _weights(network: str) -> Path | None:
    place = shared("weights")
    return place if (place / f"{network}.safetensors").exists() else None


def main() -> int:
    rows = []
    for data in DATA:
        for network in NETWORKS:
            rows.append(measured(data, network))
            print(rows[-1], flush=True)
    save("similarity_sample", {"rows": rows})
    return 0


if __name__ == "__main__":
    sys.exit(main())
