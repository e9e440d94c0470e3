"""Features computed by OpenVINO, the fastest runtime on CPUs: one image and one thread per request."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from regraft.data.pictures.loading import Pixels
from regraft.errors import SettingsError
from regraft.features.conversion import converted
from regraft.features.graphs import Cut, Output, conversion_facts
from regraft.features.runtimes import Key, Row, RuntimeSource
from regraft.machine.inference import openvino_core
from regraft.machine.processor import count_cores, processor_model
from regraft.networks.weights.finding import Weights
from regraft.networks.weights.tensors import read_arrays
from regraft.records import Precision

_HALF_MAX = float(np.finfo(np.float16).max)
_HINTS = {"fp32": "f32", "bf16": "bf16"}


class OpenVinoRuntime:
    """A `Runtime` that computes with OpenVINO.

    Every request contains one image and runs on one thread, so its bits depend neither on other images nor on
    the number of cores; requests run in parallel. On the CPUs measured this is also as fast as any batch
    (docs/log.md). The network is compiled at the first image, so a run with a warm cache never loads it.
    """

    def __init__(
        self,
        weights: Weights,
        *,
        precision: Precision = "fp32",
        cut: Cut = None,
        output: Output = "rows",
        threads: int | None = None,
    ) -> None:
        self._threads = threads or count_cores()
        self.source: RuntimeSource | None = RuntimeSource(
            weights, "openvino", precision=precision, cut=cut, output=output, threads=threads
        )
        self._weights, self._output, self._graph = weights, output, converted(weights, cut)
        self.layout, self.norms = self._graph.columns(output), self._graph.norms
        self.maps = self._graph.maps
        self.width = self._graph.width if output == "rows" else self.layout[-1].stop
        self.precision: Precision = precision
        self.facts: Mapping[str, Any] = {
            "runtime": "openvino",
            "precision": precision,
            "cpu": processor_model(),
            **conversion_facts(weights, cut),
            **({} if output == "rows" else {"what": output}),
        }
        self._compiled: Any = None

    def run(self, images: Iterable[tuple[Key, Pixels]]) -> Iterator[tuple[Key, Row]]:
        import openvino

        if self._compiled is None:
            self._compiled = self._compile(openvino)
        # Requests are awaited in order. OpenVINO's own queue calls back into Python from its threads,
        # which still need the interpreter's lock after `wait_all`; on a busy machine, one run in ten
        # deadlocked or aborted at exit (openvino 2026.4.1).
        count = 2 * int(self._compiled.get_property("NUM_STREAMS"))
        idle = [self._compiled.create_infer_request() for _ in range(count)]
        busy: deque[tuple[Key, Any]] = deque()

        def finish_oldest() -> tuple[Key, Row]:
            key, request = busy.popleft()
            request.wait()
            idle.append(request)
            return key, np.array(request.get_output_tensor(0).data[0])

        try:
            for key, pixels in images:
                if not idle:
                    yield finish_oldest()
                request = idle.pop()
                request.start_async({0: pixels[None]})
                busy.append((key, request))
            while busy:
                yield finish_oldest()
        finally:
            for _, request in busy:
                request.wait()

    def _compile(self, openvino: Any) -> Any:
        core = openvino_core()
        if self.precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise SettingsError(
                "--precision bf16 needs a CPU with AVX512-BF16 or AMX, and this one has neither; "
                "use --precision fp32"
            )
        settings = {
            "INFERENCE_PRECISION_HINT": _HINTS[self.precision],
            "NUM_STREAMS": self._threads,
            "INFERENCE_NUM_THREADS": self._threads,
            "ENABLE_CPU_PINNING": False,  # because decoding threads share the cores
        }
        model = self._graph.model(read_arrays(self._weights.path), self._output)
        if self.maps:
            model = _halved(openvino, model)
        return core.compile_model(model, "CPU", settings)


def _halved(openvino: Any, model: Any) -> Any:
    """The model with its output in half precision, as rows are kept; numpy takes 10 ms for a long row."""
    operations = openvino.opset13
    clamped = operations.clamp(model.get_results()[0].input_value(0), -_HALF_MAX, _HALF_MAX)
    return openvino.Model([operations.convert(clamped, "f16")], model.get_parameters())
