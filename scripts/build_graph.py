"""Write src/regraft/features/converted: the graph of the network that is installed with Regraft.

Run, with the oldest OpenVINO that shall read it: python scripts/build_graph.py
"""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path

from regraft.features.graphs import CONSTANTS, GRAPH, PACKAGED, RECORD
from regraft.features.tracing import trace
from regraft.networks.weights.finding import find_weights

_NO_DATE = (1980, 1, 1, 0, 0, 0)  # the same graph gives the same file


def main() -> None:
    PACKAGED.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(PACKAGED, "w") as archive:
        place = Path(folder, "graph")
        trace(find_weights(PACKAGED.stem, offline=True), place, cut=None)
        for name in (GRAPH, CONSTANTS, RECORD):
            info = zipfile.ZipInfo(name, _NO_DATE)
            archive.writestr(info, (place / name).read_bytes(), zipfile.ZIP_DEFLATED, 9)
    print(f"wrote {PACKAGED}")


if __name__ == "__main__":
    main()
