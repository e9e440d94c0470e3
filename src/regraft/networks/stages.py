"""Divide any traceable network into ordered stages; a cut is possible between any two stages.

A network is traced once (torch.fx) into the list of its operations. It can be cut between two
operations if exactly one value crosses: then everything before is a function of the image, and
everything after is a function of that value. Stages are the runs of operations between such positions,
named after the modules that they come from. Together they are the same operations on the same values,
so their result equals the network's, bit for bit.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

from regraft.errors import NetworkError

# Containers with at least this share of all parameters or layers are divided; smaller ones are a stage.
_MIN_PARAMETERS, _MIN_LAYERS = 0.1, 0.25
_ACTIVATIONS = frozenset(
    {
        "relu",
        "relu_",
        "relu6",
        "tanh",
        "tanh_",
        "sigmoid",
        "gelu",
        "silu",
        "silu_",
        "hardswish",
        "hardtanh",
        "leaky_relu",
        "elu",
        "selu",
        "mish",
    }
)


@dataclass(frozen=True)
class Stage:
    """One stage: its operations, and a name from the network's own modules."""

    name: str
    module: nn.Module


@dataclass(frozen=True)
class StagedNetwork:
    """The stages of a network, and the classifier that it was trained with (including pooling)."""

    stages: tuple[Stage, ...]
    classifier: nn.Module


@dataclass
class _Group:
    """Consecutive operations with the same label."""

    label: str
    nodes: list[fx.Node]


def split_into_stages(network: nn.Module, *, fine: bool = False) -> StagedNetwork:
    """Divide a network into stages, in evaluation mode.

    Args:
        network: a classification network; its parameters are shared with the stages, not copied.
        fine: make every block a stage (numbered modules with at least two weighted layers), not every group
            of blocks.

    Raises:
        NetworkError: the network can't be traced (its forward pass depends on values), or there is no
            position at which a single value crosses.
    """
    graph, names = _trace(network)
    nodes = [node for node in graph.nodes if node.op not in ("placeholder", "output")]
    label_of = _labeller(network, fine=fine)
    groups = _grouped(nodes, lambda node: label_of(_module_path(node, names)))
    body, head = _take_classifier(network, groups)
    stages = _merge(network, body)
    stages = _join_uncuttable(stages, head, graph)
    if not stages:
        raise NetworkError(f"{type(network).__name__} can't be cut: at every position several values cross")
    result, entry = [], next(node for node in graph.nodes if node.op == "placeholder")
    for group in stages:
        module, entry = _extract(network, group.nodes, entry)
        result.append(Stage(group.label, module))
    classifier, _ = _extract(network, head.nodes, entry)
    return StagedNetwork(tuple(result), classifier)


def _trace(network: nn.Module) -> tuple[fx.Graph, dict[fx.Node, str]]:
    from timm.models._features_fx import get_notrace_functions, get_notrace_modules
    from torchvision.models.feature_extraction import NodePathTracer

    leaves = [*get_notrace_modules(), *_stochastic_modules()]

    class ImagesTracer(NodePathTracer):  # type: ignore[misc]
        """A tracer that keeps the default values of the forward pass's options."""

        def create_args_for_root(self, root_fn: Any, *_: Any) -> tuple[Any, list[Any]]:
            return inspect.unwrap(root_fn), [self.root, self.create_proxy("placeholder", "images", (), {})]

    tracer = ImagesTracer(leaf_modules=leaves, autowrap_functions=list(get_notrace_functions()))
    try:
        graph = tracer.trace(network.eval())
    except Exception as error:  # torch.fx raises whatever the traced code raises on a symbolic value
        raise NetworkError(
            f"{type(network).__name__} can't be divided into stages: tracing it failed with {error}"
        ) from error
    return graph, dict(tracer.node_to_qualname)


def _stochastic_modules() -> list[type[nn.Module]]:
    """Modules without effect in evaluation mode; if traced, they would have no effect in training either."""
    from timm.layers import DropBlock2d, DropPath, PatchDropout
    from torchvision.ops import StochasticDepth

    return [DropBlock2d, DropPath, PatchDropout, StochasticDepth]


def _module_path(node: fx.Node, names: dict[fx.Node, str]) -> str:
    """The module that an operation belongs to; empty for operations of the network itself."""
    name = names.get(node, "")
    return name if node.op == "call_module" else name.rpartition(".")[0]


def _labeller(network: nn.Module, *, fine: bool) -> Callable[[str], str]:
    modules = dict(network.named_modules())
    sizes = {name: sum(p.numel() for p in module.parameters()) for name, module in modules.items()}
    layers = {name: sum(p.ndim > 1 for p in module.parameters()) for name, module in modules.items()}

    def is_large(name: str) -> bool:
        parameters = sizes.get(name, 0) / max(1, sizes[""])
        depth = layers.get(name, 0) / max(1, layers[""])
        return bool(parameters >= _MIN_PARAMETERS or depth >= _MIN_LAYERS)

    def label(path: str) -> str:
        parts = path.split(".") if path else []
        depth = 1
        while depth < len(parts):
            if _is_numbered(parts[depth - 1]) or not is_large(".".join(parts[:depth])):
                break
            depth += 1
        if fine:
            blocks = [n for n in range(depth + 1, len(parts) + 1) if _is_numbered(parts[n - 1])]
            depth = max([depth, *(n for n in blocks if layers.get(".".join(parts[:n]), 0) > 1)])
        return ".".join(parts[:depth])

    return label


def _is_numbered(part: str) -> bool:
    return any(character.isdigit() for character in part)


def _grouped(nodes: Sequence[fx.Node], label_of: Callable[[fx.Node], str]) -> list[_Group]:
    groups: list[_Group] = []
    for node in nodes:
        label = label_of(node)
        if groups and groups[-1].label == label:
            groups[-1].nodes.append(node)
        else:
            groups.append(_Group(label, [node]))
    return groups


def _weighted_modules(network: nn.Module, group: _Group) -> list[nn.Module]:
    """The modules of a group that have parameters and are not normalisations."""
    found = []
    for node in group.nodes:
        if node.op == "call_module":
            module = network.get_submodule(str(node.target))
        elif node.op == "get_attr" and "." in str(node.target):
            module = network.get_submodule(str(node.target).rpartition(".")[0])
        else:
            continue
        if any(True for _ in module.parameters()) and "Norm" not in type(module).__name__:
            found.append(module)
    return found


def _is_activation(network: nn.Module, node: fx.Node) -> bool:
    if node.op == "call_module":
        module = network.get_submodule(str(node.target))
        return "activation" in type(module).__module__
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    return node.op in ("call_function", "call_method") and name in _ACTIVATIONS


def _take_classifier(network: nn.Module, groups: list[_Group]) -> tuple[list[_Group], _Group]:
    """Split off the last weighted group with the pooling before it; activations stay with their stage."""
    last = max((n for n, group in enumerate(groups) if _weighted_modules(network, group)), default=0)
    start = last
    while start > 0 and not any(True for _ in _parameters(network, groups[start - 1])):
        start -= 1
    if start == 0:
        raise NetworkError(f"{type(network).__name__} can't be cut: it has a single stage")
    tail = [node for group in groups[start:] for node in group.nodes]
    kept = 0
    while _is_activation(network, tail[kept]):
        kept += 1
    body = [*groups[: start - 1], _Group(groups[start - 1].label, groups[start - 1].nodes + tail[:kept])]
    return body, _Group("classifier", tail[kept:])


def _parameters(network: nn.Module, group: _Group) -> Iterator[nn.Parameter]:
    for node in group.nodes:
        if node.op == "call_module":
            yield from network.get_submodule(str(node.target)).parameters()
        elif node.op == "get_attr":
            yield from (p for name, p in network.named_parameters() if name == node.target)


def _merge(network: nn.Module, groups: list[_Group]) -> list[_Group]:
    """Join groups without weights to the stage before, and single layers at the start to a stem."""
    merged: list[_Group] = []
    for group in groups:
        if merged and not _weighted_modules(network, group):
            merged[-1] = _Group(merged[-1].label, merged[-1].nodes + group.nodes)
        else:
            merged.append(group)
    if len(merged) > 1 and not _weighted_modules(network, merged[0]):
        merged[:2] = [_Group(merged[1].label, merged[0].nodes + merged[1].nodes)]
    first = next((n for n, group in enumerate(merged) if _is_container(network, group)), 0)
    if first > 0:
        merged[:first] = [_Group("stem", [node for group in merged[:first] for node in group.nodes])]
    return merged


def _is_container(network: nn.Module, group: _Group) -> bool:
    return "." in group.label or any(True for _ in network.get_submodule(group.label).children())


def _join_uncuttable(groups: list[_Group], head: _Group, graph: fx.Graph) -> list[_Group]:
    """Join neighbours until exactly one value crosses every boundary."""
    position = {node: number for number, node in enumerate(graph.nodes)}
    result: list[_Group] = []
    pending: list[_Group] = []
    for group in groups:
        pending.append(group)
        nodes = [node for one in pending for node in one.nodes]
        if len(_crossing(graph, position[nodes[-1]], position)) == 1:
            result.append(_Group(_common_label([one.label for one in pending]), nodes))
            pending = []
    head.nodes = [node for one in pending for node in one.nodes] + head.nodes
    return result


def _common_label(labels: Sequence[str]) -> str:
    """The innermost module that contains all labels; if that is the whole network, the last label."""
    common = labels[0].split(".")
    for label in labels[1:]:
        pairs = zip(common, label.split("."), strict=False)
        common = [a for a, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs)]
    return ".".join(common) or labels[-1]


def keep_uncut(network: nn.Module) -> StagedNetwork:
    """A network that can't be divided, as a single stage; without its classifier if timm knows it."""
    ask: Any = getattr(network, "get_classifier", None)
    classifier = ask() if ask else None
    if isinstance(classifier, nn.Linear) and hasattr(network, "forward_head"):
        return StagedNetwork((Stage("network", _UpToClassifier(network)),), classifier)
    return StagedNetwork((Stage("network", network),), nn.Identity())


class _UpToClassifier(nn.Module):
    """A timm network without its last layer."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features = self.network.forward_features(x)
        pooled: torch.Tensor = self.network.forward_head(features, pre_logits=True)
        return pooled


def _crossing(graph: fx.Graph, end: int, position: dict[fx.Node, int]) -> list[fx.Node]:
    """Values that depend on the image, are computed at or before `end` and used after it."""
    constants = _constants(graph)
    return [
        node
        for node in graph.nodes
        if position[node] <= end
        and node not in constants
        and any(position[user] > end for user in node.users)
    ]


def _constants(graph: fx.Graph) -> set[fx.Node]:
    """Parameters, and values computed only from them, which any stage can read or compute again."""
    found: set[fx.Node] = set()
    for node in graph.nodes:
        if node.op not in ("placeholder", "output") and all(one in found for one in node.all_input_nodes):
            found.add(node)
    return found


def _extract(network: nn.Module, nodes: Sequence[fx.Node], entry: fx.Node) -> tuple[nn.Module, fx.Node]:
    """A module of the given operations, from the value `entry` to the one value that leaves them."""
    graph = fx.Graph()
    inside = set(nodes)
    environment: dict[fx.Node, fx.Node] = {entry: graph.placeholder("x")}

    def value_of(node: fx.Node) -> fx.Node:
        if node not in environment:  # a constant first used in an earlier stage
            environment[node] = graph.node_copy(node, value_of)
        return environment[node]

    for node in nodes:
        environment[node] = graph.node_copy(node, value_of)
    constants = _constants(entry.graph)
    leaving = [node for node in nodes if node not in constants and any(u not in inside for u in node.users)]
    exit_node = leaving[-1] if leaving else entry
    graph.output(environment[exit_node])
    module = fx.GraphModule(network, graph)
    module.graph.eliminate_dead_code()
    module.recompile()
    return module, exit_node
