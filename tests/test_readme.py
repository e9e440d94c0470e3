"""The README's Python is executed, its commands exist, and it stays short."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"


def test_the_python_example_runs(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    images = sorted(digits.rglob("*.png"))
    for image in images[::5]:  # the network that comes with the installation takes 224 pixels
        (tmp_path / "photos" / image.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(image, tmp_path / "photos" / image.parent.name)
    shutil.copy(images[0], tmp_path / "a.png")
    shutil.copy(images[-1], tmp_path / "b.png")
    monkeypatch.chdir(tmp_path)
    code = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(code) == 1
    exec(compile(code[0], "README.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [["a.png", "5"], ["b.png", "7"]]
    assert (tmp_path / "flowers" / "bundle.json").exists()


def test_it_stays_short() -> None:
    assert len(README.read_text().splitlines()) <= 150


def test_files_that_it_names_exist() -> None:
    for name in re.findall(r"\]\(([^)#]+)\)", README.read_text()):
        assert name.startswith("https://") or (README.parent / name).exists(), name
