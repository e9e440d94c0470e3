from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the extra regraft[serve] is not installed")
pytest.importorskip("onnx", reason="the extra regraft[serve] is not installed")

from tests.detection.conftest import shapes, shapes_run  # noqa: F401 (fixtures)
from tests.serving.detection.graphs import made_up_run
from tests.serving.test_server import Server, started


@pytest.fixture(scope="session")
def detector_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of a detector whose boxes are known beforehand."""
    with started(made_up_run(tmp_path_factory.mktemp("detector") / "run")) as found:
        yield found


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """A text file with the name of a picture."""
    (tmp_path / "=notes().png").write_text("no image")
    return tmp_path / "=notes().png"
