"""Writes constraints.txt: what pip chooses for pyproject.toml, with every extra, in an empty environment.

Run: python scripts/build_constraints.py   (downloads several gigabytes where torch comes with CUDA)
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import tempfile
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = "regraft"
HEADER = """\
# Exact versions for tests and benchmarks: pip install -c constraints.txt -e ".[openvino,development]"
# scripts/build_constraints.py wrote this file with Python {python} on {system}: what pip chose for
# pyproject.toml, with every extra, in an empty virtual environment. Edit pyproject.toml and run it again.
# "via" names what requires a distribution; {project} is this project.
"""


def declared() -> list[Requirement]:
    """Every requirement of pyproject.toml, extras included, without the project's own extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"]]
    for extra in project["optional-dependencies"].values():
        lines += extra
    return [found for found in map(Requirement, lines) if found.name != PROJECT]


def installed(requirements: list[Requirement]) -> dict[str, Any]:
    """Metadata of each distribution, by name, after pip has installed these into an empty environment."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [str(Path(folder) / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
        wanted = sorted({str(requirement) for requirement in requirements})
        subprocess.run([*pip, "install", "--quiet", *wanted], check=True)
        listing = subprocess.run([*pip, "inspect", "--local"], check=True, capture_output=True, text=True)
    found = [entry["metadata"] for entry in json.loads(listing.stdout)["installed"]]
    return {canonicalize_name(metadata["name"]): metadata for metadata in found}


def requirers(requirements: list[Requirement], distributions: dict[str, Any]) -> dict[str, set[str]]:
    """Who requires each distribution, following requirements from the declared ones down."""
    via: dict[str, set[str]] = defaultdict(set)
    seen: set[tuple[str, str]] = set()
    waiting = [(PROJECT, requirement) for requirement in requirements]
    while waiting:
        parent, requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        via[name].add(parent)
        for extra in {"", *requirement.extras} - {extra for known, extra in seen if known == name}:
            seen.add((name, extra))
            for line in distributions[name].get("requires_dist", []):
                child = Requirement(line)
                if child.marker is None or child.marker.evaluate({"extra": extra}):
                    waiting.append((name, child))
    return via


def constraints(via: dict[str, set[str]], distributions: dict[str, Any]) -> str:
    """The text of constraints.txt."""
    system = f"{platform.system()} {platform.machine()}"
    header = HEADER.format(python=platform.python_version(), system=system, project=PROJECT)
    lines = [
        f"{name}=={distributions[name]['version']}  # via {', '.join(sorted(via[name]))}\n"
        for name in sorted(via)
    ]
    return header + "".join(lines)


def main() -> None:
    requirements = declared()
    distributions = installed(requirements)
    text = constraints(requirers(requirements, distributions), distributions)
    (ROOT / "constraints.txt").write_text(text, encoding="utf-8")
    print(f"wrote {ROOT / 'constraints.txt'}: {len(text.splitlines())} lines")


if __name__ == "__main__":
    main()
