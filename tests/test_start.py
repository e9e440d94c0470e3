"""The page for newcomers, command by command, on a machine with an empty cache."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from regraft.cli.app import run
from tests.test_docs import ROOT, blocks


@pytest.mark.slow
def test_the_newcomers_path_runs_as_it_is_written(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """In this process: each of the ten commands would import torch again."""
    monkeypatch.chdir(tmp_path)
    for block in blocks(ROOT / "docs" / "start.md", "bash"):
        for line in block.strip().splitlines():
            program, *words = shlex.split(line)
            assert program == "regraft"
            assert run(words) == 0, f"{line}\n{capfd.readouterr().err}"
    for name in ("runs/digits/report.html", "explanation.html", "predictions.csv", "exported/model.onnx"):
        assert (tmp_path / name).exists(), name
