"""The page for newcomers, command by command, on a machine with an empty cache."""

from __future__ import annotations

import contextlib
import io
import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from regraft.cli.app import run
from tests.test_docs import ROOT, blocks

pytestmark = pytest.mark.slow

COMMANDS = [
    line for block in blocks(ROOT / "docs" / "start.md", "bash") for line in block.strip().splitlines()
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder in which the newcomer works, and a cache that is empty at first, for all tests here."""
    place = tmp_path_factory.mktemp("newcomer")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REGRAFT_CACHE", str(place / "cache"))
        patch.chdir(place)
        yield place


def ran(line: str) -> tuple[str, str]:
    """What a command printed; in this process, as each command would import torch again."""
    program, *words = shlex.split(line)
    assert program == "regraft"
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        code = run(words)
    assert code == 0, f"{line}\n{err.getvalue()}"
    return out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def demonstration(folder: Path) -> tuple[str, str]:
    """What the first command of the page printed."""
    return ran(COMMANDS[0])


def test_the_demonstration_ends_with_tables_and_what_to_try_next(
    folder: Path, demonstration: tuple[str, str]
) -> None:
    out, err = demonstration
    for text in ("DIGITS", "FACES", "from scratch", "conv_head", "regraft fit photos/"):
        assert text in out
    assert "digits, draw 1 of 2: best " in err
    assert max(map(len, out.splitlines())) <= 100
    assert (folder / "runs" / "demo" / "run" / "bundle" / "bundle.json").exists()


@pytest.mark.usefixtures("folder", "demonstration")
def test_a_second_demonstration_as_json_is_one_object_and_computes_no_features() -> None:
    out, err = ran("regraft demo --draws 1 --json")
    found = json.loads(out)
    assert [one["name"] for one in found["comparisons"]] == ["digits", "faces"]
    assert Path(found["run_folder"]) == Path("runs/demo/run")
    assert "extracting features" not in err


@pytest.mark.usefixtures("demonstration")
def test_the_newcomers_path_runs_as_it_is_written(folder: Path) -> None:
    for line in COMMANDS[1:]:
        ran(line)
    for name in ("runs/digits/report.html", "explanation.html", "predictions.csv", "exported/model.onnx"):
        assert (folder / name).exists(), name
