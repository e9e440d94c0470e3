"""Images fetched from the addresses in a table, each once, into a folder of the user's data."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from regraft.data.addresses.guards import Resolver, Target, target_of
from regraft.data.pictures.file_kinds import is_image
from regraft.data.sources.table_paths import Located
from regraft.errors import DataError, ImageError, words_of
from regraft.machine import network
from regraft.parallel import in_order
from regraft.progress import Reporter, Silent
from regraft.storage.files import key_of, make_folder, sha256_of, write_atomically
from regraft.storage.places import data_folder

MOST_BYTES = 20_000_000
MOST_REDIRECTS = 3
MOST_S = 10.0
_THREADS = 8
_CHUNK = 65_536
_TYPES = ("image/", "application/octet-stream", "binary/octet-stream", "application/dicom")

_HEADERS = {"Accept": "image/*", "Accept-Encoding": "identity", "User-Agent": "regraft"}

Connector = Callable[[Target, float], socket.socket]


@dataclass(frozen=True)
class Fetcher:
    """Fetches images, through the guards; the network can be replaced in tests."""

    resolve: Resolver | None = None
    connect: Connector | None = None
    most_bytes: int = MOST_BYTES
    most_s: float = MOST_S

    def fetch(self, address: str) -> bytes:
        """The image at an address, after at most three redirects, each of which is checked again.

        Raises:
            ImageError: the address is not public, the server does not answer with an image, the image is
                larger than 20 MB, or all took more than 10 s; the message is the reason.
        """
        deadline = time.monotonic() + self.most_s
        for _ in range(MOST_REDIRECTS + 1):
            target = target_of(address, self.resolve)
            found = self._asked(target, deadline)
            if isinstance(found, bytes):
                return found
            address = urljoin(address, found)
        raise ImageError(f"the address leads on more than {MOST_REDIRECTS} times")

    def _asked(self, target: Target, deadline: float) -> bytes | str:
        """The image, or the address that the server names instead."""
        connection = http.client.HTTPConnection(target.host, target.port)
        timer: threading.Timer | None = None
        try:
            opened = connection.sock = (self.connect or _connected)(target, _left(deadline))
            timer = threading.Timer(_left(deadline), _cut, (opened,))  # headers may come byte by byte
            timer.start()
            connection.request("GET", target.path, headers={"Host": target.name, **_HEADERS})
            with connection.getresponse() as response:
                if response.status in (301, 302, 303, 307, 308):
                    return response.getheader("Location") or ""
                self._check(response)
                data = self._body(response)
            _left(deadline)
            return data
        except (OSError, http.client.HTTPException, ValueError) as error:
            if isinstance(error, TimeoutError) or time.monotonic() >= deadline:
                raise ImageError(f"{target.host} did not deliver within {self.most_s:g} s") from error
            raise ImageError(f"{target.host} could not be asked ({words_of(error, 100)})") from error
        finally:
            if timer is not None:
                timer.cancel()
            connection.close()

    def _check(self, response: http.client.HTTPResponse) -> None:
        if response.status != 200:
            raise ImageError(f"the server answered with status {response.status}")
        kind = (response.getheader("Content-Type") or "").lower()
        if kind and not kind.startswith(_TYPES):
            raise ImageError(f"the server sent {kind.partition(';')[0][:60]}, no image")
        encoding = (response.getheader("Content-Encoding") or "identity").lower()
        if encoding != "identity":
            raise ImageError(f"the server sent it compressed ({encoding[:20]}), which was not asked for")
        stated = response.getheader("Content-Length") or "0"
        if stated.isdigit() and int(stated[:20]) > self.most_bytes:
            raise self._too_large()

    def _body(self, response: http.client.HTTPResponse) -> bytes:
        parts, size = [], 0
        while part := response.read1(_CHUNK):
            parts.append(part)
            size += len(part)
            if size > self.most_bytes:
                raise self._too_large()
        if response.length:
            raise OSError("it broke off")
        data = b"".join(parts)
        if not is_image(data):
            raise ImageError("what the server sent is no image, going by its first bytes")
        return data

    def _too_large(self) -> ImageError:
        return ImageError(f"the image is larger than {self.most_bytes / 1e6:g} MB")


def _cut(opened: socket.socket) -> None:
    with contextlib.suppress(OSError):
        opened.shutdown(socket.SHUT_RDWR)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _connected(target: Target, timeout_s: float) -> socket.socket:
    opened = socket.create_connection((target.number, target.port), timeout=timeout_s)
    if target.scheme == "http":
        return opened
    try:
        return ssl.create_default_context().wrap_socket(opened, server_hostname=target.host)
    except BaseException:
        opened.close()
        raise


def fetched(
    addresses: Sequence[str],
    table: str,
    fetcher: Fetcher | None = None,
    reporter: Reporter | None = None,
) -> tuple[Path, Mapping[str, Located | str]]:
    """Fetch the images that are not there yet, and say where each is: a path below the folder, or a reason.

    Args:
        addresses: the addresses in a table.
        table: the table's path, which gives the folder its name.
        fetcher: fetches them.
        reporter: receives the progress.

    Raises:
        DataError: $HF_HUB_OFFLINE forbids it.
    """
    if network.is_forbidden():
        raise DataError("HF_HUB_OFFLINE=1 forbids to fetch the addresses in the table; remove --fetch-urls")
    chosen = fetcher or Fetcher()
    place = Path(os.path.abspath(table))
    folder = make_folder(data_folder() / "fetched" / f"{place.stem}-{key_of(str(place))[:12]}")

    def one(address: str) -> Located | str:
        name = file_name(address)
        if not (folder / name).is_file():
            try:
                write_atomically(folder / name, chosen.fetch(address))
            except ImageError as error:
                return f"not fetched: {error}"
        return Located(name)

    wanted = list(dict.fromkeys(addresses))
    found: dict[str, Located | str] = {}
    with (reporter or Silent()).phase("fetching", len(wanted)) as meter:
        results = in_order(one, wanted, workers=_THREADS, ahead=4 * _THREADS)
        for address, result in zip(wanted, results, strict=True):
            found[address] = result
            meter.advance()
    return folder, found


def file_name(address: str) -> str:
    """The name of the file that is kept for an address: what can be read of its own name, and a hash.

    >>> file_name("https://example.org/cats/Tom%20(1).jpg?w=200")
    '3ba92b2c2501-Tom_20_1_.jpg'
    """
    last = urlsplit(address).path.rsplit("/", 1)[-1]
    plain = re.sub(r"[^A-Za-z0-9.]+", "_", last).strip("._")[-60:]
    return f"{sha256_of(address.encode())[:12]}-{plain or 'image'}"
