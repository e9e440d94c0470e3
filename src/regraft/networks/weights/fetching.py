"""One file fetched over HTTP: resumed where it stopped, verified by its hash, whole or absent.

What has arrived is kept as `NAME.partial` and continued by the next attempt; the name itself appears only
after the hash was right. The HTTP client is huggingface_hub's: its proxies, certificates and settings hold.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from regraft.errors import DiskFullError, DownloadError
from regraft.progress import Meter
from regraft.storage.files import explained, make_folder, sync_folder
from regraft.storage.locks import working_lock

WAIT_S = 20.0
"""Longest silence of a server, seconds: for a connection, an answer, or the next bytes of a file."""
_ATTEMPTS = 4  # without a new byte; a connection that still delivers is never given up
_AGAIN = "Run the same command again to resume"


@dataclass(frozen=True)
class RemoteFile:
    """A file on a server."""

    url: str
    size: int | None
    """Bytes; None where the server doesn't state them."""
    sha256: str | None
    """Expected SHA-256, or its first digits; None where nobody states it."""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def host(self) -> str:
        """The server's name."""
        return self.url.split("/")[2]


def fetch(remote: RemoteFile, target: Path, meter: Meter) -> None:
    """Write a remote file to `target`, continuing what an earlier attempt left.

    Args:
        remote: where it is and what it should be.
        target: its name once it is whole.
        meter: counts the bytes that are here, those of earlier attempts included.

    Raises:
        DownloadError: the connection, the server or the hash; says what to do.
        DiskFullError: it doesn't fit on the disk.
        StorageError: the folder can't be written to.
    """
    make_folder(target.parent)
    partial = target.with_name(f"{target.name}.partial")
    with working_lock(target.with_name(f"{target.name}.lock"), wait=True):
        if target.exists():  # another process was faster
            return
        have = partial.stat().st_size if partial.exists() else 0
        _check_space(remote, target.parent, have)
        meter.advance(have)
        _fill(partial, remote, meter)
        _verify(partial, remote)
        with explained(target):
            partial.replace(target)
            sync_folder(target.parent)


def _check_space(remote: RemoteFile, folder: Path, have: int) -> None:
    free = shutil.disk_usage(folder).free
    if remote.size is not None and free < remote.size - have:
        raise DiskFullError(
            f"{remote.size / 1e6:,.1f} MB are needed in {folder}, and {free / 1e6:,.1f} MB are free. Free "
            "some space, or set $HF_HOME and $TORCH_HOME to folders on another disk"
        )


def _fill(partial: Path, remote: RemoteFile, meter: Meter) -> None:
    """Read until the file is whole; a broken connection is opened again where it stopped."""
    without_news = 0
    while True:
        before = partial.stat().st_size if partial.exists() else 0
        try:
            _read_on(partial, remote, before, meter)
        except _BrokenOffError as interrupted:
            have = partial.stat().st_size if partial.exists() else 0
            without_news = 0 if have > before else without_news + 1
            if without_news >= _ATTEMPTS:
                raise interrupted.explained(remote, have) from interrupted
            continue
        return


class _BrokenOffError(Exception):
    """A connection that ended before the file did; `reason` is the error of the HTTP client, or None."""

    def __init__(self, reason: Exception | None) -> None:
        super().__init__(str(reason or "closed early"))
        self.reason = reason

    def explained(self, remote: RemoteFile, have: int) -> DownloadError:
        """The error for the user."""
        if have == 0 and self.reason is not None:
            return unreachable(remote.host, self.reason)
        what = "sent nothing more" if is_timeout(self.reason) else "closed the connection"
        size = "" if remote.size is None else f" of {remote.size / 1e6:,.1f} MB"
        return DownloadError(f"{remote.host} {what} after {have / 1e6:,.1f}{size}. {_AGAIN}")


def _read_on(partial: Path, remote: RemoteFile, have: int, meter: Meter) -> None:
    if remote.size is not None and have == remote.size:
        return
    headers = {**remote.headers, "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        with asked("GET", remote.url, headers) as response:
            if response.status_code == 416:  # more is here than there is on the server
                _forget(partial)
                raise _BrokenOffError(None)
            if response.status_code not in (200, 206):
                raise refused(remote.host, response.status_code, response.headers)
            is_continued = response.status_code == 206
            if have and not is_continued:
                meter.advance(-have)  # the server can't continue: the file comes from its beginning
            _write(partial, response, remote, meter, is_continued=is_continued)
    except transport_error() as error:
        raise _BrokenOffError(error) from error
    if remote.size is not None and partial.stat().st_size < remote.size:
        raise _BrokenOffError(None)


def _write(partial: Path, response: Any, remote: RemoteFile, meter: Meter, *, is_continued: bool) -> None:
    with explained(partial, remote.size), partial.open("ab" if is_continued else "wb") as file:
        for (
            chunk
        ) in response.iter_raw():  # as they arrive: a buffer would lose its part when a connection breaks
            file.write(chunk)
            meter.advance(len(chunk))
        file.flush()
        os.fsync(file.fileno())


def _verify(partial: Path, remote: RemoteFile) -> None:
    size = partial.stat().st_size
    if remote.size is not None and size != remote.size:
        _forget(partial)
        raise DownloadError(
            f"{remote.url} has {size:,} bytes, and its server announced {remote.size:,}. What was "
            "downloaded is deleted; run the same command again"
        )
    if remote.sha256 is None:
        return
    with partial.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    if not sha256.startswith(remote.sha256):
        _forget(partial)
        raise DownloadError(
            f"{remote.url} arrived with sha256 {sha256[:16]}…, expected {remote.sha256[:16]}…: it was "
            "damaged or changed on the way. What was downloaded is deleted; run the same command again"
        )


def _forget(partial: Path) -> None:
    partial.unlink(missing_ok=True)


def asked(method: str, url: str, headers: Mapping[str, str]) -> AbstractContextManager[Any]:
    """A server's answer, its body still to be read; redirects are followed."""
    from huggingface_hub import get_session

    return get_session().stream(method, url, headers=headers, timeout=WAIT_S, follow_redirects=True)


def transport_error() -> type[Exception]:
    """The base of the HTTP client's errors: httpx's for huggingface_hub 1, httpx2's for 2."""
    from huggingface_hub import errors

    base: type[Exception] = errors.HTTPError  # type: ignore[attr-defined]
    return base


def is_timeout(error: BaseException | None) -> bool:
    """Whether an error of the HTTP client is a time-out; httpx and httpx2 name it alike."""
    return any(kind.__name__ == "TimeoutException" for kind in type(error).__mro__)


def unreachable(host: str, error: BaseException) -> DownloadError:
    """The error for a server that doesn't answer."""
    if is_timeout(error):
        return DownloadError(
            f"{host} did not answer within {WAIT_S:.0f} s. Try again later, or check the connection and the "
            "proxy ($HTTPS_PROXY)"
        )
    first = (str(error) or type(error).__name__).splitlines()[0][:200]
    return DownloadError(
        f"no connection to {host} ({first}). Check the connection and the proxy ($HTTPS_PROXY)"
    )


def refused(host: str, status: int, headers: Mapping[str, str]) -> DownloadError:
    """The error for a status that is not a file."""
    if status in (401, 403):
        return DownloadError(
            f"{host} refuses the file (status {status}): no permission. Where it needs an account, log in "
            "with `hf auth login`, or set $HF_TOKEN"
        )
    if status == 404:
        return DownloadError(f"{host} has no such file (status 404)")
    if status == 429:
        wait = headers.get("retry-after")
        after = f"in {wait} s" if wait and wait.isdigit() else "in a few minutes"
        return DownloadError(f"{host} has had too many requests (status 429). Try again {after}")
    return DownloadError(f"{host} answered with status {status}. Try again later")
