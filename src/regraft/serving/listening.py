"""The sockets of a server, opened before anything else is done, so that a port in use is reported at once."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from typing import Any

from regraft.errors import ServerError, SettingsError


def listening(host: str, port: int) -> list[socket.socket]:
    """Sockets that listen on a port at all addresses of a host; who connects waits for the server.

    Args:
        host: a name or an address of this machine.
        port: the port; 0 means any free one, at the first address of the host.

    Raises:
        ServerError: another program uses the port.
        SettingsError: the host or the port can't be used on this machine.
    """
    if not 0 <= port <= 65535:
        raise SettingsError(f"--port {port} is not a port; accepted are 1 to 65535, and 0 for any free one")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise SettingsError(
            f"--host {host} is not known as an address of this machine: {error}. Use 127.0.0.1, or 0.0.0.0 "
            "for all addresses"
        ) from error
    addresses = list(dict.fromkeys((family, address) for family, _, _, _, address in found))
    with contextlib.ExitStack() as opened:  # closes what is open if one address fails
        sockets = [
            opened.enter_context(_opened(family, address, host, port))
            for family, address in (addresses if port else addresses[:1])
        ]
        opened.pop_all()
    return sockets


def _opened(family: int, address: Any, host: str, port: int) -> socket.socket:
    # With the protocol named, asyncio sends small answers at once: Nagle's algorithm waits 40 ms for each.
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # elsewhere, the option would let two servers use one port
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(address)
        made.listen()  # two servers that are being prepared may bind one port, but not listen on it
        return made
    except OSError as error:
        made.close()
        raise _explained(error, host, port) from error


def _explained(error: OSError, host: str, port: int) -> ServerError | SettingsError:
    if error.errno == errno.EADDRINUSE:
        other = port + 1 if port < 65535 else 8000
        return ServerError(
            f"port {port} of {host} is in use by another program, perhaps by another `regraft serve`. Stop "
            f"it, or choose another port: --port {other}, or --port 0 for any free one"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return SettingsError(
            f"--port {port} may not be used by this user (ports below 1024 often need more rights); choose a "
            "higher one, for example --port 8000"
        )
    return SettingsError(
        f"--host {host} can't be listened on: {error.strerror}. Use 127.0.0.1, or 0.0.0.0 for all addresses"
    )
