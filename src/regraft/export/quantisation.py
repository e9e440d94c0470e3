"""Eight-bit graphs: convolutions and dense layers with int8 weights and activations, by calibration."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from regraft.errors import ImageError
from regraft.prediction.onnx_model import OnnxModel
from regraft.progress import Reporter

_OPERATIONS = ["Conv", "Gemm"]


def quantise(
    source: Path, target: Path, reader: OnnxModel, images: Sequence[Path], reporter: Reporter
) -> None:
    """Write a graph whose convolutions work on 8-bit integers.

    Ranges are the smallest and largest values on some training images (min-max calibration); weights have one
    scale per channel. The first convolution and grouped (depthwise) convolutions stay in fp32, because they
    are a few per cent of the work but cause most of the loss of accuracy (docs/log.md).

    Args:
        source: the fp32 graph.
        target: the file to write.
        reader: decodes images into the graph's input.
        images: images for calibration.
        reporter: receives progress.
    """
    graph = onnx.load(str(source))
    spared = [node.name for node in graph.graph.node if node.name.startswith("crop/")]
    convolutions = [node for node in graph.graph.node if node.op_type == "Conv"]
    spared += [node.name for node in convolutions[:1]]
    spared += [node.name for node in convolutions if _groups(node) > 1]
    with reporter.phase("calibrating int8", len(images)) as meter, _quietly():
        quantize_static(
            str(source),
            str(target),
            _Calibration(reader, images, meter),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=_OPERATIONS,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=spared,
        )
    whole = onnx.load(str(target))
    onnx.helper.set_model_props(whole, {one.key: one.value for one in graph.metadata_props})
    target.write_bytes(whole.SerializeToString())


def _groups(node: onnx.NodeProto) -> int:
    return next((int(one.i) for one in node.attribute if one.name == "group"), 1)


class _Calibration(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, reader: OnnxModel, images: Sequence[Path], meter: Any) -> None:
        self._feeds = self._decoded(reader, images, meter)

    def get_next(self) -> dict[str, Any] | None:
        return next(self._feeds, None)

    def _decoded(self, reader: OnnxModel, images: Sequence[Path], meter: Any) -> Iterator[dict[str, Any]]:
        for image in images:
            meter.advance()
            with contextlib.suppress(ImageError):
                yield {"images": reader.decoded(image)[None]}


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Silence the quantiser, which writes to the root logger and to standard output."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(before)
