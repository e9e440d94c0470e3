"""Whether this machine may ask the network."""

from __future__ import annotations

import os


def is_forbidden() -> bool:
    """Whether $HF_HUB_OFFLINE, the variable of the hub's own library, forbids downloads."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
