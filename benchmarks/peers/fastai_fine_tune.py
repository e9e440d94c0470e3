"""What a newcomer to fastai writes: `fine_tune(4)`; prints one JSON line.

Run by benchmarks/fine_tuning.py in a virtual environment of its own.
Arguments: DATA (with train/ and test/), WEIGHTS (a folder, or `random`), NETWORK, SEED, EPOCHS (0: one
unfrozen epoch for its speed alone).
"""

import json
import sys
import time
from pathlib import Path

import timm
import torch
from fastai.vision.all import (
    Callback,
    ImageDataLoaders,
    Normalize,
    Resize,
    accuracy,
    set_seed,
    vision_learner,
)
from safetensors.torch import load_file

data, weights, network = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
seed, epochs = int(sys.argv[4]), int(sys.argv[5])


class Clock(Callback):
    """Seconds of the training part of each epoch, validation left out."""

    def __init__(self):
        self.seconds, self.frozen = [], []

    def before_train(self):
        self._started = time.perf_counter()

    def after_train(self):
        self.seconds.append(time.perf_counter() - self._started)
        self.frozen.append(self.learn.opt.frozen_idx > 0)


set_seed(seed, reproducible=True)
is_random = weights == "random"
recipe = {} if is_random else json.loads((Path(weights) / f"{network}.json").read_text())
stats = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]) if is_random else (recipe["mean"], recipe["std"])
dls = ImageDataLoaders.from_folder(
    data,
    train="train",
    valid="test",
    item_tfms=Resize(224),
    batch_tfms=Normalize.from_stats(*stats),
    num_workers=2,
)
clock = Clock()
learner = vision_learner(
    dls, network, metrics=accuracy, pretrained=False, normalize=False, cbs=clock, **recipe.get("kwargs", {})
)
if not is_random:
    body = learner.model[0].model
    state = load_file(Path(weights) / f"{network}.safetensors")
    kept = {k: v for k, v in state.items() if not k.startswith("classifier")}
    missing = body.load_state_dict(kept, strict=False)
    assert not missing.unexpected_keys, missing
    assert not missing.missing_keys, missing
if epochs:
    learner.freeze()
    learner.fine_tune(epochs)
    score = float(learner.validate()[1])
else:
    learner.unfreeze()
    learner.fit_one_cycle(1)
    score = None
images = len(dls.train_ds)
speeds = [
    images // 64 * 64 / s for s, frozen in zip(clock.seconds, clock.frozen, strict=True) if not frozen
]  # whole batches
print(
    json.dumps(
        {
            "accuracy": score,
            "train_seconds": clock.seconds,
            "unfrozen_images_per_s": speeds,
            "torch": torch.__version__,
            "timm": timm.__version__,
        }
    )
)
