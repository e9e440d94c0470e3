"""What a newcomer to fastai writes: a frozen backbone, `fit_one_cycle(4)`; prints one JSON line.

Run by benchmarks/fastai_frozen.py in a virtual environment of its own.
Arguments: DATA (with train/ and test/), WEIGHTS (a folder), SEED.
"""

import json
import sys
from pathlib import Path

import timm
import torch
from fastai.vision.all import (
    ImageDataLoaders,
    Normalize,
    Resize,
    accuracy,
    set_seed,
    vision_learner,
)
from safetensors.torch import load_file

data, weights, seed = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
set_seed(seed, reproducible=True)
recipe = json.loads((weights / "mobilenetv1_100.json").read_text())
dls = ImageDataLoaders.from_folder(
    data,
    train="train",
    valid="test",
    item_tfms=Resize(224),
    batch_tfms=Normalize.from_stats(recipe["mean"], recipe["std"]),
    num_workers=2,
)
learner = vision_learner(
    dls, "mobilenetv1_100", metrics=accuracy, pretrained=False, normalize=False, **recipe["kwargs"]
)
body = learner.model[0].model
state = load_file(weights / "mobilenetv1_100.safetensors")
missing = body.load_state_dict(
    {k: v for k, v in state.items() if not k.startswith("classifier")}, strict=False
)
assert not missing.unexpected_keys, missing
assert not missing.missing_keys, missing
learner.freeze()
learner.fit_one_cycle(4)
_, score = learner.validate()
print(json.dumps({"accuracy": float(score), "torch": torch.__version__, "timm": timm.__version__}))
