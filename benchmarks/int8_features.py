"""A frozen network in 8-bit integers: images a second, cosine of features, a probe's accuracy, paired.

Run: python benchmarks/int8_features.py [NETWORK ...]

The network is exported with its pooled features, calibrated on a hundred of each data set's images (min-max,
a scale per channel of the weights; the first convolution stays in fp32, depthwise ones once in fp32 and once
in int8), and computed by OpenVINO as Regraft computes features: one image and one thread a request. Both are
timed in turn, in one run. The probe is a logistic regression on the last stage, cross-validated.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import openvino
import torch
from common import machine, save, shared
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import regraft
from regraft.data.pictures.loading import load_input
from regraft.evaluation.paired import compare
from regraft.features.pooling import PooledStages, layout_of
from regraft.networks.network import load_network
from regraft.networks.weights.finding import find_weights

NETWORKS = ("mobilenetv1_100", "mobilenetv2_100", "squeezenet1_1")
SETS = ("clothing", "trash6", "brain_mri", "omniglot_small1")
IMAGES, CALIBRATED, CLASSES, TIMED, ROUNDS = 400, 100, 12, 64, 3


class Calibration(CalibrationDataReader):
    """Hands out images one by one."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.feeds = iter([{"images": one[None]} for one in pixels])

    def get_next(self) -> dict[str, Any] | None:
        return next(self.feeds, None)


def export(network: str, path: Path) -> tuple[Any, slice]:
    """The graph from pixels to pooled features; the input, and the columns of the last stage's means."""
    loaded = load_network(find_weights(network, weights=shared("weights")))
    spec, module = loaded.input_spec, PooledStages(loaded).eval()
    last = [column for column in layout_of(loaded) if column.statistic == "mean"][-1]
    example = torch.zeros(1, spec.size_px, spec.size_px, spec.channels, dtype=torch.uint8)
    program = torch.onnx.export(
        module, (example,), dynamo=True, input_names=["images"], output_names=["features"], verbose=False
    )
    program.save(str(path))
    return spec, slice(last.start, last.stop)


def quantised(source: Path, target: Path, pixels: np.ndarray, *, depthwise: bool) -> None:
    convolutions = [node for node in onnx.load(str(source)).graph.node if node.op_type == "Conv"]
    spared = [convolutions[0].name]
    if not depthwise:
        spared += [
            node.name
            for node in convolutions
            if any(one.name == "group" and one.i > 1 for one in node.attribute)
        ]
    quantize_static(
        str(source), str(target), Calibration(pixels), quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["Conv", "Gemm"], per_channel=True, activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8, nodes_to_exclude=spared,
    )  # fmt: skip


def compiled(path: Path) -> Any:
    cores = len(os.sched_getaffinity(0))
    settings = {
        "INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": cores, "INFERENCE_NUM_THREADS": cores,
        "ENABLE_CPU_PINNING": False,
    }  # fmt: skip
    return openvino.Core().compile_model(openvino.Core().read_model(path), "CPU", settings)


def features(model: Any, pixels: np.ndarray) -> np.ndarray:
    idle = [model.create_infer_request() for _ in range(2 * int(model.get_property("NUM_STREAMS")))]
    busy: deque[Any] = deque()
    rows = []

    def finish() -> None:
        request = busy.popleft()
        request.wait()
        rows.append(request.get_output_tensor(0).data[0].copy())
        idle.append(request)

    for one in pixels:
        if not idle:
            finish()
        request = idle.pop()
        request.start_async({0: one[None]})
        busy.append(request)
    while busy:
        finish()
    return np.stack(rows)


def rate(model: Any, pixels: np.ndarray) -> tuple[float, float]:
    """Images a second by the clock, and by processor time of all cores together."""
    started, used = time.perf_counter(), time.process_time()
    features(model, pixels)
    cores = len(os.sched_getaffinity(0))
    return len(pixels) / (time.perf_counter() - started), cores * len(pixels) / (time.process_time() - used)


def right(rows: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Which images a cross-validated logistic regression predicts correctly."""
    head = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=300))
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    return np.asarray(cross_val_predict(head, rows, labels, cv=folds) == labels)


def sample(name: str, spec: Any) -> tuple[np.ndarray, np.ndarray]:
    """Images of at most a dozen classes, and their labels."""
    images = regraft.load_images(shared("data") / name)
    known = images.labels[:CLASSES]
    items = [item for item in images.items if item.label in known]
    chosen = [items[place] for place in np.random.default_rng(0).permutation(len(items))[:IMAGES]]
    pixels = np.stack([load_input(Path(images.root, item.path), spec) for item in chosen])
    return pixels, np.array([item.label for item in chosen])


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    products = (one * other).sum(axis=1)
    return float(np.median(products / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)))


def main(networks: list[str]) -> None:
    rows: list[dict[str, Any]] = []
    os.environ["REGRAFT_CACHE"] = tempfile.mkdtemp()
    for network in networks or NETWORKS:
        with tempfile.TemporaryDirectory() as folder:
            whole = Path(folder, "fp32.onnx")
            spec, last = export(network, whole)
            plain = compiled(whole)
            for name in SETS:
                pixels, labels = sample(name, spec)
                exact = features(plain, pixels)
                expected = right(exact[:, last], labels)
                for depthwise in (False, True):
                    path = Path(folder, f"{name}-{depthwise}.onnx")
                    quantised(whole, path, pixels[:CALIBRATED], depthwise=depthwise)
                    small = compiled(path)
                    found = features(small, pixels)
                    pairs = [
                        (rate(plain, pixels[:TIMED]), rate(small, pixels[:TIMED])) for _ in range(ROUNDS)
                    ]
                    result = compare(right(found[:, last], labels), expected)
                    row = {
                        "network": network,
                        "set": name,
                        "depthwise_int8": depthwise,
                        "images": len(pixels),
                        "images_a_second": [[one[0] for one in pair] for pair in pairs],
                        "images_a_processor_second": [[one[1] for one in pair] for pair in pairs],
                        "times_faster": float(np.median([b[1] / a[1] for a, b in pairs])),
                        "cosine_all": cosine(found, exact),
                        "cosine_last": cosine(found[:, last], exact[:, last]),
                        "accuracy_fp32": float(expected.mean()),
                        "difference_points": 100 * result.difference.value,
                        "interval_points": [100 * result.difference.low, 100 * result.difference.high],
                    }
                    rows.append(row)
                    shown = {key: value for key, value in row.items() if not isinstance(value, list)}
                    print(shown, flush=True)
                    save("int8_features", {"rows": rows})


if __name__ == "__main__":
    print(machine())
    main(sys.argv[1:])
