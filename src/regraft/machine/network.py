"""Whether this machine may ask the network."""

from __future__ import annotations

import os


def is_forbidden() -> bool:
    """Whether $HF_HUB_OFFLINE forbids downloads, which the hub's own library obeys, too."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
