"""How good torchvision's plain recipe is after two epochs on det_bccd, and what they take.

Faster R-CNN with a feature pyramid on the same network and canvas as `detector_steps.py`, trained as
torchvision's reference script does it: SGD with momentum .9, weight decay 1e-4, a learning rate of .02 for 16
pictures a step (.005 for the four of a step here) after a linear warm-up over the first epoch, half of the
pictures mirrored, the statistics of batch normalisation fixed. Processor seconds on one thread; scores with
intervals on validation pictures and on test pictures.

Run: python benchmarks/detector_plain.py [EPOCHS [SEED]]
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from common import commit, earlier, save, shared
from detector_steps import NETWORK, plain_model, plain_picture
from torchvision.models.detection import FasterRCNN

from regraft.data.findings.scan import ScanSettings
from regraft.detection.annotations.reading import read_boxes
from regraft.detection.dataset import boxed_dataset
from regraft.detection.maps.cached_maps import CachedMaps
from regraft.detection.maps.found import Found
from regraft.detection.maps.judging import matched
from regraft.detection.maps.scenes import Scene
from regraft.evaluation.detection_scores import score_detections
from regraft.features.opening import Compute
from regraft.networks.weights.finding import find_weights
from regraft.progress import Silent

BATCH, RATE, WARM_UP = 4, 0.005, 1e-3


def epoch_trained(
    model: FasterRCNN, optimizer: torch.optim.Optimizer, pictures: Sequence[Any], *, is_first: bool
) -> None:
    """One pass over the pictures in random order; the last step may have fewer."""
    steps = -(-len(pictures) // BATCH)
    order = torch.randperm(len(pictures)).tolist()
    for step in range(steps):
        share = min(1.0, WARM_UP + (1 - WARM_UP) * step / max(1, steps - 1)) if is_first else 1.0
        optimizer.param_groups[0]["lr"] = RATE * share
        part = [perhaps_mirrored(*pictures[place]) for place in order[BATCH * step : BATCH * (step + 1)]]
        losses = model([image for image, _ in part], [target for _, target in part])
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        if step % 10 == 0:
            print(f"step {step + 1} of {steps}, loss {float(sum(losses.values())):.3f}", flush=True)


def perhaps_mirrored(
    image: torch.Tensor, target: dict[str, torch.Tensor]
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The picture with its boxes, mirrored half of the time."""
    if torch.rand(()) < 0.5:
        return image, target
    boxes = target["boxes"].clone()
    boxes[:, [0, 2]] = image.shape[-1] - boxes[:, [2, 0]]
    return image.flip(-1), {**target, "boxes": boxes}


def scores(model: FasterRCNN, scenes: Sequence[Scene], spec: Any, labels: Sequence[str]) -> dict[str, Any]:
    """The scores of a detector on some pictures."""
    model.eval()
    found = []
    with torch.inference_mode():
        for scene in scenes:
            seen = model([plain_picture(scene, spec)[0]])[0]
            corners = scene.placement.back(seen["boxes"].numpy().astype(np.float64))
            found.append(Found.of(corners, seen["labels"].numpy() - 1, seen["scores"].numpy()))
    matches = matched(found, scenes, len(labels))
    result = score_detections(matches, labels, np.full(len(labels), 0.5), method="")
    return result.model_dump(mode="json", include={"images", "map", "map50", "map75"})


def main() -> None:
    epochs, seed = [int(one) for one in [*sys.argv[1:3], *("2", "0")[len(sys.argv) - 1 :]]]
    boxes = read_boxes(shared("data") / "det_bccd")
    dataset = boxed_dataset(boxes, ScanSettings(), seed=0, test_share=0.2)
    weights = find_weights(NETWORK, weights=str(shared("weights")), offline=True, reporter=Silent())
    spec = weights.input_spec.model_copy(update={"size_px": 384, "width_px": 512, "framing": "crop"})
    weights = replace(weights, input_spec=spec)
    levels = CachedMaps(dataset.images, spec, Compute().open(weights, Silent(), cut="maps")).levels
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    model, load = plain_model(weights, levels, len(dataset.labels)), os.getloadavg()[0]
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=RATE, momentum=0.9, weight_decay=1e-4)
    pictures = [plain_picture(scene, spec) for scene in dataset.scenes("train", spec)]
    used = time.process_time()
    for epoch in range(epochs):
        epoch_trained(model, optimizer, pictures, is_first=epoch == 0)
    seconds = time.process_time() - used
    row = {
        "data": "det_bccd",
        "network": NETWORK,
        "epochs": epochs,
        "seed": seed,
        "commit": commit(),
        "training_processor_s": round(seconds, 1),
        "load": [round(load, 1), round(os.getloadavg()[0], 1)],
    }
    for side in ("validation", "test"):
        row[side] = scores(model, dataset.scenes(side, spec), spec, dataset.labels)
    print(row)
    rows = [one for one in earlier("detector_plain") if (one["epochs"], one["seed"]) != (epochs, seed)]
    save("detector_plain", {"rows": [*rows, row]})


if __name__ == "__main__":
    main()
