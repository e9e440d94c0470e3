"""Features of the same images in several framings; each image is decoded once for all of them."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from regraft.data.findings.image_set import Images
from regraft.data.pictures.framing import needed_side_px
from regraft.data.pictures.loading import Picture, Pixels, decode_for, fit_input
from regraft.features.extraction import Decoding, Features, feature_store
from regraft.features.opening import Compute
from regraft.features.runtimes import Runtime
from regraft.machine.processor import count_cores
from regraft.networks.weights.finding import Weights
from regraft.progress import Reporter, Silent
from regraft.records import Framing, InputSpec

_WAITING_BYTES = 256 << 20


def framed_features(
    images: Images,
    weights: Weights,
    framings: Sequence[Framing],
    *,
    compute: Compute,
    runtime: Runtime,
    reporter: Reporter,
) -> dict[Framing, Features]:
    """The features of images in each framing, from the cache if they are there.

    Args:
        images: the images.
        weights: the weights of the network, whose own framing is left out of account.
        framings: the framings.
        compute: how features are computed.
        runtime: the network's runtime.
        reporter: receives the progress.
    """
    specs = {framing: weights.framed(framing).input_spec for framing in framings}
    missing = _missing(images, runtime, specs.values())
    if len(missing):
        with reporter.phase(f"features in the framing {' and '.join(framings)}", len(missing)) as meter:
            for part in _parts(missing, specs.values()):
                decoded = _decoded(part, specs, compute)
                for framing, spec in specs.items():
                    compute.extract(part, runtime, spec, Silent(), decoded=decoded[framing])
                meter.advance(len(part))
    return {framing: compute.extract(images, runtime, spec, reporter) for framing, spec in specs.items()}


def _missing(images: Images, runtime: Runtime, specs: Collection[InputSpec]) -> Images:
    """The images of which some features are not in the cache."""
    stores = [feature_store(runtime, spec).open() for spec in specs]
    keys = {item.sha256 for item in images.items}
    return images.of({key for key in keys if not all(key in rows for rows in stores)})


def _parts(images: Images, specs: Collection[InputSpec]) -> Iterator[Images]:
    """Parts of the images whose inputs fit into memory together."""
    most = max(1, _WAITING_BYTES // sum(math.prod(spec.shape) for spec in specs))
    for start in range(0, len(images), most):
        yield replace(images, items=images.items[start : start + most])


def _decoded(
    images: Images, specs: Mapping[Framing, InputSpec], compute: Compute
) -> dict[Framing, dict[str, Pixels]]:
    """The network's inputs in each framing by content hash; images that can't be decoded are left out."""

    def load(data: bytes, _: str) -> Pixels:
        pictures: dict[int, Picture] = {}
        inputs = []
        for spec in specs.values():
            side_px = needed_side_px(spec)
            if side_px not in pictures:
                pictures[side_px] = decode_for(data, spec, side_px, compute.limits)
            inputs.append(fit_input(pictures[side_px], spec))
        return np.stack(inputs)

    ready: dict[Framing, dict[str, Pixels]] = {framing: {} for framing in specs}
    decoding = Decoding(images, load, compute.limits)
    for key, stacked in decoding.ahead(list(decoding.files), compute.workers or count_cores()):
        for framing, pixels in zip(specs, stacked, strict=True):
            ready[framing][key] = pixels
    return ready
