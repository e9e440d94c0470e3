"""Which executor a setting names."""

from __future__ import annotations

import importlib.util

from regraft.errors import SettingsError, close_names
from regraft.execution.worker import open_worker
from regraft.features.executors.executor import Executor, Opener

KINDS = ("local", "ray")


def find_executor(
    text: str, *, threads: int | None = None, is_mixed: bool = False, opener: Opener = open_worker
) -> Executor | None:
    """The executor that `local`, `ray` or `ray:ADDRESS` names; None for this process itself.

    Args:
        text: the setting.
        threads: number of threads of each worker; None means one, or what the task's bits depend on.
        is_mixed: whether machines that compute other bits are accepted.
        opener: makes the worker of a task.

    Raises:
        SettingsError: no such executor, or Ray is not installed.

    >>> find_executor("local") is None
    True
    """
    kind, _, address = text.partition(":")
    if kind == "local" and not address:
        return None
    if kind != "ray":
        raise SettingsError(
            f"--executor {text} is not known{close_names(kind, KINDS)}; accepted are local (this process), "
            "ray (workers on this machine) and ray:ADDRESS (a Ray cluster, as in ray:10.0.0.1:6379)"
        )
    if importlib.util.find_spec("ray") is None:
        raise SettingsError(
            f"--executor {text} needs Ray, which is not installed: pip install 'regraft[ray]'. Without it, "
            "several machines can share the work by `regraft extract --part`"
        )
    from regraft.execution.ray_executor import RayExecutor

    return RayExecutor(address or None, threads=threads, is_mixed=is_mixed, opener=opener)
