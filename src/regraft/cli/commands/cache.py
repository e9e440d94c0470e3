"""The command `regraft cache`."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from regraft.cli.terminal.console import show_json, show_table


def info(*, json: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Show what the cache contains, and how much disk space it takes.

    Args:
        json: Print JSON lines instead of a table.
    """
    from regraft.storage.places import cache_folder
    from regraft.storage.upkeep import stores_below, tables_below

    root = cache_folder()
    uses, tables = stores_below(root), tables_below(root)
    if json:
        for use in uses:
            show_json({"folder": str(use.folder), "rows": use.rows, "bytes": use.size_bytes, **use.facts})
        for one in tables:
            facts = {"files": one.files, "bytes": one.size_bytes, "what": one.what}
            show_json({"folder": str(one.folder), **facts})
        return 0
    rows = [
        [
            str(use.facts.get("what", "?")),
            str(use.facts.get("network", "")),
            f"{use.facts.get('runtime', '')} {use.facts.get('precision', '')}".strip(),
            f"{use.rows:,}",
            f"{use.size_bytes / 1e6:,.1f}",
            time.strftime("%Y-%m-%d %H:%M", time.localtime(use.last_used)),
        ]
        for use in uses
    ]
    header = ["what", "network", "runtime", "images", "MB", "last used"]
    show_table(f"Cache at {root}", header, rows, right=[3, 4])
    for what, names in (
        ("converted networks and weights", ("networks", "weights")),
        ("trainings", ("training",)),
    ):
        files = [path for name in names for path in (root / name).glob("**/*") if path.is_file()]
        print(f"{what}: {sum(path.stat().st_size for path in files) / 1e6:,.1f} MB")
    for one in tables:
        plural = "" if one.files == 1 else "s"
        print(f"{one.what}: {one.size_bytes / 1e6:,.1f} MB in {one.files:,} file{plural}")
    print("$REGRAFT_CACHE moves the cache; $REGRAFT_CACHE_MAX limits its size (for example 20G)")
    return 0


def verify() -> int:
    """Compare all cached data with their hashes; damaged shards are removed and will be computed again.

    Everything is read, also what earlier commands have found whole.
    """
    from regraft.storage.places import cache_folder
    from regraft.storage.upkeep import remove_stale, stores_below, verify_store

    root = cache_folder()
    damaged = [name for use in stores_below(root) for name in verify_store(use.folder)]
    stale = remove_stale(root)
    for name in damaged:
        print(f"removed the damaged shard {name}")
    print(f"{len(damaged)} damaged shards and {stale} left-over temporary files were found and removed")
    return 1 if damaged else 0


def merge(*folders: str) -> int:
    """Copy the features of other caches into this one, for machines that have no disk in common.

    Every shard is compared with its hash before it is copied. Damaged ones are named and left out, and the
    next command that needs their rows computes them.

    ```
    regraft extract photos/ --network resnet50 --part 2/4 --part-only
    regraft cache merge /mnt/node2/cache /mnt/node3/cache
    ```

    Args:
        folders: Caches of other machines, as $REGRAFT_CACHE was there.
    """
    from regraft.errors import SettingsError
    from regraft.storage.merging import apart, merge_cache
    from regraft.storage.places import cache_folder

    if not folders:
        raise SettingsError("name at least one folder, as in `regraft cache merge /mnt/node2/cache`")
    root, refused = cache_folder(), 0
    for folder in folders:
        found = merge_cache(Path(folder), root)
        refused += len(found.refused)
        for name, reason in found.refused.items():
            print(f"left out {name}: {reason}")
        print(
            f"{folder}: copied {found.copied:,} shards with {found.rows:,} rows "
            f"({found.size_bytes / 1e6:,.1f} MB); {found.known:,} shards were here already"
        )
    for line in apart(root):
        print(f"warning: {line}")
    return 1 if refused else 0


def prune(*, max_size: Annotated[str, Parameter(name=["--max-size", "--max"])]) -> int:
    """Delete the least recently used features, activations, trainings and tables until the rest fits a size.

    Tables are those of known files and of look-alike pairs, which save later commands the reading of every
    file and the comparison of all images.

    Args:
        max_size: Size that may remain, for example 500M or 20G; 0 deletes everything.
    """
    from regraft.storage.places import cache_folder, size_in_bytes
    from regraft.storage.upkeep import prune

    freed = prune(cache_folder(), size_in_bytes(max_size))
    print(f"freed {freed / 1e6:,.1f} MB")
    return 0


def clear() -> int:
    """Delete everything that can be computed again: features, activations and trainings. Splits are kept."""
    from regraft.storage.places import cache_folder

    root = cache_folder()
    for name in ("features", "activations", "training", "scan", "networks", "weights"):
        shutil.rmtree(root / name, ignore_errors=True)
    print(f"cleared {root}; the saved splits were kept")
    return 0
