from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from regraft.storage.shards import Known, Manifest
from regraft.storage.worklists import Worklist, new_worklist, open_worklists, pieces_of

WEEK_S = 7 * 86_400


def known(*keys: str) -> Known:
    found = Known(Path("nowhere"), "")
    found.add(Manifest(Path("nowhere/a.json"), keys, "0"))
    return found


def listed(keys: Sequence[str], shard_rows: int = 2) -> Worklist:
    return new_worklist(Path("nowhere"), keys, shard_rows)


def cut(lists: Sequence[Worklist], missing: str, settled: Known, most_rows: int = 9) -> list[str]:
    return ["".join(one.keys) for one in pieces_of(lists, set(missing), settled, most_rows=most_rows)]


def test_a_list_is_sorted_and_reads_back(tmp_path: Path) -> None:
    new_worklist(tmp_path, ["c", "a", "b"], 2).write()
    (found,) = open_worklists(tmp_path)
    assert found.shards == [("a", "b"), ("c",)]


def test_equal_work_is_one_list_whatever_the_order(tmp_path: Path) -> None:
    assert new_worklist(tmp_path, "abc", 2) == new_worklist(tmp_path, "cba", 2)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"keys": 3, "shard_rows": 1}', '{"keys": ["a"]}'])
def test_a_damaged_list_is_no_list(tmp_path: Path, text: str) -> None:
    (tmp_path / "0123.worklist").write_text(text)
    assert open_worklists(tmp_path) == []


def test_a_list_is_removed_when_nothing_of_it_is_missing_or_after_a_week(tmp_path: Path) -> None:
    work, other = new_worklist(tmp_path, "ab", 2), new_worklist(tmp_path, "cd", 2)
    for one in (work, other):
        one.write()
    work.close(known("a"))
    assert len(open_worklists(tmp_path)) == 2
    work.close(known("a", "b"))
    assert open_worklists(tmp_path) == [other]
    long_ago = other.path.stat().st_mtime - WEEK_S - 60
    os.utime(other.path, (long_ago, long_ago))
    assert open_worklists(tmp_path) == []


def test_shards_are_taken_whole_where_all_of_their_keys_are_wanted() -> None:
    assert cut([listed("abcdef")], "abcdef", known()) == ["ab", "cd", "ef"]


def test_known_keys_are_left_out() -> None:
    assert cut([listed("abcdef")], "bcdef", known("a", "d")) == ["b", "c", "ef"]


def test_parts_of_the_shards_of_others_are_put_together_up_to_a_limit() -> None:
    lists = [listed("abcdefgh")]
    assert cut(lists, "aceh", known()) == ["aceh"]
    assert cut(lists, "aceh", known(), most_rows=3) == ["ace", "h"]


def test_a_part_holds_the_locks_of_all_of_its_shards() -> None:
    lists = [listed("abcd")]
    whole = [one.locks[0] for one in pieces_of(lists, set("abcd"), known(), most_rows=9)]
    (part,) = pieces_of(lists, set("ac"), known(), most_rows=9)
    assert part.locks == tuple(sorted(whole))


def test_a_key_of_two_lists_is_taken_once() -> None:
    assert cut([listed("abc"), listed("cd")], "abcd", known()) == ["ab", "c", "d"]
