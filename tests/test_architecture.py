"""The layers of docs/architecture.md, held by the import statements themselves."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "regraft"
# Higher numbers may import lower ones; equal numbers are neighbours and may not import each other.
LAYERS = {
    "cli": 17,
    "estimator": 16,
    "lab": 16,
    "workflow": 15,
    "reports": 14,
    "serving": 14,
    "export": 13,
    "explanation": 12,
    "runs": 11,
    "ladder": 10,
    "training": 9,
    "plans": 8,
    "prediction": 8,
    "advice": 8,
    "heads": 7,
    "features": 6,
    "outputs": 5,
    "data": 4,
    "networks": 4,
    "tasks": 3,
    "evaluation": 2,
    "settings": 3,
    "storage": 2,
    "parallel": 1,
    "machine": 1,
    "arguments": 1,
    "records": 1,
    "randomness": 1,
    "progress": 1,
    "errors": 0,
}
# Until timing a step has a file of its own.
TIES = {("plans", "training")}
DOORS = {
    "timm": {"networks"},
    "torchvision": {"data", "networks"},
    "openvino": {"features", "export"},
    "skimage": {"features", "lab"},
    "sklearn": {"advice", "estimator", "heads", "evaluation", "lab"},
    "scipy": {"heads"},
    "threadpoolctl": {"heads", "lab"},
    "PIL": {"data", "explanation", "export", "lab", "reports", "serving"},
    "captum": {"explanation"},
    "jinja2": {"reports"},
    "markupsafe": {"reports"},
    "fastapi": {"serving"},
    "starlette": {"serving"},
    "uvicorn": {"serving"},
    "h11": {"serving"},
    "python_multipart": {"serving"},
    "prometheus_client": {"serving"},
    "onnxruntime": {"export", "prediction", "serving"},
    "onnxscript": {"export"},
    "pyarrow": {"data"},
    "rich": {"cli"},
    "cyclopts": {"cli"},
    "huggingface_hub": {"networks"},
    "matplotlib": {"outputs"},
    "tomli_w": {"plans"},
    "onnx": {"export", "networks", "serving"},
}
FILES = sorted(SOURCE.rglob("*.py"))


def unit_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def imports_of(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_point_down(path: Path) -> None:
    unit = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    if unit.startswith("__"):
        return
    for name in imports_of(path):
        other = unit_of(name) if name.startswith("regraft.") else unit
        if other in ("__version__", unit):
            continue
        is_below = LAYERS[unit] > LAYERS[other] or (unit, other) in TIES
        assert is_below, f"{unit} imports {name}, which is not below it"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_heavy_libraries_have_one_door(path: Path) -> None:
    unit = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    for name in imports_of(path):
        library = name.split(".")[0]
        assert unit in DOORS.get(library, {unit}), f"{unit} imports {library}; its door is {DOORS[library]}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_files_stay_readable(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 450


@pytest.mark.children
@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["fit", "--help"], ["zoo"], ["predict", "--help"], ["cache", "info"]],
    ids=" ".join,
)
def test_help_and_zoo_import_no_torch(arguments: list[str]) -> None:
    code = (
        "import sys; from regraft.cli.app import run; code = run(sys.argv[1:]); "
        "heavy = {'torch', 'timm', 'torchvision', 'openvino', 'sklearn'} & set(sys.modules); "
        "sys.exit(f'imported {heavy}' if heavy else code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_public_names_are_importable() -> None:
    import regraft

    for name in regraft.__all__:
        assert getattr(regraft, name).__module__.startswith("regraft.")


def test_nothing_unpickles() -> None:
    for path in FILES:
        text = path.read_text()
        assert "import pickle" not in text, path
        assert "weights_only=False" not in text, path
        assert "allow_pickle=True" not in text, path
