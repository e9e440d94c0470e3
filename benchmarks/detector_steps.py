"""What a training step of a detector costs: on cached maps, and by torchvision's plain recipe.

The same network, canvas, pictures and process: Faster R-CNN with a feature pyramid as torchvision builds it
(256 channels, 512 regions a picture, the last three groups of stages trained, four pictures a step), and the
two light detectors on cached maps (one picture a step). One warm-up step, then alternating steps; processor
seconds a picture on one thread, their median, and the ratio.

Run: python benchmarks/detector_steps.py [PICTURES]
"""

from __future__ import annotations

import statistics
import sys
import time
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from common import save, shared
from torch import nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign

from regraft.data.findings.scan import ScanSettings
from regraft.detection.annotations.reading import read_boxes
from regraft.detection.dataset import boxed_dataset
from regraft.detection.maps.cached_maps import CachedMaps
from regraft.detection.maps.canvas import on_canvas
from regraft.detection.trained.detector import TrainedDetector
from regraft.detection.trained.levels import spreads
from regraft.detection.trained.record import TrainedRecord
from regraft.detection.training.map_views import MapViews
from regraft.detection.training.objective import DetectionObjective
from regraft.features.opening import Compute
from regraft.networks.network import load_network
from regraft.networks.weights.finding import find_weights
from regraft.progress import Silent
from regraft.training.loop.tail import channels_last

NETWORK = "mobilenetv1_100"


class Plain(nn.Module):
    """The network as a backbone of torchvision's detectors, with a pyramid on its maps."""

    out_channels = 256

    def __init__(self, network: Any, levels: Any) -> None:
        super().__init__()
        self.names = [level.stage for level in levels]
        self.stages = nn.ModuleDict({stage.name.replace(".", "_"): stage.module for stage in network.stages})
        self.order = [stage.name for stage in network.stages]
        self.pyramid = FeaturePyramidNetwork([level.channels for level in levels], 256)

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        maps, value = {}, images
        for name in self.order:
            value = self.stages[name.replace(".", "_")](value)
            if name in self.names:
                maps[name] = value
            if name == self.names[-1]:
                break
        found: dict[str, torch.Tensor] = self.pyramid(maps)
        return found


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 12
    boxes = read_boxes(shared("data") / "det_bccd")
    dataset = boxed_dataset(boxes, ScanSettings(), seed=0, test_share=0.2)
    weights = find_weights(NETWORK, weights=str(shared("weights")), offline=True, reporter=Silent())
    spec = weights.input_spec.model_copy(update={"size_px": 384, "width_px": 512})
    weights = replace(weights, input_spec=spec)
    maps = CachedMaps(dataset.images, spec, Compute().open(weights, Silent(), cut="maps"))
    scenes = dataset.scenes("train", spec)[:count]
    rows = maps.rows([scene.key for scene in scenes])
    torch.manual_seed(0)
    torch.set_num_threads(1)  # threads that wait for each other would count as work
    steps = {"plain": plain_step(weights, maps, scenes)}
    for kind in ("one-stage", "two-stage"):
        steps[kind] = light_step(kind, maps, scenes, rows, len(dataset.labels))
    times: dict[str, list[float]] = {name: [] for name in steps}
    for step in steps.values():
        step(0)
    for place in range(count // 4):
        for name, step in steps.items():
            used = time.process_time()
            pictures = step(place)
            times[name].append((time.process_time() - used) / pictures)
    medians = {name: round(statistics.median(each), 4) for name, each in times.items()}
    rows_ = [
        {
            "step": name,
            "processor_s_a_picture": medians[name],
            "cheaper": round(medians["plain"] / medians[name], 1),
        }
        for name in steps
    ]
    for row in rows_:
        print(row)
    save(
        "detector_steps",
        {"network": NETWORK, "canvas": [512, 384], "threads": torch.get_num_threads(), "rows": rows_},
    )


def plain_model(weights: Any, levels: Any, classes: int) -> FasterRCNN:
    """Faster R-CNN of torchvision on the network, with the last three stages trained and fixed statistics."""
    network = load_network(weights)
    backbone = Plain(network, levels)
    backbone.stages.requires_grad_(False)
    for stage in network.stages:
        if stage.name in network.stage_names[-3:]:
            stage.module.requires_grad_(True)
    anchors = AnchorGenerator(((32,), (96,), (224,)), ((0.5, 1.0, 2.0),) * 3)
    spec = weights.input_spec
    model = FasterRCNN(
        backbone, num_classes=classes + 1, min_size=384, max_size=512, rpn_anchor_generator=anchors,
        box_roi_pool=MultiScaleRoIAlign(backbone.names, output_size=7, sampling_ratio=2),
        image_mean=list(spec.mean), image_std=list(spec.std),
    )  # fmt: skip
    model.train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    return model


def plain_picture(scene: Any, spec: Any) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """A picture on the canvas, `(3, H, W)` in [0, 1], and its boxes, as torchvision's detectors take them."""
    pixels, _ = on_canvas((shared("data") / "det_bccd" / scene.path).read_bytes(), spec)
    target = {
        "boxes": torch.from_numpy(scene.on_canvas).float(),
        "labels": torch.from_numpy(scene.classes + 1),
    }
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 255, target


def plain_step(weights: Any, maps: CachedMaps, scenes: Any) -> Any:
    model = plain_model(weights, maps.levels, 3)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=0.005, momentum=0.9)
    pictures = [plain_picture(scene, maps.spec) for scene in scenes]

    def step(place: int) -> int:
        part = pictures[4 * place : 4 * place + 4]
        losses = model([image for image, _ in part], [target for _, target in part])
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        return len(part)

    return step


def light_step(kind: Any, maps: CachedMaps, scenes: Any, rows: Any, classes: int) -> Any:
    record = TrainedRecord(kind=kind, classes=classes, canvas=(512, 384), levels=maps.levels)
    sample = rows.gather([scene.key for scene in scenes])
    source = MapViews(maps, scenes, (0,), torch.device("cpu"))
    source.begin(0, Silent())
    targets = source.targets()
    detector = TrainedDetector.new(record, spreads(sample, maps.levels), objects=targets.objects)
    head = detector.head.train()
    channels_last(head)
    objective, optimizer = DetectionObjective(head), torch.optim.AdamW(head.parameters(), lr=1e-3)

    def step(place: int) -> int:
        for number in range(4 * place, 4 * place + 4):  # one picture a step, as it is trained
            places = np.array([number])
            truth = torch.from_numpy(targets[places])
            loss = objective.losses(
                head(source.prepare(source.fetch(places), places)), objective.aims(truth)
            ).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return 4

    return step


if __name__ == "__main__":
    main()
