"""What nobody sends by accident: never an answer of 5xx, never a file, and the server stays well."""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest

from tests.corpus import Case
from tests.serving.test_server import Server, form, started

pytestmark = pytest.mark.children

CANARY = "the canary sings"


@pytest.fixture(scope="module")
def server(probe: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """With a file beside the run and one in it that no answer may hold."""
    folder = tmp_path_factory.mktemp("hostile")
    shutil.copytree(probe, folder / "run")
    for place in (folder, folder / "run"):
        (place / "canary.txt").write_text(CANARY)
    with started(folder / "run") as found:
        yield found


@pytest.fixture(scope="module")
def image(digits: Path) -> bytes:
    return sorted((digits / "6").glob("*.png"))[0].read_bytes()


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("text/plain", b"x", 415),
        ("application/json", b"{}", 415),
        ("multipart/form-data", b"x", 400),
        ("multipart/form-data; boundary=", b"x", 400),
        ("multipart/form-data; boundary=xyz", b"", 400),
        ("multipart/form-data; boundary=xyz", b"--xyz\r\n", 400),
        ("multipart/form-data; boundary=xyz", b"--xyz\nno\n--xyz--", 400),
        ("multipart/form-data; boundary=xyz", b"--xyz\r\n" + b"a: b\r\n" * 100_000, 400),
        ("multipart/form-data; boundary=xyz", b"--xyz\r\n" + b"a" * 5_000_000, 400),
        ("multipart/form-data; boundary=xyz", form(*[b"x"] * 1_001)[0], 400),
        ("multipart/form-data; boundary=xyz", form(b"x")[0].replace(b"filename", b"note"), 400),
        ("application/octet-stream", b"", 422),
        ("application/octet-stream", b"no image", 422),
        ("application/octet-stream", b"x" * 21_000_000, 413),
    ],
    ids=range(14),
)
def test_bodies_that_cannot_be_used_get_a_reason(server: Server, kind: str, body: bytes, status: int) -> None:
    found, said, _ = server.ask("/predict", body, kind)
    assert found == status
    assert said["error"]
    assert server.ask("/healthz")[0] == 200


HEAD = b"POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-type: image/png\r\n"
RAW = {
    "length and chunks": HEAD + b"content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": HEAD + b"content-length: 4\r\ncontent-length: 5\r\n\r\nabcde",
    "the same length twice": HEAD + b"content-length: 4\r\ncontent-length: 4\r\n\r\nabcd",
    "negative length": HEAD + b"content-length: -1\r\n\r\n",
    "bare line feeds": HEAD.replace(b"\r\n", b"\n") + b"content-length: 1\n\nx\r\n\r\n",
    "folded line": HEAD + b"x-a: b\r\n c\r\ncontent-length: 1\r\n\r\nx",
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nhost: evil\r\n\r\n",
    "old protocol": b"GET /healthz\r\n\r\n",
    "no method": b"\r\n\x00\x01\x02 / HTTP/1.1\r\n\r\n",
    "huge header": b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nx: " + b"a" * 70_000 + b"\r\n\r\n",
    "many headers": b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n" + b"x: y\r\n" * 400 + b"\r\n",
    "21 MB in chunks": HEAD
    + b"transfer-encoding: chunked\r\n\r\n"
    + (b"100000\r\n" + b"x" * 0x100000 + b"\r\n") * 21,
}


@pytest.mark.parametrize("name", RAW)
def test_ambiguous_or_endless_requests_are_refused_and_closed(server: Server, name: str) -> None:
    try:
        said = server.raw(RAW[name])
    except (BrokenPipeError, ConnectionResetError):
        said = b""  # refused while it was still being sent
    assert said == b"" or said.split(b" ")[1][:1] == b"4", said[:80]
    assert b" 200 " not in said
    assert server.ask("/healthz")[0] == 200


UP = ["..", ".", "%2e%2e", "%252e%252e", "..;", "\u2025", "\uff0e\uff0e", "%c0%ae%c0%ae", "..%00"]
BARS = ["/", "%2f", "%252f", "\\", "%5c", "//", "/./"]
TARGETS = ["canary.txt", "run/canary.txt", "etc/passwd"]
ABSOLUTE = [
    "/etc/passwd", "//etc/passwd", "/proc/self/environ", "/proc/self/cwd/canary.txt", "/C:/windows/win.ini",
    "/c%3a%5cwindows%5cwin.ini", "//server/share/canary.txt", "file:///etc/passwd", "/.git/config", "/%00",
    "/app.js%00.txt", "/page/index.html", "/bundle/bundle.json", "/run.json", "/~root/.profile",
    "/" + "a/" * 4_000,
]  # fmt: skip
VECTORS = [
    *(f"/{(up + bar) * depth}{target}" for up, bar, target, depth in product(UP, BARS, TARGETS, (1, 4))),
    *ABSOLUTE,
]


@pytest.mark.parametrize("route", ["", "/app.js", "/model", "/predict"])
def test_no_path_reaches_the_disk(server: Server, route: str) -> None:
    assert len(VECTORS) > 350
    for path in VECTORS:
        line = f"GET {route}{path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
        said = server.raw(line.encode())
        assert said.split(b" ")[1] in (b"404", b"400", b"405"), (path, said[:80])
        assert CANARY.encode() not in said
        assert b"root:" not in said


def test_no_parameter_and_no_file_name_reaches_the_disk(server: Server, image: bytes) -> None:
    for path in VECTORS[::5]:
        for name in ("top", "neighbours", "explain", "file", "run"):
            status, said, _ = server.ask(f"/predict?{name}={quote(path[:2_000], safe='%')}", image)
            assert status == (422 if name in ("top", "neighbours", "explain") else 200)
            assert CANARY not in str(said)
        body, kind = form(image)
        status, said, _ = server.ask("/predict", body.replace(b"0.png", path[:2_000].encode()), kind)
        assert status == 200
        assert CANARY not in str(said)


@pytest.mark.parametrize(
    "query", ["top=0", "top=x", "top=../../etc/passwd", "neighbours=999", "explain=maybe"]
)
def test_parameters_out_of_range_are_refused(server: Server, image: bytes, query: str) -> None:
    status, said, _ = server.ask(f"/predict?{query}", image)
    assert status == 422
    assert said["detail"]


def test_chunks_of_one_byte_hold_up_nobody(server: Server) -> None:
    crumbs = HEAD + b"transfer-encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 300_000 + b"0\r\n\r\n"
    try:
        said = server.raw(crumbs)
    except (BrokenPipeError, ConnectionResetError):
        said = b""  # refused while it was still being sent
    assert said == b"" or said.startswith(b"HTTP/1.1 400")
    assert server.ask("/healthz")[0] == 200


def test_small_chunks_of_an_image_are_an_image(server: Server, image: bytes) -> None:
    pieces = [image[start : start + 16] for start in range(0, len(image), 16)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    said = server.raw(
        HEAD + b"connection: close\r\ntransfer-encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
    )
    assert said.startswith(b"HTTP/1.1 200")


def test_a_thousand_requests_on_one_connection_are_a_thousand_answers(server: Server) -> None:
    with socket.create_connection(server.address, timeout=10) as link, link.makefile("rb") as answers:
        for _ in range(1_000):
            link.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
            assert answers.readline().startswith(b"HTTP/1.1 200")
            while answers.readline() != b"\r\n":
                pass
            assert answers.read(3) == b"ok\n"


def test_mutated_requests_are_answered_or_refused(server: Server, image: bytes) -> None:
    """Bytes flipped, put in and left out, lines doubled: whatever comes of it, no 5xx and no hang."""
    generator = np.random.default_rng(0)
    good = HEAD + b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(image) + image
    head = len(good) - len(image)
    for _ in range(400):
        bad = bytearray(good)
        for _ in range(int(generator.integers(1, 4))):
            place = int(generator.integers(head))
            match int(generator.integers(4)):
                case 0:
                    bad[place] = int(generator.integers(256))
                case 1:
                    bad.insert(place, int(generator.integers(256)))
                case 2:
                    del bad[place]
                case _:
                    lines = bytes(bad[:head]).split(b"\r\n")
                    bad[place:place] = lines[int(generator.integers(len(lines)))] + b"\r\n"
        said = sent_whole(server, bytes(bad))
        assert said == b"" or said.split(b" ")[1][:1] in (b"2", b"4"), (bytes(bad[:head]), said[:80])
    assert server.ask("/healthz")[0] == 200


def sent_whole(server: Server, data: bytes) -> bytes:
    """What comes back for bytes after which nothing will follow."""
    with socket.create_connection(server.address, timeout=10) as link:
        try:
            link.sendall(data)
            link.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: link.recv(65_536), b""))
        except (ConnectionResetError, BrokenPipeError):
            return b""


def test_hostile_images_are_refused_and_the_server_stays_well(
    server: Server, corpus: tuple[Path, list[Case]]
) -> None:
    folder, written = corpus
    places = {case.name: folder / case.name for case in written}
    cases = [name for name, place in places.items() if place.is_file() and not place.is_symlink()]
    assert len(cases) > 40

    def ask(name: str) -> tuple[str, int]:
        data = places[name].read_bytes()
        while (status := server.ask("/predict", data)[0]) == 503:
            time.sleep(0.05)
        return name, status

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, cases))
    assert {status for _, status in found} <= {200, 413, 422}, found
    assert server.ask("/healthz")[0] == 200
