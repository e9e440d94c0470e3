"""How features are computed: the choice between the runtimes, and all that a command says about it."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field

from regraft.data.findings.image_set import Images
from regraft.data.pictures.loading import LoadLimits, Pixels
from regraft.errors import SettingsError
from regraft.features.executors.executor import Executor
from regraft.features.extraction import Features, extract
from regraft.features.graphs import Cut
from regraft.features.runtimes import MomentsRuntime, Runtime, RuntimeName
from regraft.machine.devices import has_gpu
from regraft.networks.weights.finding import Weights
from regraft.progress import Reporter
from regraft.records import InputSpec, Precision


@dataclass(frozen=True)
class Compute:
    """How one command computes features, of any network and any images."""

    runtime: RuntimeName = "auto"
    precision: Precision = "fp32"
    device: str = "auto"
    """`cpu`, `cuda`, `cuda:N` or `auto`."""
    limits: LoadLimits = field(default_factory=LoadLimits)
    """Limits of the image loader."""
    workers: int | None = None
    """Number of decoding threads; None means one for each core."""
    threads: int | None = None
    """Number of threads that run the network on a CPU; None means one for each core."""
    executor: Executor | None = None
    """Who computes what is not in the cache; None means this process."""

    def open(self, weights: Weights, reporter: Reporter, *, cut: Cut = None) -> Runtime:
        """Open a network's runtime; see `open_runtime`."""
        return open_runtime(
            weights,
            name=self.runtime,
            precision=self.precision,
            device=self.device,
            cut=cut,
            threads=self.threads,
            reporter=reporter,
        )

    def open_moments(self, weights: Weights) -> MomentsRuntime:
        """Open the runtime whose rows are the moments of each BatchNorm's input, on the same device."""
        return open_moments(weights, name=self.runtime, device=self.device)

    def extract(
        self,
        images: Images,
        runtime: Runtime,
        spec: InputSpec,
        reporter: Reporter,
        *,
        decoded: dict[str, Pixels] | None = None,
    ) -> Features:
        """The features of all images by an open runtime, from the cache if they are there."""
        return extract(
            images,
            runtime,
            spec,
            limits=self.limits,
            workers=self.workers,
            decoded=decoded,
            executor=self.executor if self.executor and runtime.source else None,
            reporter=reporter,
        )

    def features(self, images: Images, weights: Weights, reporter: Reporter) -> Features:
        """The features of all images by a network."""
        return self.extract(images, self.open(weights, reporter), weights.input_spec, reporter)


def open_runtime(
    weights: Weights,
    *,
    name: RuntimeName = "auto",
    precision: Precision = "fp32",
    device: str = "auto",
    cut: Cut = None,
    threads: int | None = None,
    reporter: Reporter,
) -> Runtime:
    """Open a runtime for a network: torch on a GPU, else OpenVINO if it is installed, else torch on the CPU.

    With a `cut`, the rows are activations after that many stages, or the maps of several stages, instead of
    pooled features. The bits of OpenVINO's rows don't depend on the number of threads, those of torch do.

    Raises:
        SettingsError: the requested runtime is not installed, or does not support this precision.
    """
    chosen, reason = choose_runtime(name, device)
    if name == "auto":
        reporter.decided(f"runtime {chosen}", reason, "--runtime")
    if chosen == "openvino":
        from regraft.features.openvino_runtime import OpenVinoRuntime

        return OpenVinoRuntime(weights, precision=precision, cut=cut, threads=threads)
    from regraft.features.torch_runtime import TorchRuntime

    return TorchRuntime(weights, precision=precision, device=device, cut=cut, threads=threads)


def open_moments(weights: Weights, *, name: RuntimeName = "auto", device: str = "auto") -> MomentsRuntime:
    """Open a runtime whose rows are the moments of each BatchNorm's input, then the pretrained logits.

    It computes at fp32, on the runtime and device that `open_runtime` would choose.

    Raises:
        SettingsError: the requested runtime is not installed, or does not work on the device.
    """
    if choose_runtime(name, device)[0] == "openvino":
        from regraft.features.openvino_runtime import OpenVinoRuntime

        return OpenVinoRuntime(weights, output="moments")
    from regraft.features.torch_runtime import TorchRuntime

    return TorchRuntime(weights, device=device, output="moments")


def choose_runtime(name: RuntimeName, device: str) -> tuple[str, str]:
    """`(runtime, reason)`; the reason is empty if a runtime was requested.

    Raises:
        SettingsError: the requested runtime is not installed, or does not work on the device.
    """
    has_openvino = importlib.util.find_spec("openvino") is not None
    if name == "openvino" and not has_openvino:
        raise SettingsError("OpenVINO is not installed: pip install openvino, or use --runtime torch")
    if name == "openvino" and device not in ("auto", "cpu"):
        raise SettingsError(f"--runtime openvino works on the cpu, not on {device}; use --runtime torch")
    if name != "auto":
        return name, ""
    if device not in ("auto", "cpu"):
        return "torch", f"--device {device} was given"
    if device == "auto" and has_gpu():
        return "torch", "this machine has a GPU"
    if has_openvino:
        return "openvino", "it is the fastest runtime on a CPU"
    return "torch", "openvino is not installed (it is several times faster on a CPU: pip install openvino)"
