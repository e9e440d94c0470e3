"""The whole course: the sentences and figures of docs/course.md.

Run: python benchmarks/lab_course.py [--full] [FOLDER]
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from common import save

import regraft.lab
from regraft.lab.experiments.catalogue import EXPERIMENTS

SHOWN = {"depth": "training-error", "gradients": "profile", "transferability": "cuts", "forgetting": "source"}
"""The figures that the documentation shows."""
WORDS = "In the words of the pages:\n"
"""What the sentences follow in the documentation."""
DOCS = Path(__file__).parents[1] / "docs"

if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if not word.startswith("--")]
    started, found, lines = time.perf_counter(), {}, []
    out = Path(words[0] if words else "runs")
    for name, one in EXPERIMENTS.items():
        run = regraft.lab.run(name, quick="--full" not in sys.argv, out=out)
        rows = [
            row
            for row in run.table.to_pylist()
            if ", epoch " not in row["measure"] and ", step " not in row["measure"]
        ]
        seconds = sum(row.seconds for row in run.results.rows)
        count = len(run.results.seeds)
        found[name] = {"seconds": round(seconds, 1), "findings": run.findings, "rows": rows}
        lines += [f"\n**{one.title}** (`regraft lab {name}`, {count} draw{'s' if count != 1 else ''})\n"]
        lines += [f"- {sentence}" for sentence in run.findings]
        for figure in run.figures:
            if SHOWN.get(name) == figure.name:
                (DOCS / f"course-{name}.svg").write_bytes(figure.standalone)
        print(f"{name}: {seconds:.0f} s")
    save("lab_course", found)
    course = DOCS / "course.md"
    before = course.read_text(encoding="utf-8").partition(WORDS)[0]
    course.write_text(f"{before}{WORDS}\n" + "\n".join(lines) + "\n", encoding="utf-8")
    measured = sum(one["seconds"] for one in found.values())
    print(f"{measured:.0f} s of measuring, {time.perf_counter() - started:.0f} s in this run")
