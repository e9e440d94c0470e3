from __future__ import annotations

import os
import subprocess
import sys

import pytest

SHOWN = "import regraft, torch; torch.ones(4)"


@pytest.mark.children
@pytest.mark.skipif(sys.platform != "linux", reason="other systems have another OpenMP")
@pytest.mark.parametrize(
    ("stated", "spins"),
    [({}, "10000"), ({"GOMP_SPINCOUNT": "70"}, "70"), ({"OMP_WAIT_POLICY": "passive"}, "0")],
)
def test_threads_of_torch_soon_sleep_while_they_wait_unless_the_user_says_otherwise(
    stated: dict[str, str], spins: str
) -> None:
    names = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
    usual = {name: value for name, value in os.environ.items() if name not in names}
    done = subprocess.run(
        [sys.executable, "-c", SHOWN],
        env={**usual, **stated, "OMP_DISPLAY_ENV": "verbose"},
        capture_output=True,
        text=True,
        check=True,
    )
    said = [line for line in done.stderr.splitlines() if "GOMP_SPINCOUNT" in line]
    assert said, done.stderr[:300]
    assert all(f"'{spins}'" in line for line in said)
