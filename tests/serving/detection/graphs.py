"""Detectors that do not exist: a graph whose boxes are known beforehand, as a package in the cache."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from regraft.detection.results.colours import styles_of
from regraft.records import InputSpec
from regraft.serving.detection.package import DetectorFacts, DetectorPackage, detector_key, write_detector
from regraft.storage.places import cache_folder

LABELS = ("cell", "<b>=crystal")
THRESHOLDS = (0.5, 0.25)
SPEC = InputSpec(size_px=64, width_px=96)
SHARES = np.array([[0, 0, 0.5, 0.5], [0.25, 0.5, 1, 1], [0.5, 0, 1, 0.5], [0.1, 0.1, 0.2, 0.3]])
"""Left, top, right and bottom edge of each box as shares of the picture."""
NUMBERS, SCORES = (0, 1, 0, 1), (0.75, 0.375, 0.25, 0.03125)


def graph() -> bytes:
    """A graph of a detector that finds the same shares of every picture, in `contract` terms.

    The last box is found only on a canvas with a bright first pixel: its score is multiplied with it.
    """
    constants = {
        "shares": SHARES.astype(np.float32),
        "numbers": np.array(NUMBERS, dtype=np.int64),
        "scores_of_all": np.array(SCORES, dtype=np.float32),
        "twice": np.array([2], dtype=np.int64),
        "corner": np.zeros((1, 4), dtype=np.int64),
        "others": np.ones(3, dtype=np.float32),
        "most": np.array(255, dtype=np.float32),
        "one": np.array([1], dtype=np.int64),
    }
    nodes = [
        helper.make_node("Tile", ["picture", "twice"], ["sides"]),
        helper.make_node("Mul", ["shares", "sides"], ["boxes"]),
        helper.make_node("Identity", ["numbers"], ["labels"]),
        helper.make_node("GatherND", ["canvas", "corner"], ["level"]),
        helper.make_node("Cast", ["level"], ["float_level"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["float_level", "most"], ["brightness"]),
        helper.make_node("Concat", ["others", "brightness"], ["factors"], axis=0),
        helper.make_node("Mul", ["scores_of_all", "factors"], ["scores"]),
    ]
    height, width, channels = SPEC.shape
    made = helper.make_graph(
        nodes,
        "detector",
        [
            helper.make_tensor_value_info("canvas", TensorProto.UINT8, [1, height, width, channels]),
            helper.make_tensor_value_info("picture", TensorProto.FLOAT, [2]),
        ],
        [
            helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["N", 4]),
            helper.make_tensor_value_info("labels", TensorProto.INT64, ["N"]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N"]),
        ],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def write_package(folder: Path) -> DetectorPackage:
    facts = {
        "task": "detection",
        "labels": list(LABELS),
        "thresholds": list(THRESHOLDS),
        "canvas": {"width": 96, "height": 64, "channels": 3},
        "colours": [{"colour": one.colour, "dashes": one.dashes} for one in styles_of(LABELS).values()],
        "score": "mAP50 is 87.6 %",
        "judged_on": "72 pictures, held-out",
    }
    record = DetectorFacts(labels=LABELS, thresholds=THRESHOLDS, input_spec=SPEC, facts=facts)
    return write_detector(folder, graph=graph(), record=record)


def made_up_run(folder: Path) -> Path:
    """A folder that counts as a detector, whose package is in the cache already."""
    folder.mkdir()
    (folder / "bundle.json").write_text(json.dumps({"task": "detection"}))
    write_package(cache_folder() / "serving" / detector_key(folder)[:24])
    return folder


def picture(width: int, height: int, level: int = 0, *, orientation: int = 1, kind: str = "PNG") -> bytes:
    """A picture of one grey level, as a file."""
    image, file = Image.new("RGB", (width, height), (level,) * 3), io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(file, kind, exif=exif)
    return file.getvalue()
