"""The settings of networks and of `regraft extract`; their docstrings are the flags' help."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, Literal

from regraft.arguments import settle
from regraft.errors import SettingsError
from regraft.records import AverageChoice, FramingChoice, Granularity, Precision


@dataclass(frozen=True)
class Part:
    """One of several parts of a job, counted from 1."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Part:
        """The part that a text such as `3/16` names.

        Raises:
            SettingsError: the text names no part.

        >>> Part.parse("3/16")
        Part(number=3, count=16)
        """
        found = re.fullmatch(r"\s*(\d{1,9})\s*/\s*(\d{1,9})\s*", text)
        part = cls(int(found[1]), int(found[2])) if found else cls(0, 0)
        if not 1 <= part.number <= part.count:
            raise SettingsError(
                f"--part {text} is not a part; accepted are 1/16 to 16/16 for 16 processes, and likewise for "
                "other numbers"
            )
        return part

    def of(self, count: int) -> range:
        """Which of a number of things are in the part; the parts differ by one thing at most.

        >>> [list(Part(number, 3).of(5)) for number in (1, 2, 3)]
        [[0], [1, 2], [3, 4]]
        """
        return range((self.number - 1) * count // self.count, self.number * count // self.count)


@dataclass(frozen=True)
class FeatureSettings:
    """Which network computes features, from which weights, and who runs it."""

    network: str | None = None
    """Network to transfer, by its name in the zoo, timm or torchvision; its weights are downloaded if they
    are not on this machine. By default the most promising network on this machine is used, and nothing
    is downloaded; auto compares the networks on this machine by a probe on your images."""
    weights: str | None = None
    """Where the weights come from: a weights file, a folder that contains NETWORK.safetensors, or
    `random` for random initial weights."""
    offline: bool = False
    """Never download anything."""
    accept_license: bool = False
    """Use weights whose licence forbids commercial use. This is needed once per licence; the answer is
    remembered."""
    stages: Granularity = "default"
    """How finely the network is divided into stages: coarse (groups of blocks), fine (every block), or
    default (as the network's card in the zoo says)."""
    channels: int | None = None
    """Number of channels of the images, if it differs from the network's own; the first layer is then
    adapted. 1 and 3 accept any image; other numbers need files with that many bands (RGBA, CMYK) or grey
    pages (TIFF)."""
    image_size: int | None = None
    """Side of the network's square input in pixels, if it differs from the network's own; position
    embeddings are then interpolated."""
    framing: FramingChoice = "auto"
    """What the network sees of an image. crop: the central square, of most networks 7/8 of the shorter side.
    cover: the central square of the whole shorter side. squeeze: the whole image, its aspect ratio changed.
    pad: the whole image, between borders of the mean colour. auto: the ladder measures which of them is
    better for these images; other strategies take crop, or what the run of --from was fitted with."""
    average: AverageChoice = "auto"
    """Over which views of an image its features are averaged. none: the image alone. mirror: the image and
    its mirror image, which doubles the time of a prediction. auto: the ladder measures whether the mirror
    image helps; other strategies take none, or what the run of --from was fitted with."""
    precision: Precision = "fp32"
    """Arithmetic of the network while features are extracted; bf16 is faster on processors that support
    it."""
    runtime: Literal["auto", "openvino", "torch"] = "auto"
    """Library that runs the network: openvino, torch (PyTorch), or auto, which takes torch on a GPU and
    otherwise openvino if it is installed."""
    device: str = "auto"
    """Device that runs the network: cpu, cuda, cuda:N, or auto for the GPU if there is one."""
    executor: str = "local"
    """Who computes features, and activations at a cut, that are not in the cache. local: this process. ray:
    workers on this machine, which Ray starts. ray:ADDRESS: workers of a Ray cluster, which must see the
    images and the weights under the same paths."""

    _RANGES: ClassVar[dict[str, tuple[float, float]]] = {"channels": (1, 16), "image_size": (8, 4096)}


@dataclass(frozen=True)
class ExtractionSettings(FeatureSettings):
    """Which features are computed, by whom, and which part of them."""

    network: str | None = None
    """Network whose features are computed, by its name in the zoo, timm or torchvision; its weights are
    downloaded if they are not on this machine. By default the most promising network on this machine, as
    in fit."""
    framing: FramingChoice = "auto"
    """What the network sees of an image: crop, cover, squeeze or pad, as in fit. auto is what the ladder of
    fit begins with; framings that it then measures are computed by fit itself."""
    average: AverageChoice = "auto"
    """Over which views of an image its features are averaged, as in fit: none or mirror. auto is none."""
    threads: int | None = None
    """Number of threads that run the network on a CPU; by default one per core, and one in each worker of
    Ray. With torch the bits of features depend on it, with openvino they don't."""
    part: str | None = None
    """Part of the images that this process begins with, as in 3/16; what other parts have left over comes
    after it. The processes share a cache ($REGRAFT_CACHE), and one of them is started for each part."""
    part_only: bool = False
    """Compute nothing but the images of --part: for caches that are not shared, which `regraft cache merge`
    puts together."""
    mixed_machines: bool = False
    """Accept workers and parts on machines with other processors or libraries. Their rows are kept together
    with the others although they differ in the last digits."""

    _RANGES: ClassVar[dict[str, tuple[float, float]]] = {
        **FeatureSettings._RANGES,
        "threads": (1, 1024),
    }

    def __post_init__(self) -> None:
        settle(self, self._RANGES, ())
        if self.part is not None:
            Part.parse(self.part)
        elif self.part_only:
            raise SettingsError("--part-only needs the part, as in --part 3/16")
        if self.network == "auto":
            raise SettingsError(
                "--network auto compares networks by their features, and extract computes those of one; name "
                "it, or leave --network out for the most promising network on this machine"
            )
