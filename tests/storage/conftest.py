"""What the tests of sharing need: processes that see only themselves, as in a container."""

from __future__ import annotations

import subprocess

import pytest


@pytest.fixture(scope="session")
def unshared() -> list[str]:
    """The beginning of a command that runs as process 1 of a PID namespace; skips where that is forbidden."""
    for rights in ([], ["--user", "--map-root-user"]):
        command = ["unshare", *rights, "--pid", "--fork"]
        try:
            done = subprocess.run([*command, "true"], capture_output=True, check=False)
        except FileNotFoundError:
            break
        if done.returncode == 0:
            return command
    pytest.skip("PID namespaces are not permitted here")
