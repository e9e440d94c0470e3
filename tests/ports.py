"""Ports of this machine for tests."""

from __future__ import annotations

import socket


def free_port() -> str:
    """The number of a port that no program uses now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return str(one.getsockname()[1])
