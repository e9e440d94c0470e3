"""Graphs are compiled and forgotten in any order, and Ctrl-C is still an exception."""

from __future__ import annotations

import subprocess
import sys

import pytest

from regraft.machine.inference import openvino_core

CTRL_C = """
import signal
import numpy as np
import openvino
from regraft.machine.inference import openvino_core

def compiled():
    operations = openvino.opset13
    pixels = operations.parameter([1, 4], np.float32)
    return CORE().compile_model(openvino.Model([operations.relu(pixels)], [pixels]), "CPU")

first, second, third = compiled(), compiled(), compiled()
del first, second, third
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_a_process_has_one_core() -> None:
    assert openvino_core() is openvino_core()


@pytest.mark.children
def test_ctrl_c_after_graphs_were_forgotten_is_an_exception() -> None:
    command = [sys.executable, "-c", CTRL_C.replace("CORE", "openvino_core")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout == "interrupted\n", (done.returncode, done.stderr)
