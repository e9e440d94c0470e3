from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import regraft
from regraft.cli.app import run as command
from regraft.prediction.model import Model
from tests.corpus import write_corpus

pytest.importorskip("fastapi", reason="the extra regraft[serve] is not installed")


@dataclass
class Server:
    """A server in a process of its own."""

    process: subprocess.Popen[str]
    url: str

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.url.removeprefix("http://").rstrip("/").rsplit(":", 1)
        return host, int(port)

    def ask(
        self, path: str, data: bytes | None = None, kind: str = "application/octet-stream", **headers: str
    ) -> tuple[int, Any, dict[str, str]]:
        """Status, body (as JSON where it is), headers."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if data is not None:
            named["content-type"] = kind
        request = urllib.request.Request(self.url.rstrip("/") + path, data, named)
        try:
            answer = urllib.request.urlopen(request, timeout=30)
        except urllib.error.HTTPError as error:
            answer = error
        except urllib.error.URLError:
            return 413, {"error": "closed while it was being sent"}, {}
        with answer:
            body = answer.read()
            is_json = "json" in answer.headers.get("content-type", "")
            return answer.status, json.loads(body) if is_json else body.decode(), dict(answer.headers)

    def raw(self, data: bytes, seconds: float = 5.0) -> bytes:
        """What comes back for these bytes, until it is closed or time is up."""
        with socket.create_connection(self.address, timeout=seconds) as link:
            link.sendall(data)
            parts = []
            try:
                while part := link.recv(65_536):
                    parts.append(part)
            except (TimeoutError, ConnectionResetError):
                pass
        return b"".join(parts)


@contextmanager
def started(run: Path, *arguments: str, **environment: str) -> Iterator[Server]:
    """A server on a free port; it is killed at the end if it has not ended."""
    with subprocess.Popen(
        [sys.executable, "-m", "regraft", "serve", str(run), "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("serving on "), line
            yield Server(process, line.split()[2])
        finally:
            process.kill()


@pytest.fixture(scope="module")
def run(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served") / "run"
    regraft.fit(digits, network="lenet5", strategy="svm", out=folder)
    return folder


@pytest.fixture(scope="module")
def server(run: Path) -> Iterator[Server]:
    with started(run) as found:
        yield found
        found.process.send_signal(signal.SIGTERM)
        assert found.process.wait(20) == 0


@pytest.fixture(scope="module")
def image(digits: Path) -> bytes:
    return sorted((digits / "6").glob("*.png"))[0].read_bytes()


def form(*files: bytes, boundary: str = "xyz") -> tuple[bytes, str]:
    parts = [
        b"--%b\r\n" % boundary.encode()
        + b'content-disposition: form-data; name="file"; filename="%d.png"\r\n\r\n' % number
        + data
        + b"\r\n"
        for number, data in enumerate(files)
    ]
    return b"".join(parts) + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def test_every_answer_equals_offline_prediction_however_many_ask(
    server: Server, run: Path, digits: Path
) -> None:
    files = sorted(digits.rglob("*.png"))[::3]
    model = regraft.load_model(run)
    assert isinstance(model, Model)
    expected = {str(path): row.probabilities for path, row in zip(files, model.predict(files), strict=True)}

    def gap(path: Path) -> float:
        while True:
            status, body, _ = server.ask("/predict?top=3", path.read_bytes())
            if status == 200:
                break
            assert status == 503
            time.sleep(0.05)
        chances = {one["label"]: one["probability"] for one in body["predictions"][0]["top"]}
        return max(
            abs(chances[label] - chance)
            for label, chance in zip(model.labels, expected[str(path)], strict=True)
        )

    with ThreadPoolExecutor(16) as pool:
        assert max(pool.map(gap, files)) <= 1e-5


def test_the_server_imports_no_torch(server: Server, image: bytes) -> None:
    server.ask("/predict?explain=true&neighbours=3", image)
    maps = Path(f"/proc/{server.process.pid}/maps")
    if not maps.exists():
        pytest.skip("this system does not say what a process has loaded")
    loaded = maps.read_text()
    assert "onnxruntime" in loaded
    assert not any(name in loaded for name in ("libtorch", "torchvision", "openvino", "sklearn"))


def test_many_files_in_one_form_are_answered_in_order(server: Server, digits: Path) -> None:
    files = [sorted((digits / label).glob("*.png"))[3].read_bytes() for label in ("7", "5", "6")]
    status, body, _ = server.ask("/predict", *form(*files[:2], b"no image", files[2]))
    assert status == 200
    rows = body["predictions"]
    assert [row.get("label") for row in rows] == ["7", "5", None, "6"]
    assert rows[2]["error"].startswith("not an image of an accepted format")
    assert [row["name"] for row in rows] == ["0.png", "1.png", "2.png", "3.png"]


def test_neighbours_and_heat_maps_come_with_an_answer(server: Server, image: bytes) -> None:
    _, body, _ = server.ask("/predict?explain=true&neighbours=4", image)
    (row,) = body["predictions"]
    assert len(row["neighbours"]) == 4
    assert row["neighbours"][0]["similarity"] == max(near["similarity"] for near in row["neighbours"])
    assert base64.b64decode(row["overlay"].split(",")[1])[:2] == b"\xff\xd8"


def test_health_card_metrics_and_docs(server: Server) -> None:
    assert server.ask("/healthz")[0] == 200
    assert server.ask("/readyz")[1] == "ready\n"
    assert server.ask("/model")[1]["labels"] == ["5", "6", "7"]
    assert 'regraft_requests_total{status="200"}' in server.ask("/metrics")[1]
    status, text, headers = server.ask("/docs")
    assert status == 200
    assert "/predict" in text
    assert "http" not in text.replace("http://127.0.0.1:8000", "")  # nothing from elsewhere
    assert "default-src 'none'" in headers["content-security-policy"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 421),
        ({"host": "evil.example:8000"}, 421),
        ({"host": "127.0.0.1.evil.example"}, 421),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"host": "localhost"}, 200),
        ({"origin": "http://localhost:3000"}, 200),
    ],
    ids=str,
)
def test_only_its_own_names_and_pages_are_answered(
    server: Server, image: bytes, headers: dict[str, str], status: int
) -> None:
    found, _, sent = server.ask("/predict", image, **headers)
    assert found == status
    assert not any(name.lower().startswith("access-control") for name in sent)


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


PATHS = [
    "/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/..%2f..%2fetc/passwd", "/%252e%252e/etc/passwd",
    "/..\\..\\etc\\passwd", "/app.js/../../../etc/passwd", "//etc/passwd", "/page/index.html", "/.git/config",
    "/proc/self/environ", "/C:/windows/win.ini", "/%00", "/app.js%00.png", "/\xe2\x80\xa5/etc/passwd",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_no_path_reaches_the_disk(server: Server, path: str) -> None:
    said = server.raw(
        f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode("latin-1")
    )
    assert said.split(b" ")[1] in (b"404", b"400", b"405"), said[:80]
    assert b"root:" not in said


@pytest.mark.parametrize(
    "query", ["top=0", "top=x", "top=../../etc/passwd", "neighbours=999", "explain=maybe"]
)
def test_parameters_out_of_range_are_refused(server: Server, image: bytes, query: str) -> None:
    status, said, _ = server.ask(f"/predict?{query}", image)
    assert status == 422
    assert said["detail"]


def test_hostile_images_are_refused_and_the_server_stays_well(server: Server, tmp_path: Path) -> None:
    places = {case.name: tmp_path / case.name for case in write_corpus(tmp_path)}
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


def test_overload_is_told_to_come_back(run: Path, image: bytes) -> None:
    with (
        started(run, "--queue", "2", "--workers", "1") as small,
        ThreadPoolExecutor(32) as pool,
    ):
        answers = list(pool.map(lambda _: small.ask("/predict", image), range(300)))
    assert {status for status, _, _ in answers} == {200, 503}
    assert all(headers["retry-after"] == "1" for status, _, headers in answers if status == 503)


def test_sigterm_answers_what_is_in_work(run: Path, digits: Path) -> None:
    files = [path.read_bytes() for path in sorted(digits.rglob("*.png"))[:24]]
    with started(run) as busy, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(busy.ask, "/predict?explain=true", *form(*files))
        time.sleep(0.5)
        busy.process.send_signal(signal.SIGTERM)
        status, body, _ = waiting.result(20)
        assert status == 200
        assert len(body["predictions"]) == 24
        assert busy.process.wait(20) == 0


def test_a_token_is_asked_for_where_one_was_set(run: Path, image: bytes) -> None:
    with started(run, REGRAFT_TOKEN="a token of some length") as guarded:
        assert guarded.ask("/predict", image)[0] == 401
        assert guarded.ask("/predict", image, authorization="Bearer a token of some lengtH")[0] == 401
        assert guarded.ask("/model")[0] == 401
        assert guarded.ask("/healthz")[0] == 200
        assert guarded.ask("/predict", image, authorization="Bearer a token of some length")[0] == 200


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--host", "0.0.0.0"], "can be reached from other machines: a token is needed"),
        (["--token", "short"], "a token of 5 characters can be guessed; use at least 16"),
    ],
)
def test_an_open_door_is_refused(
    run: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(["serve", str(run), *arguments]) == 2
    assert said in capsys.readouterr().err
