"""How the operations of each stage are connected: branches, shortcuts, and blocks that repeat."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, groupby
from typing import Any

import torch
from torch import fx, nn

from regraft.networks.anatomy import count_parts
from regraft.networks.architectures.building import build
from regraft.networks.network import stages_of
from regraft.records import InputSpec, Recipe

ENTRY = -1
"""The place of a block's input, among the places of its operations."""
_JOINS = {"add": "+", "iadd": "+", "cat": "concat", "concat": "concat", "mul": "×", "imul": "×"}
_POOLS = {
    "max_pool2d": "max pool", "avg_pool2d": "mean pool", "adaptive_avg_pool2d": "mean pool",
    "adaptive_max_pool2d": "max pool", "mean": "mean pool",
}  # fmt: skip
_ATTENTION = "scaled_dot_product_attention"


@dataclass(frozen=True)
class Operation:
    """A layer with weights, a pooling, or a place where values meet; what follows it alone is part of it."""

    label: str
    shape: tuple[int, ...]
    """Shape of its output, without the batch."""
    inputs: tuple[int, ...]
    """Places of the operations of the same block that it reads; `ENTRY` is the block's input."""
    parameters: int = 0
    multiply_adds: int = 0

    @property
    def is_join(self) -> bool:
        """Whether several values meet here."""
        return len(self.inputs) > 1


@dataclass(frozen=True)
class Block:
    """Operations between two positions at which a single value crosses."""

    operations: tuple[Operation, ...]
    times: int = 1
    """How often the same block follows itself."""

    @property
    def about(self) -> str:
        """What is special about it: a shortcut, several branches, or a gate; empty for a single path."""
        joins = [one for one in self.operations if one.is_join]
        sums = [one for one in joins if one.label == "+"]
        if sums:
            is_direct = any(ENTRY in one.inputs for one in sums)
            return "shortcut" if is_direct else "shortcut through a layer"
        gates = all(one.label == "×" for one in joins)
        count = max((len(one.inputs) for one in joins), default=1)
        return "" if not joins else "gate" if gates else f"{count} branches"


def wiring(recipe: Recipe, spec: InputSpec) -> list[tuple[Block, ...]]:
    """The blocks of each stage and of the classifier; those of a stage that can't be traced are empty.

    The network is built and run without values, so any network takes about a second.

    Args:
        recipe: how the network is built and divided.
        spec: its input.

    >>> from regraft.networks.zoo.catalogues import find_recipe
    >>> first, *_ = wiring(*find_recipe("lenet5"))
    >>> [(one.label, one.shape) for block in first for one in block.operations]
    [('5 × 5 conv', (6, 28, 28)), ('mean pool', (6, 14, 14))]
    """
    with torch.device("meta"):
        network = build(recipe)
    staged, _ = stages_of(network.eval(), recipe)
    value = torch.zeros(1, spec.channels, spec.size_px, spec.size_px, device="meta")
    found: list[tuple[Block, ...]] = []
    for module in [*(stage.module for stage in staged.stages), staged.classifier]:
        with torch.no_grad():
            if not isinstance(module, fx.GraphModule):
                found.append(())
                value = module(value)
                continue
            recorder = _Recorder(module)
            value = recorder.run(value)
        found.append(repeated(blocks_of(_operations(module, recorder.values))))
    return found


class _Recorder(fx.Interpreter):
    """Runs a graph, and keeps the value of every operation."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.values: dict[fx.Node, Any] = {}

    def run_node(self, n: fx.Node) -> Any:
        self.values[n] = super().run_node(n)
        return self.values[n]


def _operations(module: fx.GraphModule, values: dict[fx.Node, Any]) -> list[Operation]:
    """The operations of a graph in order; places count from its first one."""
    places: dict[fx.Node, int] = {}
    found: list[Operation] = []
    for node in module.graph.nodes:
        if node.op == "placeholder":
            places[node] = ENTRY
        inputs = tuple(dict.fromkeys(places[one] for one in node.all_input_nodes if one in places))
        if node.op == "output" or not inputs:
            continue
        shown = _layer(module, node, values) or (_named(node) if len(inputs) > 1 else None)
        if shown is None:  # a normalisation, an activation, another shape: a part of what it follows
            places[node] = inputs[0]
            continue
        places[node] = len(found)
        found.append(replace(shown, shape=_shape(values[node]), inputs=inputs))
    return found


def _layer(module: fx.GraphModule, node: fx.Node, values: dict[fx.Node, Any]) -> Operation | None:
    """A layer with weights, a pooling or an attention; None for anything else."""
    name = _name(node)
    if node.op == "call_module":
        own = module.get_submodule(str(node.target))
        if isinstance(own, nn.Conv2d | nn.Linear):
            size = sum(one.numel() for one in own.parameters())
            given: tuple[Any, Any] = (own.stride, own.groups) if isinstance(own, nn.Conv2d) else (1, 1)
            return _weighted(own.weight, values[node], size, stride=given[0], groups=given[1])
        name = type(own).__name__.removesuffix("2d").lower().replace("adaptive", "")
        name = {"maxpool": "max_pool2d", "avgpool": "avg_pool2d"}.get(name, name)
        if any(isinstance(one, nn.Conv2d | nn.Linear) for one in own.modules()):  # a part that stays whole
            (count,) = count_parts([own], _shape(values[node.all_input_nodes[0]]))
            return Operation(type(own).__name__, (), (), count.parameters, count.multiply_adds)
    elif name in ("conv2d", "linear"):
        weight = values.get(node.args[1]) if isinstance(node.args[1], fx.Node) else None
        if isinstance(weight, torch.Tensor):
            stride, groups = (node.args[n] if len(node.args) > n else 1 for n in (3, 6))
            return _weighted(weight, values[node], weight.numel(), stride=stride, groups=groups)
    if name == _ATTENTION:
        return Operation("attention", (), ())
    is_pool = name in _POOLS and len(_shape(values[node])) != 2
    return Operation(_POOLS[name], (), ()) if is_pool else None


def _weighted(
    weight: torch.Tensor, output: torch.Tensor, parameters: int, *, stride: Any, groups: Any
) -> Operation:
    """A convolution or a dense layer, from its weights `(outputs, inputs, ...)`."""
    work = math.prod(output.shape[1:]) * math.prod(weight.shape[1:])
    if weight.ndim == 2:
        return Operation("dense", (), (), parameters, work)
    kernel = " × ".join(str(side) for side in weight.shape[2:])
    kind = "depthwise" if weight.shape[1] == 1 < groups else "conv"
    step = stride[-1] if isinstance(stride, tuple | list) else stride
    return Operation(f"{kernel} {kind}{f' / {step}' if step != 1 else ''}", (), (), parameters, work)


def _named(node: fx.Node) -> Operation:
    """A place where values meet."""
    name = _name(node)
    return Operation(_JOINS.get(name, name.replace("_", " ").strip()), (), ())


def _name(node: fx.Node) -> str:
    return node.target if isinstance(node.target, str) else str(getattr(node.target, "__name__", ""))


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(value.shape[1:]) if isinstance(value, torch.Tensor) else ()


def blocks_of(operations: Sequence[Operation]) -> list[Block]:
    """Operations, divided wherever a single value crosses.

    >>> chain = [Operation("a", (1,), (ENTRY,)), Operation("b", (1,), (0,)), Operation("+", (1,), (0, 1))]
    >>> [[one.inputs for one in block.operations] for block in blocks_of(chain)]
    [[(-1,)], [(-1,), (-1, 0)]]
    """
    earliest = [min(one.inputs) for one in operations]
    after = [*list(accumulate(reversed(earliest), min))[::-1][1:], len(operations)]
    found, start = [], 0
    for place, first in enumerate(after):
        if first >= place:
            own = operations[start : place + 1]
            moved = [replace(one, inputs=tuple(max(ENTRY, n - start) for n in one.inputs)) for one in own]
            found.append(Block(tuple(moved)))
            start = place + 1
    return found


def repeated(blocks: Sequence[Block]) -> tuple[Block, ...]:
    """Blocks with equal ones that follow each other as one."""
    return tuple(replace(one, times=len(list(others))) for one, others in groupby(blocks))
