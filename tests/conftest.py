"""Fixtures shared by all tests: a cache of the test run's own, small images, and the evaluation data."""

from __future__ import annotations

import atexit
import functools
import gc
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from filelock import FileLock
from PIL import Image

import regraft
from regraft.lab.digits import write_digits
from regraft.machine import load
from tests.browser import Visiting, started
from tests.corpus import Case, write_corpus
from tests.networks.sample import TURNS, current_turn
from tests.nursery import Nursery, opened

ROOT = Path(__file__).parents[1]


def pytest_configure() -> None:
    """All workers take the networks of one turn, whatever is committed meanwhile."""
    gc.disable()  # until all is imported and collected, which makes few cycles
    os.environ["REGRAFT_SAMPLE"] = str(current_turn())


def pytest_collection_finish() -> None:
    """What is imported and collected stays: no search for reference cycles looks through it again."""
    gc.freeze()
    gc.enable()
    atexit.register(gc.unfreeze)  # some libraries count their objects when Python ends


def pytest_report_header() -> str:
    return f"networks: turn {os.environ['REGRAFT_SAMPLE']} of 0 to {TURNS - 1} ($REGRAFT_SAMPLE)"


LONG = (
    "tests/test_start.py", "tests/workflow/test_together.py", "tests/ladder/test_richer_inputs.py",
    "tests/ladder/test_ladder.py", "tests/detection/test_fitting.py", "tests/export", "tests/workflow",
    "tests/serving", "tests/training", "tests/detection", "tests/test_docs.py", "tests/cli", "tests/features",
    "tests/ladder", "tests/heads", "tests/lab", "tests/reports", "tests/explanation", "tests/cases",
)  # fmt: skip
"""What takes longest is begun first, so that no worker waits for the other at the end; what makes a run that
other files share is begun before them."""


@pytest.hookimpl(tryfirst=True)  # before pytest deselects by marker
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What works on digits or real data, or runs commands, fits a model or runs a network."""
    for item in items:
        if {"digits", "few_digits", "shared", "regraft_command"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: [not item.nodeid.startswith(name) for name in LONG])


def for_all_workers(factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of this test run share; what takes long is made there once, under a lock."""
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    (root / "shared").mkdir(exist_ok=True)
    return root / "shared"


@pytest.fixture(scope="session", autouse=True)
def session_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache for each worker, never the user's own; what a shared run left in it is shared as well."""
    folder = tmp_path_factory.mktemp("cache")
    for name in ("networks", "serving", "ladders"):
        (for_all_workers(tmp_path_factory) / name).mkdir(exist_ok=True)
        (folder / name).symlink_to(for_all_workers(tmp_path_factory) / name)
    saved = {
        name: os.environ.get(name)
        for name in ("REGRAFT_CACHE", "REGRAFT_CONFIG", "REGRAFT_DATA", "REGRAFT_WEIGHTS")
    }
    os.environ["REGRAFT_CACHE"] = str(folder)
    os.environ["REGRAFT_CONFIG"] = str(folder / "settings")
    os.environ["REGRAFT_DATA"] = str(folder / "data")
    os.environ.pop("REGRAFT_WEIGHTS", None)
    yield folder
    for name, value in saved.items():
        os.environ.pop(name, None) if value is None else os.environ.update({name: value})


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """Starts processes that need not import anything; one for each worker, as soon as a test asks for it."""
    with opened(
        "regraft.workflow.fit", "regraft.cli.app", "torch", "timm", "openvino", "sklearn.svm"
    ) as parent:
        yield parent


@pytest.fixture(scope="module")
def visiting() -> Iterator[Visiting]:
    """Opens pages in a browser that is started once for each file of tests."""
    with started() as found:
        yield found


@pytest.fixture(scope="session", autouse=True)
def one_table_of_operators() -> Iterator[None]:
    """Torch lists the ONNX operators anew for each export, which is half of the export of a small network."""
    export = torch.onnx.export

    def exported(*arguments: Any, **settings: Any) -> Any:
        from torch.onnx._internal.exporter._registration import ONNXRegistry

        if not hasattr(ONNXRegistry.from_torchlib, "cache_info"):
            once = functools.cache(ONNXRegistry.from_torchlib)
            patch.setattr(ONNXRegistry, "from_torchlib", staticmethod(once))
        return export(*arguments, **settings)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.onnx, "export", exported)
        yield


@pytest.fixture(scope="session", autouse=True)
def no_power_failure() -> Iterator[None]:
    """What this process writes need not outlast a power failure; its children wait for the disk as ever."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def unloaded_machine() -> Iterator[None]:
    """Ladders take the machine for idle at first, without a look that takes a quarter of a second each time.

    Processes of their own look all the same.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(load, "_LOOK_S", 0.0)
        yield


@pytest.fixture(scope="module")
def shared_graphs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """In this file of tests, no model is traced that another test has traced before."""
    from tests.tracing import sharing

    with sharing(for_all_workers(tmp_path_factory) / "graphs"):
        yield


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache for one test."""
    monkeypatch.setenv("REGRAFT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def warm_cache(own_cache: Path, session_cache: Path) -> Path:
    """A cache for one test that is empty except for the networks that have been converted already."""
    own_cache.mkdir()
    (own_cache / "networks").symlink_to(session_cache / "networks")
    return own_cache


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Handwritten digits 5, 6 and 7 as PNG files, a folder per class (about 540 images)."""
    folder = for_all_workers(tmp_path_factory) / "digits"
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            write_digits(folder.with_name("unfinished"), (5, 6, 7))
            folder.with_name("unfinished").rename(folder)
    return folder


@pytest.fixture(scope="session")
def few_digits(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first sixty of each of the digits, for tests that fit them again and again."""
    folder = for_all_workers(tmp_path_factory) / "few-digits"
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            unfinished = folder.with_name("unfinished-few")
            for label in ("5", "6", "7"):
                (unfinished / label).mkdir(parents=True)
                for file in sorted((digits / label).glob("*.png"))[:60]:
                    shutil.copy(file, unfinished / label)
            unfinished.rename(folder)
    return folder


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Case]]:
    """A folder of hostile and unusual image files, and what must come of each; no test changes it."""
    folder = for_all_workers(tmp_path_factory) / "corpus"
    record = folder.with_name("corpus.json")
    with FileLock(f"{folder}.lock"):
        if not record.exists():
            record.write_text(json.dumps([(case.name, case.reason) for case in write_corpus(folder)]))
    return folder, [Case(*case) for case in json.loads(record.read_text())]


@pytest.fixture(scope="session")
def shared() -> Callable[[str], Path]:
    """Finds real data and weights beside the checkout or below $REGRAFT_SHARED; skips without them."""

    def find(name: str) -> Path:
        path = Path(os.environ.get("REGRAFT_SHARED") or ROOT.parent / "shared") / name
        if not path.exists():
            pytest.skip(f"evaluation data {name} is neither beside the checkout nor below $REGRAFT_SHARED")
        return path

    return find


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes of twelve random images, told apart by brightness."""
    generator = np.random.default_rng(0)
    for label, base in (("dark", 40), ("light", 200)):
        for number in range(12):
            path = tmp_path / "photos" / label / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = generator.integers(base - 40, base + 40, (24, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(path)
    return tmp_path / "photos"


RUNS: dict[str, dict[str, Any]] = {
    "probe": {"strategy": "probe"},
    "svm": {"strategy": "svm"},
    "many-stages": {"strategy": "many-stages"},
    "tuned": {
        "strategy": "last-blocks", "cut": "c3", "head_start": "zero", "runtime": "torch", "epochs": 3,
    },
    "climbed": {"budget": "60s", "lr": 1e-3},
}  # fmt: skip
"""How LeNet is fitted to the digits for the tests that only need some run of this kind."""


@dataclass(frozen=True)
class FittedRun:
    """A run folder and its model; tests that change files copy them first."""

    folder: Path
    model: regraft.Model


DigitsRun = Callable[[str], FittedRun]


@pytest.fixture(scope="session")
def digits_run(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DigitsRun]:
    """One of `RUNS` by its name, fitted when a worker first asks for it."""
    folder = for_all_workers(tmp_path_factory) / "runs"
    folder.mkdir(exist_ok=True)
    left: dict[str, set[Path]] = {}

    @functools.cache
    def fitted(name: str) -> FittedRun:
        with FileLock(folder / f"{name}.lock"):
            if not (folder / f"{name}.done").exists():
                regraft.fit(digits, network="lenet5", out=folder / name, **RUNS[name])
                (folder / f"{name}.done").touch()
        left[name] = set((folder / name).rglob("*"))
        return FittedRun(folder / name, regraft.load_model(folder / name))

    yield fitted
    for name, files in left.items():
        assert set((folder / name).rglob("*")) == files, f"a test changed the run {name} that others use"
