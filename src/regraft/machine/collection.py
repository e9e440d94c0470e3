"""Python's search for reference cycles, which pauses while many objects are made that are to stay."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collection_paused() -> Iterator[None]:
    """Pause the search for reference cycles; what nothing refers to is freed all the same.

    The search looks at all objects again whenever a quarter more of them are there, which took two fifths of
    the time to list, look up and split the files of a large data set. It is for short work that makes no
    cycles, such as records of files: caught exceptions, for example, can hold on to large objects.

    >>> with collection_paused():
    ...     rows = [(str(number), number) for number in range(3)]
    >>> gc.isenabled()
    True
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
