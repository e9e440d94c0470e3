"""Slow clients, against a server in this process with short deadlines."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("uvicorn", reason="the extra regraft[serve] is not installed")

import uvicorn

from regraft.serving import protocol

DRIPS = 2_000
"""Far more than a client gets to send, slowly, before a deadline; without deadlines it sends them all."""


async def echo(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Reads the body, then answers with its length."""
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    body = str(size).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def address() -> Iterator[tuple[str, int]]:
    config = uvicorn.Config(echo, port=0, http=protocol.GuardedProtocol, lifespan="off", log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[:2]
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def short_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEADERS_S", 0.4)
    monkeypatch.setattr(protocol, "REQUEST_S", 1.0)


def answer_to_drips(address: tuple[str, int], head: bytes, drip: bytes) -> tuple[bytes, bool]:
    """What the server says while a few bytes are sent now and then, and whether it closes before the last."""
    said = b""
    with socket.create_connection(address, timeout=0.05) as link:
        link.sendall(head)
        for _ in range(DRIPS):
            try:
                part = link.recv(4096)
                if not part:
                    return said, True
                said += part
            except TimeoutError:
                pass
            except OSError:
                return said, True
            try:
                link.sendall(drip)
            except OSError:
                return said, True
    return said, False


@pytest.mark.usefixtures("short_deadlines")
@pytest.mark.parametrize(
    ("head", "drip"),
    [
        (b"", b""),
        (b"GET / HTTP/1.1\r\nhost: x\r\n", b"a: b\r\n"),
        (b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n", b"x"),
        (b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    ],
    ids=["idle", "headers", "body", "chunks"],
)
def test_slow_clients_are_cut_off(address: tuple[str, int], head: bytes, drip: bytes) -> None:
    said, is_cut_off = answer_to_drips(address, head, drip)
    assert is_cut_off
    assert b" 200 " not in said


def test_a_brisk_client_is_served_many_times_on_one_connection(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=5) as link:
        for number in range(20):
            body = b"x\n" * number
            link.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
            said = b""
            while not said.endswith(b"\r\n\r\n%d" % len(body)):
                said += link.recv(4096)
            assert said.startswith(b"HTTP/1.1 200")


def test_a_head_that_comes_in_pieces_is_one_head(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=5) as link:
        for piece in (b"POST / HT", b"TP/1.1\r", b"\nhost: x\r\ncontent-", b"length: 3\r\n\r", b"\na\nb"):
            link.sendall(piece)
            time.sleep(0.02)
        assert link.recv(4096).startswith(b"HTTP/1.1 200")
