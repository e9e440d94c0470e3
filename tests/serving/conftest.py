from __future__ import annotations

from pathlib import Path

import pytest
from filelock import FileLock

from regraft.progress import Silent
from regraft.serving.package import open_package
from tests.conftest import DigitsRun, for_all_workers


@pytest.fixture(scope="session")
def probe(digits_run: DigitsRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose package is in the cache of all workers: to make one takes ten processor seconds."""
    run = digits_run("probe").folder
    with FileLock(for_all_workers(tmp_path_factory) / "probe-package.lock"):
        open_package(run, Silent())
    return run
