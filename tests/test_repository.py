"""The repository keeps what it needs and nothing else: file sizes, wheels, constraints, dependencies."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = "regraft"
LIMIT_BYTES = 1_000_000
CONSTRAINT = re.compile(r"(?P<name>[a-z0-9-]+)==\S+  # via (?P<via>[a-z0-9-]+(?:, [a-z0-9-]+)*)")


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    """Every file that git tracks and that is in the working tree."""
    if not shutil.which("git") or not (ROOT / ".git").exists():
        pytest.skip("only git knows which files are tracked: it is not installed, or this is no checkout")
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"git can't list the tracked files: {done.stderr.strip()}")
    paths = [ROOT / name for name in done.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


def canonical(name: str) -> str:
    """A distribution's name as package indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def declared() -> set[str]:
    """Every distribution that pyproject.toml names, extras included."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"]]
    for extra in project["optional-dependencies"].values():
        lines += extra
    return {canonical(re.split(r"[\[<>=!~; ]", line)[0]) for line in lines} - {PROJECT}


def constrained() -> dict[str, set[str]]:
    """Who requires each distribution, from constraints.txt; empty where its line does not say so."""
    text = (ROOT / "constraints.txt").read_text()
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    found = [(line.split("==")[0], CONSTRAINT.fullmatch(line)) for line in lines]
    return {name: set(match["via"].split(", ")) if match else set() for name, match in found}


def test_no_tracked_file_is_above_a_megabyte(tracked: list[Path]) -> None:
    large = [path for path in tracked if path.stat().st_size > LIMIT_BYTES]
    assert [path for path in large if ROOT / "benchmarks" / "results" not in path.parents] == []


def test_no_wheel_is_tracked(tracked: list[Path]) -> None:
    assert [path for path in tracked if path.suffix == ".whl"] == []


def test_constraints_name_every_declared_distribution() -> None:
    assert declared() - set(constrained()) == set(), "run scripts/build_constraints.py"


def test_constraints_name_only_what_is_required() -> None:
    via = constrained()
    reached, before = {PROJECT}, set[str]()
    while reached != before:
        before, reached = reached, reached | {name for name, parents in via.items() if parents & reached}
    assert set(via) - reached == set(), "run scripts/build_constraints.py"
    assert {name for name, parents in via.items() if PROJECT in parents} == declared()


def test_every_declared_distribution_has_its_reason() -> None:
    lines = (ROOT / "docs" / "dependencies.md").read_text().split("\n")
    cells = [line.split("|")[1] for line in lines if line.startswith("|")]
    _, _, development = "\n".join(lines).partition("\nDevelopment: ")
    named = {canonical(word) for word in re.findall(r"[\w-]+", " ".join([*cells, development]))}
    assert declared() - named == set(), "say in docs/dependencies.md what each is for"


def test_the_rules_for_contributors_name_tests_that_exist() -> None:
    rules = set(re.findall(r"`(test_\w+)`", (ROOT / "CONTRIBUTING.md").read_text()))
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    assert rules - set(re.findall(r"^def (test_\w+)", tests, re.MULTILINE)) == set()
