"""The server against its own description: schemathesis makes up requests and looks for broken promises."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.serving.test_server import started

pytest.importorskip("schemathesis", reason="schemathesis is not installed")

pytestmark = pytest.mark.children


@pytest.mark.parametrize("examples", [10, pytest.param(40, marks=pytest.mark.soak)])
def test_made_up_requests_find_no_broken_promise(examples: int, probe: Path, tmp_path: Path) -> None:
    tool = Path(sys.executable).with_name("schemathesis")
    with started(probe, "--queue", "64") as server:
        done = subprocess.run(
            [
                str(tool), "run", f"{server.url}openapi.json", "--max-examples", str(examples), "--seed", "1",
                "--phases", "coverage,fuzzing", "--no-color", "--request-timeout", "30",
                # OpenAPI can't say that a body of bytes has to be an image
                "--exclude-checks", "positive_data_acceptance",
            ],
            capture_output=True, text=True, cwd=tmp_path, check=False,
        )  # fmt: skip
        assert server.ask("/healthz")[0] == 200
    summary = done.stdout[done.stdout.find("SUMMARY") :]
    assert done.returncode == 0, summary[:3000]
