"""The core of OpenVINO, which compiles graphs for the processor: one for a process, and never destroyed."""

from __future__ import annotations

from functools import cache
from typing import Any


@cache
def openvino_core() -> Any:
    """The `openvino.Core` of this process.

    Each core gives the main thread another stack for signal handlers, and puts the one that was there before
    back when its last graph is gone. If two cores end in the order in which they were made, the stack that is
    put back has been freed, and the next Ctrl-C ends the process by a segmentation fault (openvino 2026.4.1).
    """
    import openvino

    return openvino.Core()
