from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from regraft.cli.app import run
from regraft.errors import StorageError
from regraft.storage.files import key_of, read_json, write_json
from regraft.storage.merging import apart, merge_cache
from regraft.storage.rows import RowStore
from regraft.storage.shards import manifest_paths
from tests.storage.test_rows import WIDTH, Computer, bits, keys, row_of

FACTS = {"what": "features", "network": "toy", "cpu": "A"}


def cached(root: Path, **changes: str) -> RowStore:
    facts = {**FACTS, **changes}
    folder = root / "features" / key_of(facts)[:24]
    return RowStore(folder, width=WIDTH, dtype=np.float16, facts=facts, shard_rows=10)


def test_merged_caches_hold_the_rows_of_all(tmp_path: Path) -> None:
    wanted = [keys(25), keys(25, start=20)]
    for name, part in zip("ab", wanted, strict=True):
        cached(tmp_path / name).ensure(part, Computer(hopeless=part[:1]))
        merge_cache(tmp_path / name, tmp_path / "all")
    again = Computer()
    rows = cached(tmp_path / "all").ensure(keys(45), again)
    good = [key for key in keys(45) if key not in (keys(1)[0], keys(1, start=20)[0])]
    assert again.asked == []
    assert bits(rows.gather(good)) == b"".join(bits(row_of(key)) for key in good)


def test_merging_again_copies_nothing(tmp_path: Path) -> None:
    cached(tmp_path / "a").ensure(keys(25), Computer())
    first, second = (merge_cache(tmp_path / "a", tmp_path / "all") for _ in range(2))
    assert (first.copied, first.known, first.rows) == (3, 0, 25)
    assert (second.copied, second.known, second.rows) == (0, 3, 0)


def damaged(root: Path) -> Iterator[Path]:
    yield from manifest_paths(cached(root).folder)


@pytest.mark.parametrize("what", ["array", "manifest", "keys"])
def test_a_damaged_shard_is_named_and_the_others_are_copied(tmp_path: Path, what: str) -> None:
    cached(tmp_path / "a").ensure(keys(25), Computer())
    path = next(damaged(tmp_path / "a"))
    if what == "array":
        array = next(path.parent.glob(f"{path.stem}.*.npy"))
        array.write_bytes(array.read_bytes()[:-1] + b"\1")
    elif what == "manifest":
        path.write_text("{")
    else:
        write_json(path, {**read_json(path), "keys": ["../../outside"]})
    merged = merge_cache(tmp_path / "a", tmp_path / "all")
    assert merged.copied == 2
    assert list(merged.refused) == [f"features/{path.parent.name}/{path.stem}"]


def test_a_store_that_is_not_what_its_name_says_is_left_out(tmp_path: Path) -> None:
    store = cached(tmp_path / "a")
    store.ensure(keys(5), Computer())
    write_json(store.folder / "store.json", {**FACTS, "network": "other"})
    merged = merge_cache(tmp_path / "a", tmp_path / "all")
    assert merged.refused == {f"features/{store.folder.name}": "its facts don't fit its name"}
    assert not (tmp_path / "all").exists()


def test_the_source_must_be_another_cache(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(StorageError, match="holds no cached rows"):
        merge_cache(tmp_path / "empty", tmp_path / "all")
    with pytest.raises(StorageError, match="is not a folder"):
        merge_cache(tmp_path / "nowhere", tmp_path / "all")
    with pytest.raises(StorageError, match="is the cache that would be merged into"):
        merge_cache(tmp_path / "empty", tmp_path / "empty")


def test_features_of_machines_of_several_kinds_are_told_apart(tmp_path: Path) -> None:
    cached(tmp_path / "a").ensure(keys(5), Computer())
    cached(tmp_path / "b", cpu="B").ensure(keys(5), Computer())
    merge_cache(tmp_path / "a", tmp_path / "all")
    assert apart(tmp_path / "all") == []
    merge_cache(tmp_path / "b", tmp_path / "all")
    (line,) = apart(tmp_path / "all")
    assert "features of toy were computed on machines of 2 kinds (cpu" in line


def test_the_command_names_what_it_left_out(
    tmp_path: Path, own_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cached(tmp_path / "a").ensure(keys(25), Computer())
    path = next(damaged(tmp_path / "a"))
    path.write_text("{")
    assert run(["cache", "merge", str(tmp_path / "a")]) == 1
    said = capsys.readouterr().out
    assert f"left out features/{path.parent.name}/{path.stem}: can't read" in said
    assert "copied 2 shards with " in said
