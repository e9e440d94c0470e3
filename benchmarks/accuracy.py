"""Test accuracy, with intervals, of the solved strategies on real images: the table of the README.

Run: python benchmarks/accuracy.py
"""

from __future__ import annotations

import os
import tempfile
import time

from common import save, shared

import regraft
from regraft.records import stages_of

DATA = ("trash6", "brain_mri", "clothing", "omniglot_small1")
NETWORKS = ("mobilenetv1_100", "mobilenetv2_100", "squeezenet1_1")


def main() -> None:
    weights = str(shared("weights"))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["REGRAFT_CACHE"] = folder
        for data in DATA:
            images = regraft.load_images(shared("data") / data)
            for network in NETWORKS:
                for strategy in ("probe", "svm", "many-stages"):
                    started = time.perf_counter()
                    model = regraft.fit(images, network=network, weights=weights, strategy=strategy)
                    scores = model.scores
                    row = {
                        "data": data,
                        "network": network,
                        "strategy": strategy,
                        "stages": stages_of(model.head.record.columns),
                        "images": scores.test.images,
                        "test": scores.test.accuracy.model_dump(),
                        "cross_validated": scores.validation.accuracy.model_dump(),
                        "log_loss": scores.test.log_loss.value,
                        "majority": scores.baseline.accuracy.value,
                        "wall_s": round(time.perf_counter() - started, 2),
                    }
                    rows.append(row)
                    test = row["test"]
                    shown = f"{test['value']:.1%} [{test['low']:.1%}, {test['high']:.1%}]"
                    print(f"{data:16} {network:16} {strategy:12} {shown} {row['wall_s']} s", flush=True)
    save("accuracy", {"rows": rows})


if __name__ == "__main__":
    main()
