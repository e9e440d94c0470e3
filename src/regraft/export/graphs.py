"""A model as ONNX graphs: the crop from decoded pixels, and the rest; joined or separate."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx.compose
import onnx.utils
import torch
from torch import nn

from regraft.explanation.gallery import Space
from regraft.export.resampling import centre_crop
from regraft.prediction.graph import ModelGraph, mean_vote
from regraft.prediction.model import Model
from regraft.prediction.onnx_model import OUTPUTS
from regraft.records import InputSpec

OPSET = 20
_IR_VERSION = 10  # supported by runtimes of the last two years


class _Core(nn.Module):
    """Outputs and the image's direction in feature space, from pixels at the input size."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.judge = ModelGraph(model)
        space = Space.of(model)
        (self.column,) = space.columns
        self.register_buffer("middle", torch.from_numpy(space.mean.copy()))
        self.register_buffer("spread", torch.from_numpy(space.scale.copy()))

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        votes: list[torch.Tensor] = []
        place = torch.zeros(0)
        for number, part in enumerate(self.judge.networks):
            features = part.features(part.normalised(pixels))
            votes += part.votes(features)
            if number == 0:
                own = features[self.column.stage, self.column.statistic]
                centred = (own - self.get_buffer("middle")) * self.get_buffer("spread")
                length = centred.square().sum(dim=1, keepdim=True).sqrt()
                place = centred / length.clamp_min(1e-12)
        return mean_vote(votes), place


def core_graph(model: Model) -> onnx.ModelProto:
    """From `pixels (N, size, size, C) uint8` to outputs `(N, K)` and `place (N, D)`, both float32.

    The outputs are called `probabilities` or `values`; see `onnx_model.OUTPUTS`. `place` is the image's
    direction in the space in which `Gallery` compares images.
    """
    spec = model.weights.input_spec
    example = torch.zeros(2, spec.size_px, spec.size_px, spec.channels, dtype=torch.uint8)
    shapes = ({0: torch.export.Dim("batch")},)
    return _exported(_Core(model), example, shapes, ["pixels"], [OUTPUTS[model.task.link], "place"])


def crop_graph(spec: InputSpec) -> onnx.ModelProto:
    """From `images (N, H, W, C) uint8` of any size to `pixels`, cropped as by the image loader."""
    return centre_crop(spec, opset=OPSET, ir_version=_IR_VERSION)


def joined(crop: onnx.ModelProto, core: onnx.ModelProto, facts: dict[str, str]) -> onnx.ModelProto:
    """One graph from decoded pixels to outputs, with facts in its metadata."""
    whole = onnx.compose.merge_models(
        onnx.compose.add_prefix(crop, "crop/", rename_inputs=False, rename_outputs=False),
        core,
        io_map=[("pixels", "pixels")],
        outputs=[core.graph.output[0].name],
    )
    used = {one.domain: one.version for one in whole.opset_import if one.domain or one.version}
    del whole.opset_import[:], whole.metadata_props[:]
    whole.opset_import.extend(onnx.helper.make_opsetid(*one) for one in sorted(used.items()))
    onnx.helper.set_model_props(whole, facts)
    onnx.checker.check_model(whole)
    return whole


def divided(file: Path) -> tuple[Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.uint8]], Path]:
    """A joined graph divided again: its crop as a function, and a file with the rest next to it."""
    import onnxruntime

    crop, core = file.with_name("crop.onnx"), file.with_name("core.onnx")
    outputs = [one.name for one in onnx.load(file, load_external_data=False).graph.output]
    onnx.utils.extract_model(str(file), str(crop), ["images"], ["pixels"])
    onnx.utils.extract_model(str(file), str(core), ["pixels"], outputs)
    session = onnxruntime.InferenceSession(str(crop), providers=["CPUExecutionProvider"])

    def cropped(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        return np.asarray(session.run(["pixels"], {"images": images})[0], dtype=np.uint8)

    return cropped, core


def saved(graph: onnx.ModelProto) -> bytes:
    """The graph as the bytes of a file."""
    return bytes(graph.SerializeToString())


def _exported(
    module: nn.Module, example: torch.Tensor, shapes: Any, inputs: list[str], outputs: list[str]
) -> onnx.ModelProto:
    with _quietly():
        program = torch.onnx.export(
            module.eval(),
            (example,),
            dynamo=True,
            dynamic_shapes=shapes,
            input_names=inputs,
            output_names=outputs,
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    graph: onnx.ModelProto = program.model_proto
    graph.ir_version = _IR_VERSION
    _forget_origins(graph)
    return graph


def _forget_origins(graph: onnx.ModelProto) -> None:
    """Remove the source locations of nodes: they contain local paths and are most of a small file."""
    del graph.metadata_props[:]
    del graph.graph.metadata_props[:]
    graph.doc_string = ""
    for node in (*graph.graph.node, *graph.graph.value_info, *graph.graph.initializer):
        del node.metadata_props[:]
        node.doc_string = ""
    for function in graph.functions:
        del function.metadata_props[:]


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Silence the exporter, which prints its steps and warns about opsets."""
    level = logging.getLogger("torch.onnx").level
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logging.getLogger("torch.onnx").setLevel(level)
