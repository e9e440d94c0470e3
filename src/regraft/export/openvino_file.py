"""An exported model in OpenVINO's file format."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from regraft.errors import SettingsError
from regraft.machine.inference import openvino_core


def convert(onnx_file: Path, target: Path) -> None:
    """Write `target` (.xml) and a .bin file next to it, with all weights in fp32."""
    try:
        import openvino
    except ImportError as error:
        raise SettingsError("--to openvino needs openvino: pip install 'regraft[openvino]'") from error
    openvino.save_model(openvino.convert_model(str(onnx_file)), str(target), compress_to_fp16=False)


class OpenVinoFile:
    """A file that `convert` wrote, run at fp32.

    Args:
        path: path of the .xml file.
    """

    def __init__(self, path: Path) -> None:
        hints = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        self._graph = openvino_core().compile_model(str(path), "CPU", hints)

    def outputs(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
        """Outputs `(N, K)` for decoded images `(N, H, W, C) uint8` of the same size."""
        return np.asarray(self._graph([images])[0], dtype=np.float64)

    def every_output(self, *inputs: npt.NDArray[np.generic]) -> list[npt.NDArray[np.generic]]:
        """All outputs in order, for the inputs in order."""
        found = self._graph(list(inputs))
        return [np.array(found[number]) for number in range(len(self._graph.outputs))]
