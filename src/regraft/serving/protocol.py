"""HTTP with deadlines: slow clients are disconnected, and ambiguous requests are refused."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADERS_S = 10.0
REQUEST_S = 30.0
_MAX_HEAD_BYTES = 16_384
_MANY_CHUNKS, _CHUNK_BYTES = 2_000, 64  # if there are more chunks, they must have this average size
_REFUSAL = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: 12\r\nconnection: close\r\n\r\n"
    b"bad request\n"
)


class GuardedProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 with deadlines for headers (10 s) and for a whole request and answer (30 s).

    Headers with bare line feeds or folded lines are refused, because proxies interpret them differently.
    Bodies in chunks of a few bytes are refused, because 250 kB of them would block all clients for a second.
    """

    _deadline: asyncio.TimerHandle | None = None
    _head = b""
    _is_timed = False
    _is_chunked = False
    _body_bytes = _line_ends = 0

    def connection_made(self, transport: Any) -> None:
        """Start the deadline for headers."""
        super().connection_made(transport)
        self._wait_at_most(HEADERS_S)

    def data_received(self, data: bytes) -> None:
        """Check headers before they are parsed."""
        if self._is_between_requests():
            self._head += data
            head, end, body = self._head.partition(b"\r\n\r\n")
            lines = head if end else head.rpartition(b"\r\n")[0]
            if len(head) > _MAX_HEAD_BYTES or not _is_plain(lines):
                self._refuse()
                return
            if end:
                self._head = b""
                self._is_chunked = b"transfer-encoding:" in head.lower()
                self._body_bytes = self._line_ends = 0
        else:
            body = data
        if self._is_chunked and self._is_crumbs(body):
            self._refuse()
            return
        super().data_received(data)
        if not self._is_between_requests() and not self._head and not self._is_timed:
            self._is_timed = True
            self._wait_at_most(REQUEST_S)

    def on_response_complete(self) -> None:
        """Start the deadline for the next request's headers."""
        self._is_timed = False
        self._head = b""
        if not self.transport.is_closing():
            self._wait_at_most(HEADERS_S)
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the deadline."""
        if self._deadline is not None:
            self._deadline.cancel()
        super().connection_lost(exc)

    def _is_crumbs(self, body: bytes) -> bool:
        """Whether a body consists of too many chunks for its size."""
        self._body_bytes += len(body)
        self._line_ends += body.count(b"\r\n")
        return self._line_ends > _MANY_CHUNKS and self._body_bytes < _CHUNK_BYTES * self._line_ends

    def _is_between_requests(self) -> bool:
        return self.conn.their_state is h11.IDLE

    def _wait_at_most(self, seconds: float) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(seconds, self.transport.abort)

    def _refuse(self) -> None:
        self.transport.write(_REFUSAL)
        self.transport.close()


def _is_plain(head: bytes) -> bool:
    """Whether all lines end with CR LF, none is folded, and the body's length is stated at most once."""
    lines = head.split(b"\r\n")
    if any(line[:1] in (b" ", b"\t") or any(odd in line for odd in (b"\n", b"\r", b"\0")) for line in lines):
        return False
    names = [line.partition(b":")[0].strip().lower() for line in lines[1:]]
    return sum(name in (b"content-length", b"transfer-encoding") for name in names) <= 1
