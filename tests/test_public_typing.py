"""A user's program passes the strictest type check against what the package says of its types."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy", reason="mypy is not installed")
pytestmark = pytest.mark.slow

SOURCE = Path(__file__).parents[1] / "src"
RIGHT = """\
from pathlib import Path

import regraft

images = regraft.load_images("photos/")
model: regraft.Model = regraft.fit(images, regraft.FitSettings(network="lenet5"), out=Path("run"))
for row in model.predict(["a.png", b"bytes of a file"]):
    line: str = f"{row.path} {row.label} {row.probability:.0%}"
folder: Path = model.save("flowers/")
best: Path = regraft.compare_runs(["run", "other"]).recommended.folder
"""
WRONG = """\
import regraft

label: int = regraft.fit("photos/").predict(["a.png"]).rows[0].label
"""
# The libraries' own types take most of a minute to read, and a user's program sees ours alone.
SETTINGS = """\
[mypy]
strict = true
follow_imports = silent

[mypy-torch.*,torchvision.*,timm.*,sklearn.*,scipy.*,matplotlib.*,pydantic.*,PIL.*,pyarrow.*]
follow_imports = skip
"""


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What mypy prints about two programs that import regraft."""
    folder = tmp_path_factory.mktemp("programs")
    for name, text in (("right.py", RIGHT), ("wrong.py", WRONG), ("mypy.ini", SETTINGS)):
        (folder / name).write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "right.py", "wrong.py"],
        cwd=folder,
        env={**os.environ, "MYPYPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def test_a_users_program_passes_the_strict_type_check(findings: str) -> None:
    assert "checked 2 source files" in findings
    assert "right.py" not in findings, findings


def test_a_wrong_use_of_the_public_interface_is_found(findings: str) -> None:
    assert 'wrong.py:3: error: Incompatible types in assignment (expression has type "str"' in findings
