"""Files that are either complete or absent: atomic writes, content hashes, and standard folders.

A file is written under a temporary name in the same folder, fsynced and renamed; the folder is fsynced too.
A process killed at any moment leaves the old file or the new one, and at most one temporary file
(`.NAME.RANDOM.tmp`). It is removed when the file is written again after a day: only its age tells that no
process is writing to it, since process numbers say nothing about other containers and hosts.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import hashlib
import itertools
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from regraft.errors import DiskFullError, StorageError

_FULL = {errno.ENOSPC, errno.EDQUOT}
_CHUNK_BYTES = 1 << 20
_AT_ONCE = 1_000  # facts of a list that are encoded at once
ORPHAN_S = 86_400.0
"""Seconds without a change after which nobody is writing to a temporary file any more."""
_MANY = 100  # a call for each of 4,886 files took 9 s, one for the whole disk 0.03 s


def sha256_of(data: bytes | memoryview) -> str:
    """SHA-256 of `data` as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_of_file(path: Path) -> str:
    """SHA-256 of a file's content, which is read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def key_of(facts: Any) -> str:
    """A content key: SHA-256 of `facts` as canonical JSON (sorted keys, no white space).

    >>> key_of({"b": 1, "a": 2}) == key_of({"a": 2, "b": 1})
    True
    """
    return sha256_of(json.dumps(facts, sort_keys=True, separators=(",", ":")).encode())


def listed_key(facts: Iterable[Any]) -> str:
    """The content key of a long list, `key_of(list(facts))`, without its text in memory.

    >>> listed_key([1, ["a"]]) == key_of([1, ["a"]])
    True
    """
    encode = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode
    digest, waiting, comma = hashlib.sha256(b"["), iter(facts), ""
    while some := list(itertools.islice(waiting, _AT_ONCE)):  # one by one, it takes twice as long
        digest.update(f"{comma}{encode(some)[1:-1]}".encode())
        comma = ","
    digest.update(b"]")
    return digest.hexdigest()


@contextlib.contextmanager
def explained(path: Path, size_bytes: int | None = None) -> Iterator[None]:
    """Turn the operating system's write errors into `StorageError`s with the path and the bytes needed."""
    try:
        yield
    except OSError as error:
        need = f" ({size_bytes:,} bytes needed)" if size_bytes is not None else ""
        if error.errno in _FULL:
            raise DiskFullError(
                f"no space left to write {path}{need}; nothing was damaged. "
                "Free some space and run the same command again: it resumes from here"
            ) from error
        raise StorageError(
            f"can't write {path}{need}: {error.strerror or error}. Choose a folder that you may write "
            "to, with --out (results) or $REGRAFT_CACHE (cache)"
        ) from error


def make_folder(path: Path) -> Path:
    """Create the folder `path` and its parents if they do not exist; returns `path`."""
    with explained(path):
        path.mkdir(parents=True, exist_ok=True)
    return path


def write_atomically(
    path: Path, chunks: bytes | Iterable[bytes | memoryview], *, is_durable: bool = True
) -> None:
    """Write a file so that it is complete or absent, even after a crash or power cut.

    Args:
        path: the file.
        chunks: its content, in pieces or whole.
        is_durable: whether it survives a power cut. If not, it may then be empty or damaged, and the call
            does not wait for the disk.

    Raises:
        DiskFullError: no space is left; the temporary file is removed, an older file is unchanged.
        StorageError: the folder can't be written to.
    """
    pieces = [chunks] if isinstance(chunks, bytes) else list(chunks)
    size_bytes = sum(memoryview(piece).nbytes for piece in pieces)
    with _replacing(path, size_bytes, is_durable=is_durable) as file:
        for piece in pieces:
            file.write(piece)


def stream_atomically(path: Path, chunks: Iterable[bytes]) -> None:
    """Write a file with the guarantees of `write_atomically`, without holding it in memory whole."""
    with _replacing(path, None) as file:
        for chunk in chunks:
            file.write(chunk)


def copy_atomically(source: Path, path: Path) -> None:
    """Copy a file with the guarantees of `write_atomically`, without reading it into memory whole."""
    with _replacing(path, source.stat().st_size) as file, source.open("rb") as reader:
        shutil.copyfileobj(reader, file, _CHUNK_BYTES)


def join_atomically(parts: Sequence[Path], path: Path) -> None:
    """Write the contents of several files as one, with the guarantees of `write_atomically`."""
    with _replacing(path, sum(part.stat().st_size for part in parts)) as file:
        for part in parts:
            with part.open("rb") as reader:
                shutil.copyfileobj(reader, file, _CHUNK_BYTES)


@contextlib.contextmanager
def _replacing(path: Path, size_bytes: int | None, *, is_durable: bool = True) -> Iterator[BinaryIO]:
    """A file to write to, which replaces `path` once it is complete and durable."""
    temporary = _temporary(path)
    make_folder(path.parent)
    with explained(path, size_bytes):
        try:
            with temporary.open("xb") as file:
                yield file
                file.flush()
                if is_durable:
                    os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        if is_durable:
            sync_folder(path.parent)
        _remove_orphans(path)


@contextlib.contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A temporary folder to write to, which becomes `path` once all its files are complete and durable.

    Args:
        path: a new folder, or an empty one, into which the files are then moved.

    Raises:
        DiskFullError: no space is left; what was written is removed.
        StorageError: the folder can't be written to.
    """
    place = Path(os.path.abspath(path))
    make_folder(place.parent)
    target = place / "contents" if place.is_dir() else place
    temporary = _temporary(target)
    _remove_orphans(target)
    with explained(path):
        try:
            temporary.mkdir()
            yield temporary
            _make_durable(temporary)
            if target is place:
                os.replace(temporary, place)
            else:
                for entry in temporary.iterdir():
                    os.replace(entry, place / entry.name)
                temporary.rmdir()
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        sync_folder(target.parent)


def _make_durable(folder: Path) -> None:
    """Have all files below a folder written to the disk; many of them faster by a call for the whole disk."""
    entries = list(folder.rglob("*"))
    if len(entries) > _MANY:
        os.sync()
        return
    for entry in entries:
        if entry.is_dir():
            sync_folder(entry)
        else:
            with entry.open("rb") as file:
                os.fsync(file.fileno())


def _temporary(path: Path) -> Path:
    """A temporary name of this write alone, since processes on several hosts may write the same file."""
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")


def _remove_orphans(path: Path) -> None:
    remove_old(path.parent.glob(f".{glob.escape(path.name)}.*.tmp"))


def remove_old(paths: Iterable[Path], older_than_s: float = ORPHAN_S) -> int:
    """Remove the files and folders that have not changed for some time; returns how many there were."""
    count = 0
    for path in paths:
        with contextlib.suppress(OSError):
            if time.time() - _last_change(path) <= older_than_s:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
            count += 1
    return count


def mark_used(path: Path) -> None:
    """Give a file of the cache the present time, by which `prune` deletes the least recently used first."""
    with contextlib.suppress(OSError):  # a read-only cache can be used too
        os.utime(path)


def _last_change(path: Path) -> float:
    """When a file, or the newest file in a folder, was written last (seconds since 1970)."""
    inner = path.rglob("*") if path.is_dir() and not path.is_symlink() else ()
    changes: list[float] = [one.lstat().st_mtime for one in (path, *inner)]
    return max(changes)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable (does nothing where folders can't be opened)."""
    if os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically. NaN and infinity are refused."""
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    write_atomically(path, (text + "\n").encode("utf-8", "surrogateescape"))


def read_json(path: Path) -> Any:
    """Read the value in a JSON file.

    Raises:
        StorageError: the file is missing, unreadable or not JSON.
    """
    try:
        return json.loads(path.read_bytes().decode("utf-8", "surrogateescape"))
    except (OSError, ValueError) as error:
        raise StorageError(f"can't read {path}: {error}") from error
