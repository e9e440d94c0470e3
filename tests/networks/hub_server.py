"""A small HTTP server that speaks the routes of the model hub and of a file host, and can misbehave."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"
PATIENCE_S = 0.3
"""How long a slow server keeps silent."""


@dataclass
class LocalHub:
    """What the server has and how it behaves; tests change it between requests."""

    data: bytes
    address: str = ""
    repository: str = "timm/tiny.test"
    status: int = 200
    error_code: str = ""
    extra_headers: dict[str, str] = field(default_factory=dict)
    break_after: list[int] = field(default_factory=list)
    """Bytes after which the next answers are cut off, one each."""
    stated_sha256: str = ""
    """What it claims instead of the truth."""
    is_silent: bool = False
    """Whether bodies stop in the middle without an end."""
    can_resume: bool = True
    moved_to: str = ""
    """Another address that the hub sends requests for the file to, as it does for large files."""
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    """Method, path and the `Range` header of every request."""
    tokens: list[str] = field(default_factory=list)

    @property
    def sha256(self) -> str:
        """What it states about the file."""
        return self.stated_sha256 or hashlib.sha256(self.data).hexdigest()

    @property
    def bodies(self) -> list[str]:
        """The `Range` headers of the requests for the file itself."""
        return [span for method, _, span in self.requests if method == "GET"]


@contextmanager
def local_hub(data: bytes) -> Iterator[LocalHub]:
    """Serve `data` as the hub's `model.safetensors` and as `/files/NAME`, on a port of this machine."""
    hub = LocalHub(data)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            _answer(self, hub, has_body=False)

        def do_GET(self) -> None:
            _answer(self, hub, has_body=True)

        def log_message(self, *_: object) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _answer(handler: BaseHTTPRequestHandler, hub: LocalHub, *, has_body: bool) -> None:
    span = handler.headers.get("Range", "")
    hub.requests.append((handler.command, handler.path, span))
    hub.tokens.append(handler.headers.get("Authorization", ""))
    is_known = handler.path == f"/{hub.repository}/resolve/main/model.safetensors" or handler.path.startswith(
        "/files/"
    )
    if hub.status != 200 or not is_known:
        _refuse(handler, hub, hub.status if hub.status != 200 else 404)
        return
    start = int(span.removeprefix("bytes=").removesuffix("-")) if span and hub.can_resume else 0
    if start >= len(hub.data):
        _refuse(handler, hub, 416)
        return
    is_moved = bool(hub.moved_to) and not handler.path.startswith("/files/")
    handler.send_response(302 if is_moved else 206 if start else 200)
    if is_moved:
        handler.send_header("Location", hub.moved_to)
    handler.send_header("Content-Length", str(len(hub.data) - start))
    handler.send_header("ETag", f'"{hub.sha256}"')
    handler.send_header("X-Linked-Etag", f'"{hub.sha256}"')
    handler.send_header("X-Linked-Size", str(len(hub.data)))
    handler.send_header("X-Repo-Commit", COMMIT)
    handler.end_headers()
    if has_body:
        _send(handler, hub, hub.data[start:])


def _refuse(handler: BaseHTTPRequestHandler, hub: LocalHub, status: int) -> None:
    handler.send_response(status)
    handler.send_header("Content-Length", "0")
    if hub.error_code or status == 404:
        handler.send_header("X-Error-Code", hub.error_code or "RepoNotFound")
    for name, value in hub.extra_headers.items():
        handler.send_header(name, value)
    handler.end_headers()


def _send(handler: BaseHTTPRequestHandler, hub: LocalHub, body: bytes) -> None:
    """The body, or as much of it as this server sends today."""
    if not hub.break_after and not hub.is_silent:
        handler.wfile.write(body)
        return
    handler.wfile.write(body[: hub.break_after.pop(0) if hub.break_after else len(body) // 2])
    handler.wfile.flush()
    if hub.is_silent:
        time.sleep(4 * PATIENCE_S)
    handler.close_connection = True
