"""Figures of the house: its floors, arrows and circles, its loose modules, and its longest argument lists.

Only the standard library; the code is read, not imported. A floor is a step of the longest chain of folders
(and loose modules) that import each other; an arrow is a pair of them of which one imports the other.

Other names in results/house.json are kept.

Run: python benchmarks/house.py NAME=FOLDER ...     each FOLDER holds a src/regraft
"""

from __future__ import annotations

import ast
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from common import RESULTS, save

FACES = {"__init__", "__main__"}
Graph = dict[str, set[str]]


def imports_of(path: Path, modules: set[str]) -> set[str]:
    """The modules of the package that a file imports, also inside functions and for types alone."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in modules else node.module for name in whole}
    return found & modules


def place_of(module: str, source: Path, depth: int | None) -> str:
    """The folder of a module, or the module itself if it is loose; `depth` folders at most."""
    parts = module.split(".")[1:]
    if not source.joinpath(*parts).is_dir():
        parts = parts[:-1] or parts
    return "/".join(parts[:depth])


def circles_of(graph: Graph) -> list[list[str]]:
    """Groups of nodes that reach each other (strongly connected components of two and more)."""
    reach: Graph = {}
    for start in graph:
        seen, todo = set(), list(graph[start])
        while todo:
            node = todo.pop()
            if node not in seen:
                seen.add(node)
                todo += graph.get(node, ())
        reach[start] = seen
    groups = {frozenset({a, *(b for b in reach[a] if a in reach.get(b, ()))}) for a in graph if a in reach[a]}
    return sorted(sorted(group) for group in groups)


def floors_of(graph: Graph) -> int | None:
    """Length of the longest chain; None if there are circles."""
    if circles_of(graph):
        return None
    heights: dict[str, int] = {}

    def height(node: str) -> int:
        if node not in heights:
            heights[node] = 1 + max((height(below) for below in graph.get(node, ())), default=0)
        return heights[node]

    return max(map(height, graph))


def positional(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """Names of the parameters that can be given by position, without self and cls."""
    names = [argument.arg for argument in [*function.args.posonlyargs, *function.args.args]]
    return names[1:] if names[:1] in (["self"], ["cls"]) else names


def figures(source: Path) -> dict[str, Any]:
    """All figures of the package in a folder."""
    files = {
        ".".join(("regraft", *path.relative_to(source).with_suffix("").parts)).removesuffix(".__init__"): path
        for path in sorted(source.rglob("*.py"))
    }
    inside = {name: path for name, path in files.items() if name not in ("regraft", "regraft.__main__")}
    modules: Graph = {name: imports_of(path, set(inside)) for name, path in inside.items()}
    found: dict[str, Any] = {}
    for name, depth in (("folders", 1), ("folders_and_rooms", None)):
        graph: Graph = {}
        for module, others in modules.items():
            here = place_of(module, source, depth)
            graph.setdefault(here, set()).update(place_of(other, source, depth) for other in others)
        for here, others in graph.items():
            others.discard(here)
        found[name] = {
            "places": len(graph),
            "floors": floors_of(graph),
            "arrows": sum(map(len, graph.values())),
            "circles": circles_of(graph),
        }
    functions = [
        node
        for path in files.values()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    sizes = Counter(path.parent for path in files.values() if path.name != "__init__.py")
    largest, size = sizes.most_common(1)[0]
    return found | {
        "circles_of_files": circles_of(modules),
        "loose_modules": sorted({path.stem for path in source.glob("*.py")} - FACES),
        "largest_folder": {"name": largest.relative_to(source).as_posix(), "files": size},
        "folders_of_more_than_13_files": sum(size > 13 for size in sizes.values()),
        "functions": len(functions),
        "functions_of_six_and_more_parameters": sum(
            len(positional(one)) + len(one.args.kwonlyargs) >= 6 for one in functions
        ),
        "functions_of_more_than_two_positional_parameters": sum(
            len(positional(one)) > 2 for one in functions
        ),
        "files": len(files),
        "lines": sum(len(path.read_text().splitlines()) for path in files.values()),
    }


if __name__ == "__main__":
    named = dict(argument.split("=", 1) for argument in sys.argv[1:])
    kept = json.loads((RESULTS / "house.json").read_text()) if (RESULTS / "house.json").exists() else {}
    kept.pop("machine", None)
    measured = {name: figures(Path(folder) / "src" / "regraft") for name, folder in named.items()}
    save("house", kept | measured)
