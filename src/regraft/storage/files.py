"""Files that are either complete or absent: atomic writes, content hashes, and standard folders.

A file is written under a temporary name in the same folder, fsynced and renamed; the folder is fsynced too.
A process killed at any moment leaves the old file or the new one, and at most one temporary file
(`.NAME.PROCESS.tmp`), which the next process that writes the same file removes.
"""

from __future__ import annotations

import contextlib
import csv
import errno
import glob
import hashlib
import io
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import platformdirs

from regraft.errors import DiskFullError, SettingsError, StorageError

_FULL = {errno.ENOSPC, errno.EDQUOT}
_CHUNK_BYTES = 1 << 20
_SEAL = "# Written by regraft; sha256 of the lines above: "
_FORMULA_STARTS = ("=", "+", "-", "@")
_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?([eE][+-]?\d+)?")


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


def write_atomically(path: Path, chunks: bytes | Iterable[bytes | memoryview]) -> None:
    """Write a file so that it is complete or absent, even after a crash or power cut.

    Raises:
        DiskFullError: no space is left; the temporary file is removed, an older file is unchanged.
        StorageError: the folder can't be written to.
    """
    pieces = [chunks] if isinstance(chunks, bytes) else list(chunks)
    with _replacing(path, sum(memoryview(piece).nbytes for piece in pieces)) as file:
        for piece in pieces:
            file.write(piece)


def copy_atomically(source: Path, path: Path) -> None:
    """Copy a file with the guarantees of `write_atomically`, without reading it into memory whole."""
    with _replacing(path, source.stat().st_size) as file, source.open("rb") as reader:
        shutil.copyfileobj(reader, file, _CHUNK_BYTES)


@contextlib.contextmanager
def _replacing(path: Path, size_bytes: int) -> Iterator[BinaryIO]:
    """A file to write to, which replaces `path` once it is complete and durable."""
    temporary = _temporary(path)
    make_folder(path.parent)
    with explained(path, size_bytes):
        try:
            with temporary.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        sync_folder(path.parent)
        _remove_orphans(path)


def _temporary(path: Path) -> Path:
    """A temporary name that only this process uses: two processes may write the same file at once."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def _remove_orphans(path: Path) -> None:
    """Remove the temporary files of `path` that killed processes left behind."""
    for orphan in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        with contextlib.suppress(OSError, ValueError):
            if not _is_alive(int(orphan.name.split(".")[-2])):
                orphan.unlink()


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


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


def cache_folder() -> Path:
    """The folder of cached results: `$REGRAFT_CACHE`, otherwise the user's cache folder."""
    chosen = os.environ.get("REGRAFT_CACHE")
    return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("regraft"))


def settings_folder() -> Path:
    """The folder of the user's decisions: `$REGRAFT_CONFIG`, otherwise the user's settings folder."""
    chosen = os.environ.get("REGRAFT_CONFIG")
    return Path(chosen) if chosen else Path(platformdirs.user_config_dir("regraft"))


def size_in_bytes(text: str) -> float:
    """The number of bytes in a size such as 500M, 20G or 1T.

    Raises:
        SettingsError: the text is not a size.

    >>> size_in_bytes("1.5G")
    1500000000.0
    """
    units = {"k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}
    number = text.strip().lower().removesuffix("b")
    factor = units.get(number[-1:], 1.0)
    try:
        size = float(number[:-1] if factor > 1 else number) * factor
    except ValueError:
        size = -1.0
    if not 0 <= size < 1e18:
        raise SettingsError(f"size {text!r} is not understood; accepted are 500M, 20G, 1T or bytes")
    return size


def cache_limit() -> float | None:
    """The size in bytes to which the cache may grow: `$REGRAFT_CACHE_MAX`, or None for no limit."""
    chosen = os.environ.get("REGRAFT_CACHE_MAX")
    return size_in_bytes(chosen) if chosen else None


def printable(text: str) -> str:
    r"""Escape undecodable bytes and control characters, so that a terminal, log or record can show `text`.

    >>> printable("caf\udce9\x1b[31m.jpg")
    'caf\\xe9\\x1b[31m.jpg'
    """
    shown = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown)


def sealed(text: str) -> str:
    """A text file with a last line by which `is_sealed` finds out whether anybody has edited it."""
    return f"{text}{_SEAL}{sha256_of(text.encode())}\n"


def is_sealed(data: bytes) -> bool:
    """Whether a file is as `sealed` made it.

    >>> is_sealed(sealed("a = 1").encode()), is_sealed(sealed("a = 1").encode().replace(b"1", b"2"))
    (True, False)
    """
    text, _, seal = data.decode("utf-8", "replace").rpartition(_SEAL)
    return bool(text) and seal.strip() == sha256_of(text.encode())


def has_seal(data: bytes) -> bool:
    """Whether a file was sealed once, edited or not."""
    return _SEAL.encode() in data


def csv_bytes(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """A CSV file (RFC 4180, UTF-8) as bytes. Text that a spreadsheet would run as a formula gets a `'`."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    for row in (header, *rows):
        writer.writerow([harmless(cell) if isinstance(cell, str) else cell for cell in row])
    return buffer.getvalue().encode()


def harmless(cell: str) -> str:
    """Escape text so that no spreadsheet takes it for a formula, and no terminal for a command.

    Plain numbers are no formulas, and stay as they are.

    >>> [harmless(cell) for cell in ("=1+1", "-1", "-1+1", "'=1")]
    ["'=1+1", '-1', "'-1+1", "''=1"]
    """
    shown = printable(cell)
    if not shown.lstrip("'").startswith(_FORMULA_STARTS) or _NUMBER.fullmatch(shown):
        return shown
    return f"'{shown}"


def unguarded(cell: str) -> str:
    """A cell without the `'` that `harmless` put before it.

    >>> [unguarded(cell) for cell in ("'=1+1", "-1", "'-1", "''=1", "'tis")]
    ['=1+1', '-1', '-1', "'=1", "'tis"]
    """
    is_guarded = cell.startswith("'") and cell.lstrip("'").startswith(_FORMULA_STARTS)
    return cell[1:] if is_guarded else cell
