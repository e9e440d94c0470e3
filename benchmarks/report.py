"""Seconds and bytes of a run's report, with and without Grad-CAM, on the largest data set at hand.

Run: python benchmarks/report.py [RUNS]
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from common import save, shared

import regraft

if __name__ == "__main__":
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["REGRAFT_CACHE"] = str(Path(folder, "cache"))
        for data, strategy in (("trash6", "svm"), ("clothing", "probe"), ("brain_mri", "many-stages")):
            run = Path(folder, data)
            how = {"network": "mobilenetv1_100", "weights": str(shared("weights")), "strategy": strategy}
            # all images are judged: a large test side is what a report has most to do with
            regraft.fit(shared("data") / data, test_share=0.5, out=run, **how)
            row = {"data": data, "images": len(regraft.load_images(shared("data") / data))}
            for name, explain in (("plain", False), ("with_grad_cam", True)):
                times = []
                for _ in range(runs):
                    started = time.perf_counter()
                    page = regraft.write_report(run, explain=explain)
                    times.append(time.perf_counter() - started)
                row |= {f"{name}_s": round(statistics.median(times), 2), f"{name}_bytes": page.stat().st_size}
            rows.append(row)
            print(row, flush=True)
    save("report", {"rows": rows})
