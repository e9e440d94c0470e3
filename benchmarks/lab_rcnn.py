"""The experiment `rcnn` on made pictures and on det_bccd: the tables of docs/lab.md.

Run: python benchmarks/lab_rcnn.py [SEEDS]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from common import save, shared

import regraft.lab

if __name__ == "__main__":
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, data in (("made", None), ("det_bccd", shared("data") / "det_bccd")):
            run = regraft.lab.run("rcnn", data=data, seeds=seeds, out=Path(folder, name))
            found[name] = {"findings": run.findings, "rows": run.table.to_pylist()}
            print(name, *run.findings, sep="\n- ")
    save("lab_rcnn", found)
