from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

import regraft
from regraft.cli.app import run
from regraft.errors import MachineError, SettingsError
from regraft.execution import begun
from regraft.extraction_settings import ExtractionSettings, Part
from regraft.features.openvino_runtime import OpenVinoRuntime
from regraft.jobs import extract as jobs
from regraft.jobs.extract import Extracted, extract, keys_of_part
from regraft.storage import rows as rows_module
from regraft.storage.merging import merge_cache
from regraft.workflow.check import load_images


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_module, "SHARD_ROWS", 5)
    monkeypatch.setattr(jobs, "SHARD_ROWS", 5)


def lenet(**changes: object) -> ExtractionSettings:
    return replace(ExtractionSettings(network="lenet5", offline=True), **changes)  # type: ignore[arg-type]


def stored(folder: Path) -> dict[str, bytes]:
    """Everything that lasts in a store."""
    kept = {".json", ".npy"}
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in kept}


@pytest.mark.parametrize("text", ["0/4", "5/4", "3", "1/0", "-1/4", "a/b", "1.5/4"])
def test_a_part_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=rf"part {text} is not a part; accepted are 1/16 to 16/16"):
        ExtractionSettings(part=text)


def test_parts_hold_every_image_once(photos: Path, warm_cache: Path, small_shards: None) -> None:
    images = load_images(photos)
    parts = [keys_of_part(images, Part(number, 3)) for number in (1, 2, 3)]
    assert sorted(key for part in parts for key in part) == sorted(item.sha256 for item in images.items)
    assert [len(part) for part in parts] == [5, 10, 9]


def test_a_fit_finds_the_features(photos: Path, warm_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    extract(photos, lenet())

    def refuse(*_: object) -> None:
        raise AssertionError("the network was run again")

    monkeypatch.setattr(OpenVinoRuntime, "run", refuse)
    regraft.fit(photos, network="lenet5", strategy="probe")


def test_a_part_is_followed_by_what_is_left_over(photos: Path, warm_cache: Path) -> None:
    found = extract(photos, lenet(part="2/3"))
    assert (found.rows, found.images, found.part) == (24, 24, None)


@pytest.fixture
def single(photos: Path, warm_cache: Path, small_shards: None, monkeypatch: pytest.MonkeyPatch) -> Extracted:
    """The features as one process computes them, in a cache of its own."""
    with monkeypatch.context() as patch:
        patch.setenv("REGRAFT_CACHE", str(warm_cache.with_name("single")))
        return extract(photos, lenet())


def test_parts_of_separate_caches_merge_into_the_cache_of_one_process(
    photos: Path, single: Extracted, warm_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2, 3):
        cache = warm_cache.with_name(f"node{number}")
        monkeypatch.setenv("REGRAFT_CACHE", str(cache))
        found = extract(photos, lenet(part=f"{number}/3", part_only=True))
        assert found.rows == [5, 10, 9][number - 1]
        merge_cache(cache, warm_cache)
    assert stored(warm_cache / "features" / single.folder.name) == stored(single.folder)


def test_parts_of_one_cache_fill_it_like_one_process(
    photos: Path, single: Extracted, warm_cache: Path
) -> None:
    for number in (3, 1):
        extract(photos, lenet(part=f"{number}/3", part_only=True))
    found = extract(photos, lenet(part="2/3"))
    assert stored(found.folder) == stored(single.folder)


class OtherMachine(OpenVinoRuntime):
    """A runtime on a machine with another processor."""

    def __init__(self, *arguments: object, **named: object) -> None:
        super().__init__(*arguments, **named)  # type: ignore[arg-type]
        self.facts = {**self.facts, "cpu": "Another CPU"}


def test_a_part_on_a_machine_of_another_kind_is_refused(
    photos: Path, warm_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = extract(photos, lenet(part="1/2", part_only=True))
    monkeypatch.setattr("regraft.features.openvino_runtime.OpenVinoRuntime", OtherMachine)
    with pytest.raises(MachineError, match=r'this machine .*found "Another CPU".*remove .*extractions'):
        extract(photos, lenet(part="2/2"))
    mixed = extract(photos, lenet(part="2/2", mixed_machines=True))
    assert mixed.folder == first.folder
    assert mixed.rows == 24


def test_what_was_begun_is_forgotten_after_a_week(
    photos: Path, warm_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extract(photos, lenet(part="1/2"))
    monkeypatch.setattr(begun, "_ABANDONED_S", -1.0)
    monkeypatch.setattr("regraft.features.openvino_runtime.OpenVinoRuntime", OtherMachine)
    extract(photos, lenet(part="2/2"))


def test_part_only_without_a_part_is_refused() -> None:
    with pytest.raises(SettingsError, match="part_only needs the part"):
        ExtractionSettings(part_only=True)


def test_the_command_says_what_to_run_next(
    photos: Path, warm_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["extract", str(photos), "--network", "lenet5", "--framing", "pad", "--offline"]) == 0
    said = capsys.readouterr().out
    assert "features of lenet5 for 24 different images" in said
    assert f"next: regraft fit {photos} --network lenet5 --framing pad" in said


def test_the_command_prints_json(photos: Path, warm_cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["extract", str(photos), "--network", "lenet5", "--part", "1/1", "--part-only", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["rows"], record["part"], record["skipped"]) == (24, "1/1", 0)
