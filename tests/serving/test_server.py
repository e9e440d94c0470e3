from __future__ import annotations

import asyncio
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
from regraft.serving.listening import listening

pytest.importorskip("fastapi", reason="the extra regraft[serve] is not installed")

pytestmark = pytest.mark.children


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
def server(probe: Path) -> Iterator[Server]:
    with started(probe) as found:
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
    server: Server, probe: Path, digits: Path
) -> None:
    files = sorted(digits.rglob("*.png"))[::3]
    model = regraft.load_model(probe)
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


def test_overload_is_told_to_come_back(probe: Path, image: bytes) -> None:
    with (
        started(probe, "--queue", "2", "--workers", "1") as small,
        ThreadPoolExecutor(32) as pool,
    ):
        answers = list(pool.map(lambda _: small.ask("/predict", image), range(300)))
    assert {status for status, _, _ in answers} == {200, 503}
    assert all(headers["retry-after"] == "1" for status, _, headers in answers if status == 503)


def test_sigterm_answers_what_is_in_work(probe: Path, digits: Path) -> None:
    files = [path.read_bytes() for path in sorted(digits.rglob("*.png"))[:24]]
    with started(probe) as busy, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(busy.ask, "/predict?explain=true", *form(*files))
        while not waiting.done() and "regraft_images_in_work 0.0" in busy.ask("/metrics")[1]:
            pass
        busy.process.send_signal(signal.SIGTERM)
        status, body, _ = waiting.result(20)
        assert status == 200
        assert len(body["predictions"]) == 24
        assert busy.process.wait(20) == 0


def test_a_token_is_asked_for_where_one_was_set(probe: Path, image: bytes) -> None:
    with started(probe, REGRAFT_TOKEN="a token of some length") as guarded:
        assert guarded.ask("/predict", image)[0] == 401
        assert guarded.ask("/predict", image, authorization="Bearer a token of some lengtH")[0] == 401
        assert guarded.ask("/model")[0] == 401
        assert guarded.ask("/healthz")[0] == 200
        assert guarded.ask("/predict", image, authorization="Bearer a token of some length")[0] == 200


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--host", "0.0.0.0"], "can be reached from other machines, so a token is needed"),
        (["--token", "short"], "--token has 5 characters and could be guessed; use at least 16"),
    ],
)
def test_an_open_door_is_refused(
    probe: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(["serve", str(probe), *arguments]) == 2
    assert said in capsys.readouterr().err


def test_small_answers_are_sent_at_once() -> None:
    """With Nagle's algorithm, each answer after the first would wait 40 ms for an acknowledgement."""

    async def is_undelayed() -> bool:
        found: list[int] = []

        async def note(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            link = writer.get_extra_info("socket")
            found.append(link.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        (open_socket,) = listening("127.0.0.1", 0)
        async with await asyncio.start_server(note, sock=open_socket):
            reader, writer = await asyncio.open_connection(*open_socket.getsockname()[:2])
            assert await reader.read() == b""
            writer.close()
        return found == [1]

    assert asyncio.run(is_undelayed())
