from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import filelock
import pytest

from regraft.storage import locks
from regraft.storage.locks import kind_of, working_lock

MOUNTS = [
    "21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw",
    "22 21 0:20 / /home rw - nfs4 server:/home rw",
    "23 22 0:21 / /home/ada/scratch rw - xfs /dev/sdb rw",
    r"24 21 0:22 / /two\040words rw - lustre x rw",
    "25 21 0:23 / /hidden rw - tmpfs x rw",
    "26 25 0:24 / /hidden rw - fuse.sshfs x rw",
]


@pytest.fixture(params=["flock", "lease"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    chosen: str = request.param
    monkeypatch.setattr(locks, "is_local", lambda folder: chosen == "flock")
    return chosen


def test_a_lock_is_held_by_one_at_a_time(tmp_path: Path, kind: str) -> None:
    path = tmp_path / ".work.lock"
    with working_lock(path, wait=False) as first, working_lock(path, wait=False) as second:
        assert (first, second) == (True, False)
    with working_lock(path, wait=True) as again:
        assert again
    assert ".work.lease" not in os.listdir(tmp_path)


def test_locks_of_other_names_are_free(tmp_path: Path, kind: str) -> None:
    with working_lock(tmp_path / ".a.lock", wait=False), working_lock(tmp_path / ".b.lock", wait=False) as b:
        assert b


KILLED = """
import os, signal, sys
from pathlib import Path
from regraft.storage import locks
locks.is_local = lambda folder: sys.argv[2] == "flock"
with locks.working_lock(Path(sys.argv[1]), wait=False) as is_mine:
    assert is_mine
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.children
def test_the_lock_of_a_killed_process_is_free(tmp_path: Path, kind: str) -> None:
    path = tmp_path / ".work.lock"
    done = subprocess.run([sys.executable, "-c", KILLED, str(path), kind], check=False)
    assert done.returncode == -9
    with working_lock(path, wait=True) as is_mine:
        assert is_mine


def test_work_goes_on_where_no_lock_is_possible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> int:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(filelock.FileLock, "acquire", fail)
    monkeypatch.setattr(filelock.SoftFileLease, "acquire", fail)
    with working_lock(tmp_path / ".work.lock", wait=True) as is_mine:
        assert is_mine


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/", "ext4"),
        ("/home", "nfs4"),
        ("/home/ada/.cache/regraft", "nfs4"),
        ("/homes/ada", "ext4"),
        ("/home/ada/scratch/cache", "xfs"),
        ("/two words/cache", "lustre"),
        ("/hidden/cache", "fuse.sshfs"),
    ],
)
def test_the_innermost_and_latest_mount_holds_a_folder(folder: str, kind: str) -> None:
    assert kind_of(folder, MOUNTS) == kind


def test_a_line_that_is_no_mount_is_ignored() -> None:
    assert kind_of("/home", ["", "nonsense", *MOUNTS]) == "nfs4"
    assert kind_of("/home", []) is None
