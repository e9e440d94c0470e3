"""A model as ONNX graphs: the crop from decoded pixels, and the rest; joined or separate."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnx.compose
import onnx.utils
import torch
from torch import nn

from regraft.explanation.gallery import Space
from regraft.export.resampling import framed, letterbox
from regraft.prediction.graph import ModelGraph, mean_vote
from regraft.prediction.model import Model
from regraft.prediction.onnx_graph import IR_VERSION, OPSET, traced
from regraft.prediction.onnx_model import OUTPUTS
from regraft.records import InputSpec


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
            features = part.seen(pixels)
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
    names = [OUTPUTS[model.task.link], "place"]
    return traced(_Core(model), (example,), inputs=["pixels"], outputs=names, shapes=shapes)


def crop_graph(spec: InputSpec) -> onnx.ModelProto:
    """From `images (N, H, W, C) uint8` of any size to `pixels`, framed as by the image loader."""
    return framed(spec, opset=OPSET, ir_version=IR_VERSION)


def letterbox_graph(spec: InputSpec) -> onnx.ModelProto:
    """From `pixels (H, W, C) uint8` of any size to `canvas` and `picture`, which a detector's graph takes."""
    return letterbox(spec, opset=OPSET, ir_version=IR_VERSION)


def joined(
    crop: onnx.ModelProto, core: onnx.ModelProto, facts: dict[str, str], *, outputs: int = 1
) -> onnx.ModelProto:
    """One graph from decoded pixels to the first outputs of the core, with facts in its metadata."""
    whole = onnx.compose.merge_models(
        onnx.compose.add_prefix(crop, "crop/", rename_inputs=False, rename_outputs=False),
        core,
        io_map=[(one.name, one.name) for one in core.graph.input],
        outputs=[one.name for one in core.graph.output[:outputs]],
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
