"""Images are fetched from a local server that stands for a public one; nothing else is ever connected to."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from regraft.data.addresses import fetching
from regraft.data.addresses.fetching import Fetcher
from regraft.data.addresses.guards import Target
from regraft.data.images import find_images
from regraft.errors import DataError, ImageError, NoImagesError
from regraft.progress import Meter, Silent
from regraft.settings import DataSettings
from regraft.workflow.preparation import found_images
from tests.corpus import encoded, picture

PNG = encoded(picture(), "PNG")
PUBLIC = "93.184.216.34"


class _Handler(BaseHTTPRequestHandler):
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(f"{self.headers['Host']}{self.path}")
        name = self.path.strip("/").split("?")[0]
        getattr(self, f"_{name.partition('-')[0].partition('.')[0]}", self._image)()

    def _send(self, data: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for key, value in {"Content_Type": "image/png", "Content_Length": str(len(data)), **headers}.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def _image(self) -> None:
        self._send(PNG)

    def _gone(self) -> None:
        self._send(b"", 404)

    def _page(self) -> None:
        self._send(b"<html>", Content_Type="text/html; charset=utf-8")

    def _liar(self) -> None:
        self._send(b"<html>no image</html>")

    def _packed(self) -> None:
        self._send(PNG, Content_Encoding="gzip")

    def _large(self) -> None:
        self._send(PNG, Content_Length="90000000")

    def _endless(self) -> None:
        self.send_response(200)
        self.end_headers()
        for _ in range(200):
            self.wfile.write(PNG[:8] + bytes(10_000))

    def _short(self) -> None:
        self._send(PNG[:100], Content_Length=str(len(PNG)))

    def _slow(self) -> None:
        threading.Event().wait(2)

    def _loop(self) -> None:
        self._send(b"", 302, Location="/loop")

    def _inside(self) -> None:
        self._send(b"", 302, Location="http://127.0.0.1:1/")

    def _file(self) -> None:
        self._send(b"", 302, Location="file:///etc/passwd")

    def _on(self) -> None:
        self._send(b"", 301, Location="http://other.example.org/cat.png")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    made = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    made.daemon_threads = True
    _Handler.asked.clear()
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


def _fetcher(server: ThreadingHTTPServer, *, most_s: float = 10.0) -> Fetcher:
    """A fetcher for which all names are public, and whose connections lead to the local server."""

    def connect(target: Target, timeout_s: float) -> socket.socket:
        assert target.number == PUBLIC
        return socket.create_connection(("127.0.0.1", server.server_address[1]), timeout=timeout_s)

    return Fetcher(lambda _host, _port: [PUBLIC], connect, most_bytes=1_000_000, most_s=most_s)


def test_an_image_is_fetched(server: ThreadingHTTPServer) -> None:
    assert _fetcher(server).fetch("http://cats.example.org/cat.png?w=2") == PNG
    assert _Handler.asked == ["cats.example.org/cat.png?w=2"]


def test_a_redirect_is_followed_to_its_own_machine(server: ThreadingHTTPServer) -> None:
    assert _fetcher(server).fetch("http://cats.example.org/on") == PNG
    assert _Handler.asked == ["cats.example.org/on", "other.example.org/cat.png"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("gone", "status 404"), ("page", "sent text/html, no image"), ("liar", "no image, going by"),
        ("packed", "compressed"), ("large", "larger than 1 MB"), ("endless", "larger than 1 MB"),
        ("short", "could not be asked"), ("loop", "more than 3 times"), ("inside", "private or reserved"),
        ("file", "begins with file"),
    ],
)  # fmt: skip
def test_what_is_no_image_is_refused(server: ThreadingHTTPServer, name: str, reason: str) -> None:
    with pytest.raises(ImageError, match=reason):
        _fetcher(server).fetch(f"http://cats.example.org/{name}")


def test_a_server_that_dawdles_is_given_up(server: ThreadingHTTPServer) -> None:
    with pytest.raises(ImageError, match=r"did not deliver within 0\.2 s"):
        _fetcher(server, most_s=0.2).fetch("http://cats.example.org/slow")


def _table(folder: Path, *addresses: str) -> Path:
    rows = "".join(f"{address},{'ab'[number % 2]}\n" for number, address in enumerate(addresses))
    (folder / "t.csv").write_text(f"path,label\n{rows}")
    return folder / "t.csv"


@pytest.fixture
def own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REGRAFT_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def test_a_table_of_addresses_is_fetched_once(
    server: ThreadingHTTPServer, tmp_path: Path, own_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "Fetcher", lambda: _fetcher(server))
    place = _table(
        tmp_path, "http://a.example.org/1.png", "http://a.example.org/2.png", "http://a.example.org/gone"
    )
    for _ in range(2):
        found = find_images(place, fetches=True)
        assert [Path(one.file).read_bytes() for one in found.candidates] == [PNG, PNG]
        assert "status 404" in found.skipped[0].reason
    assert len(_Handler.asked) == 4
    assert found.root.is_relative_to(own_data)


class _Counting(Silent):
    """Keeps the phases, and how far each came."""

    def __init__(self) -> None:
        self.phases: list[tuple[str, int]] = []
        self.done = 0

    @contextmanager
    def phase(self, name: str, total: int, unit: str = "images") -> Iterator[Meter]:
        self.phases.append((name, total))
        yield self

    def advance(self, count: int = 1) -> None:
        self.done += count


def test_the_progress_of_fetching_is_shown(
    server: ThreadingHTTPServer, tmp_path: Path, own_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "Fetcher", lambda: _fetcher(server))
    place = _table(tmp_path, "http://a.example.org/1.png", "http://a.example.org/gone")
    reporter = _Counting()
    found_images(place, DataSettings(fetch_urls=True), reporter)
    assert (reporter.phases, reporter.done) == ([("fetching", 2)], 2)


def test_addresses_are_refused_unless_they_are_asked_for(tmp_path: Path) -> None:
    with pytest.raises(NoImagesError, match=r"an address, not a path .* fetch_urls"):
        find_images(_table(tmp_path, "http://a.example.org/1.png"))


def test_addresses_and_paths_are_not_mixed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="1 images by web addresses and the other 1 by paths"):
        find_images(_table(tmp_path, "http://a.example.org/1.png", "b.png"), fetches=True)


def test_nothing_is_fetched_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(DataError, match="HF_HUB_OFFLINE=1 forbids"):
        find_images(_table(tmp_path, "http://a.example.org/1.png"), fetches=True)
