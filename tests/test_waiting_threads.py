from __future__ import annotations

import os
import subprocess
import sys

import pytest

SHOWN = "import regraft, torch; torch.ones(4)"


@pytest.mark.children
@pytest.mark.skipif(sys.platform != "linux", reason="other systems have another OpenMP")
@pytest.mark.parametrize(("stated", "policy"), [(None, "PASSIVE"), ("active", "ACTIVE")])
def test_threads_of_torch_sleep_while_they_wait_unless_the_user_says_otherwise(
    stated: str | None, policy: str
) -> None:
    usual = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    wanted = {} if stated is None else {"OMP_WAIT_POLICY": stated}
    done = subprocess.run(
        [sys.executable, "-c", SHOWN],
        env={**usual, **wanted, "OMP_DISPLAY_ENV": "true"},
        capture_output=True,
        text=True,
        check=True,
    )
    said = [line for line in done.stderr.splitlines() if "OMP_WAIT_POLICY" in line]
    assert said, done.stderr[:300]
    assert all(policy in line for line in said)
