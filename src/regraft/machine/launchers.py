"""Launchers such as torchrun, which start the same program several times."""

from __future__ import annotations

import os
import sys

from regraft.errors import SettingsError


def rank_in_group() -> int | None:
    """The number of this process in the process group of torch that the program has initialised, or None."""
    group = sys.modules.get("torch.distributed")
    if group is None or not group.is_available() or not group.is_initialized():
        return None
    return int(group.get_rank())


def refuse_copies() -> None:
    """Refuse to write the same run several times at once.

    Raises:
        SettingsError: a launcher has started several copies of the program, which know nothing of each other.
    """
    count = os.environ.get("WORLD_SIZE", "")
    if not count.isdecimal() or int(count) < 2 or rank_in_group() is not None:
        return
    raise SettingsError(
        f"this fit was started {count} times at once (WORLD_SIZE is {count}, as torchrun sets it), and each "
        "process would do all the work and write the same run. Start it once, without torchrun. To train in "
        "several processes from Python, call torch.distributed.init_process_group before the fit"
    )
