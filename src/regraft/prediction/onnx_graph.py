"""From torch modules to ONNX graphs, which name no place on the machine that made them."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import onnx
import torch
from torch import nn

OPSET = 20
IR_VERSION = 10
"""Supported by runtimes of the last two years."""


def traced(
    module: nn.Module,
    example: tuple[torch.Tensor, ...],
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    shapes: Any = None,
) -> onnx.ModelProto:
    """A module as a graph.

    Args:
        module: the module.
        example: its inputs.
        inputs: names of the inputs.
        outputs: names of the outputs.
        shapes: the dynamic dimensions of each input, as `torch.export` takes them; None for fixed shapes.
    """
    with _quietly():
        program = torch.onnx.export(
            module.eval(),
            example,
            dynamo=True,
            dynamic_shapes=shapes,
            input_names=list(inputs),
            output_names=list(outputs),
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    graph: onnx.ModelProto = program.model_proto
    graph.ir_version = IR_VERSION
    _forget_origins(graph)
    return graph


def saved(graph: onnx.ModelProto) -> bytes:
    """The graph as the bytes of a file."""
    return bytes(graph.SerializeToString())


def _forget_origins(graph: onnx.ModelProto) -> None:
    """Remove the source locations of nodes: they contain local paths and are most of a small file."""
    del graph.metadata_props[:]
    del graph.graph.metadata_props[:]
    graph.doc_string = ""
    for node in (*graph.graph.node, *graph.graph.value_info, *graph.graph.initializer):
        del node.metadata_props[:]
        node.doc_string = ""
    for function in graph.functions:
        del function.metadata_props[:]


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Silence the exporter, which prints its steps and warns about opsets and empty lists."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
