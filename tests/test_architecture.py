"""The picture of docs/architecture.md, held by the import statements themselves."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "regraft"
FILES = sorted(SOURCE.rglob("*.py"))
FACES = {"__init__", "__main__"}
MOST_FILES, MOST_LINES = 13, 400
# One file for each command is the rule there: who knows the command knows the file.
ANY_SIZE = {"cli/commands"}
# A library that is heavy or optional, and the only folders that import it.
DOORS = {
    "timm": {"networks"},
    "torchvision": {"data/pictures", "detection", "networks"},
    "openvino": {"features", "export", "machine"},
    "ray": {"execution"},
    "skimage": {"features", "lab"},
    "sklearn": {"advice", "estimator", "evaluation", "heads", "lab"},
    "scipy": {"data/findings", "heads", "named"},
    "threadpoolctl": {"data/findings", "heads", "lab"},
    "tifffile": {"data/formats"},
    "pydicom": {"data/formats"},
    "pi_heif": {"data/formats"},
    "PIL": {"data", "detection", "explanation", "export", "lab", "reports", "serving"},
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
    "pyarrow": {"data/archives", "data/sources", "lab", "outputs", "storage"},
    "rich": {"cli/terminal"},
    "cyclopts": {"cli"},
    "huggingface_hub": {"named", "networks/weights"},
    "matplotlib": {"outputs"},
    "tomli_w": {"plans"},
    "onnx": {"detection/graph", "export", "networks", "prediction", "serving"},
}
# The loop trains any tail: it may know records, settings and the machine, but nothing of what is learned.
HIDDEN_FROM_THE_LOOP = {
    "advice",
    "data",
    "evaluation",
    "features",
    "heads",
    "plans",
    "prediction",
    "training",
}


@cache
def picture() -> dict[str, int]:
    """Every folder and loose module of the picture, with its height: below it is what it may import.

    Blank lines divide the floors of the house. An indented line is a room of the folder above it; each room
    is a floor of its own, below the folder's files and above the rooms that follow.
    """
    block = re.search(
        r"## The house\n.*?```text\n(.*?)```", (ROOT / "docs" / "architecture.md").read_text(), re.DOTALL
    )
    assert block is not None
    heights: dict[str, int] = {}
    floors = block[1].strip("\n").split("\n\n")
    for number, floor in enumerate(floors):
        folder, room = "", 0
        for line in floor.splitlines():
            name = line.split()[0].removesuffix("/").removesuffix(".py")
            is_room = line.startswith(" ")
            folder, room = (folder, room + 1) if is_room else (name, 0)
            heights[f"{folder}/{name}" if is_room else name] = 100 * (len(floors) - number) - room
    return heights


def place_of(path: Path) -> str:
    """The folder of a file, below the package; a loose module is its own place."""
    inside = path.relative_to(SOURCE)
    return inside.stem if len(inside.parts) == 1 else inside.parent.as_posix()


@cache
def imports_of(path: Path) -> frozenset[str]:
    """Dotted names of all that a file imports, also inside functions and for types alone."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)


def file_of(name: str) -> Path | None:
    """The file that a dotted name means: a module, or the module that defines the name."""
    parts = name.split(".")
    for count in (len(parts), len(parts) - 1):
        path = SOURCE.joinpath(*parts[1:count])
        if path.with_suffix(".py").is_file() and count > 1:
            return path.with_suffix(".py")
        if (path / "__init__.py").is_file():
            return path / "__init__.py"
    return None


def own_imports() -> Iterator[tuple[Path, str, Path]]:
    """Every import of one of our files by another, as `(file, dotted name, imported file)`."""
    for path in FILES:
        if path.parent == SOURCE and path.stem in FACES:
            continue
        for name in sorted(imports_of(path)):
            other = file_of(name) if name.split(".")[0] == "regraft" else None
            if other is not None:
                yield path, name, other


def test_the_picture_shows_every_folder_and_every_loose_module() -> None:
    there = {place_of(path) for path in FILES} - FACES
    assert set(picture()) == there


def test_imports_point_down() -> None:
    heights = picture()
    wrong = []
    for path, name, other in own_imports():
        here, there = place_of(path), place_of(other)
        if here != there and there not in FACES and heights[here] <= heights[there]:
            wrong.append(f"{here} imports {name}, which is not below it")
        # Rooms are inside: seen from another folder, the whole folder must be below.
        top, bottom = here.split("/")[0], there.split("/")[0]
        if top != bottom and there not in FACES and heights[top] // 100 == heights[bottom] // 100:
            wrong.append(f"{here} imports {name}, its neighbour")
    assert wrong == []


def test_no_files_import_each_other_in_a_circle() -> None:
    graph: dict[Path, set[Path]] = {}
    for path, _, other in own_imports():
        graph.setdefault(path, set()).add(other)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" > ".join(path.relative_to(SOURCE).as_posix() for path in error.args[1]))


def test_nothing_inside_imports_the_face_of_the_package() -> None:
    assert [name for _, name, other in own_imports() if other == SOURCE / "__init__.py"] == []


def test_a_folder_can_be_taken_in_at_a_glance() -> None:
    folders = {path.parent for path in FILES}
    sizes = {
        folder.relative_to(SOURCE).as_posix(): len({*folder.glob("*.py")} - {folder / "__init__.py"})
        for folder in folders
    }
    assert {name: size for name, size in sizes.items() if size > MOST_FILES and name not in ANY_SIZE} == {}


def test_files_stay_readable() -> None:
    long = {path: len(path.read_text().splitlines()) for path in FILES}
    assert {path: lines for path, lines in long.items() if lines > MOST_LINES} == {}


def test_heavy_libraries_have_one_door() -> None:
    wrong = []
    for path in FILES:
        place = place_of(path)
        for library in {name.split(".")[0] for name in imports_of(path)} & set(DOORS):
            if not any(place == door or place.startswith(f"{door}/") for door in DOORS[library]):
                wrong.append(f"{place} imports {library}; its doors are {sorted(DOORS[library])}")
    assert wrong == []


def test_the_loop_knows_no_image_no_plan_and_no_class() -> None:
    rooms = {"training/loop", "training/group"}
    known = {place_of(other) for path, _, other in own_imports() if place_of(path) in rooms}
    assert {place.split("/")[0] for place in known - rooms} & HIDDEN_FROM_THE_LOOP == set()


@pytest.mark.children
def test_help_and_zoo_import_no_torch() -> None:
    """One process for all of these commands, each of which may import what those before it did."""
    code = (
        "import sys\nfrom regraft.cli.app import run\n"
        "for line in sys.argv[1:]:\n"
        "    code = run(line.split())\n"
        "    heavy = {'torch', 'timm', 'torchvision', 'openvino', 'sklearn'} & set(sys.modules)\n"
        "    if heavy or code:\n"
        "        sys.exit(f'{line}: exit code {code}, imported {heavy}')\n"
    )
    commands = ["--help", "fit --help", "zoo", "predict --help", "cache info"]
    done = subprocess.run(
        [sys.executable, "-c", code, *commands], capture_output=True, text=True, check=False
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
