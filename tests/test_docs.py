"""The documentation builds without a warning, its commands parse, and its code runs."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from regraft.cli.app import app
from tests.nursery import Nursery

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").rglob("*.md"))


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a language; of none where it is empty."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


@pytest.mark.children
def test_the_site_builds_without_a_warning(nursery: Nursery, tmp_path: Path) -> None:
    pytest.importorskip("sphinx", reason="Sphinx is not installed")
    build = "import sys; from sphinx.cmd.build import main; sys.exit(main(sys.argv[1:]))"
    done = nursery.start(build, "-W", "-q", "-b", "html", str(ROOT / "docs"), str(tmp_path), folder=tmp_path)
    assert done.wait() == 0, done.output.read_text()
    assert (tmp_path / "commands" / "fit.html").exists()


@pytest.mark.children
def test_the_pages_of_commands_are_what_the_program_says() -> None:
    script = ROOT / "scripts" / "build_command_pages.py"
    code = f"import json, runpy; print(json.dumps(runpy.run_path({str(script)!r})['pages']()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    written = {path.name: path.read_text() for path in (ROOT / "docs" / "commands").glob("*.md")}
    assert json.loads(done.stdout) == written, "run scripts/build_command_pages.py"


LINES = [
    (page.name, line)
    for page in [*PAGES, ROOT / "README.md"]
    for block in [*blocks(page, ""), *blocks(page, "bash")]
    for line in block.splitlines()
    if line.startswith("regraft ")
]


@pytest.mark.parametrize(("page", "line"), LINES, ids=[f"{page}: {line[:50]}" for page, line in LINES])
def test_commands_in_the_documentation_are_understood(page: str, line: str) -> None:
    words = shlex.split(line.split("  #")[0].split(" | ")[0])[1:]
    app.parse_args(words, exit_on_error=False, print_error=False)


@pytest.mark.parametrize(
    "page", [page for page in PAGES if blocks(page, "python")], ids=lambda page: page.name
)
def test_python_in_the_documentation_runs(
    page: Path, digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(digits, tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    for block in blocks(page, "python"):
        exec(compile(block, page.name, "exec"), {})
