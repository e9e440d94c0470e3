"""The page for newcomers, command by command, on a machine with an empty cache."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_docs import ROOT, blocks


@pytest.mark.children
def test_the_newcomers_path_runs_as_it_is_written(tmp_path: Path) -> None:
    environment = {**os.environ, "REGRAFT_CACHE": str(tmp_path / "cache")}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    for block in blocks(ROOT / "docs" / "start.md", "bash"):
        done = subprocess.run(
            ["bash", "-euc", block],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
    for name in ("runs/digits/report.html", "explanation.html", "predictions.csv", "exported/model.onnx"):
        assert (tmp_path / name).exists(), name
