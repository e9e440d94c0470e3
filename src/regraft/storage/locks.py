"""Locks by which processes share work instead of doing it twice; nothing is wrong if two hold the same one.

On a local disk a lock is `flock`, which the kernel releases when a process dies. Network file systems may
have no `flock`, or one that only the processes of one host see. There a lock is a lease: a file that its
holder touches every ten seconds, and that others take over after 30 seconds without a touch. So a process
that was suspended can lose its lease, and in some folders no lock is possible at all. Therefore whatever is
written under a lock must be right without it, too: whole files, named after their content, which can be
written twice.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import filelock

_MOUNTS = Path("/proc/self/mountinfo")
_LOCAL = frozenset({
    "apfs", "bcachefs", "btrfs", "exfat", "ext2", "ext3", "ext4", "f2fs", "fuseblk", "hfs", "jfs", "ntfs3",
    "overlay", "ramfs", "reiserfs", "squashfs", "tmpfs", "ufs", "vfat", "xfs", "zfs",
})  # fmt: skip


@contextlib.contextmanager
def working_lock(path: Path, *, wait: bool) -> Iterator[bool]:
    """Hold a lock while some work is done; yields whether no other process is known to hold it.

    Args:
        path: a file ending in `.lock`; a lease is the file ending in `.lease` next to it.
        wait: whether to wait for another process to release it.
    """
    try:
        lock = _taken(path, -1 if wait else 0)
    except filelock.Timeout:
        yield False
        return
    try:
        yield True
    finally:
        if lock is not None:
            with contextlib.suppress(OSError, RuntimeError):  # a lease that was lost
                lock.release()


def _taken(path: Path, timeout_s: float) -> filelock.BaseFileLock | None:
    """A lock that this process holds now; None where no kind of lock is possible.

    Raises:
        filelock.Timeout: another process holds it.
    """
    if is_local(path.parent):
        lock = filelock.FileLock(path, fallback_to_soft=False)
        if _is_possible(lock, timeout_s):
            return lock
    lease = filelock.SoftFileLease(path.with_suffix(".lease"), poll_interval=0.2)
    return lease if _is_possible(lease, timeout_s) else None


def _is_possible(lock: filelock.BaseFileLock, timeout_s: float) -> bool:
    try:
        lock.acquire(timeout=timeout_s)
    except filelock.Timeout:
        raise
    except (OSError, NotImplementedError, ValueError):
        return False
    return True


def is_local(folder: Path) -> bool:
    """Whether a folder is on a disk of this machine, as far as the list of mounted file systems says."""
    return _kind(os.path.realpath(folder)) in (None, *_LOCAL)


@cache
def _kind(folder: str) -> str | None:
    """The kind of file system that holds a folder, as in `ext4`; None where the system does not say."""
    try:
        lines = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    return kind_of(folder, lines)


def kind_of(folder: str, mounts: list[str]) -> str | None:
    """The kind of file system that holds a folder, by the lines of `/proc/self/mountinfo`.

    >>> lines = ["1 0 8:1 / / rw - ext4 /dev/sda rw", "2 1 0:5 / /home rw - nfs4 server:/home rw"]
    >>> kind_of("/home/ada/.cache", lines), kind_of("/homes", lines)
    ('nfs4', 'ext4')
    """
    best, found = "", None
    for line in mounts:
        place, _, rest = line.partition(" - ")
        fields = place.split(" ")
        if len(fields) < 5 or not rest:
            continue
        point = fields[4].replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")
        is_inside = folder == point or folder.startswith(point.rstrip("/") + "/")
        if is_inside and len(point) >= len(best):  # a later mount hides an earlier one
            best, found = point, rest.split(" ")[0]
    return found
