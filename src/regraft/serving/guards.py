"""Checks of every request (size, host, origin, token), and security headers of every answer."""

from __future__ import annotations

import hmac
import ipaddress
import json
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException

from regraft.serving.pages import ASSETS

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_BODY_BYTES = 20_000_000
MAX_HEADERS = 100
OPEN = ("/", "/healthz", "/readyz", "/docs", "/favicon.ico", *ASSETS)
"""Paths that need no token; their answers contain nothing about images or the model."""
_HEADERS = {
    b"content-security-policy": (
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-resource-policy": b"same-origin",
    b"cache-control": b"no-store",
}


class _RefusedError(Exception):
    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Guards:
    """Wraps an application so that it receives only allowed requests, with bodies of limited size.

    Args:
        app: the application.
        hosts: accepted host names, without ports.
        token: the bearer token that requests need; None if they need none.
        max_body_bytes: largest body; larger ones are refused.
    """

    def __init__(
        self, app: App, *, hosts: Sequence[str], token: str | None, max_body_bytes: int = MAX_BODY_BYTES
    ) -> None:
        self._app, self._token, self._max = app, token, max_body_bytes
        self._hosts = {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check a request, then pass it to the application."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started: list[bool] = []

        async def guarded_send(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                started.append(True)
                own = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *((name, value) for name, value in _HEADERS.items() if name not in own),
                ]
            await send(message)

        try:
            self._check(scope)
            await self._app(scope, self._counted(receive), guarded_send)
        except _RefusedError as refused:
            if not started:
                await _answer(guarded_send, refused.status, str(refused))

    def _check(self, scope: Scope) -> None:
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        if len(headers) > MAX_HEADERS:
            raise _RefusedError(431, f"the request has more than {MAX_HEADERS} headers")
        lengths = [value for name, value in headers if name == b"content-length"]
        is_chunked = any(name == b"transfer-encoding" for name, _ in headers)
        if len(lengths) > 1 or (lengths and is_chunked):
            raise _RefusedError(400, "the length of the body is stated more than once")
        if lengths and (not lengths[0].isdigit() or int(lengths[0]) > self._max):
            raise _RefusedError(413, f"the request is larger than {self._max / 1e6:g} MB")
        self._check_host(headers)
        self._check_token(scope, headers)

    def _check_host(self, headers: Sequence[tuple[bytes, bytes]]) -> None:
        hosts = [value.decode("latin-1") for name, value in headers if name == b"host"]
        if len(hosts) != 1 or not self._is_ours(f"//{hosts[0]}"):
            raise _RefusedError(
                421, "unknown host name; use the address printed at start-up, or add it with --name"
            )
        for name, value in headers:
            if name == b"origin" and not self._is_ours(value.decode("latin-1")):
                raise _RefusedError(403, "requests from pages of other sites are not allowed")

    def _is_ours(self, address: str) -> bool:
        try:
            host = urlsplit(address).hostname
        except ValueError:
            return False
        return host is not None and host.lower() in self._hosts

    def _check_token(self, scope: Scope, headers: Sequence[tuple[bytes, bytes]]) -> None:
        if self._token is None or scope["path"] in OPEN:
            return
        wanted = f"Bearer {self._token}".encode()
        given = next((value for name, value in headers if name == b"authorization"), b"")
        if not hmac.compare_digest(given, wanted):
            raise _RefusedError(401, "this server needs a token; send the header Authorization: Bearer TOKEN")

    def _counted(self, receive: Receive) -> Receive:
        size = 0

        async def counted() -> MutableMapping[str, Any]:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > self._max:
                reason = f"the request is larger than {self._max / 1e6:g} MB"
                raise HTTPException(413, reason, headers={"connection": "close"})
            return message

        return counted


async def _answer(send: Send, status: int, reason: str) -> None:
    """Send a refusal and close the connection, because what follows on it can't be trusted."""
    body = json.dumps({"error": reason}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def is_loopback(host: str) -> bool:
    """Whether an address is the loopback address of this machine.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
