"""Write src/regraft/features/converted: graphs of networks that need no conversion on a user's machine.

These are the features of the network that is installed with Regraft, and the maps of networks that detectors
often use, traced on one canvas; they are reshaped to others. The graph of an architecture fits all its
weights, so untrained ones serve here.

Run, with the oldest OpenVINO that shall read them: python scripts/build_graph.py [NETWORK...]
"""

from __future__ import annotations

import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from regraft.features.graphs import CONSTANTS, CONVERTED, GRAPH, PACKAGED, RECORD, Cut, open_graph
from regraft.features.tracing import trace
from regraft.networks.weights.finding import Weights, find_weights

_NO_DATE = (1980, 1, 1, 0, 0, 0)  # the same graph gives the same file
_CANVAS = {"size_px": 384, "width_px": 512}
_MAPS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "tf_efficientnet_lite0-maps": ("tf_efficientnet_lite0", {}),
    "mobilenetv1_100-maps": ("mobilenetv1_100", {}),
    "mobilenetv1_100-same-maps": ("mobilenetv1_100", {"pad_type": "same"}),  # as TensorFlow published it
}
"""Networks by the name of their file: which network, and what its recipe adds."""


def main() -> None:
    CONVERTED.mkdir(exist_ok=True)
    wanted = sys.argv[1:] or [PACKAGED.stem, *_MAPS]
    for name in wanted:
        if name == PACKAGED.stem:
            write(name, find_weights(name, offline=True), cut=None)
        else:
            write(name, on_canvas(*_MAPS[name]), cut="maps")


def on_canvas(network: str, more: Mapping[str, str]) -> Weights:
    """A network without training, as the recipe of its weights may name it, with a canvas as input."""
    weights = find_weights(network, weights="random")
    recipe = weights.recipe.model_copy(update={"kwargs": {**weights.recipe.kwargs, **more}})
    spec = weights.input_spec.model_copy(update=_CANVAS)
    return replace(weights, recipe=recipe, input_spec=spec)


def write(name: str, weights: Weights, cut: Cut) -> None:
    """Trace a network and write its graph to a file of this name."""
    with (
        tempfile.TemporaryDirectory() as folder,
        zipfile.ZipFile(CONVERTED / f"{name}.zip", "w") as archive,
    ):
        place = Path(folder, "graph")
        trace(weights, place, cut=cut)
        if open_graph(place).is_for_one:  # type: ignore[union-attr]
            sys.exit(f"{name} has no graph apart from its weights, so it can't be packaged")
        for part in (GRAPH, CONSTANTS, RECORD):
            info = zipfile.ZipInfo(part, _NO_DATE)
            archive.writestr(info, (place / part).read_bytes(), zipfile.ZIP_DEFLATED, 9)
    print(f"wrote {CONVERTED / name}.zip")


if __name__ == "__main__":
    main()
