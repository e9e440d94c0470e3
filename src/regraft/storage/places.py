"""Where things live on disk, and how much space they may take."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import platformdirs

from regraft.errors import SettingsError


def cache_folder() -> Path:
    """The folder of cached results: `$REGRAFT_CACHE`, otherwise the user's cache folder."""
    chosen = os.environ.get("REGRAFT_CACHE")
    return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("regraft"))


def data_folder() -> Path:
    """The folder of data sets that were fetched: `$REGRAFT_DATA`, otherwise the user's folder of data."""
    chosen = os.environ.get("REGRAFT_DATA")
    return Path(chosen) if chosen else Path(platformdirs.user_data_dir("regraft"))


def settings_folder() -> Path:
    """The folder of the user's decisions: `$REGRAFT_CONFIG`, otherwise the user's settings folder."""
    chosen = os.environ.get("REGRAFT_CONFIG")
    return Path(chosen) if chosen else Path(platformdirs.user_config_dir("regraft"))


def size_in_bytes(text: str) -> float:
    """The number of bytes in a size such as 500M, 20G or 1T.

    Raises:
        SettingsError: the text is not a size.

    >>> size_in_bytes("1.5G")
    1500000000.0
    """
    units = {"k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}
    number = text.strip().lower().removesuffix("b")
    factor = units.get(number[-1:], 1.0)
    try:
        size = float(number[:-1] if factor > 1 else number) * factor
    except ValueError:
        size = -1.0
    if not 0 <= size < 1e18:
        raise SettingsError(f"size {text!r} is not understood; accepted are 500M, 20G, 1T or bytes")
    return size


def cache_limit() -> float | None:
    """The size in bytes to which the cache may grow: `$REGRAFT_CACHE_MAX`, or None for no limit."""
    chosen = os.environ.get("REGRAFT_CACHE_MAX")
    return size_in_bytes(chosen) if chosen else None


def free_bytes() -> int:
    """Free bytes on the disk that holds the cache."""
    place = cache_folder()
    while not place.exists() and place != place.parent:
        place = Path(place.parent)
    return shutil.disk_usage(place).free
