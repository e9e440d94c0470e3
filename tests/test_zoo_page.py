"""docs/zoo.md is what its script writes from the table."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("write_zoo_page", ROOT / "scripts" / "write_zoo_page.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_the_script_writes(script: ModuleType) -> None:
    written = (ROOT / "docs" / "zoo.md").read_text(encoding="utf-8")
    assert written == script.page(), "run python scripts/write_zoo_page.py"


def test_the_timeline_has_the_published_errors(script: ModuleType) -> None:
    rows = re.findall(r"\| (20\d\d) \| .*? \| ([\d.]+) % \|", script.page())
    assert [int(year) for year, _ in rows] == [2010, 2011, 2012, 2013, 2014, 2014, 2015]
    assert [float(error) for _, error in rows] == [28.2, 25.8, 16.4, 11.7, 7.3, 6.7, 3.57]


def test_the_plot_is_drawn(script: ModuleType, tmp_path: Path) -> None:
    drawn = script.plot(tmp_path / "zoo.svg")
    assert b"<svg" in drawn.read_bytes()
